"""What each published framework does, as far as it decides memory: declared from its code, never fitted to its rows.

A stack here is one that was measured by others; those that recipes run on are in ``compiler/estimate/stacks.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.accuracy import litgpt
from benchmarks.accuracy.rows import Row
from compiler.estimate.stack import Stack
from compiler.estimate.work import Work
from compiler.facts.parameters import Weight

_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_QWEN1 = {"c_attn": ("q_proj", "k_proj", "v_proj"), "c_proj": ("o_proj", "down_proj"), "w1": ("up_proj",)}
_QWEN1["w2"] = ("gate_proj",)


@dataclass(frozen=True, slots=True)
class Declared:
    """A framework's work and stack for a row, and where the declaration comes from."""

    work: Work
    stack: Stack
    source: str


def declared(row: Row) -> Declared | str:
    """What the row ran, or why that is not modelled here."""
    framework = str(row.values.get("framework") or "")
    for beginning, build in _FRAMEWORKS.items():
        if framework.startswith(beginning):
            if row.architecture is None:
                return f"the architecture of {row.values['model']} is not known"
            if not row.values.get("seq_len") or not row.values.get("micro_batch"):
                return "its length or micro-batch is not said"
            if row.values.get("gpu_count") not in {1, None}:
                return "several GPUs"
            return build(row)
    return f"the framework {framework or '(none said)'} is not modelled"


def _work(row: Row, **changes: Any) -> Work:
    values, architecture = row.values, row.architecture
    assert architecture is not None
    method = values["method"]
    targets = tuple(name for each in values.get("target_modules") or () for name in _QWEN1.get(each, (each,)))
    quant = str(values.get("quant") or "")
    base = Work(
        architecture=architecture,
        weights=_weights(row),
        backend="peft",
        method=method,
        quantization="int8" if "int8" in quant else "nf4" if quant or method == "qlora" else "none",
        double_quant="dq" in quant,
        dtype="float16" if "fp16" in str(values.get("dtype")) else "bfloat16",
        attention="eager" if str(values.get("attn")).startswith("eager") else "sdpa",
        r=values.get("rank") or 8,
        target_modules=tuple(name for name in targets if name in _PROJECTIONS),
        modules_to_save=(),
        lora_dropout=0.0,
        optim="adamw_torch",
        loss_type="nll",
        packing=False,
        even=True,
        gradient_checkpointing=bool(values.get("grad_checkpoint")),
        micro_batch=values["micro_batch"],
        length=values["seq_len"],
        accumulation=values.get("grad_accum") or 1,
        devices=1,
        sharding="none",
        device="cuda",
        versions=(),
    )
    return replace(base, **changes)


def _weights(row: Row) -> tuple[Weight, ...]:
    """The weights of a dense decoder with a gated MLP, with the biases that Qwen has."""
    a = row.architecture
    assert a is not None
    heads, shared, layers = a.num_attention_heads * a.head_dim, a.num_key_value_heads * a.head_dim, a.num_hidden_layers
    shapes = {
        "q_proj": (heads, a.hidden_size),
        "k_proj": (shared, a.hidden_size),
        "v_proj": (shared, a.hidden_size),
        "o_proj": (a.hidden_size, heads),
        "gate_proj": (a.intermediate_size, a.hidden_size),
        "up_proj": (a.intermediate_size, a.hidden_size),
        "down_proj": (a.hidden_size, a.intermediate_size),
    }
    weights = [Weight("embed_tokens", (a.vocab_size, a.hidden_size), 1, "embedding")]
    weights += [Weight(name, shape, layers, "linear") for name, shape in shapes.items()]
    weights.append(Weight("norm", (a.hidden_size,), 2 * layers + 1, "norm"))
    if "Qwen" in row.values["model"]:
        weights.append(Weight("bias", (heads + 2 * shared,), layers, "bias"))
    if not a.tie_word_embeddings:
        weights.append(Weight("lm_head", (a.vocab_size, a.hidden_size), 1, "head"))
    return tuple(weights)


def _own_loop_t4(row: Row) -> Declared:
    """fitcheck: prepare_model_for_kbit_training for 4-bit bases, float16 without autocast, the output held."""
    packed = row.values["method"] == "qlora"
    stack = Stack(
        base_width=2,
        kept_width=4 if packed else 2,
        adapter_width=4,
        autocast=0,
        loss="whole",
        checkpoint="layer",
        input_gradients=packed,
        logits_held=True,
        expands_keys="EFFICIENT" in str(row.values.get("attn")),
    )
    return Declared(_work(row, accumulation=1), stack, "PEFT utils/other.py; the rows' own notes")


