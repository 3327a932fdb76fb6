"""What each published framework does, as far as it decides memory: declared from its code, never fitted to its rows.

A stack here is one that was measured by others; those that recipes run on are in ``compiler/estimate/stacks.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from msgspec.structs import replace

from benchmarks.accuracy import litgpt, losses
from benchmarks.accuracy.lengths import Lengths
from benchmarks.accuracy.rows import Row
from compiler.estimate.stack import Stack
from compiler.estimate.stacks import stack_of
from compiler.estimate.work import Work
from compiler.facts.parameters import Weight

_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_QWEN1 = {"c_attn": ("q_proj", "k_proj", "v_proj"), "c_proj": ("o_proj", "down_proj"), "w1": ("up_proj",)}
_QWEN1["w2"] = ("gate_proj",)


@dataclass(frozen=True, slots=True)
class Other:
    """Another way in which a run may have gone, since what it ran is known in part: the band covers it too.

    ``why`` says what is not known. ``side`` says whether it may only widen the band downwards, upwards, or both.
    """

    work: Work
    stack: Stack
    why: str
    side: Literal["low", "high", "both"] = "both"


@dataclass(frozen=True, slots=True)
class Declared:
    """A framework's work and stack for a row, and where the declaration comes from.

    ``lengths`` are those of rows that were not padded to one length. ``unstated`` says that the source does not tell
    what it measured: anything from live tensors to the whole process. ``workspace`` are bytes that a library may take
    at the peak, as it finds best when it runs.
    """

    work: Work
    stack: Stack
    source: str
    others: tuple[Other, ...] = ()
    lengths: Lengths | None = None
    unstated: bool = False
    workspace: int = 0

    @property
    def doubts(self) -> str:
        """What widens the band, in words."""
        words = [other.why for other in self.others]
        words += ["lengths vary: what the allocator holds depends on their order"] if self.lengths else []
        words += ["the source does not say what it measured"] if self.unstated else []
        words += ["cuDNN's workspace for a convolution"] if self.workspace else []
        return "; ".join(dict.fromkeys(words))


_SHORT = 64
"""Tokens of a short row, where a source tells an upper limit alone."""


def _shorter(work: Work, stack: Stack) -> Other:
    return Other(replace(work, length=min(_SHORT, work.length)), stack, "lengths are only bounded", "low")


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
        target_modules=_targets(values.get("target_modules")),
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


def _targets(named: str | list[str] | None) -> tuple[str, ...]:
    """The layers that carry adapters, by Llama's names for them.

    What ms-swift took by itself was the attention's queries, keys and values, in one matrix or three (v2, ``LoRATM``).
    """
    if named == "all-linear":
        return _PROJECTIONS
    found: list[str] = []
    for each in named or ():
        found += _PROJECTIONS[:3] if each.startswith("DEFAULT") else _QWEN1.get(each, (each,))
    return tuple(name for name in found if name in _PROJECTIONS)


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
    if a.model_type in {"phi", "gpt_neox"}:  # two layers with an activation between them
        del shapes["gate_proj"]
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


_NEWS = Lengths(3234, 2547, "ms-swift, Benchmark.md: cls-fudan-news, longer rows deleted")


def _untold(row: Row) -> Lengths:
    most = row.values["seq_len"]
    return Lengths(most / 2, most / 3, "not told: half of the limit in the mean")


def _trainer(row: Row) -> Declared | str:
    """Transformers' Trainer with PEFT of 2023: autocast, outputs cast to float32, checkpoints of layers.

    Gradients stay between micro-steps. Transformers before 5 gave weights of full fine-tuning to autocast in the type
    they were loaded in. The model's own loss copies its logits without each row's last word.
    """
    values = row.values
    if "DeepSpeed" in str(values.get("optimizer")):
        return "DeepSpeed's own copies and buffers"
    if "gptq" in str(values.get("quant")):
        return "GPTQ's layers"
    packed = values["method"] == "qlora"
    qwen = values["model"].startswith("Qwen/Qwen-")
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
        own_loss=losses.shifted_as_it_is if qwen else losses.shifted,
    )
    saved = [each for each in values.get("target_modules") or () if "wte" in each or "lm_head" in each]
    work = _work(
        row,
        double_quant="dq" in str(values.get("quant")),
        modules_to_save=("embed_tokens", "lm_head") if saved else (),
    )
    others = []
    if values["method"] != "full":
        others.append(Other(work, replace(stack, adapter_width=4), "PEFT before 0.6 left adapters in float32", "high"))
    if qwen or not str(values.get("attn")).startswith("flash"):
        materialised = replace(work, attention="eager")
        why = "the model's own code may have computed attention score by score"
        others.append(Other(materialised, replace(stack, adapter_width=4, logits_held=True), why, "high"))
    swift = "swift" in str(values["framework"])
    if row.soft:
        others.append(_shorter(work, stack))
    if swift and not packed and values["method"] != "full":
        why = "ms-swift may have left norms and head in float32"
        others.append(Other(work, replace(stack, kept_width=4, adapter_width=4), why, "high"))
    return Declared(
        work,
        stack,
        "Transformers 4.3x trainer.py, accelerate operations.py (convert_outputs_to_fp32), PEFT 0.5 to 0.9",
        others=tuple(others),
        lengths=_NEWS if swift else _untold(row) if row.soft and "reserved" in row.amounts else None,
        unstated="device" in row.amounts,
    )


def _llama_factory(row: Row) -> Declared | str:
    """LLaMA-Factory of 2024-04: the base as it was loaded, trained weights in float32 (model/adapter.py)."""
    values = row.values
    if values["method"] not in {"lora", "qlora"}:
        return "its method is not said"
    if "Unsloth" in str((values.get("extra") or {}).get("backend")):
        return _unsloth(row)
    stack = Stack(
        base_width=2,
        kept_width=2,
        adapter_width=4,
        autocast=2,
        loss="whole",
        outputs_in_float=True,
        checkpoint="layer" if values.get("grad_checkpoint") else "none",
        input_gradients=True,
        gradients_kept=(values.get("grad_accum") or 1) > 1,
        own_loss=losses.shifted,
    )
    work = _work(row, double_quant=True, optim="adamw_torch")
    others = [
        Other(work, replace(stack, kept_width=4), "norms and head may have been raised to float32", "high"),
        Other(replace(work, optim="adamw_8bit"), replace(stack, adapter_width=2), "its optimizer is not said", "low"),
    ]
    if row.soft:
        others.append(_shorter(work, stack))
    source = "LLaMA-Factory 0.6, model/adapter.py and patcher.py"
    return Declared(work, stack, source, others=tuple(others), unstated=True)


def _unsloth(row: Row) -> Declared | str:
    """Unsloth: functions of its own; what a version did with logits and checkpoints widens the band.

    Before 2025 its loss made all logits at once and their gradients in their place (kernels/cross_entropy_loss.py);
    from 2024-04 on checkpoints wait in main memory, before they stayed on the card. Cards without bfloat16 have full
    fine-tuning in float32 (models/loader.py, ``full_finetuning``), and no FlashAttention: for xformers' kernel keys and
    values are copied for each head (models/llama.py, ``hidden_states.requires_grad``; utils/attention_dispatch.py).
    Version 2024.1, as read, returns its logits, which accelerate makes float32 (operations.py,
    ``convert_outputs_to_fp32``); of those after it that is not known.
    """
    values, architecture = row.values, row.architecture
    assert architecture is not None
    if values["method"] not in {"lora", "qlora", "full"}:
        return "its method is not said"
    family = architecture.model_type
    if family not in {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "phi3"}:
        return f"Unsloth's layers of {family}"
    row = dataclasses.replace(
        row, architecture=replace(architecture, model_type="gemma" if "gemma" in family else "llama")
    )
    turing = "T4" in str(values.get("gpu"))
    work = _work(
        row,
        backend="unsloth",
        double_quant=True,
        optim="adamw_8bit" if values["method"] != "full" else "adamw_torch",
        dtype=("float32" if values["method"] == "full" else "float16") if turing else "bfloat16",
        target_modules=_PROJECTIONS if values["method"] != "full" else (),
        gradient_checkpointing=bool(values.get("grad_checkpoint")),
    )
    stack = replace(stack_of(work), expands_keys=turing)
    _, _, version = str(values.get("framework")).partition("Unsloth ")
    if not version.startswith(("2025", "2026")):
        offloads = "offload" in str(values.get("grad_checkpoint"))
        kept = "layer" if stack.checkpoint != "none" and not offloads else stack.checkpoint
        wide = version == "2024.1"
        stack = replace(stack, loss="whole", own_loss=losses.in_place, checkpoint=kept, outputs_in_float=wide)
    whole = replace(
        stack,
        loss="whole",
        own_layer=None,
        own_loss=losses.shifted,
        outputs_in_float=True,
        logits_held=True,
        checkpoint="layer" if stack.checkpoint != "none" else "none",
    )
    raised = replace(work, optim="adamw_torch")
    others = [Other(raised, whole, "what this version did with logits, checkpoints and casts", "high")]
    if stack.checkpoint == "layer":
        waiting = replace(stack, checkpoint="offload")
        others.append(Other(work, waiting, "whether this version's checkpoints waited in main memory", "low"))
    if family == "gemma2":
        scored = replace(raised, attention="eager")
        others.append(Other(scored, whole, "whether this version had a kernel for capped attention", "high"))
    if row.soft:
        others.append(_shorter(work, stack))
    source = "unsloth kernels/, unsloth_zoo (compiler/estimate/unsloth.py)"
    old = row.soft and "reserved" in row.amounts and not version
    return Declared(
        work,
        stack,
        source,
        others=tuple(others),
        lengths=_untold(row) if old else None,
        unstated="device" in row.amounts,
    )


def _axolotl(row: Row) -> Declared | str:
    """axolotl with Cut Cross Entropy: norms and head back in 16 bits, adapters in float32 (loaders/model.py)."""
    values = row.values
    if values["method"] != "qlora" or "offloading" in str(values.get("grad_checkpoint")):
        return "axolotl without packed weights, or with offloading"
    stack = Stack(
        base_width=2,
        kept_width=2,
        adapter_width=4,
        autocast=2,
        loss="chunked",
        checkpoint="layer" if values.get("grad_checkpoint") else "none",
        input_gradients=True,
        gradients_kept=(values.get("grad_accum") or 1) > 1,
    )
    work = _work(row, optim="adamw_8bit", double_quant=True)
    whole = replace(stack, loss="whole", own_loss=losses.shifted, outputs_in_float=True, kept_width=4)
    others = (
        Other(work, whole, "the number may be older than its file, from before Cut Cross Entropy", "high"),
        _shorter(work, stack),
    )
    return Declared(work, stack, "axolotl loaders/model.py; examples", others=others, unstated=True)


_QUERY_VALUE = {"q_proj", "v_proj"}
"""Where LitGPT puts adapters unless it is told otherwise (finetune/lora.py)."""

_WORKSPACE = 1 << 30
"""What cuDNN may take for the grouped convolution of LitGPT's ``lora_B``: PyTorch sets it no limit but what is free
(aten/src/ATen/native/cudnn/Conv_v8.cpp), so this is a word of caution and no measure."""


def _litgpt(row: Row) -> Declared | str:
    """LitGPT in true bfloat16: all of the model packed, head included; 32-bit states in unified memory when packed.

    Rows of 2023 had their longest sample first and short ones after it (finetune/lora.py, ``longest_seq_ix``); those of
    2024 had many at their limit, and ``logits`` names the graph of one until the next is computed.
    """
    values = row.values
    packed = values["method"] == "qlora"
    early = "config_hub" not in row.source
    assert row.architecture is not None
    if row.architecture.model_type not in {"llama", "mistral", "phi", "gpt_neox"}:
        return f"LitGPT's layer of {row.architecture.model_type}"
    if values["method"] == "full" and row.trust == "C":
        return "its figures contradict one GPU, and how many there were is not said"
    if values["method"] != "full" and set(values.get("target_modules") or _QUERY_VALUE) != _QUERY_VALUE:
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
        graph_held=not early,
        own_layer=litgpt.layer_of_2023 if early else litgpt.layer,
        own_loss=litgpt.loss if values["method"] != "full" else litgpt.loss_of_full,
    )
    optim = "paged_adamw_32bit" if packed else "adamw_torch"
    assert row.architecture is not None
    row = dataclasses.replace(row, architecture=replace(row.architecture, tie_word_embeddings=False))  # it ties nothing
    work = _work(row, lora_dropout=0.05, optim=optim, target_modules=("q_proj", "v_proj"))
    if packed:
        work = replace(work, weights=tuple(_all_linear(each) for each in work.weights))
    source = "litgpt model.py, lora.py, rmsnorm.py, finetune/; bitsandbytes 0.41 and 0.42, autograd/_functions.py"
    others = (_shorter(work, stack),) if row.soft else ()
    return Declared(work, stack, source, others=others, workspace=_WORKSPACE if values["method"] != "full" else 0)


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
    "HF+FA2": _trainer,
    "Unsloth": _unsloth,
    "LLaMA-Factory": _llama_factory,
    "axolotl": _axolotl,
    "litgpt": _litgpt,
}
