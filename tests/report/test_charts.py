import itertools
import math
import re

import pytest

from aevq.report.charts import Point, curves_chart, scatter_chart
from aevq.report.statistics import Estimate


def points(n, label="group"):
    means = [1 + i / 1000 for i in range(n)]
    return [Point(Estimate(1.0, 0.1, 3), Estimate(y, 0.01, 3), i, f"{label} {i}") for i, y in enumerate(means)]


def scatter(points, title="title"):
    return scatter_chart(title, "note", "x", "y", points)


def texts(chart):
    """The texts of a chart with their places."""
    found = re.findall(r'<text style="[^"]*"[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', chart.svg)
    return {text: (float(x), float(y)) for x, y, text in found}


def test_equal_charts_are_equal_texts_and_ids_are_unique_in_a_page():
    assert scatter(points(3)) == scatter(points(3))
    ids = [re.findall(r' id="([^"]*)"', scatter(points(3), title).svg) for title in ("one", "two")]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])


def test_colours_are_those_of_the_page():
    svg = scatter(points(2)).svg
    assert "var(--c0)" in svg
    assert "var(--c1)" in svg
    assert not re.findall(r"(?:fill|stroke): #(?!000000)", svg)


def test_labels_of_points_in_one_place_do_not_overlap():
    places = [place for text, place in texts(scatter(points(8))).items() if text.startswith("group")]
    assert len(places) == 8
    for side in {x for x, _ in places}:  # on the left of the points, and on their right
        heights = sorted(y for x, y in places if x == side)
        assert all(above - below >= 8 for below, above in itertools.pairwise(heights))


def test_a_label_without_room_is_left_out_and_a_name_is_no_markup():
    many = scatter(points(60))
    assert 8 < sum(text.startswith("group") for text in texts(many)) < 60
    svg = scatter(points(2, "$x^$ <b>& 漢")).svg
    assert "$x^$ &lt;b&gt;&amp;" in svg


def test_a_group_without_x_is_a_line_and_values_that_are_not_finite_are_left_out():
    others = [
        Point(None, Estimate(0.5, None, 1), 1, "AE"),
        Point(Estimate(math.nan, None, 1), Estimate(1, None, 1), 2, "nan"),
    ]
    found = texts(scatter([*points(1), *others]))
    assert "AE (no rate)" in found
    assert "nan" not in found
    assert scatter(others) is None
    assert scatter(points(1)) is None


@pytest.mark.parametrize(("highest", "logarithmic"), [(20.0, False), (300.0, True)])
def test_an_axis_is_logarithmic_if_values_differ_much(highest, logarithmic):
    heights = [1.0, 3.0, highest]
    chart = scatter([Point(Estimate(1.0 + i, None, 1), Estimate(y, None, 1), i, "") for i, y in enumerate(heights)])
    assert ({"1", "3", "10", "30", "100", "300"} <= set(texts(chart))) == logarithmic


def test_curves_fit_the_values_after_the_start():
    falling = [(step, 1e6 if step < 5 else 100.0 - step) for step in range(100)]
    others = [(1, [(0, 1.0)]), (2, [(0, math.nan), (1, 2.0)])]
    chart = curves_chart("val/mse", [(0, falling), *others])
    ticks = [float(text.replace(",", "")) for text in texts(chart) if re.fullmatch(r"[\d.,]+", text)]
    assert max(ticks) <= 120
    assert "var(--c0)" in chart.svg
    assert "var(--c1)" not in chart.svg
    assert curves_chart("val/mse", others) is None


def test_long_curves_are_thinned_to_the_means_of_pieces():
    chart = curves_chart("val/mse", [(0, [(step, float(step % 2)) for step in range(10_000)])])
    line = re.search(r'<path d="([^"]*)" clip-path[^>]*stroke: var\(--c0\)', chart.svg)[1]
    heights = [float(point.split()[-1]) for point in re.findall(r"[ML] ([^\n]*)", line)]
    assert len(heights) <= 150
    assert max(heights) - min(heights) < 5
