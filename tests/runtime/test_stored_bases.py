"""What training changes, whatever the base is stored in: the adapter and nothing else; and every weight, when asked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from compiler.plan import LibraryCall
from runtime.saving import save_tuned
from tests.runtime.tiny import plan_of, save_base, work

if TYPE_CHECKING:
    from compiler.plan import Plan

pytestmark = pytest.mark.slow  # torch

DOUBLE = "double quantisation"
STORED: dict[str, dict[str, Any]] = {
    "nf4": {"bnb_4bit_quant_type": "nf4", "load_in_4bit": True},
    f"nf4, {DOUBLE}": {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "load_in_4bit": True},
    "fp4": {"bnb_4bit_quant_type": "fp4", "load_in_4bit": True},
    f"fp4, {DOUBLE}": {"bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": True, "load_in_4bit": True},
    "int8": {"load_in_8bit": True},
}


class NoTokenizer:
    """Stands where the tokenizer is saved; what it writes is tested elsewhere."""

    def save(self, folder: Path) -> None:
        assert folder.is_dir()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "model")


def stored_in(name: str) -> Plan:
    """LoRA on a base that is stored as ``name`` of STORED says."""
    plan = plan_of("LoraConfig", r=4, lora_alpha=8)
    kwargs = STORED[name] | ({"bnb_4bit_compute_dtype": "float32"} if "load_in_4bit" in STORED[name] else {})
    quantization = LibraryCall(name="transformers.BitsAndBytesConfig", kwargs=kwargs)
    return plan.model_copy(update={"method": "lora" if name == "int8" else "qlora", "quantization": quantization})


def copied(model: Any) -> dict[str, Any]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def changed(model: Any, before: dict[str, Any]) -> set[str]:
    """Names of the tensors that are not what they were, bit for bit."""
    import torch

    return {name for name, p in model.named_parameters() if not torch.equal(p.detach(), before[name])}


@pytest.mark.parametrize("name", STORED)
def test_a_quantised_base_stays_as_it_is_and_its_adapter_learns(base: Path, tmp_path: Path, name: str) -> None:
    import bitsandbytes as bnb

    from runtime.training import held_out_loss

    done = work(stored_in(name), base, tmp_path)
    model = done.trainer.model
    before, first = copied(model), held_out_loss(done.trainer, base=True)["loss"]
    done.trainer.train()
    assert changed(model, before) == {n for n in before if ".lora_A." in n or ".lora_B." in n}
    assert held_out_loss(done.trainer, base=False)["loss"] < first - 0.02
    assert held_out_loss(done.trainer, base=True)["loss"] == pytest.approx(first, abs=1e-4)
    kind = bnb.nn.Linear8bitLt if name == "int8" else bnb.nn.Linear4bit
    layers = [module for module in model.modules() if isinstance(module, kind)]
    assert len(layers) == 2 * 7  # every linear layer of two blocks, and not the head
    if name != "int8":
        states = [layer.weight.quant_state for layer in layers]
        assert {state.quant_type for state in states} == {name[:3]}
        assert {state.nested for state in states} == {DOUBLE in name}


def test_full_fine_tuning_moves_every_weight_and_what_is_saved_is_the_model(base: Path, tmp_path: Path) -> None:
    import torch
    from transformers import LlamaForCausalLM

    from runtime.training import held_out_loss

    plan = plan_of("LoraConfig", r=4).model_copy(update={"method": "full", "peft": None})
    plan.sft.kwargs["learning_rate"] = 1e-3
    done = work(plan, base, tmp_path)
    model = done.trainer.model
    before, first = copied(model), held_out_loss(done.trainer, base=True)["loss"]
    done.trainer.train()
    assert changed(model, before) == set(before)
    assert held_out_loss(done.trainer, base=False)["loss"] < first - 0.02
    tokenizer: Any = NoTokenizer()
    (folder,) = save_tuned(done.plan, done.run, model, tokenizer, base=base)
    loaded = dict(LlamaForCausalLM.from_pretrained(folder).named_parameters())
    assert loaded.keys() == before.keys()
    assert all(torch.equal(p, loaded[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize("name", ["nf4", "int8", "plain", "full"])
def test_what_is_counted_on_the_loaded_model_is_what_a_plan_says(base: Path, tmp_path: Path, name: str) -> None:
    import json

    from compiler.diagnostics import Refusal
    from compiler.facts.parameters import weights_of
    from compiler.plan import ParametersPart
    from compiler.trainable import count
    from runtime.counting import counted, refuse_other_counts

    plan = stored_in(name) if name in STORED else plan_of("LoraConfig", r=4, lora_alpha=8)
    if name == "full":
        plan = plan.model_copy(update={"method": "full", "peft": None})
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    told = count(weights_of(config), plan.peft, family=config["model_type"], layers=config["num_hidden_layers"])
    assert told is not None
    found = counted(work(plan, base, tmp_path).trainer.model)
    assert found == (told.trainable, told.total)
    part = ParametersPart(trainable=told.trainable, total=told.total)
    refuse_other_counts(plan.model_copy(update={"parameters": part}), *found)
    refuse_other_counts(plan, 1, 2)  # a plan that says nothing
    other = plan.model_copy(update={"parameters": part.model_copy(update={"trainable": told.trainable + 1})})
    with pytest.raises(Refusal) as refused:
        refuse_other_counts(other, *found)
    assert [problem.code for problem in refused.value.diagnostics] == ["X014"]


@pytest.mark.parametrize("name", ["nf4", f"fp4, {DOUBLE}"])
def test_loftq_begins_nearer_to_the_base_than_its_storage_and_what_is_merged_is_what_was_trained(
    base: Path, tmp_path: Path, name: str
) -> None:
    import json

    import torch
    from transformers import LlamaForCausalLM

    from runtime.stored_weights import dequantised
    from runtime.training import held_out_loss
    from tests.runtime.test_methods import cross_entropy

    stored = stored_in(name)
    assert stored.peft is not None
    peft = LibraryCall(
        name="peft.LoraConfig", kwargs={**stored.peft.kwargs, "r": 8, "lora_alpha": 4, "init_lora_weights": "loftq"}
    )
    done = work(stored.model_copy(update={"peft": peft, "export_merged": True}), base, tmp_path)
    model = done.trainer.model
    published = LlamaForCausalLM.from_pretrained(base).requires_grad_(False)
    errors = []
    for layer in (m for m in model.modules() if hasattr(m, "lora_A")):
        kept = dequantised(layer.base_layer)
        (whole,) = (w for w in published.parameters() if w.shape == kept.shape and torch.dist(w, kept) < 0.2 * w.norm())
        lost = whole - kept
        assert not torch.equal(lost, torch.zeros_like(lost))
        singular = torch.linalg.svdvals(lost)
        begun = float(torch.dist(lost, layer.get_delta_weight("default").detach()))
        assert begun == pytest.approx(float(singular[8:].norm()), rel=1e-3)  # as near as rank 8 can come
        errors.append(begun / float(lost.norm()))
    assert len(errors) == 6
    assert max(errors) < 0.95
    plain = cross_entropy(published)
    quantised = held_out_loss(done.trainer, base=True)["loss"]
    assert abs(cross_entropy(model) - plain) < abs(quantised - plain)
    before = copied(model)
    done.trainer.train()
    assert changed(model, before) == {n for n in before if ".lora_A." in n or ".lora_B." in n}
    assert held_out_loss(done.trainer, base=True)["loss"] == pytest.approx(quantised, abs=1e-5)
    tuned = held_out_loss(done.trainer, base=False)["loss"]
    assert tuned < quantised - 0.02
    tokenizer: Any = NoTokenizer()
    adapter, merged = save_tuned(done.plan, done.run, model, tokenizer, base=base)
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["init_lora_weights"] is True  # whoever loads it, loads it as it is
    assert cross_entropy(LlamaForCausalLM.from_pretrained(merged)) == pytest.approx(tuned, abs=1e-4)


def test_a_large_matrix_is_approximated_nearly_as_well_as_it_can_be() -> None:
    import torch

    from runtime.loftq import WHOLE, _leading

    torch.manual_seed(0)
    noise = torch.randn(WHOLE + 76, WHOLE + 26)  # as flat a spectrum as the error of a quantisation
    up, values, down = _leading(noise, 16)
    best = torch.linalg.svdvals(noise)[16:].norm()
    assert torch.dist(noise, up * values @ down) < 1.005 * best
    up, values, down = _leading(noise[:4], 16)
    assert (up.shape, values.shape, down.shape) == ((4, 16), (16,), (16, WHOLE + 26))
    assert torch.dist(noise[:4], up * values @ down) < 1e-2


def test_a_base_that_is_stored_in_4_bits_already_is_trained_as_it_is(base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from compiler.facts.models import locate_model
    from compiler.plan import PinnedModel
    from runtime.training import held_out_loss

    stored = tmp_path / "stored"
    shutil.copytree(base, stored)
    how = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    AutoModelForCausalLM.from_pretrained(base, quantization_config=how, device_map={"": "cpu"}).save_pretrained(stored)
    facts, problems = locate_model(PinnedModel(str(stored), "", trust_remote_code=False), root=tmp_path)
    assert problems == []
    assert facts is not None
    assert facts.stored_bits == 4
    done = work(stored_in("nf4"), stored, tmp_path / "run")
    first = held_out_loss(done.trainer, base=True)["loss"]
    done.trainer.train()
    assert held_out_loss(done.trainer, base=False)["loss"] < first - 0.02
