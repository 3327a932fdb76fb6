"""Drawn charts: the right cells, nothing outside, gaps, letters, crosshair, ASCII."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui.chart.canvas import ASCII_CELL, BRAILLE_CELL, Canvas
from tui.chart.drawing import Chart, Line, Row, draw
from tui.chart.series import Series
from tui.chart.svg import svg
from tui.chart.table import as_csv
from tui.chart.view import View

SVG = "{http://www.w3.org/2000/svg}"


def _cells(row: Row) -> str:
    return "".join(text for text, _ in row)


RISING = Series("loss", [(x, float(x)) for x in range(1, 9)])
POINTS = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=700)


def test_a_cell_belongs_to_the_line_drawn_last() -> None:
    canvas = Canvas(2, 1, BRAILLE_CELL)
    canvas.column(0, 0, 3, 1)
    assert canvas.cell(0, 0) == ("⡇", 1)
    canvas.column(1, 3, 2, 2)
    assert canvas.cell(0, 0) == ("⢠", 2)
    assert canvas.cell(1, 0) == (" ", 0)
    canvas.column(99, 0, 0, 1)
    canvas.column(2, -9, -5, 1)
    assert canvas.cell(1, 0) == (" ", 0)


def test_ascii_has_two_dots_a_cell() -> None:
    canvas = Canvas(3, 1, ASCII_CELL)
    canvas.column(0, 0, 0, 1)
    canvas.column(1, 1, 1, 1)
    canvas.column(2, 0, 1, 1)
    assert "".join(canvas.cell(column, 0)[0] for column in range(3)) == "'.:"


@example([4.761905030441568e32], (24, 4), False, False, False)
@given(POINTS, st.tuples(st.integers(1, 90), st.integers(1, 30)), st.booleans(), st.booleans(), st.booleans())
def test_a_picture_has_exactly_its_size(
    values: list[float], size: tuple[int, int], log_y: bool, ascii_only: bool, zoomed: bool
) -> None:
    width, height = size
    view = View(log_y=log_y, cross=3.0)
    if zoomed:
        view = view.zoomed(0, max(1, len(values)), 0.3)
    series = Series("loss", enumerate(values))
    chart = Chart([Line(series, raw=True), Line(series, "a"), Line(RISING, "b", 1)], view, "loss", ascii=ascii_only)
    picture = draw(chart, width, height)
    assert len(picture.rows) == height
    plot = picture.rows[picture.top : picture.top + picture.height]
    for row in [*plot, *([picture.rows[0]] if picture.top else [])]:
        assert sum(len(text) for text, _ in row) == max(width, picture.left + picture.width)
    if ascii_only:
        assert picture.text().replace("×", "x").isascii()


@given(POINTS)
def test_a_chart_is_an_svg_and_a_table_whatever_its_points(values: list[float]) -> None:
    series = Series("loss", enumerate(values))
    document = ElementTree.fromstring(svg(Chart([Line(series, "<a&b>"), Line(RISING, "b", 1)], title="x < \x1b")))
    assert document.tag == f"{SVG}svg"
    rows = as_csv("step", [series]).splitlines()
    assert rows[0] == "step,loss"
    assert len(rows) == len(values) + 1


def test_what_is_no_number_leaves_a_gap_and_is_counted() -> None:
    values = [1.0] * 40 + [math.nan] * 20 + [1.0] * 40
    picture = draw(Chart([Line(Series("loss", enumerate(values)))], title="loss"), 56, 9)
    text = picture.text().splitlines()
    assert "20 × NaN/Inf, first at 40" in text[0]
    line = next(row for row in text[1:-1] if "⠤" in row or "⠒" in row or "⠉" in row or "⣀" in row)
    assert "  " in line.strip()[5:-1].strip()
    assert text[1].count("×") >= 8


@pytest.mark.parametrize("points", [50, 5000])
def test_lines_are_told_apart_without_colour(points: int) -> None:
    low = Series("one", [(x, 1.0) for x in range(points)])
    high = Series("two", [(x, 2.0) for x in range(points)])
    text = draw(Chart([Line(low, "one"), Line(high, "two", 1)], title="loss"), 80, 12).text().splitlines()
    assert "a one 1" in text[0]
    assert "b two 2" in text[0]
    lower = [row for row in text[6:-1] if "a" in row]
    upper = [row for row in text[1:6] if "b" in row]
    assert len(lower) == len(upper) == 1
    assert "b" not in lower[0]


def test_the_crosshair_reads_the_values_below_it() -> None:
    chart = Chart([Line(RISING, "rising"), Line(Series("eval", [(1, 9.0), (4, 5.0)]), "eval", 1)], View(cross=4.0))
    text = draw(chart, 60, 8).text().splitlines()
    assert text[0].strip() == "step 4  a rising 4  b eval 5"
    assert sum("┊" in row for row in text) >= 5


def test_a_logarithmic_chart_leaves_out_what_is_not_above_zero() -> None:
    series = Series("lr", [(0, 0.0), (1, 1e-4), (2, 1e-2), (3, -1.0), (4, 1.0)])
    text = draw(Chart([Line(series)], View(log_y=True)), 40, 12).text()
    assert "1e-04" in text
    assert "1 ┤" in text


def test_many_points_and_few_give_the_same_outline() -> None:
    """A column of many points reaches from their least to their greatest value."""
    values = [math.sin(x / 300) for x in range(6000)]
    many = Series("many", enumerate(values))
    few = Series("few", [(x, values[x]) for x in [*range(0, 6000, 60), 5999]])
    one, other = ([cell for row in draw(Chart([Line(s)]), 60, 12).rows for cell in _cells(row)] for s in (many, few))
    assert sum(a != b for a, b in zip(one[60:], other[60:], strict=True)) < 30
    spike = [*values]
    spike[3000] = 9.0
    assert draw(Chart([Line(Series("s", enumerate(spike)))]), 60, 12).text().splitlines()[1].strip("│ ┤") != ""


def test_svg_lines_differ_by_their_dashes_and_break_at_gaps() -> None:
    broken = Series("a", [(0, 1.0), (1, 2.0), (2, math.nan), (3, 2.0), (4, 1.0)])
    document = ElementTree.fromstring(svg(Chart([Line(broken, "a"), Line(RISING, "b", 1)], title="t")))
    lines = document.findall(f".//{SVG}polyline")
    assert [line.get("stroke-dasharray") for line in lines] == [None, None, "8 4"]
    assert "1 × NaN/Inf" in "".join(document.itertext())


def test_a_table_has_a_row_for_each_step_and_words_for_what_is_no_number() -> None:
    loss = Series("loss", [(1, 0.5), (2, math.nan), (3, -math.inf)])
    text = as_csv("step", [loss, Series("eval_loss", [(0, 2.0), (3, 1.0)])])
    assert text == "step,loss,eval_loss\n0,,2\n1,0.5,\n2,NaN,\n3,-Infinity,1\n"
