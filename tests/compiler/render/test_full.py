"""The form for people: carets stand under the characters they mean, at every width."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import Diagnostic, Fix, Label, Severity, Span
from compiler.render.full import full

FILE = "recipe.toml"
SOURCE = dedent("""\
    [model]
    id = "m"

    [adapter]
    r = 8
    lora_aplha = 64

    [data]
    path = "rows.jsonl"
    template = \"\"\"
      one
      two
      \"\"\"
    """)


def shown(*diagnostics: Diagnostic, source: str = SOURCE, width: int = 80, color: bool = False) -> str:
    return full(diagnostics, sources={FILE: source}, color=color, width=width)


def snippet(diagnostic: Diagnostic, source: str, width: int) -> list[str]:
    """The rows from the first source line on."""
    rows = shown(diagnostic, source=source, width=width).split("\n")
    return rows[rows.index("  |") + 1 : -1]


def at(line: int, column: int, end_column: int, *, end_line: int | None = None, **fields: object) -> Diagnostic:
    span = Span(line, column, end_line or line, end_column)
    return Diagnostic("R012", "unknown key", file=FILE, span=span, **fields)  # type: ignore[arg-type]


def test_the_line_the_carets_the_label_the_help_and_the_fixes() -> None:
    span = Span(6, 1, 6, 11)
    diagnostic = Diagnostic(
        "R012",
        "unknown key `lora_aplha` in [adapter]",
        file=FILE,
        span=span,
        label="did you mean `lora_alpha`?",
        secondary=(Label(Span(4, 1, 4, 10), "in this table"),),
        help="the scale of the update is lora_alpha / r",
        fixes=(Fix("write `lora_alpha`", span, "lora_alpha", certain=True), Fix("remove it", span, "")),
    )
    assert shown(diagnostic) == dedent("""\
        error[R012]: unknown key `lora_aplha` in [adapter]
         --> recipe.toml:6:1
          |
        4 | [adapter]
          | --------- in this table
        5 | r = 8
        6 | lora_aplha = 64
          | ^^^^^^^^^^ did you mean `lora_alpha`?
          |
          = help: the scale of the update is lora_alpha / r
          = fix: write `lora_alpha` (`recipe check --fix` applies it)
          = fix: remove it
        """)


def test_places_on_one_line_far_apart_and_over_several_lines() -> None:
    one = at(5, 5, 6, label="too small", secondary=(Label(Span(5, 1, 5, 2), "the rank"), Label(Span(9, 1, 9, 5), "")))
    several = at(10, 12, 6, end_line=13, label="this text", severity=Severity.WARNING)
    assert shown(one, several) == dedent("""\
        error[R012]: unknown key
         --> recipe.toml:5:5
          |
        5 | r = 8
          |     ^ too small
          | - the rank
        ...
        9 | path = "rows.jsonl"
          | ----

        warning[R012]: unknown key
          --> recipe.toml:10:12
           |
        10 | template = \"\"\"
           |            ^^^
        ...
        13 |   \"\"\"
           |   ^^^ this text
        """)


def test_a_narrow_terminal_wraps_words_and_crops_the_line_around_the_place() -> None:
    source = "targets = [" + "'q_proj', " * 40 + "'x_proj', " + "'v_proj', " * 40 + "]"
    column = source.index("'x_proj'") + 1
    diagnostic = Diagnostic(
        "R018",
        "the model has no module of this name",
        file=FILE,
        span=Span(1, column, 1, column + 8),
        label="did you mean up_proj?",
        secondary=(Label(Span(1, 1, 1, 8), "in this list"),),
        help="the modules are q_proj, k_proj and v_proj",
    )
    assert shown(diagnostic, source=source, width=40) == dedent("""\
        error[R018]: the model has no module of
                  this name
         --> recipe.toml:1:412
          |
        1 | ...'q_proj', 'x_proj', 'v_proj',...
          |              ^^^^^^^^
          |              did you mean up_proj?
        1 | targets = ['q_proj', 'q_proj', '...
          | ------- in this list
          |
          = help: the modules are q_proj, k_proj
            and v_proj
        """)


@given(width=st.integers(20, 140), before=st.integers(0, 300), after=st.integers(0, 300), size=st.integers(1, 200))
def test_no_row_of_a_snippet_is_wider_than_the_terminal(width: int, before: int, after: int, size: int) -> None:
    source = "a" * before + "X" * size + "b" * after
    diagnostic = at(1, before + 1, before + size + 1, label="some words under the carets that may need wrapping")
    rows = snippet(diagnostic, source, width)
    assert max(map(len, rows)) <= width
    assert "X" in rows[0]


# Cells as terminals count them, written down here rather than asked of the code under test.
CELLS = {
    "a": 1,
    "é": 1,
    "=": 1,
    " ": 1,
    "日": 2,
    "한": 2,
    "（": 2,
    "😀": 2,
    "\u0301": 0,
    "\u1161": 0,
    "\ufe0f": 0,
    "�": 1,
    "␛": 1,
    ".": 1,
}
pieces = st.text(st.sampled_from([*set(CELLS) - {".", "�", "␛"}, "\t", "\x1b", "\u200b"]), max_size=120)


@given(before=pieces, after=pieces, width=st.integers(20, 120))
def test_the_caret_stands_under_its_character(before: str, after: str, width: int) -> None:
    source = f"{before}X{after}"
    line, carets = snippet(at(1, len(before) + 1, len(before) + 2), source, width)
    start = line.index("X")
    assert carets[4:].strip(" ") == "^"
    assert carets[4:].index("^") == sum(CELLS[character] for character in line[4:start])


def test_tabs_go_to_stops_and_wide_characters_take_two_cells() -> None:
    rows = shown(at(1, 4, 6), source="\ta\t日本語").splitlines()
    assert rows[3:] == ["1 |     a   日本語", "  |         ^^^^"]
    rows = shown(at(1, 2, 3), source="e\u0301").splitlines()
    assert rows[3:] == ["1 | e\u0301", "  | ^"]


@pytest.mark.parametrize("span", [Span(99, 1, 99, 2), Span(10**9, 10**9, 10**9, 10**9)])
def test_a_place_beyond_the_text_is_named_but_not_quoted(span: Span) -> None:
    rows = shown(Diagnostic("R012", "m", file=FILE, span=span, label="here")).splitlines()
    assert rows == ["error[R012]: m", f" --> recipe.toml:{span.line}:{span.column}"]


def test_a_file_that_is_not_at_hand_is_named_but_not_quoted() -> None:
    text = full([at(6, 1, 11, help="look")], sources={}, color=False, width=80)
    assert text == "error[R012]: unknown key\n --> recipe.toml:6:1\n  = help: look\n"


def test_ends_that_lie_badly_still_mark_their_start() -> None:
    for diagnostic in (at(5, 3, 3), at(5, 3, 1), Diagnostic("R012", "m", file=FILE, span=Span(5, 3, 2, 1))):
        assert shown(diagnostic).splitlines()[3:5] == ["5 | r = 8", "  |   ^"]
    assert shown(at(5, 3, 1, end_line=6)).splitlines()[3:] == ["5 | r = 8", "  |   ^^^"]
    assert shown(at(5, 90, 91)).splitlines()[3:] == ["5 | r = 8", "  |      ^"]
    assert shown(at(1, 1, 2), source="").splitlines()[3:] == ["1 |", "  | ^"]


def test_a_carriage_return_is_shown_unless_it_ends_a_line() -> None:
    rows = shown(at(2, 2, 3), source="a\r\nb\rc\r\n").splitlines()
    assert rows[3:] == ["2 | b␍c", "  |  ^"]


def test_a_file_operation_does_not_name_its_file_twice() -> None:
    text = shown(Diagnostic("E001", "reading: recipe.toml: No such file", file=FILE))
    assert text == "error[E001]: reading: recipe.toml: No such file\n"
    assert shown(Diagnostic("E005", "the disk is broken", file=FILE)).splitlines()[1] == " --> recipe.toml"


def test_line_feeds_in_a_message_cannot_pass_for_another_diagnostic() -> None:
    text = shown(Diagnostic("R012", "odd\nerror[R001]: forged", help="one\n\ntwo"))
    assert text.splitlines() == [
        "error[R012]: odd",
        "             error[R001]: forged",
        "  = help: one",
        "",
        "    two",
    ]


def test_colours() -> None:
    diagnostic = at(5, 1, 2, label="here", help="look", fixes=(Fix("mend", Span(5, 1, 5, 2), ""),))
    assert shown(diagnostic, color=True).splitlines() == [
        "\x1b[1;31merror[R012]\x1b[0m\x1b[1m: unknown key\x1b[0m",
        " \x1b[1;34m-->\x1b[0m recipe.toml:5:1",
        "\x1b[1;34m  |\x1b[0m",
        "\x1b[1;34m5 |\x1b[0m r = 8",
        "\x1b[1;34m  |\x1b[0m \x1b[1;31m^\x1b[0m \x1b[1;31mhere\x1b[0m",
        "\x1b[1;34m  |\x1b[0m",
        "\x1b[1;34m  =\x1b[0m \x1b[1;36mhelp:\x1b[0m look",
        "\x1b[1;34m  =\x1b[0m \x1b[1;32mfix:\x1b[0m mend",
    ]