def _own_loop_a6000(row: Row) -> Declared:
    """vramcalc 0.1.2, bench.py: the output held, gradients zeroed and not dropped, foreach AdamW.

    Transformers 4.57 makes a mask when it is given none (masking_utils.py, ``find_packed_sequence_indices``).
    """
    amp = "amp" in str(row.values["dtype"])
    width = 4 if amp else 2
    stack = Stack(
        base_width=width,
        kept_width=width,
        adapter_width=4,
        autocast=2 if amp else 0,
        loss="whole",
        checkpoint="layer" if row.values["grad_checkpoint"] else "none",
        logits_held=True,
        gradients_kept=True,
        masked=True,
    )
    return Declared(_work(row, dtype="float32" if amp else "bfloat16"), stack, "vramcalc 0.1.2, bench.py")


def _own_loop_peft(row: Row) -> Declared:
    """PEFT's method comparison: bfloat16, float32 adapters, autocast, whole logits, padded batches."""
    stack = Stack(base_width=2, kept_width=2, adapter_width=4, autocast=2, loss="whole", logits_held=True, masked=True)
    return Declared(_work(row), stack, "PEFT method_comparison/MetaMathQA/run.py")


def _trainer(row: Row) -> Declared | str:
    """Transformers' Trainer with PEFT of 2023: autocast, outputs cast to float32, checkpoints of layers.

    Adapters follow the base's type (PEFT before 0.12 did not raise them), and gradients stay between micro-steps.
    Transformers before 5 gave weights of full fine-tuning to autocast in the type they were loaded in.
    """
    values = row.values
    if "DeepSpeed" in str(values.get("optimizer")):
        return "DeepSpeed's own copies and buffers"
    if "gptq" in str(values.get("quant")):
        return "GPTQ's layers"
    packed = values["method"] == "qlora"
    stack = Stack(
        base_width=2,
        kept_width=4 if packed else 2,
        adapter_width=4 if packed else 2,
        autocast=2,
        loss="whole",
        outputs_in_float=True,
        checkpoint="layer" if values.get("grad_checkpoint") else "none",
        input_gradients=values["method"] != "full",
        gradients_kept=(values.get("grad_accum") or 1) > 1,
    )
    saved = [each for each in values.get("target_modules") or () if "wte" in each or "lm_head" in each]
    work = _work(
        row,
        double_quant="dq" in str(values.get("quant")),
        modules_to_save=("embed_tokens", "lm_head") if saved else (),
    )
    return Declared(work, stack, "Transformers 4.3x trainer.py, accelerate operations.py (convert_outputs_to_fp32)")


def _litgpt(row: Row) -> Declared | str:
    """LitGPT in true bfloat16: all of the model packed, head included; 32-bit states in unified memory when packed."""
    values = row.values
    packed = values["method"] == "qlora"
    if values["method"] != "full" and set(values.get("target_modules") or ()) != {"q_proj", "v_proj"}:
        return "LitGPT's layers with other adapters than on queries and values"
    stack = Stack(
        base_width=2,
        kept_width=2,
        adapter_width=2,
        autocast=0,
        loss="whole",
        logits_held=True,
        gradients_kept=(values.get("grad_accum") or 1) > 1,
        checkpoint="layer" if values.get("grad_checkpoint") else "none",
        keeps_packed_inputs=packed,
        own_layer=litgpt.layer,
        own_loss=litgpt.loss,
    )
    optim = "paged_adamw_32bit" if packed else "adamw_torch"
    assert row.architecture is not None
    row = replace(row, architecture=replace(row.architecture, tie_word_embeddings=False))  # it ties nothing
    work = _work(row, lora_dropout=0.05, optim=optim)
    if packed:
        work = replace(work, weights=tuple(_all_linear(each) for each in work.weights))
    return Declared(work, stack, "litgpt model.py, lora.py; bitsandbytes 0.41, autograd/_functions.py")


def _all_linear(weight: Weight) -> Weight:
    return replace(weight, role="linear") if weight.role == "head" else weight


def _own_loop(row: Row) -> Declared:
    if row.source.startswith("fitcheck"):
        return _own_loop_t4(row)
    return _own_loop_a6000(row) if row.source.startswith("vramcalc") else _own_loop_peft(row)


_FRAMEWORKS: dict[str, Callable[[Row], Declared | str]] = {
    "transformers+PEFT (own loop": _own_loop,
    "transformers Trainer + PEFT": _trainer,
    "ms-swift": _trainer,
    "TRL SFTTrainer + PEFT": _trainer,
    "litgpt": _litgpt,
}
