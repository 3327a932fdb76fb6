"""The choice of a backend: every rule has a case that it rules out, and a verdict always has its reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from compiler import backends
from compiler.backends import IMPOSSIBLE, RULES, Job, against_unsloth, backend
from compiler.codes import all_rules
from compiler.facts import unsloth
from compiler.facts.architecture import Architecture
from compiler.facts.machine import Target
from compiler.language.recipe import Recipe
from compiler.language.toml_source import parse_document
from compiler.language.validate import load_recipe

CPU = Target("cpu", True, "", 0, "")
GPU = Target("cuda", True, "rtx-4090", 1, "")
LLAMA = Architecture("llama", 576, 30, 9, 3, 64, 1536, 49152, True, 8192)


def job(target: Target = GPU, architecture: Architecture | None = LLAMA, **tables: Any) -> Job:
    tables = {"model": {}, "adapter": {}, "training": {}, **tables}
    tables["model"] = {"id": "m", **tables["model"]}
    recipe = Recipe.model_validate({**tables, "data": {"path": "d"}})
    method = recipe.adapter.method if recipe.adapter.method != "auto" else "lora"
    quantization = recipe.model.quantization if recipe.model.quantization != "auto" else "none"
    return Job(recipe, target, architecture, method, quantization)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with the tested set, whatever is here."""
    monkeypatch.setattr(unsloth, "untested", list)
    monkeypatch.setattr(unsloth, "ruled_out", dict)
    monkeypatch.setattr(unsloth, "families", lambda device: frozenset({"llama"}))


RULED_OUT: dict[str, Job] = {
    "B12": job(adapter={"method": "adalora"}),
    "B13": job(model={"quantization": "fp4"}),
    "B14": job(adapter={"init_lora_weights": "pissa"}),
    "B15": job(architecture=replace(LLAMA, model_type="bloom")),
    "B16": job(replace(GPU, gpu_count=4)),
    "B17": job(model={"trust_remote_code": True}),
    "B18": job(CPU, training={"optim": "paged_adamw_8bit"}),
    "B19": job(CPU, model={"dtype": "float16"}),
    "B20": job(training={"packing": True}),
    "B21": job(adapter={"modules_to_save": ["lm_head"]}),
}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("code", RULED_OUT)
def test_each_rule_rules_out_its_case_and_nothing_else_does(code: str) -> None:
    assert [rejected.code for rejected in against_unsloth(RULED_OUT[code])] == [code]
    decision = backend(RULED_OUT[code])
    assert (decision.value, decision.code) == ("peft", "B01")
    assert decision.rejected[0].reason in decision.reason


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model": {"quantization": "nf4", "bnb_4bit_use_double_quant": False}}, "B13"),
        ({"target": CPU, "model": {"quantization": "int8"}}, "B13"),
        ({"model": {"quantization": "hqq-2bit"}}, "B13"),
        ({"adapter": {"method": "dora"}}, "B12"),
        ({"adapter": {"init_lora_weights": "loftq"}, "target": CPU}, "B14"),
        ({"training": {"sft": {"loss_type": "dft"}}}, "B21"),
        ({"architecture": None}, "B15"),
    ],
)
def test_further_cases(changes: dict[str, Any], code: str) -> None:
    assert [rejected.code for rejected in against_unsloth(job(**changes))] == [code]


@pytest.mark.usefixtures("installed")
def test_where_nothing_stands_against_unsloth_the_verdict_says_what_was_rejected_and_why() -> None:
    decision = backend(job())
    assert (decision.value, decision.code) == ("unsloth", "B04")
    (rejected,) = decision.rejected
    assert (rejected.value, rejected.code) == ("peft", "B05")


@pytest.mark.usefixtures("installed")
def test_on_a_cpu_peft_is_taken_and_unsloth_rejected_with_its_reason() -> None:
    decision = backend(job(CPU))
    assert (decision.value, decision.code, [r.code for r in decision.rejected]) == ("peft", "B02", ["B03"])
    assert decision.rejected[0].reason


@pytest.mark.parametrize("code", sorted(IMPOSSIBLE))
def test_a_recipe_that_asks_for_unsloth_and_what_it_cannot_do_is_told_where(code: str) -> None:
    recipe = RULED_OUT[code].recipe.model_dump(mode="json", exclude_unset=True, by_alias=True)
    recipe["training"] = {**recipe.get("training", {}), "backend": "unsloth"}
    if RULED_OUT[code].target.gpu_count > 1:
        return  # several GPUs are refused whatever the backend
    device = RULED_OUT[code].target.device
    recipe["hardware"] = {"device": device, **({"gpu": "rtx-4090"} if device == "cuda" else {})}
    text = "schema = 1\n" + "".join(f"[{name}]\n{_lines(table)}" for name, table in recipe.items())
    document, problems = parse_document(text.encode(), "recipe.toml")
    assert document is not None
    assert not problems
    _, problems = load_recipe(document)
    told = [problem for problem in problems if problem.code == "R118"]
    assert [problem.path for problem in told] == [("training", "backend")]
    assert code in (told[0].help or "")


def _lines(table: dict[str, Any]) -> str:
    return "".join(
        f"{name} = {json.dumps(value)}\n" for name, value in table.items() if not isinstance(value, dict)
    ) + (
        "".join(
            f"{name}.{key} = {json.dumps(v)}\n"
            for name, t in table.items()
            if isinstance(t, dict)
            for key, v in t.items()
        )
    )


def test_a_machine_without_unsloth_or_with_another_trl_takes_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsloth, "installed_version", lambda name: None)
    assert backend(job()).rejected[0].code == "B10"
    versions = {"trl": "1.16.0", "unsloth": "2026.10.9", "unsloth_zoo": "2026.10.9"}
    monkeypatch.setattr(unsloth, "installed_version", versions.get)
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["trl!=0.19.0,<=1.15.0", "datasets>=3", "?"])
    first = backend(job()).rejected[0]
    assert (first.code, first.reason) == ("B11", "trl 1.16.0 is installed, and Unsloth allows !=0.19.0,<=1.15.0")


def test_every_rule_has_its_story() -> None:
    assert set(RULES) <= set(all_rules())
    assert set(RULES) >= IMPOSSIBLE
    assert {*RULED_OUT, "B10", "B11"} == set(RULES)
    assert backends.backend(job(CPU)).reason
