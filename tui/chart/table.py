"""Curves as CSV (RFC 4180): one row for each x, one column for each curve."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from tui.chart.series import Series


def as_csv(x_name: str, series: Sequence[Series]) -> str:
    """All points, also those that are no numbers (``NaN``, ``Infinity``, as the journal writes them)."""
    values: dict[float, dict[int, float]] = {}
    for column, one in enumerate(series):
        for xs, ys in ((one.xs, one.ys), (one.bad_xs, one.bad_ys)):
            for x, y in zip(xs, ys, strict=True):
                values.setdefault(x, {})[column] = y
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([x_name, *(one.name for one in series)])
    for x in sorted(values):
        row = values[x]
        table.writerow([_number(x), *(_number(row[n]) if n in row else "" for n in range(len(series)))])
    return out.getvalue()


def _number(value: float) -> str:
    if math.isfinite(value):
        return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
