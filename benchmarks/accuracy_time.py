"""Predicted against published throughput: ``python -m benchmarks accuracy_time``.

``python -m benchmarks.accuracy_time FILE`` scores other measurements.

A row is a run of one GPU with tokens per second and a length that is known. Stacks that are not ours (LitGPT's loop,
torchtune's compiled one, a plain PEFT loop) are described to the same formulas; architectures come from the row or
from ``archs.json`` beside the file.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks.measure import table
from compiler.estimate.device import Device, gpu_device
from compiler.estimate.duration import GPU_RANGE
from compiler.estimate.time import Kernels, kernels_of, step_time
from compiler.estimate.work import Work
from compiler.facts.architecture import Architecture
from compiler.facts.parameters import Weight

USUAL = Path(__file__).parents[2] / "shared" / "ground_truth" / "measurements.jsonl"
"""Where the measurements lie beside a checkout that has them."""

LIMIT = 0.25
"""Median error that is aimed at."""

MAKERS = {
    "T4": (65, 8.1, 320, 7.5, 70),
    "L4": (121, 30.3, 300, 8.9, 72),
    "A10G": (70, 31.2, 600, 8.6, 150),
    "L40S": (362, 91.6, 864, 8.9, 350),
    "A6000": (154.8, 38.7, 768, 8.6, 300),
    "3090": (71, 35.6, 936, 8.6, 350),
    "4090": (165.2, 82.6, 1008, 8.9, 450),
    "4070 Ti SUPER": (88, 44.1, 672, 8.9, 285),
    "A100": (312, 19.5, 1555, 8.0, 400),
    "H100": (989, 66.9, 3350, 9.0, 700),
}
"""Dense 16-bit and float32 TFLOPS, GB/s, compute capability and watts of the cards that the rows name."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A row with seconds of an optimizer step."""

    row: dict[str, Any]
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted / self.measured - 1

    @property
    def inside(self) -> bool:
        """Whether the measurement lies in the range that a GPU's time is told with."""
        return GPU_RANGE[0] * self.predicted <= self.measured <= GPU_RANGE[1] * self.predicted


def run(measurements: Path = USUAL) -> Iterator[str]:
    """The table's lines."""
    if not measurements.is_file():
        yield f"no measurements at {measurements}: nothing to score"
        return
    beside = measurements.with_name("archs.json")
    known = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    rows = [json.loads(line) for line in measurements.read_text(encoding="utf-8").splitlines() if line.strip()]
    scored = [result for row in rows if (result := score(row, known)) is not None]
    groups: dict[str, list[Scored]] = defaultdict(list)
    for each in scored:
        groups[f"{each.row['source'][:34]}, {each.row['method']}, {str(each.row['gpu'])[-14:]}"].append(each)
    own = [each for each in scored if any(name in str(each.row["framework"]) for name in ("own loop", "Trainer"))]
    groups["PEFT and Transformers"] = own
    groups["all"] = scored
    lines = []
    for name, members in groups.items():
        errors = [each.error for each in members]
        absolute = sorted(abs(error) for error in errors)
        lines.append(
            (
                name,
                str(len(members)),
                f"{100 * statistics.median(absolute):.0f}",
                f"{100 * statistics.median(errors):+.0f}",
                f"{100 * absolute[int(0.9 * (len(absolute) - 1))]:.0f}",
                f"{sum(each.inside for each in members)}",
            )
        )
    yield from table(["runs", "rows", "median error %", "median bias %", "90th percentile %", "in range"], lines)


def score(row: dict[str, Any], known: dict[str, Any]) -> Scored | None:
    """The row's step against its prediction; None where length, card or shape is not known."""
    shape = _architecture(row, known)
    device = _device(row)
    if shape is None or device is None or row.get("gpu_count") != 1 or row["trust"] not in {"A", "B"}:
        return None
    length = _length(row)
    if length is None or not row.get("micro_batch") or row["method"] not in {"lora", "qlora", "full"}:
        return None
    work = _work(row, shape, int(length))
    step = step_time(work, device, length=length, kernels=_kernels(row, work))
    measured = _measured(row, length)
    return None if measured is None else Scored(row, measured, step.seconds)


def _measured(row: dict[str, Any], length: float) -> float | None:
    """Seconds of an optimizer step."""
    grad_accum = row.get("grad_accum") or 1
    if row["source"].startswith("LitGPT resource"):
        return float(row["s_per_it"]) * grad_accum if row.get("s_per_it") else None  # of micro-steps
    if row.get("tokens_per_s"):
        return float(row["micro_batch"] * length * grad_accum / row["tokens_per_s"])
    return float(row["s_per_it"]) if row.get("s_per_it") else None


ALPACA = 130
"""Mean tokens of LitGPT's Alpaca samples with Llama's tokenizer."""


def _length(row: dict[str, Any]) -> float | None:
    kind = str(row.get("seq_len_kind") or "")
    if row["source"].startswith("LitGPT resource"):
        return ALPACA
    if row["source"].startswith("PEFT method_comparison"):
        extra = row.get("extra") or {}
        return float(extra["total_tokens"]) / row["steps"] / row["micro_batch"] if "total_tokens" in extra else None
    return row["seq_len"] if kind.startswith(("fixed", "packed")) else None


