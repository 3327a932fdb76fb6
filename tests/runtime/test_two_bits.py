"""A base in 2 bits (HQQ): what is stored, what training changes, what is merged, and what a resume goes on from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from compiler.plan import LibraryCall
from compiler.two_bits import CONFIG
from runtime.saving import save_tuned
from tests.runtime.test_stored_bases import NoTokenizer, changed, copied
from tests.runtime.tiny import plan_of, save_base, work

if TYPE_CHECKING:
    from compiler.plan import Plan

pytestmark = pytest.mark.slow  # torch

ALL = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "model")


def in_two_bits(*, dtype: str = "float32", method: str = "lora", **arguments: Any) -> Plan:
    """A plan whose base is stored in 2 bits."""
    arguments = {"r": 4, "lora_alpha": 8, "use_dora": method == "dora", **arguments}
    plan = plan_of("LoraConfig", dtype=dtype, **arguments)
    if dtype == "bfloat16":
        plan.sft.kwargs["bf16"] = True
    quantization = LibraryCall(name="hqq.core.quantize.BaseQuantizeConfig", kwargs=dict(CONFIG))
    return plan.model_copy(update={"method": method, "quantization": quantization})


def layers_of(model: Any) -> list[Any]:
    return [module for module in model.modules() if type(module).__name__ == "HQQLinear"]


def stored_numbers(model: Any) -> list[Any]:
    """Every tensor of the layers in 2 bits, copied."""
    parts = [(layer.W_q, layer.meta["scale"], layer.meta["zero"]) for layer in layers_of(model)]
    return [tensor.detach().clone() for layer in parts for tensor in layer]


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_a_base_in_two_bits_stays_as_it_is_and_its_adapter_learns(base: Path, tmp_path: Path, method: str) -> None:
    import torch

    from runtime.training import held_out_loss

    done = work(in_two_bits(method=method), base, tmp_path)
    model = done.trainer.model
    assert len(layers_of(model)) == 2 * 7  # every linear layer of two blocks, and not the head
    before, bits = copied(model), stored_numbers(model)
    first = held_out_loss(done.trainer, base=True)["loss"]
    done.trainer.train()
    parts = (".lora_A.", ".lora_B.", *([".lora_magnitude_vector."] if method == "dora" else []))
    assert changed(model, before) == {name for name in before if any(part in name for part in parts)}
    assert all(torch.equal(then, now) for then, now in zip(bits, stored_numbers(model), strict=True))
    assert held_out_loss(done.trainer, base=False)["loss"] < first - 0.02
    assert held_out_loss(done.trainer, base=True)["loss"] == pytest.approx(first, abs=1e-4)


def test_what_is_stored_is_four_levels_of_each_group_and_near_to_the_weights(base: Path) -> None:
    import torch
    from transformers import LlamaForCausalLM

    from runtime.stored_base import load_stored

    model, whole = load_stored(in_two_bits(), base), LlamaForCausalLM.from_pretrained(base)
    for name, layer in model.named_modules():
        if type(layer).__name__ != "HQQLinear":
            continue
        published = whole.get_submodule(name).weight.detach()
        found = layer.dequantize()
        groups = found.reshape(CONFIG["group_size"], -1)
        assert max(len(group.unique()) for group in groups.T) <= 4
        assert torch.dist(found, published) < 0.5 * published.norm()
    assert torch.equal(model.lm_head.weight, whole.lm_head.weight)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_bytes_that_are_predicted_are_those_of_the_tensors(base: Path, dtype: str) -> None:
    from compiler.estimate.static import base_weights
    from compiler.facts.parameters import weights_of
    from runtime.stored_base import load_stored

    model = load_stored(in_two_bits(dtype=dtype), base)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    width = 2 if dtype == "bfloat16" else 4
    told, scales, _ = base_weights(weights_of(config), "hqq-2bit", double=False, base_width=width, kept_width=width)
    assert told == sum(p.numel() * p.element_size() for p in model.parameters())
    kept = [layer.meta[name] for layer in layers_of(model) for name in ("scale", "zero")]
    assert scales == sum(t.numel() * t.element_size() for t in kept)


def test_scales_are_fitted_on_one_thread_whatever_the_machine_has(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of all errors ends the fit, and the order in which it is summed up is that of the threads."""
    import torch
    from transformers import LlamaForCausalLM

    from runtime import two_bits

    seen, packed = [], two_bits.packed

    def watched(*arguments: Any, **named: Any) -> Any:
        seen.append(torch.get_num_threads())
        return packed(*arguments, **named)

    monkeypatch.setattr(two_bits, "packed", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        two_bits.pack(LlamaForCausalLM.from_pretrained(base), CONFIG, device="cpu")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == [1] * 14


def test_packing_takes_what_is_predicted_beside_the_weights() -> None:
    import torch
    from torch.profiler import ProfilerActivity, profile

    from compiler.estimate.static import fitting_bytes
    from compiler.facts.parameters import Weight
    from runtime.two_bits import packed
    from tests.runtime.tracing.jobs import most_live

    layer = torch.nn.Linear(256, 512, bias=False, dtype=torch.bfloat16)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        packed(layer, CONFIG, device="cpu")
    weight = Weight("q_proj", (512, 256), 1, "linear")
    told = fitting_bytes((weight,), base_width=2, gpu=False)
    assert told == pytest.approx(most_live(seen), rel=0.02)


def test_all_linear_layers_get_an_adapter_and_are_counted_as_a_plan_says(base: Path, tmp_path: Path) -> None:
    from compiler.facts.parameters import weights_of
    from compiler.trainable import count
    from runtime.counting import counted

    plan = in_two_bits(target_modules="all-linear")
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    told = count(weights_of(config), plan.peft, family=config["model_type"], layers=config["num_hidden_layers"])
    model = work(plan, base, tmp_path).trainer.model
    named = {name.split(".lora_A")[0].rpartition(".")[2] for name, _ in model.named_parameters() if ".lora_A" in name}
    assert named == ALL
    assert told is not None
    assert counted(model) == (told.trainable, told.total)


def test_biases_are_counted_and_go_with_the_layer(tmp_path: Path) -> None:
    import torch
    from torch import nn

    from runtime.counting import counted
    from runtime.two_bits import pack

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.head = nn.Linear(64, 8), nn.Linear(8, 8)

        def get_output_embeddings(self) -> Any:
            return self.head

    torch.manual_seed(0)
    model = Two()
    bias = model.inside.bias.detach().clone()
    pack(model, CONFIG, device="cpu")
    assert type(model.head) is nn.Linear
    assert torch.equal(dict(model.named_parameters())["inside.bias"], bias)
    assert counted(model)[1] == 64 * 8 + 8 + 8 * 8 + 8
    x = torch.randn(3, 64)
    expected = x @ model.inside.dequantize().T + bias  # type: ignore[operator]
    assert torch.allclose(model.inside(x), expected)


def test_what_is_merged_is_what_was_trained_and_what_is_loaded_again_is_it_too(base: Path, tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    from runtime.inference import load_base, load_tuned
    from runtime.training import held_out_loss
    from tests.runtime.test_methods import cross_entropy

    done = work(in_two_bits().model_copy(update={"export_merged": True}), base, tmp_path)
    done.trainer.train()
    tuned = held_out_loss(done.trainer, base=False)["loss"]
    tokenizer: Any = NoTokenizer()
    _, merged = save_tuned(done.plan, done.run, done.trainer.model, tokenizer, base=base)
    assert cross_entropy(LlamaForCausalLM.from_pretrained(merged)) == pytest.approx(tuned, abs=1e-4)

    asked = load_base(done.plan, base)
    assert len(layers_of(asked)) == 2 * 7
    before = cross_entropy(asked)
    assert cross_entropy(load_tuned(done.plan, done.run, asked)) == pytest.approx(tuned, abs=1e-4)
    assert tuned < before - 0.02


def test_a_resume_goes_on_bit_for_bit(base: Path, tmp_path: Path) -> None:
    plan = in_two_bits(dtype="bfloat16", lora_dropout=0.1)
    whole = work(plan, base, tmp_path / "whole")
    with whole.trainer.on_its_stack():
        whole.trainer.train()
    first = work(plan, base, tmp_path / "parts", stop_at=4)
    with first.trainer.on_its_stack():
        first.trainer.train()
    checkpoint = first.run.checkpoints / "checkpoint-4"
    second = work(plan, base, tmp_path / "parts", checkpoint=checkpoint)
    with second.trainer.on_its_stack():
        second.trainer.train(resume_from_checkpoint=str(checkpoint))
    assert len(whole.losses()) == 12
    assert second.losses() == whole.losses()


def test_a_weight_that_is_no_number_is_named_before_two_bits_hide_it(base: Path, tmp_path: Path) -> None:
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    from compiler.diagnostics import Refusal
    from runtime.stored_base import load_stored

    broken = tmp_path / "broken"
    shutil.copytree(base, broken)
    weights = load_file(broken / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    weights[name][3, 5] = torch.nan
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(Refusal) as refused:
        load_stored(in_two_bits(), broken)
    (problem,) = refused.value.diagnostics
    assert (problem.code, name in problem.message) == ("X015", True)


def test_a_plan_for_two_bits_that_is_not_kept_is_refused(base: Path) -> None:
    from transformers import LlamaForCausalLM

    from compiler.diagnostics import Refusal
    from runtime.backends.promises import refuse_other_storage

    with pytest.raises(Refusal) as refused:
        refuse_other_storage(in_two_bits(), LlamaForCausalLM.from_pretrained(base))
    assert [problem.code for problem in refused.value.diagnostics] == ["X011"]
