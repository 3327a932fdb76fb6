"""JSON carries every field and survives every reader."""

from __future__ import annotations

import json

from msgspec import to_builtins

from compiler.diagnostics import Diagnostic, Fix, Label, Severity, Span
from compiler.render.machine import machine

DIAGNOSTIC = Diagnostic(
    "R105",
    "micro_batch_size 3 does not divide batch_size 8",
    severity=Severity.WARNING,
    file="recettes/droit pénal.toml",
    path=("data", "sources", 2),
    span=Span(9, 1, 9, 17),
    label="3 rows at once",
    secondary=(Label(Span(8, 1, 8, 11), "8 rows for one update"),),
    help="take 1, 2, 4 or 8",
    fixes=(Fix("write 4", Span(9, 20, 9, 21), "4", certain=True),),
)


def test_every_field_is_there_under_its_own_name() -> None:
    (read,) = json.loads(machine([DIAGNOSTIC]))["diagnostics"]
    expected = to_builtins(DIAGNOSTIC)
    assert read == json.loads(json.dumps(expected))
    assert list(read)[:5] == ["code", "severity", "message", "file", "path"]


def test_what_is_not_known_is_null() -> None:
    (read,) = json.loads(machine([Diagnostic("E001", "m")]))["diagnostics"]
    assert read == {
        "code": "E001",
        "severity": "error",
        "message": "m",
        "file": None,
        "path": [],
        "span": None,
        "label": None,
        "secondary": [],
        "help": None,
        "fixes": [],
    }


def test_the_document_is_printable_ascii_and_loses_only_what_is_no_character() -> None:
    message = 'é日😀\x7f\x9b\u2028"\\\n'
    text = machine([Diagnostic("R001", message + "\udce9")])
    assert all(character == "\n" or " " <= character <= "~" for character in text)
    assert json.loads(text)["diagnostics"][0]["message"] == message + "�"