def _device(row: dict[str, Any]) -> Device | None:
    found = [name for name in MAKERS if name in str(row.get("gpu"))]
    if not found:
        return None
    tflops, float_tflops, bandwidth, capability, watts = MAKERS[max(found, key=len)]
    if "80" in str(row["gpu"]):
        bandwidth = 2039 if "A100" in str(row["gpu"]) else bandwidth
    return gpu_device(
        tflops=tflops,
        float_tflops=float_tflops,
        bandwidth_gb=bandwidth,
        compute_capability=capability,
        watts=watts,
    )


_LLAMA = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_OTHER_NAMES = {
    "c_attn": ("q_proj", "k_proj", "v_proj"),
    "c_proj": ("o_proj", "down_proj"),
    "w1": ("gate_proj",),
    "w2": ("up_proj",),
}


def _work(row: dict[str, Any], shape: Architecture, length: int) -> Work:
    named = row.get("target_modules") or _LLAMA
    modules = {own for name in named for own in _OTHER_NAMES.get(name, (name,))} & set(_LLAMA)
    full = row["method"] == "full"
    return Work(
        architecture=shape,
        weights=_weights(shape),
        backend="unsloth" if (row.get("extra") or {}).get("backend") == "Unsloth" else "peft",
        method=row["method"],
        quantization="nf4" if row["method"] == "qlora" else "none",
        double_quant=True,
        dtype="float16" if "fp16" in str(row["dtype"]) else "bfloat16",
        attention="eager" if row.get("attn") == "eager" else "sdpa",
        r=0 if full else row.get("rank") or 8,
        target_modules=() if full else tuple(sorted(modules)),
        modules_to_save=(),
        lora_dropout=0.05 if row["source"].startswith(("LitGPT", "Qwen")) else 0.0,
        optim="adamw_bnb_8bit" if "8bit" in str(row.get("optimizer")) else "adamw_torch_fused",
        loss_type="nll",
        packing=False,
        even=False,
        gradient_checkpointing=row.get("grad_checkpoint") not in {False, None},
        micro_batch=row["micro_batch"],
        length=length,
        accumulation=row.get("grad_accum") or 1,
        devices=1,
        sharding="none",
        device="cuda",
        versions=(("trl", "1.0"),),
    )


def _kernels(row: dict[str, Any], work: Work) -> Kernels:
    """What is known of the stack that the row was measured with."""
    own = kernels_of(work)
    if row.get("compile") is True:
        return replace(own, fused=True, compiled=True, unpacking=own.unpacking / 2)
    if "prepare_model_for_kbit" in str(row.get("framework")) and row["method"] == "qlora":
        return replace(own, hidden=4, head=4)
    return own


def _weights(shape: Architecture) -> tuple[Weight, ...]:
    """The matrices of a Llama of this shape."""
    hidden, ff, layers = shape.hidden_size, shape.intermediate_size, shape.num_hidden_layers
    heads, few = shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    sizes = {
        "q_proj": (heads, hidden),
        "k_proj": (few, hidden),
        "v_proj": (few, hidden),
        "o_proj": (hidden, heads),
        "gate_proj": (ff, hidden),
        "up_proj": (ff, hidden),
        "down_proj": (hidden, ff),
    }
    matrices = tuple(Weight(name, size, layers, "linear") for name, size in sizes.items())
    embedding = Weight("embed_tokens", (shape.vocab_size, hidden), 1, "embedding")
    head = () if shape.tie_word_embeddings else (Weight("lm_head", (shape.vocab_size, hidden), 1, "head"),)
    return (embedding, *matrices, *head)


def _architecture(row: dict[str, Any], known: dict[str, Any]) -> Architecture | None:
    found = known.get(row["model"].removesuffix("-Int4"))
    inner: dict[str, Any] = (row.get("extra") or {}).get("arch") or {}
    if found is None and not inner:
        return None
    sizes = found or {
        "h": inner["hidden_size"],
        "L": inner.get("num_hidden_layers") or inner["num_layers"],
        "nh": inner.get("num_attention_heads") or inner["num_heads"],
        "kv": inner["num_kv_heads"],
        "hd": inner["head_dim"],
        "ff": inner["intermediate_size"],
        "V": inner["vocab_size"],
        "tie": bool(inner["tie_word_embeddings"]),
    }
    return Architecture(
        model_type="llama",
        hidden_size=sizes["h"],
        num_hidden_layers=sizes["L"],
        num_attention_heads=sizes["nh"],
        num_key_value_heads=sizes["kv"],
        head_dim=sizes["hd"],
        intermediate_size=sizes["ff"],
        vocab_size=sizes["V"],
        tie_word_embeddings=sizes["tie"],
        max_position_embeddings=0,
    )


if __name__ == "__main__":
    for line in run(Path(sys.argv[1])) if len(sys.argv) > 1 else run():
        print(line)
