import itertools
import math

import pytest

from aevq.report.axes import axis
from aevq.report.charts import HEIGHT, WIDTH, Curve, Dot, curves_chart, scatter_chart
from aevq.report.statistics import Estimate


@pytest.mark.parametrize(
    "values", [[1.0, 2.0], [0.0], [5.0], [-3.0, 0.2], [0.9, 270.0], [1e-6, 1e6], [1234567.0, 1234568.0]]
)
def test_all_values_have_their_place_and_ticks_are_few_and_true(values):
    scale = axis(values, 60, 500, "x")
    assert all(60 <= scale.place(value) <= 500 for value in values)
    assert 1 <= len(scale.ticks) <= 9
    for tick in scale.ticks:
        assert tick.place == pytest.approx(scale.place(float(tick.text.replace(",", ""))), abs=0.2)


def test_an_axis_is_logarithmic_where_values_differ_much():
    assert axis([0.9, 270.0], 0, 1, "x").log
    assert not axis([0.9, 9.0], 0, 1, "x").log
    assert not axis([-1.0, 270.0], 0, 1, "x").log


def dots(n):
    return [Dot(Estimate(1.0, 0.1, 3), Estimate(1 + i / 100, None, 1), i, f"group {i}", f"group {i}") for i in range(n)]


def test_labels_do_not_lie_on_each_other_nor_outside():
    chart = scatter_chart("t", "", "x", "y", dots(8))
    heights = sorted(point.label_y for point in chart.points)
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 12
    assert heights[-1] < HEIGHT
    assert all(0 < point.x < WIDTH for point in chart.points)


def test_what_has_no_x_is_a_line_across_and_not_finite_values_are_left_out():
    lost = [
        Dot(None, Estimate(0.5, None, 1), 1, "AE", "AE"),
        Dot(Estimate(math.nan, None, 1), Estimate(1, None, 1), 2, "nan", "nan"),
    ]
    chart = scatter_chart("t", "", "x", "y", [*dots(1), *lost])
    assert [rule.label for rule in chart.rules] == ["AE"]
    assert [point.label for point in chart.points] == ["group 0"]
    assert scatter_chart("t", "", "x", "y", lost) is None


def test_curves_are_framed_by_what_comes_after_the_start():
    falling = [(step, 1e6 if step < 5 else 100 - step) for step in range(100)]
    chart = curves_chart("t", "", "y", [Curve(falling, 0), Curve([(0, 1.0)], 1), Curve([(0, math.nan), (1, 2.0)], 2)])
    assert [line.group for line in chart.lines] == [0]
    assert chart.y.high < 150
    assert curves_chart("t", "", "y", [Curve([], 0)]) is None


def test_long_curves_are_thinned_to_the_means_of_pieces():
    chart = curves_chart("t", "", "y", [Curve([(step, float(step % 2)) for step in range(10_000)], 0)])
    heights = {float(point.split(",")[1]) for point in chart.lines[0].points.split()}
    assert len(chart.lines[0].points.split()) <= 150
    assert max(abs(height - chart.y.place(0.5)) for height in heights) < 10
