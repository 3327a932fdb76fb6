"""Where diagnostics go, in which colours, and what happens when nobody reads them."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from compiler.diagnostics import Diagnostic, Severity, Span
from tui.report import exit_with, print_diagnostics, wants_color, width_of

ERROR = Diagnostic("E001", "no such file", file="f.toml", span=Span(1, 1, 1, 2), label="here")
WARNING = Diagnostic("E004", "nearly full", severity=Severity.WARNING)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("name", ["full", "concise"])
def test_what_people_read_goes_to_standard_error(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_diagnostics([ERROR], sources={"f.toml": "x"}, format=name)  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert out == ""
    assert "error[E001]" in err


@pytest.mark.parametrize("name", ["json", "sarif", "github"])
def test_what_programs_read_goes_to_standard_output(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_diagnostics([ERROR], sources={}, format=name)  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert err == ""
    assert "E001" in out
    if name != "github":
        json.loads(out)


def test_several_full_diagnostics_are_counted() -> None:
    stream = io.StringIO()
    print_diagnostics([ERROR, WARNING], sources={}, stream=stream)
    assert stream.getvalue().endswith("\n\n1 error, 1 warning\n")
    stream = io.StringIO()
    print_diagnostics([ERROR], sources={}, stream=stream)
    assert "1 error" not in stream.getvalue()
    stream = io.StringIO()
    print_diagnostics([], sources={}, stream=stream)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("variables", "terminal", "colored"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": ""}, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colours(variables: dict[str, str], terminal: bool, colored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = Terminal() if terminal else io.StringIO()
    assert wants_color(stream) is colored
    print_diagnostics([ERROR], sources={}, stream=stream)
    assert ("\x1b[" in stream.getvalue()) is colored
    print_diagnostics([ERROR], sources={}, format="github", stream=(plain := Terminal()))
    assert "\x1b" not in plain.getvalue()


def test_the_width_is_what_columns_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "33")
    assert width_of(Terminal()) == width_of(io.StringIO()) == 33
    long = Diagnostic("E001", "word " * 40)
    print_diagnostics([long], sources={}, stream=(stream := io.StringIO()))
    assert max(map(len, stream.getvalue().splitlines())) <= 33


def test_what_the_stream_cannot_spell_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    print_diagnostics([Diagnostic("E001", "déjà")], sources={}, format="github", stream=stream)
    assert raw.getvalue() == b"::error title=recipe E001::d\\xe9j\\xe0\n"


@pytest.mark.parametrize(
    ("diagnostics", "code"),
    [
        ([ERROR], 2),
        ([WARNING], 1),  # stopped all the same: never 0
        ([WARNING, ERROR], 2),
        ([Diagnostic("E004", "full"), WARNING], 3),
        ([Diagnostic("Z999", "unknown")], 1),
        ([], 1),
    ],
)
def test_the_exit_code_is_that_of_the_errors(
    diagnostics: list[Diagnostic], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        exit_with(diagnostics)
    assert left.value.code == code
    assert capsys.readouterr().err.count("[E0") == sum(d.code.startswith("E0") for d in diagnostics)


PROGRAM = """
import sys
from compiler.diagnostics import Diagnostic
from tui.report import exit_with
exit_with([Diagnostic("E001", "word " * 2000)] * 20, format=sys.argv[1])
"""


@pytest.mark.parametrize(("name", "gone"), [("json", "stdout"), ("github", "stdout"), ("full", "stderr")])
def test_a_reader_that_goes_away_is_no_error(name: str, gone: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    closed, other = (process.stdout, process.stderr) if gone == "stdout" else (process.stderr, process.stdout)
    assert closed is not None
    assert other is not None
    closed.close()
    assert other.read() == ""
    assert process.wait() == 2
    other.close()


@pytest.mark.parametrize("descriptor", ["stdout", "stderr"])
def test_a_full_disk_is_told_where_it_can_be(descriptor: str) -> None:
    name = "json" if descriptor == "stdout" else "full"
    other = "stderr" if descriptor == "stdout" else "stdout"
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, name],
            **{descriptor: full, other: subprocess.PIPE},  # type: ignore[call-overload]
            text=True,
            check=False,
        )
    if descriptor == "stdout":
        assert done.stderr.startswith("error[E004]: writing the diagnostics")
        assert "Traceback" not in done.stderr
        assert done.returncode == 3
    else:
        assert done.stdout == ""
        assert done.returncode == 2
