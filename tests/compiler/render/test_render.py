"""What holds for every format, whatever it is given: no exception, no control character, one text."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compiler.diagnostics import Diagnostic, Fix, Label, Severity, Span
from compiler.render import FORMATS, OutputFormat, render, summary

# Plain text, and what terminals, JSON and line counting stumble over.
hostile = st.text(
    st.one_of(st.sampled_from("ab \t\n\r\x1b\x07\x7f\x9b\u2028\u202e\u200b\udce9日é\u0301😀%:,"), st.characters())
)
places = st.integers(-2, 12) | st.just(10**9)
spans = st.builds(Span, places, places, places, places)
files = st.sampled_from(["recipe.toml", "/tmp/é b.toml", "a:b\x1b[2J\n.toml", "\udcff\ud800", ""])
diagnostics = st.builds(
    Diagnostic,
    code=st.sampled_from(["R012", "E001", "Z999", "\x1b[0m"]),
    message=hostile,
    severity=st.sampled_from(Severity),
    file=st.none() | files,
    path=st.tuples(st.text(), st.integers(0, 9)),
    span=st.none() | spans,
    label=st.none() | hostile,
    secondary=st.lists(st.builds(Label, spans, hostile), max_size=3).map(tuple),
    help=st.none() | hostile,
    fixes=st.lists(st.builds(Fix, hostile, spans, hostile, st.booleans()), max_size=2).map(tuple),
)
long_line = "key = " + "日\t本\x1b" * 500


@given(
    given=st.lists(diagnostics, max_size=4),
    sources=st.dictionaries(files, hostile, max_size=4),
    color=st.booleans(),
    width=st.integers(-1, 130),
)
@example(
    given=[Diagnostic("R001", "m", file="", span=Span(1, 900, 1, 901), secondary=(Label(Span(1, 3, 1, 4), "far"),))],
    sources={"": long_line},
    color=False,
    width=20,
)
@pytest.mark.parametrize("name", FORMATS)
def test_nothing_raises_and_nothing_reaches_the_terminal_but_text(
    name: OutputFormat, given: list[Diagnostic], sources: dict[str, str], color: bool, width: int
) -> None:
    text = render(given, format=name, sources=sources, color=color, width=width)
    assert text == "" or text.endswith("\n")
    if color and name in ("full", "concise"):
        text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")] == []
    if name in ("json", "sarif"):
        assert isinstance(json.loads(text), dict)
    if name in ("concise", "github"):
        assert text.count("\n") == len(given)


@given(given=st.lists(diagnostics, max_size=3), sources=st.dictionaries(files, hostile, max_size=3))
def test_colours_change_nothing_but_the_colours(given: list[Diagnostic], sources: dict[str, str]) -> None:
    for name in FORMATS:
        plain = render(given, format=name, sources=sources, color=False, width=60)
        coloured = render(given, format=name, sources=sources, color=True, width=60)
        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_no_diagnostics_are_no_text_for_people_and_a_whole_document_for_programs() -> None:
    texts = {name: render([], format=name, sources={}, color=False, width=80) for name in FORMATS}
    assert texts["full"] == texts["concise"] == texts["github"] == ""
    assert json.loads(texts["json"]) == {"version": 1, "diagnostics": []}
    assert json.loads(texts["sarif"])["runs"][0]["results"] == []


def test_the_summary_counts_by_severity() -> None:
    error, warning, note = (Diagnostic("R001", "m", severity=severity) for severity in Severity)
    assert summary([warning, error, error]) == "2 errors, 1 warning"
    assert summary([note, warning, warning]) == "2 warnings, 1 note"
    assert summary([error]) == "1 error"
    assert summary([]) == "no problems"
