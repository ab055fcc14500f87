import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aevq.report.statistics import Estimate, estimate, marks

values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6)


@given(values)
def test_mean_and_spread_are_numpys(x):
    found = estimate(x)
    assert (found.mean, found.std, found.n) == (np.mean(x), np.std(x, ddof=1), len(x))


def test_one_value_has_no_spread_and_none_is_no_estimate():
    assert estimate([0.5]) == Estimate(0.5, None, 1)
    assert estimate([]) is None


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.005325, 0.0000189, "0.005325 ± 0.000019"),
        (0.00980, 0.0005, "0.0098 ± 0.0005"),
        (269.87, 16.2, "270 ± 16"),
        (0.95191, 1e-9, "0.95191 ± 0.00000"),
        (72913.0, 0.0, "72,913"),
        (0.1282, None, "0.1282"),
        (math.nan, None, "nan"),
        (2.5, math.nan, "2.5"),
    ],
)
def test_estimates_are_printed_to_the_place_of_their_spread(mean, std, text):
    assert str(Estimate(mean, std, 3)) == text


def test_the_best_is_marked_and_what_cannot_be_told_from_it():
    column = [Estimate(1.0, 0.3, 3), Estimate(1.5, 0.4, 3), Estimate(1.51, 0.4, 3), None]
    assert marks(column, "lower") == ["best", "within", "", ""]  # √(0.3² + 0.4²) = 0.5
    assert marks(column, "higher") == ["", "within", "best", ""]
    assert marks(column, None) == [""] * 4


def test_the_nearer_to_one_is_better_from_both_sides():
    assert marks([Estimate(0.8, None, 1), Estimate(1.1, None, 1)], "one") == ["", "best"]


def test_without_a_spread_of_both_only_the_best_is_marked():
    assert marks([Estimate(1.0, 0.5, 3), Estimate(1.1, None, 1)], "lower") == ["best", ""]


def test_where_all_are_equal_none_is_best():
    assert marks([Estimate(2.0, 0.1, 3), Estimate(2.0, 0.2, 3)], "lower") == ["", ""]


def test_what_is_not_finite_is_never_best_and_one_alone_is_not_compared():
    assert marks([Estimate(math.nan, None, 1), Estimate(3.0, None, 1)], "lower") == ["", ""]
    assert marks([Estimate(math.inf, None, 1), Estimate(3.0, None, 1), Estimate(4.0, None, 1)], "higher")[2] == "best"
