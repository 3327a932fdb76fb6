"""The compiler's own decisions: each returns the value, the rule that gave it, and the reason.

Rules have short codes (``B`` backend, ``A`` adapter, ``T`` training, ``H`` hardware, ``F`` format of the rows) that
stand in the plan; ``codes/rules.toml`` tells the story and the source of each, and ``recipe explain T07`` prints it.
A value that the recipe fixes is never changed here; ``settle.py`` puts it first.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from msgspec import Struct, field

from compiler.estimate.lengths import RowLengths
from compiler.estimate.work import Dtype
from compiler.facts.architecture import Architecture
from compiler.facts.linear_layers import linear_layers
from compiler.facts.machine import Target
from compiler.language.recipe import TARGET_PRESETS, AdapterTable, Recipe, TrainingTable
from compiler.packing import FAMILIES
from compiler.phrases import phrase
from compiler.plan import Rejected

RANK = {"simple": 16, "medium": 32, "complex": 64}
"""Rank by complexity: our own choice, within what others use (QLoRA 64, Unsloth's guide 16 or 32; see rule A10)."""

TOKENS_AT_ONCE = {"cpu": 4096, "cuda": 8192}
"""Most tokens of a micro-batch: our own choice on the safe side, until a prediction of memory gives it.

The number for GPUs was not measured on one.
"""


class Decision(Struct, frozen=True):
    """A value with the code of the rule that gave it, the reason, and what was rejected.

    ``from_data`` says that the value was read off the rows: other data, another value.
    """

    value: Any
    code: str
    reason: str
    rejected: list[Rejected] = field(default_factory=list)
    from_data: bool = False


def device(target: Target, *, gpu_named: bool) -> Decision:
    """Where it trains, as the target was found; ``gpu_named`` says that the recipe names the GPU to plan for."""
    if target.device == "cpu":
        return Decision("cpu", "H03", target.reason)
    return Decision("cuda", "H01" if gpu_named else "H02", target.reason)


def data_format(found: str, reason: str) -> Decision:
    """The format that the rows turned out to have; several are joined by `` + ``."""
    return Decision(found, "F01", reason, from_data=True)


def max_length(tokens: int, reason: str) -> Decision:
    """The longest example, in tokens, as the rows and the model's context give it."""
    return Decision(tokens, "T19", reason, from_data=True)


def method(recipe: Recipe, target: Target) -> Decision:
    """LoRA on the CPU, QLoRA on a GPU, unless the quantisation that the recipe asks for says otherwise."""
    quantization = recipe.model.quantization
    full = Rejected(value="full", code="A09", reason=phrase("trains and stores every weight; ask for it by name"))
    if quantization in {"nf4", "fp4"}:
        return Decision(
            "qlora",
            "A01",
            phrase("LoRA on a base stored in {quantization} is QLoRA", quantization=quantization),
            [full],
        )
    if quantization in {"none", "int8", "hqq-2bit"}:
        return Decision(
            "lora", "A02", phrase("the recipe stores the base as {quantization}", quantization=quantization), [full]
        )
    if target.device == "cpu":
        qlora = Rejected(
            value="qlora", code="A08", reason=phrase("saves GPU memory; on a CPU it only adds work to every step")
        )
        return Decision(
            "lora",
            "A03",
            phrase("on a CPU memory is plentiful, and weights that need no unpacking train fastest"),
            [qlora, full],
        )
    lora = Rejected(value="lora", code="A07", reason=phrase("needs four times the memory for the base weights"))
    return Decision(
        "qlora",
        "A04",
        phrase("on one GPU a 4-bit base leaves most memory for the batch (QLoRA, 2305.14314)"),
        [lora, full],
    )


def quantization(method_name: str) -> Decision:
    """4-bit NormalFloat for QLoRA, plain weights otherwise."""
    if method_name == "qlora":
        return Decision("nf4", "A05", phrase("NormalFloat 4 fits normally distributed weights (QLoRA, 2305.14314)"))
    return Decision("none", "A06", phrase("{method_name} trains on unquantised weights", method_name=method_name))


def dtype(target: Target, *, method: str = "auto") -> Decision:
    """bfloat16 where the device has it; float16 on older GPUs, float32 on older CPUs.

    Full fine-tuning has no float16: its gradients would be float16 too, which PyTorch's GradScaler refuses to unscale.
    """
    if target.bf16:
        return Decision(
            "bfloat16",
            "T01",
            phrase("the {device} computes in bfloat16: half the memory of float32", device=target.device),
        )
    if target.device == "cuda" and method == "full":
        gpu = target.gpu or phrase("the GPU")
        why = phrase("{gpu} has no bfloat16, and full fine-tuning in float16 has no gradients to scale", gpu=gpu)
        return Decision("float32", "T02", why)
    if target.device == "cuda":
        return Decision(
            "float16",
            "T02",
            phrase("{gpu} has no bfloat16 (compute capability below 8.0)", gpu=target.gpu or phrase("the GPU")),
        )
    return Decision(
        "float32", "T03", phrase("this processor has no bfloat16 instructions, and emulating them is slower")
    )


def dtypes(target: Target, *, method: str = "auto") -> tuple[Dtype, ...]:
    """What may be chosen between: on a CPU float32 too, as instructions for bfloat16 are slower on some."""
    found: Dtype = dtype(target, method=method).value
    return (found, "float32") if target.device == "cpu" and found != "float32" else (found,)


SHORT = 512
"""Tokens of a row up to which a CPU attends by scores although its memory is not weighed: they are small then."""


def attentions(target: Target, dtype: str) -> tuple[Literal["eager", "sdpa"], ...]:
    """What may be chosen between: in bfloat16 on a CPU, scores (where times are alike) or PyTorch's one kernel.

    Forwards and backwards, sequences of 64 to 256 tokens take 0.2 to 0.8 of what that kernel takes; longer ones 0.6
    on a processor without tile units, 1 to 1.6 with them (``python -m benchmarks packing``). Scores of each layer grow
    with the square. Elsewhere PyTorch's kernels are alone.
    """
    return ("eager", "sdpa") if target.device == "cpu" and dtype == "bfloat16" else ("sdpa",)


def attention(target: Target, dtype: str, *, longest: int) -> Decision:
    """PyTorch's own kernels serve every architecture and device; on a CPU, matrix products serve short rows better.

    Where memory is weighed, the search says which fits (S07).
    """
    if "eager" not in attentions(target, dtype) or longest > SHORT:
        return Decision("sdpa", "T04", phrase("PyTorch's scaled_dot_product_attention picks the best kernel it has"))
    why = phrase("for rows of up to {short} tokens a CPU is quicker at products of matrices", short=SHORT)
    other = phrase("PyTorch's one kernel takes up to five times as long in bfloat16 on a CPU")
    return Decision("eager", "T22", why, [Rejected(value="sdpa", code="T22", reason=other)], from_data=True)


def rank(complexity: str) -> Decision:
    """The preset's rank."""
    return Decision(
        RANK[complexity],
        "A10",
        phrase("complexity {complexity!r} gives r = {rank}", complexity=complexity, rank=RANK[complexity]),
    )


def alpha(r: int, *, rslora: bool = False) -> Decision:
    """A scale of 2 whatever the rank: twice r, or with rsLoRA (2312.03732) twice its root."""
    if rslora:
        value = max(1, round(2 * math.sqrt(r)))
        return Decision(value, "A12", phrase("twice the root of r, so that rsLoRA's scale stays 2 (r = {r})", r=r))
    return Decision(2 * r, "A11", phrase("twice r, so that the adapter's scale stays 2 (r = {r})", r=r))


def carried_over(value: Any, name: str) -> Decision:
    """A setting of the adapter ``name`` that training goes on from."""
    return Decision(value, "A13", phrase("as the adapter that training goes on from ({name})", name=name))


def learning_rate(method_name: str) -> Decision:
    """2e-4 for adapters (QLoRA paper, table 9, for 7B and 13B), 2e-5 for all weights."""
    if method_name == "full":
        return Decision(2e-5, "T05", phrase("all weights move, so each must move little"))
    return Decision(2e-4, "T06", phrase("adapters start from zero and take ten times the rate of full fine-tuning"))


def target_modules(adapter: AdapterTable, architecture: Architecture | None) -> list[str] | str:
    """PEFT's ``target_modules`` for a preset or a list.

    PEFT refuses its own word "all-linear" beside layers_to_transform, so there the layers are named.
    """
    chosen = adapter.target_modules
    modules = TARGET_PRESETS[chosen] if isinstance(chosen, str) else chosen
    if isinstance(modules, str):
        named = linear_layers(architecture)
        return list(named) if "layers_to_transform" in adapter.peft and named else modules
    return list(modules)


def loss_type(recipe: Recipe, backend_name: str) -> str:
    """TRL's loss: the head in chunks, unless something else has to see whole logits or the head itself.

    Unsloth puts chunks of its own in place of TRL's plain loss, and of no other. TRL's take less memory and are 40 %
    faster on a CPU (benchmarks/). TRL refuses them beside Liger's own loss, and they read the head's weight directly,
    which a head with an adapter does not have. What the recipe says of it in [training] sft is passed on as it is.
    """
    trained = [*recipe.adapter.modules_to_save]
    if not isinstance(recipe.adapter.target_modules, str):
        trained += recipe.adapter.target_modules
    said = recipe.training.sft.get("loss_type")
    if isinstance(said, str) and backend_name != "unsloth":
        return said
    whole_head = recipe.training.sft.get("use_liger_kernel") or any(name.endswith("lm_head") for name in trained)
    return "nll" if whole_head or backend_name == "unsloth" else "chunked_nll"


def scheduler_kwargs(training: TrainingTable, *, steps: int) -> dict[str, Any]:
    """What a shape of the learning rate cannot do without; the recipe's own arguments come first."""
    given: dict[str, Any] = dict(training.sft.get("lr_scheduler_kwargs") or {})
    shape = training.lr_scheduler_type
    if shape in {"cosine_with_min_lr", "cosine_warmup_with_min_lr"} and not {"min_lr", "min_lr_rate"} & set(given):
        given["min_lr_rate"] = 0.1  # the floor that Transformers' own examples use
    if shape == "warmup_stable_decay" and "num_decay_steps" not in given:
        given["num_decay_steps"] = max(1, steps // 10)  # a tenth of the run suffices (MiniCPM, 2404.06395)
    return given


def micro_batch(training: TrainingTable, target: Target, *, longest: int) -> Decision:
    """The largest divisor of the effective batch whose tokens stay within what a step comfortably holds."""
    devices = max(1, target.gpu_count)
    per_device = training.batch_size // devices
    tokens = TOKENS_AT_ONCE[target.device]
    limit = max(1, tokens // max(1, longest))
    value = max(n for n in range(1, per_device + 1) if per_device % n == 0 and n <= limit)
    reason = phrase(
        "the most rows of {longest} tokens within {tokens} tokens that divide {per_device}",
        longest=longest,
        tokens=tokens,
        per_device=per_device,
    )
    return Decision(value, "T07", reason)


def may_pack(architecture: Architecture | None) -> bool:
    """Whether the attention of the model's family is known to keep rows of one sequence apart."""
    return architecture is not None and architecture.model_type in FAMILIES


def packing(
    architecture: Architecture | None, lengths: RowLengths | None = None, *, micro_batch: int | None = None
) -> Decision:
    """Off where nothing tells that it pays; the search tells where it does (S06).

    What only pads is told where the rows' lengths are known.
    """
    if not may_pack(architecture):
        family = architecture.model_type if architecture else phrase("this model")
        why = phrase("whether {family} keeps rows of one sequence apart was not looked at", family=family)
        return Decision(False, "T08", why)
    if lengths is None or not lengths.ordered or micro_batch is None:
        return Decision(False, "T20", phrase("joining rows pays where many positions only pad: the rows tell"))
    share = max(0.0, 1 - lengths.mean / lengths.padded(micro_batch))
    why = phrase(
        "{share:.0%} of the positions only pad batches of {micro_batch}; joining rows would save little of a step",
        share=share,
        micro_batch=micro_batch,
    )
    return Decision(False, "T20", why, from_data=True)


def gradient_checkpointing(target: Target) -> Decision:
    """On for GPUs, off for CPUs."""
    if target.device == "cpu":
        return Decision(
            False, "T09", phrase("memory is not the limit on this CPU, and recomputing costs about a third")
        )
    return Decision(True, "T10", phrase("frees most activation memory for about a third more time"))


def optimizer(method_name: str, target: Target) -> Decision:
    """Fused AdamW; paged 8-bit AdamW where QLoRA on a GPU counts every byte."""
    if method_name == "qlora" and target.device == "cuda":
        return Decision(
            "paged_adamw_8bit", "T11", phrase("8-bit states that may leave the GPU under pressure (2305.14314)")
        )
    return Decision("adamw_torch_fused", "T12", phrase("one kernel for the whole step"))


def total_steps(training: TrainingTable, *, rows: int) -> int:
    """Optimizer steps: max_steps of the recipe, or its epochs over the rows that are really there."""
    if training.max_steps is not None:
        return training.max_steps
    return math.ceil(training.num_train_epochs * math.ceil(rows / training.batch_size))


def warmup_steps(training: TrainingTable, *, steps: int) -> int:
    """Whole steps of warm-up; a value below 1 is a share of all steps."""
    if training.warmup_steps < 1:
        return math.ceil(training.warmup_steps * steps)
    return min(int(training.warmup_steps), steps)


def eval_steps(*, steps: int, held_out: int, saved: int | None = None) -> Decision:
    """Four measurements over the run; at every checkpoint where the recipe says how often the best one is saved."""
    if saved is not None:
        return Decision(
            saved, "T18", phrase("early stopping keeps the best measured step, so each one that is saved counts")
        )
    value = max(1, math.ceil(steps / 4))
    if not held_out:
        return Decision(value, "T15", phrase("no held-out rows: nothing is measured during training"))
    return Decision(value, "T15", phrase("four measurements over {steps} steps", steps=steps))


def eval_rows(
    micro_batch: int, rows: int | None = None, *, longest: int = 0, measured: int = 0, whole: int = 0, step: int = 0
) -> Decision:
    """Rows measured at once: the micro-batch, or as many as take no more than a step (bytes), which trained already."""
    if rows is None:
        why = phrase("as many as are trained at once: without gradients they take less")
        return Decision(micro_batch, "T21", why)
    sizes = {"longest": longest, "measured": measured / 2**30, "step": step / 2**30}
    why = phrase(
        "held-out rows of {longest} tokens: {measured:.2f} GiB while they are measured, {step:.2f} GiB in a step",
        **sizes,
    )
    if rows == micro_batch:
        return Decision(rows, "T21", why)
    more = phrase("would take {whole:.2f} GiB, more than a step", whole=whole / 2**30)
    return Decision(rows, "T21", why, [Rejected(value=micro_batch, code="T21", reason=more)])


def save_steps(*, steps: int, every: int | None) -> Decision:
    """Ten checkpoints over the run, at most 200 steps apart; with early stopping, at every measurement."""
    if every is not None:
        return Decision(every, "T16", phrase("early stopping keeps the best measured step, so each one is saved"))
    value = min(200, max(5, math.ceil(steps / 10)))
    return Decision(value, "T17", phrase("a crash loses at most {value} of {steps} steps", value=value, steps=steps))
