"""Rules over several fields: what cannot be is told at the field to change, with the other one as second place."""

from __future__ import annotations

import pytest

from compiler.diagnostics import Diagnostic
from compiler.language.toml_source import parse_document
from compiler.language.validate import load_recipe


def told(text: str) -> list[Diagnostic]:
    document, problems = parse_document(
        f'[model]\nid = "m/m"\n[data]\npath = "t.jsonl"\n{text}'.encode(), "recipe.toml"
    )
    assert document is not None
    assert problems == []
    return load_recipe(document)[1]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("[training]\nearly_stopping_patience = 2\neval_steps = 5\nsave_steps = 7", ["8:14 R107 error"]),
        ("[training]\nearly_stopping_patience = 2\neval_steps = 5\nsave_steps = 10", []),
        ("[training]\nearly_stopping_patience = 2\nsave_steps = 7", []),
        ("[training]\neval_steps = 5\nsave_steps = 7", []),
        ('[adapter]\nmethod = "qlora"\ninit_lora_weights = "pissa_niter_4"', ["7:21 R105 error"]),
        ('[adapter]\nmethod = "dora"\ninit_lora_weights = "pissa_niter_4"', []),
        ('[adapter]\nmethod = "qlora"\ninit_lora_weights = "loftq"', []),
        ('[adapter]\nmethod = "dora"\ninit_lora_weights = "loftq"', ["7:21 R105 error"]),
        ('[adapter]\nmethod = "lora"\ninit_lora_weights = "loftq"', ["7:21 R105 error"]),
        ('[adapter]\nmethod = "full"\n[export]\nmerged = true', ["8:10 R207 warning"]),
        ('[adapter]\nmethod = "lora"\n[export]\nmerged = true', []),
    ],
)
def test_what_cannot_be_together(text: str, places: list[str]) -> None:
    found = told(text)
    assert [f"{p.span.line}:{p.span.column} {p.code} {p.severity}" for p in found if p.span] == places
    assert all(problem.help and problem.secondary for problem in found)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("", []),
        ('[adapter]\nmethod = "lora"\nr = 8', []),
        ('[adapter]\nmethod = "dora"', []),
        ('[adapter]\nmethod = "qlora"', ["R104"]),
        ('[adapter]\nmethod = "full"', ["R104"]),
        ('[adapter]\nmethod = "adalora"', ["R104"]),
        ('[adapter]\ninit_lora_weights = "pissa"', ["R105"]),
        ('[adapter]\ninit_lora_weights = "loftq"', ["R105"]),
        ('[adapter]\ninit_lora_weights = "gaussian"', []),
        ('[adapter]\nbias = "lora_only"', ["R119"]),
        ("[adapter.peft]\nlora_bias = true", ["R119"]),
        ("[adapter.peft]\nlora_bias = false", []),
    ],
)
def test_what_goes_with_a_base_in_two_bits(text: str, codes: list[str]) -> None:
    stored = f'[model]\nid = "m/m"\nquantization = "hqq-2bit"\n[data]\npath = "t.jsonl"\n{text}'
    document, _ = parse_document(stored.encode(), "recipe.toml")
    assert document is not None
    found = load_recipe(document)[1]
    assert sorted(problem.code for problem in found) == sorted([*codes, "R214"])  # and it is told what is lost
    plain, _ = parse_document(stored.replace("hqq-2bit", "none").encode(), "recipe.toml")
    assert plain is not None
    assert "R214" not in {problem.code for problem in load_recipe(plain)[1]}
