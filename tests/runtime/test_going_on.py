"""A model that goes on from an adapter has its weights bit for bit, and its base is still measured as the base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler.diagnostics import Refusal
from runtime.saving import save_tuned
from tests.runtime.test_methods import NoTokenizer
from tests.runtime.tiny import Work, plan_of, save_base, work

pytestmark = pytest.mark.slow  # torch

LORA: dict[str, Any] = {"r": 4, "lora_alpha": 8}
KINDS: dict[str, dict[str, Any]] = {
    "lora": LORA,
    "dora": {**LORA, "use_dora": True, "use_rslora": True},
    "pissa": {**LORA, "init_lora_weights": "pissa"},
    "olora": {**LORA, "init_lora_weights": "olora"},
    "modules": {**LORA, "modules_to_save": ["lm_head"]},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "model")


def save(done: Work) -> Path:
    tokenizer: Any = NoTokenizer()
    return save_tuned(done.plan, done.run, done.trainer.model, tokenizer, base=done.base)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_it_begins_where_the_other_ended_and_its_base_is_the_base(base: Path, tmp_path: Path, kind: str) -> None:
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    from runtime.starts import go_on_from
    from runtime.training import held_out_loss

    first = work(plan_of("LoraConfig", **KINDS[kind]), base, tmp_path / "first")
    of_base = held_out_loss(first.trainer, base=True)["loss"]
    first.trainer.train()
    ended = held_out_loss(first.trainer, base=False)["loss"]
    adapter = save(first)
    assert ended < of_base

    second = work(plan_of("LoraConfig", **KINDS[kind]), base, tmp_path / "second")
    go_on_from(second.trainer.model, adapter / "adapter_model.safetensors", name="first")
    loaded = get_peft_model_state_dict(second.trainer.model)
    saved = load_file(adapter / "adapter_model.safetensors")
    assert all((loaded[name] == tensor).all() for name, tensor in saved.items())
    assert held_out_loss(second.trainer, base=True)["loss"] == of_base
    assert held_out_loss(second.trainer, base=False)["loss"] == ended
    second.trainer.train()
    again = held_out_loss(second.trainer, base=False)["loss"]
    assert again != ended
    reloaded = work(plan_of("LoraConfig", **KINDS[kind]), base, tmp_path / "third")
    go_on_from(reloaded.trainer.model, save(second) / "adapter_model.safetensors", name="second")
    assert held_out_loss(reloaded.trainer, base=False)["loss"] == again


def test_an_adapter_of_another_shape_is_refused_before_anything_is_changed(base: Path, tmp_path: Path) -> None:
    from runtime.starts import go_on_from

    first = work(plan_of("LoraConfig", **LORA), base, tmp_path / "first")
    adapter = save(first)
    others = ({"r": 8, "lora_alpha": 8}, {**LORA, "target_modules": ["q_proj"]})
    for number, other in enumerate(others):
        second = work(plan_of("LoraConfig", **other), base, tmp_path / f"other-{number}")
        with pytest.raises(Refusal) as refused:
            go_on_from(second.trainer.model, adapter / "adapter_model.safetensors", name="first")
        (problem,) = refused.value.diagnostics
        assert problem.code == "X012"
        assert "lora_" in problem.message
