"""Places in a patched text lead back into the text as written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import Diagnostic, Fix, Label, Span
from compiler.language.as_written import as_written

words = st.text("ab \"'=#é", max_size=8)


@given(before=words, written=words, patched=st.text("xyz", min_size=1, max_size=8), after=words, line=st.integers(0, 3))
def test_what_stands_around_a_patch_is_found_where_it_was(
    before: str, written: str, patched: str, after: str, line: int
) -> None:
    lines = ["x = 1"] * 4
    old, new = lines.copy(), lines.copy()
    old[line], new[line] = f"{before}{written}{after}", f"{before}{patched}{after}"
    number = line + 1
    whole = Span(number, 1, number, len(new[line]) + 1)
    (told,) = as_written([Diagnostic("R001", "x", span=whole)], "\n".join(old), "\n".join(new))
    assert told.span == Span(number, 1, number, len(old[line]) + 1)
    for column in range(1, len(new[line]) + 2):
        (told,) = as_written(
            [Diagnostic("R001", "x", span=Span(number, column, number, column + 1))], "\n".join(old), "\n".join(new)
        )
        assert told.span is not None
        assert 1 <= told.span.column <= told.span.end_column <= len(old[line]) + 1 or told.span.column == column
        if column <= len(before):
            assert told.span.column == column


def test_other_lines_and_an_unpatched_text_keep_their_places() -> None:
    span = Span(1, 3, 2, 4)
    diagnostic = Diagnostic("R001", "x", span=span, secondary=(Label(span, "y"),), fixes=(Fix("z", span, "w"),))
    assert as_written([diagnostic], "a\nb\nc", "a\nb\nc") == [diagnostic]
    assert as_written([diagnostic], "a\nb\nc", "a\nb\nd") == [diagnostic]


def test_a_fix_that_takes_in_a_patched_line_is_left_out() -> None:
    def left(span: Span) -> int:
        (told,) = as_written([Diagnostic("R001", "x", fixes=(Fix("f", span, ""),))], "a\nbad\nc", "a\n\nc")
        return len(told.fixes)

    assert left(Span(1, 1, 1, 2)) == 1
    assert left(Span(1, 1, 2, 1)) == 1  # ends where the patched line begins
    assert left(Span(1, 1, 3, 1)) == 0
    assert left(Span(2, 1, 2, 1)) == 0
