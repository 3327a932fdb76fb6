"""The analytic estimate against the trace of the real code, over a grid of steps: median and worst, by method.

``python -m benchmarks grid`` writes ``grid.md``. Each step is traced in this process: torch is loaded here.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from compiler.estimate.memory import memory_on
from compiler.estimate.result import Memory
from compiler.estimate.stacks import stack_of
from compiler.estimate.work import Work
from compiler.facts.architecture import Architecture, from_config
from compiler.facts.parameters import Weight, weights_of

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
MODELS = {
    "narrow head": Architecture("llama", 512, 6, 8, 4, 64, 1408, 2000, False, 8192),
    "wide head": Architecture("llama", 512, 4, 8, 4, 64, 1408, 64000, True, 8192),
    "own heads": Architecture("mistral", 384, 5, 6, 6, 64, 1024, 8000, False, 8192),
    "qwen3": Architecture("qwen3", 512, 4, 8, 2, 128, 1536, 12000, True, 8192),
    "gemma": Architecture("gemma", 512, 4, 8, 1, 64, 2048, 16000, True, 8192),
}
_PHI = ("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2")
_NEOX = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
_STARCODER = ("q_proj", "k_proj", "v_proj", "o_proj", "c_fc", "c_proj")
_PHI3 = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
FAMILIES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "gemma2": ({}, LINEAR),
    "gemma3_text": ({}, LINEAR),
    "granite": ({}, LINEAR),
    "olmo": ({"eos_token_id": 0}, LINEAR),
    "olmo2": ({"eos_token_id": 0}, LINEAR),
    "phi": ({"num_key_value_heads": 8}, _PHI),
    "phi3": ({"pad_token_id": 0}, _PHI3),
    "gpt_neox": ({"num_key_value_heads": 8}, _NEOX),
    "stablelm": ({}, LINEAR),
    "starcoder2": ({"residual_dropout": 0.0, "embedding_dropout": 0.0}, _STARCODER),
    "mixtral": ({"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 512}, LINEAR[:4]),
    "olmoe": ({"num_experts": 8, "num_experts_per_tok": 2, "intermediate_size": 512}, LINEAR[:4]),
    "qwen2_moe": (
        {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 384}
        | {"shared_expert_intermediate_size": 1024},
        LINEAR[:4],
    ),
    "qwen3_moe": ({"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 384}, LINEAR[:4]),
}
"""The other families by ``model_type``: what their config says beside the common sizes, and their linear layers."""

_SIZES: dict[str, Any] = {
    "hidden_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "intermediate_size": 1536,
    "vocab_size": 2000,
    "tie_word_embeddings": False,
}
BATCHES = ((1, 512), (3, 1024))
METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "target_modules": ()},
    "lora": {"method": "lora", "target_modules": LINEAR},
    "lora on q and v": {"method": "lora", "target_modules": ("q_proj", "v_proj"), "lora_dropout": 0.05},
    "qlora": {"method": "qlora", "quantization": "nf4", "target_modules": LINEAR},
    "dora": {"method": "dora", "target_modules": LINEAR},
}


@dataclass(frozen=True, slots=True)
class Compared:
    """Bytes of one step, estimated and traced."""

    name: str
    method: str
    estimated: int
    traced: int

    @property
    def error(self) -> float:
        """Estimated over traced, less one."""
        return self.estimated / self.traced - 1


def works() -> Iterator[tuple[str, Work]]:
    """Models x methods x batches x checkpoints x devices, and changes that concern one method alone."""
    for (model, architecture), (method, changes), (rows, length), checkpoint, device in itertools.product(
        MODELS.items(), METHODS.items(), BATCHES, (False, True), ("cpu", "cuda")
    ):
        if device == "cuda" and (rows, length) != (3, 1024):
            continue  # what differs by device does so at any size
        work = replace(_work(architecture), micro_batch=rows, length=length, gradient_checkpointing=checkpoint)
        name = f"{model}, {method}, {rows}x{length}, {'checkpoints' if checkpoint else 'none'}, {device}"
        yield name, replace(work, device=device, **changes)
    others: tuple[dict[str, Any], ...] = (
        {"loss_type": "nll"},
        {"accumulation": 4},
        {"dtype": "float32"},
        {"attention": "eager"},
        {"optim": "adamw_torch"},
        {"even": True},
        {"r": 64},
    )
    for architecture, changes in itertools.product(
        (MODELS["narrow head"], MODELS["wide head"]),
        others,
    ):
        yield (
            f"{architecture.vocab_size} words, lora, {changes}",
            replace(_work(architecture), **{**METHODS["lora"], "micro_batch": 2, "length": 512, **changes}),
        )
    for family, method, checkpoint in itertools.product(FAMILIES, ("full", "lora", "qlora"), (False, True)):
        config, targets = family_config(family), FAMILIES[family][1]
        changes = METHODS[method] | ({"target_modules": targets} if method != "full" else {})
        work = replace(_work(from_config(config)), weights=weights_of(config), length=1536)
        name = f"{family}, {method}, 1x1536, {'checkpoints' if checkpoint else 'none'}, cuda"
        yield name, replace(work, device="cuda", gradient_checkpointing=checkpoint, **changes)


def family_config(family: str) -> dict[str, Any]:
    """A small ``config.json`` of a family."""
    return {"model_type": family, **_SIZES, **FAMILIES[family][0]}


def _work(architecture: Architecture) -> Work:
    return Work(
        architecture=architecture,
        weights=weights(architecture),
        backend="peft",
        method="lora",
        quantization="none",
        double_quant=True,
        dtype="bfloat16",
        attention="sdpa",
        r=16,
        target_modules=LINEAR,
        modules_to_save=(),
        lora_dropout=0.0,
        optim="adamw_torch_fused",
        loss_type="chunked_nll",
        packing=False,
        even=False,
        gradient_checkpointing=False,
        micro_batch=1,
        length=512,
        accumulation=1,
        devices=1,
        sharding="none",
        device="cpu",
        versions=(),
    )


def weights(a: Architecture) -> tuple[Weight, ...]:
    """The weights of a dense decoder with a gated MLP."""
    heads, shared, layers = a.num_attention_heads * a.head_dim, a.num_key_value_heads * a.head_dim, a.num_hidden_layers
    shapes = [(heads, a.hidden_size), (shared, a.hidden_size), (shared, a.hidden_size), (a.hidden_size, heads)]
    shapes += [(a.intermediate_size, a.hidden_size)] * 2 + [(a.hidden_size, a.intermediate_size)]
    found = [Weight("embed_tokens", (a.vocab_size, a.hidden_size), 1, "embedding")]
    found += [Weight(name, shape, layers, "linear") for name, shape in zip(LINEAR, shapes, strict=True)]
    found.append(Weight("norm", (a.hidden_size,), 2 * layers + 1, "norm"))
    if not a.tie_word_embeddings:
        found.append(Weight("lm_head", (a.vocab_size, a.hidden_size), 1, "head"))
    return tuple(found)


def compare(name: str, work: Work) -> Compared:
    """Estimate a step and trace it."""
    from runtime.tracing.job import Job
    from runtime.tracing.step import trace

    stack = stack_of(work)
    found = memory_on(work, stack)
    assert isinstance(found, Memory), found
    adapter: dict[str, Any] | None = None
    if work.method != "full":
        adapter = {"r": work.r, "target_modules": list(work.target_modules), "lora_alpha": 2 * work.r}
        adapter |= {"lora_dropout": work.lora_dropout, "use_dora": work.method == "dora", "task_type": "CAUSAL_LM"}
    sizes = {key: value for key, value in asdict(work.architecture).items() if value}
    seen = trace(
        Job(
            config=family_config(work.architecture.model_type)
            if work.architecture.model_type in FAMILIES
            else {**sizes, "tie_word_embeddings": work.architecture.tie_word_embeddings},
            stack=stack,
            dtype=work.dtype,
            quantization=work.quantization,
            double_quant=work.double_quant,
            peft=adapter,
            attention=work.attention,
            optim=work.optim,
            micro_batch=work.micro_batch,
            length=work.length,
            accumulation=min(2, work.accumulation),
            padded=work.micro_batch > 1 and not work.even,
            device=work.device,
        )
    )
    libraries = sum(term.bytes for term in found.terms if term.name == "libraries")
    return Compared(name, work.method, found.allocated.bytes - libraries, max(seen.peaks.values()))


def run() -> list[str]:
    """Compare all and return a table; it is written to grid.md as well."""
    began = time.monotonic()
    compared = [compare(name, work) for name, work in works()]
    groups: dict[str, list[Compared]] = defaultdict(list)
    for each in compared:
        groups[each.method].append(each)
    for each in compared:
        family = each.name.partition(",")[0]
        if family in FAMILIES or family in {"qwen3", "gemma"}:
            groups[f"family {family}"].append(each)
    lines = [
        "# The estimate against the trace",
        "",
        "Made by `python -m benchmarks grid`: allocated bytes at the peak.",
        "",
    ]
    lines += [
        "| method | steps | median error | 95 % within | worst | which |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for method, members in [*groups.items(), ("**all**", compared)]:
        errors = sorted(abs(each.error) for each in members)
        worst = max(members, key=lambda each: abs(each.error))
        lines.append(
            f"| {method} | {len(members)} | {statistics.median(errors):.4%} | {errors[int(0.95 * len(errors))]:.3%}"
            f" | {worst.error:+.3%} | {worst.name} |"
        )
    within = sum(abs(each.error) <= 0.02 for each in compared) / len(compared)
    lines += [
        "",
        f"{len(compared)} steps in {time.monotonic() - began:.0f} s; {within:.1%} of them within 2 %. "
        "Those beyond 0.5 %:",
        "",
    ]
    lines += [f"- {each.name}: {each.error:+.2%}" for each in compared if abs(each.error) > 0.005]
    Path(__file__).with_name("grid.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lines
