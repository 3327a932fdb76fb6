"""The real model classes on fake tensors: shapes and types without a byte of memory."""

from __future__ import annotations

from typing import Any

import bitsandbytes as bnb
import peft
import torch
import transformers
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from compiler.two_bits import CONFIG, QUANTIZATION
from runtime.in_place import sum_in_place
from runtime.tracing.four_bit import pack, quantize
from runtime.tracing.job import Job


def outline(job: Job) -> Any:
    """The model of ``job.config`` as the backend would train it, on the meta device.

    PEFT and bitsandbytes' modules do there what they always do; ``made_fake`` then makes each weight anew, so that
    whatever casts it on the way leaves no bytes behind.
    """
    stack = job.stack
    config = transformers.AutoConfig.for_model(**job.config)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(
            config, dtype=getattr(torch, job.dtype), attn_implementation=job.attention, trust_remote_code=False
        )
        model.config.use_cache = False
        if job.quantization in {"nf4", "fp4"}:
            quantize(model, job.quantization, compute=getattr(torch, job.dtype), double=job.double_quant)
        if stack.kept_width == 4 and job.quantization != "none":
            _upcast_others(model)
        adapter = job.peft
        if job.quantization == QUANTIZATION:
            names = _outline_two_bits(model)
            if adapter is not None and adapter["target_modules"] == "all-linear":
                adapter = {**adapter, "target_modules": names}
        if adapter is not None:
            model = peft.get_peft_model(model, peft.LoraConfig(**adapter), low_cpu_mem_usage=True)
            width = torch.float32 if stack.adapter_width == 4 else getattr(torch, job.dtype)
            for weight in model.parameters():
                if weight.requires_grad:
                    weight.data = weight.data.to(width)
    return model


def made_fake(job: Job, model: Any) -> Any:
    """The outlined model with fake tensors for weights, ready to train. Call it under FakeTensorMode."""
    stack = job.stack
    _materialise(model)
    model.train()
    if stack.checkpoint == "layer":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if stack.input_gradients and job.peft is not None:
        model.enable_input_require_grads()
    if not stack.casts_inputs:
        for module in model.modules():
            if isinstance(module, BaseTunerLayer):
                module.cast_input_dtype_enabled = False  # peft.helpers.disable_input_dtype_casting
    if stack.sums_in_place:
        sum_in_place(model)
    return model


def _outline_two_bits(model: Any) -> list[str]:
    """Put HQQ's layers in, without numbers; the names of all linear layers but the head."""
    from runtime.two_bits import adaptable, outlined, packs

    for name, layer in list(model.named_modules()):
        if packs(model, layer):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, outlined(layer, CONFIG))
    for weight in model.parameters():
        weight.requires_grad_(requires_grad=False)
    return adaptable(model)


def _upcast_others(model: nn.Module) -> None:
    """``prepare_model_for_kbit_training``: what is not quantised becomes float32 (peft/utils/other.py)."""
    for weight in model.parameters():
        if weight.dtype in {torch.float16, torch.bfloat16} and not isinstance(weight, bnb.nn.Params4bit):
            weight.data = weight.data.to(torch.float32)


def _materialise(model: nn.Module) -> None:
    """Give every weight and buffer of the meta device a fake tensor of its own; tied ones stay one."""
    made: dict[int, Any] = {}

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in made:
            made[id(tensor)] = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
        found: torch.Tensor = made[id(tensor)]
        return found

    for module in model.modules():
        for name, weight in list(module._parameters.items()):
            if weight is None:
                continue
            if isinstance(weight, bnb.nn.Params4bit):
                module._parameters[name] = pack(module)
                continue
            if id(weight) not in made:
                plain = torch.empty(weight.shape, dtype=weight.dtype, device="cpu")
                made[id(weight)] = nn.Parameter(plain, requires_grad=weight.requires_grad)
            module._parameters[name] = made[id(weight)]
        beside: Any = getattr(module, "meta", {})  # HQQ's scales and zeros
        for name, kept in list(beside.items()):
            if isinstance(kept, torch.Tensor):
                beside[name] = fake(kept)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = fake(buffer)
