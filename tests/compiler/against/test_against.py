"""A recipe against its model and its data: what does not fit is told at the place that says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from compiler.against.model import against_model, stored_otherwise
from compiler.against.schedule import against_data
from compiler.facts.architecture import Architecture
from compiler.facts.models import ModelFacts
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument, parse_document
from compiler.language.validate import load_recipe
from compiler.plan import Schedule

LLAMA = Architecture("llama", 64, 30, 4, 2, 16, 128, 1000, True, 2048)
OTHER = Architecture("a_new_family", 64, 30, 4, 2, 16, 128, 1000, True, 2048)


def read(text: str) -> tuple[Recipe, TomlDocument]:
    document, problems = parse_document(
        f'[model]\nid = "m"\n[data]\npath = "train.jsonl"\n{text}'.encode(), "recipe.toml"
    )
    assert document is not None
    recipe, more = load_recipe(document)
    assert recipe is not None, [*problems, *more]
    return recipe, document


def with_model(text: str, architecture: Architecture | None = LLAMA, **facts_more: Any) -> list[str]:
    recipe, document = read(text)
    facts = ModelFacts("m", "folder", None, Path(), architecture, (), (), **facts_more)
    return [
        f"{p.span.line}:{p.span.column} {p.code} {p.severity}" for p in against_model(recipe, document, facts) if p.span
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[training]\nmax_length = 4096", ["6:14 M092 warning"]),
        ("[training]\nmax_length = 2048", []),
        ('[adapter]\ntarget_modules = ["q_proj", "q_porj"]', ["6:29 M093 error"]),
        ('[adapter]\ntarget_modules = ["self_attn.q_proj", "model.layers.0.mlp.up_proj", "lm_head"]', []),
        ('[adapter]\nmodules_to_save = ["embed_tokens", "lm_hed"]', ["6:36 M093 error"]),
        ('[adapter]\nmethod = "full"\ntarget_modules = ["nonsense"]', []),
        ('[adapter.peft]\nrank_pattern = { q_porj = 8, "^.*q_proj" = 4 }', ["6:18 M093 error"]),
        ("[adapter.peft]\nlayers_to_transform = [0, 29]", []),
        ("[adapter.peft]\nlayers_to_transform = [0, 30]", ["6:23 M094 error"]),
        ("[adapter.peft]\nlayers_to_transform = -1", ["6:23 M094 error"]),
    ],
)
def test_the_model(text: str, told: list[str]) -> None:
    assert with_model(text) == told


@pytest.mark.parametrize(
    ("text", "bits", "told"),
    [
        ('[adapter]\nmethod = "full"', 4, ["6:10 M096 error"]),
        ('[adapter]\nmethod = "full"', 8, ["6:10 M096 error"]),
        ('[adapter]\nmethod = "lora"', 4, ["6:10 M096 error"]),
        ('[adapter]\nmethod = "dora"', 4, ["6:10 M096 error"]),
        ('[adapter]\nmethod = "qlora"', 8, ["6:10 M096 error"]),
        ('[adapter]\nmethod = "qlora"', 4, []),
        ("", 4, []),  # left to the compiler, which trains it as it is
        ("", 8, ["2:6 M096 error"]),  # 8 bits are for those who ask for them
        ('[adapter]\nmethod = "full"', 0, []),
    ],
)
def test_weights_that_are_stored_in_few_bits(text: str, bits: Any, told: list[str]) -> None:
    assert with_model(text, stored_bits=bits) == told


def test_full_fine_tuning_from_a_rounded_gguf_is_warned_of() -> None:
    assert with_model('[adapter]\nmethod = "full"', rounded=True) == ["6:10 M096 warning"]
    assert with_model('[adapter]\nmethod = "lora"', rounded=True) == []


def test_a_method_that_the_compiler_chose_is_judged_as_well() -> None:
    _, document = read("")
    facts = ModelFacts("m", "folder", None, Path(), LLAMA, (), (), stored_bits=4)
    assert stored_otherwise(document, facts, method="qlora", quantization="nf4") == []
    (problem,) = stored_otherwise(document, facts, method="lora", quantization="none")
    assert (problem.code, problem.path) == ("M096", ("model", "id"))
    assert "lora, none" in problem.message
    assert 'method = "qlora"' in str(problem.help)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[adapter]\nmethod = "dora"', ["6:10 M097 error"]),
        ("[adapter]\nlora_dropout = 0.1", ["6:16 M097 error"]),
        ('[adapter]\nmethod = "dora"\ntarget_modules = "attention"', []),
        ('[adapter]\nmethod = "lora"', []),
        ('[adapter]\nmethod = "adalora"\nlora_dropout = 0.1', []),
    ],
)
def test_stacks_of_experts_take_plain_lora_only(text: str, told: list[str]) -> None:
    assert with_model(text, replace(LLAMA, model_type="mixtral")) == told


@pytest.mark.parametrize(("targets", "codes"), [("all-linear", ["M097"]), ("attention", [])])
def test_stacks_of_experts_are_not_adapted_beside_two_bits(targets: str, codes: list[str]) -> None:
    text = '[model]\nid = "m/m"\nquantization = "hqq-2bit"\n[data]\npath = "t.jsonl"\n'
    document, _ = parse_document(f'{text}[adapter]\ntarget_modules = "{targets}"'.encode(), "recipe.toml")
    assert document is not None
    recipe, _ = load_recipe(document)
    assert recipe is not None
    facts = ModelFacts("m", "folder", None, Path(), replace(LLAMA, model_type="mixtral"), (), ())
    assert [problem.code for problem in against_model(recipe, document, facts)] == codes


def test_a_family_that_is_not_known_is_judged_when_it_is_loaded() -> None:
    assert with_model('[adapter]\ntarget_modules = ["nonsense"]', OTHER) == []
    assert with_model('[adapter]\ntarget_modules = ["nonsense"]', None) == []
    assert with_model("[adapter.peft]\nlayers_to_transform = [1]", OTHER) == ["6:23 M094 error"]
    assert with_model('[adapter]\ntarget_modules = ["x"]\n[adapter.peft]\nlayers_to_transform = [1]', OTHER) == []


def with_data(
    text: str, *, steps: int, train_rows: int = 100, held_out_rows: int = 10, epochs: float = 3.0
) -> list[str]:
    recipe, document = read(text)
    schedule = Schedule(
        batch_size=8, micro_batch=8, accumulation=1, devices=1, steps=steps, epochs=epochs, warmup_steps=1
    )
    found = against_data(recipe, document, schedule, train_rows=train_rows, held_out_rows=held_out_rows)
    return [f"{p.span.line} {p.code} {p.severity}" for p in found if p.span]


def test_nothing_is_told_of_a_run_that_fits() -> None:
    assert with_data("[training]\nbatch_size = 8", steps=39) == []


def test_held_out_rows_that_are_not_there() -> None:
    assert with_data("", steps=39, held_out_rows=0) == ["4 R209 warning"]
    stopping = "[training]\nearly_stopping_patience = 2"
    assert with_data(stopping, steps=39, held_out_rows=0) == ["6 R107 error"]
    assert with_data(stopping, steps=39) == []


def test_warm_up_beyond_the_run() -> None:
    assert with_data("[training]\nwarmup_steps = 39", steps=39) == ["6 R108 error"]
    assert with_data("[training]\nwarmup_steps = 38", steps=39) == []
    assert with_data("[training]\nwarmup_steps = 0.9", steps=1) == []


def test_a_batch_of_more_rows_than_there_are() -> None:
    assert with_data("[training]\nbatch_size = 101", steps=3) == ["6 D052 warning"]
    assert with_data("[training]\nbatch_size = 100", steps=3) == []
    assert with_data("", steps=3, train_rows=10) == ["4 D052 warning"]  # the default batch of 16


def test_many_passes_by_max_steps() -> None:
    assert with_data("[training]\nmax_steps = 500", steps=500, epochs=40.0) == ["6 R210 warning"]
    assert with_data("[training]\nmax_steps = 500\nearly_stopping_patience = 2", steps=500, epochs=40.0) == []


def test_adalora_keeps_steps_for_pruning() -> None:
    adalora = '[adapter]\nmethod = "adalora"\n[adapter.peft]\n'
    assert with_data(f"{adalora}tinit = 10\ntfinal = 10", steps=39) == []
    assert with_data(f"{adalora}tinit = 30\ntfinal = 10", steps=39) == ["8 R106 error"]
    assert with_data(f"{adalora}tfinal = 38", steps=39) == ["8 R106 error"]
