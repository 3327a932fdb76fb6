"""Memory of one device in one training step: what lies there between steps, and what a step adds at its highest.

A step is walked through on sizes alone (``step.py``): the same operations in the same order as the real code, with
what each keeps for the way back. The walk's peaks are lines over the micro-batch and are kept, so a search over
micro-batches, optimizers and cards walks once for all of them.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

from msgspec import Struct
from msgspec.structs import replace

from compiler.estimate.decoder import shape_of
from compiler.estimate.layers import Adapters, Shape
from compiler.estimate.outside import context, executor, held_back, workspaces
from compiler.estimate.result import Amount, Memory, Moment, Term, Unknown
from compiler.estimate.stack import Stack
from compiler.estimate.stacks import stack_of
from compiler.estimate.static import (
    OptimizerKind,
    base_weights,
    fitting_bytes,
    optimizer_kind,
    state_bytes,
    trained_tensors,
)
from compiler.estimate.step import Walk, walked
from compiler.estimate.unsloth import chunk_of
from compiler.estimate.work import Work, is_by_row
from compiler.facts.families import EXPERTS, HEADS, ONCE_LINEAR
from compiler.packing import STRETCH
from compiler.phrases import phrase
from compiler.two_bits import QUANTIZATION

_LONGEST = 1 << 32
_MOMENTS: dict[str, Moment] = {
    "embedding": "forward",
    "forward": "forward",
    "head": "head",
    "loss": "head",
    "last layer": "backward",
    "middle layers": "backward",
    "first layer": "backward",
    "optimizer": "optimizer",
    "loading": "loading",
}
"""The moments that people are told, of the walk's phases."""


class Between(Struct, frozen=True):
    """Bytes that lie there from step to step, and what the update itself takes."""

    base: int
    scales: int
    adapters: int
    gradients: int
    states: int
    paged: int
    update: int
    loading: int
    buffer: int
    trained: int

    @property
    def kept(self) -> int:
        """All but gradients."""
        return self.base + self.scales + self.adapters + self.states + self.buffer


def memory(work: Work, *, compute_capability: float = 8.0, by_term: bool = True) -> Memory | Unknown:
    """Memory of ``work`` on its device; a refusal for what is not known or makes no sense.

    ``compute_capability`` is the GPU's, for what CUDA itself takes. Without ``by_term`` the terms are left out, which
    a search asks of hundreds and reads of one.
    """
    return memory_on(work, stack_of(work), compute_capability=compute_capability, by_term=by_term)


def memory_on(work: Work, stack: Stack, *, compute_capability: float = 8.0, by_term: bool = True) -> Memory | Unknown:
    """The same on a stack that is said rather than derived from the work's backend and versions."""
    refusal = _refusal(work)
    if refusal is not None:
        return refusal
    shape = shape_of(work.architecture, work.weights)
    if isinstance(shape, Unknown):
        return shape
    kind = optimizer_kind(work.optim)
    if kind is None:
        known = phrase("name one of AdamW's, Lion's, Adafactor's or SGD's, or trace it: recipe check --trace")
        return Unknown(phrase("how the optimizer {optim} lies in memory is not known", optim=work.optim), known)
    if work.sharding == "fsdp":  # each device keeps its share of every gradient, whatever has been computed of it
        stack = replace(stack, gradients_kept=True)
    between = _between(work, stack, kind)
    peaks = _peaks(work, stack, shape)
    return _told(work, stack, between, peaks, compute_capability, by_term=by_term)


def _refusal(work: Work) -> Unknown | None:
    named = {
        "layers": work.architecture.num_hidden_layers,
        "hidden size": work.architecture.hidden_size,
        "heads": work.architecture.num_attention_heads,
        "key and value heads": work.architecture.num_key_value_heads,
        "head size": work.architecture.head_dim,
        "intermediate size": work.architecture.intermediate_size,
        "words": work.architecture.vocab_size,
        "rows of a micro-batch": work.micro_batch,
        "tokens of a row": work.length,
        "micro-steps": work.accumulation,
        "devices": work.devices,
    }
    for name, value in named.items():
        if not 0 < value < _LONGEST:
            return Unknown(
                phrase("{value:,} is no number of {name}", value=value, name=name),
                phrase("look at the model's config.json and the recipe"),
            )
    if not work.weights:
        return Unknown(phrase("the model's weights are not known"), phrase("name a model whose config.json is there"))
    known = frozenset(weight.module for weight in work.weights) | HEADS
    if work.method != "full" and not known & {*work.target_modules, *work.modules_to_save}:
        return Unknown(phrase("no layer carries an adapter"), phrase("name some in [adapter] target_modules"))
    reason = _not_walked(work, known)
    if reason is not None:
        return Unknown(reason, phrase("trace it: recipe check --trace"))
    if work.method != "full" and not 0 < work.r < _LONGEST:
        return Unknown(phrase("a rank of {r:,} is none", r=work.r), phrase("set [adapter] r to 1 or more"))
    return None


UNSLOTH = frozenset(
    {
        *("llama", "mistral", "ministral", "qwen2", "qwen3", "smollm3", "granite"),
        *("gemma", "gemma2", "gemma3", "gemma3_text"),
    }
)
"""Families whose layer, as Unsloth has it, is walked: the others' matrices are not those of its fast layers."""


def _not_walked(work: Work, known: frozenset[str]) -> str | None:
    """What of the work would be left out of a walk in silence; ``known`` are the modules that it knows."""
    family = work.architecture.model_type
    if work.backend == "unsloth" and family not in UNSLOTH:
        return phrase("what Unsloth makes of {family} is not known", family=family)
    if work.method == "full":
        return None
    targets = {*work.target_modules}
    outside, whole = sorted(HEADS & targets), sorted({*work.modules_to_save} - known)
    if outside:
        return phrase("what an adapter on {name} takes is not known", name=outside[0])
    if whole:
        return phrase("what {name} takes, trained whole, is not known", name=whole[0])
    experts = sorted(targets & ONCE_LINEAR) if family in EXPERTS else []
    if experts and any(weight.role == "expert" for weight in work.weights):
        return phrase("what adapters on stacks of experts take is not known ({names})", names=", ".join(experts))
    return None


def _between(work: Work, stack: Stack, kind: OptimizerKind) -> Between:
    stored = partial(
        base_weights,
        work.weights,
        double=work.double_quant,
        base_width=stack.base_width,
        kept_width=stack.kept_width,
    )
    base, scales, loading = stored(work.quantization)
    if work.quantization == QUANTIZATION:  # layer by layer, of a model in main memory (runtime/two_bits.py)
        loading = fitting_bytes(work.weights, base_width=stack.base_width, gpu=work.device == "cuda")
        loading += stored("none")[0] - base - scales if work.device == "cpu" else 0
    trained = trained_tensors(work, adapter_width=stack.adapter_width, base_width=stack.base_width)
    gradients = sum(each.numbers * each.count * each.width for each in trained)
    states, paged = state_bytes(trained, kind)
    largest = max((each.numbers * each.width for each in trained), default=0)
    whole = kind.foreach and work.device == "cuda"
    update = gradients if whole else 2 * largest * (kind.bits == 0 and kind.foreach)
    shards = work.devices if work.sharding == "fsdp" else 1

    def share(number: int) -> int:
        return math.ceil(number / shards)

    return Between(
        base=share(base),
        scales=share(scales),
        adapters=0 if work.method == "full" else share(gradients),
        gradients=share(gradients),
        states=share(states),
        paged=share(paged),
        update=share(update),
        loading=loading,
        buffer=loading if work.backend == "unsloth" else 0,
        trained=sum(each.numbers * each.count for each in trained),
    )


def kept_between(work: Work, stack: Stack) -> int | Unknown:
    """Bytes that lie there from step to step, as a measurement finds them: weights, adapters, optimizer states."""
    refusal = _refusal(work)
    kind = optimizer_kind(work.optim)
    if refusal is not None or kind is None:
        return refusal or Unknown(phrase("how the optimizer lies in memory is not known"), phrase("name another one"))
    return _between(work, stack, kind).kept


def _peaks(work: Work, stack: Stack, shape: Shape) -> dict[str, tuple[int, int]]:
    """What each phase adds at its highest, and what of it grows with the layers."""
    return _walked(walk_of(work, stack, replace(shape, layers=0))).at(shape.layers, work.micro_batch)


def walk_of(work: Work, stack: Stack, shape: Shape) -> Walk:
    """What a walk through a step of ``work`` depends on."""
    adapters = None
    if work.method != "full":
        adapters = Adapters(
            r=work.r,
            targets=frozenset(work.target_modules),
            dropout=work.lora_dropout > 0,
            dora=work.method == "dora",
            saved=frozenset(work.modules_to_save),
        )
    by_row, several = is_by_row(work), work.micro_batch > 1
    shared = min(work.shared, work.length - 1) if by_row else 0
    tokens = max(1, work.micro_batch * (work.length - 1 - shared) + shared)
    chunk = chunk_of(tokens, shape.vocabulary) if stack.loss == "fused" else min(stack.chunk, tokens)
    return Walk(
        shape=shape,
        stack=replace(stack, chunk=chunk),
        adapters=adapters,
        length=work.length,
        packed="nf4" if work.quantization == "fp4" else work.quantization,  # one kernel, two tables
        attention=work.attention,
        gpu=work.device == "cuda",
        chunks=min(3, math.ceil(tokens / chunk)),
        several=several and not by_row,
        masked=stack.masked if stack.masked is not None else several and not work.even,
        reach=STRETCH * work.length if work.packing and several and not by_row else work.length,
        by_row=by_row,
        shared=shared,
    )


_walked = lru_cache(maxsize=4096)(walked)


def _told(
    work: Work,
    stack: Stack,
    between: Between,
    peaks: dict[str, tuple[int, int]],
    capability: float,
    *,
    by_term: bool,
) -> Memory:
    gpu = work.device == "cuda"
    kept = between.kept + (between.gradients if stack.gradients_kept else 0)
    extra = _communication(work, between)
    totals = {phase: kept + extra + peak for phase, (peak, _) in peaks.items()}
    totals["optimizer"] = between.kept + between.gradients + extra + between.update
    totals["loading"] = between.base + between.scales + between.loading
    highest = max(totals, key=lambda each: totals[each])
    moment = _MOMENTS[highest]
    workspace = workspaces(capability) if gpu and moment != "loading" else 0
    allocated = totals[highest] + workspace
    step = peaks.get(highest, (0, 0))
    terms = _terms(work, stack, between, moment, step=step, extra=extra, libraries=workspace) if by_term else ()
    return Memory(
        terms=terms,
        allocated=_band(allocated, 0.01, workspace + (8 << 20)),
        reserved=held_back(work, allocated) if gpu else _band(allocated, 0.01, 8 << 20),
        process=context(work, allocated, capability) if gpu else executor(work, allocated),
        host=_host(work, between) if gpu else Amount(0, 0, 0),
        moment=moment,
    )


def _band(amount: int, share: float, constant: int) -> Amount:
    margin = int(amount * share) + constant
    return Amount(amount, max(0, amount - margin), amount + margin)


def _communication(work: Work, between: Between) -> int:
    """What several devices add: DDP's buckets are a copy of all gradients, FSDP has two layers whole at a time.

    Sources: torch/nn/parallel/distributed.py (``gradient_as_bucket_view=False``), torch/distributed/fsdp (one unit in
    use, one fetched ahead).
    """
    if work.devices == 1:
        return 0
    if work.sharding == "fsdp":
        return 2 * between.base * work.devices // max(1, work.architecture.num_hidden_layers)
    return between.gradients if work.sharding == "ddp" else 0


def _terms(
    work: Work, stack: Stack, between: Between, moment: Moment, *, step: tuple[int, int], extra: int, libraries: int
) -> tuple[Term, ...]:
    """The parts at the moment of the peak; they sum to what is allocated."""
    how = (
        phrase("as loaded")
        if work.quantization == "none"
        else phrase(
            "{quantization}, the rest {kept_width} bits",
            quantization=work.quantization,
            kept_width=8 * stack.kept_width,
        )
    )
    two_bits = work.quantization == QUANTIZATION
    terms = [
        Term(
            phrase("weights"),
            between.base,
            phrase("{dtype}, {how}", dtype=work.dtype, how=how),
            "config.json; hqq/core/bitpack.py" if two_bits else "config.json; bitsandbytes/functional.py",
        ),
        Term(
            phrase("scales"),
            between.scales,
            phrase("a scale and a zero of each group") if two_bits else phrase("absolute maxima of the packed blocks"),
            "hqq/core/quantize.py" if two_bits else "QLoRA, 2305.14314, section 3",
        ),
    ]
    if moment == "loading":
        terms.append(
            Term(
                phrase("loading"),
                between.loading,
                phrase("weights before they are packed, and copies of the one at hand")
                if two_bits
                else phrase("the largest tensor before it is packed"),
                "hqq/core/optimize.py" if two_bits else phrase("Transformers' loader"),
            )
        )
    else:
        terms += [
            Term(
                phrase("adapters"),
                between.adapters,
                phrase("r = {r}, {width} bits", r=work.r, width=8 * stack.adapter_width),
                "PEFT, LoraLayer",
            ),
            Term(
                phrase("unpacking"),
                between.buffer,
                phrase("a buffer for one packed weight"),
                "unsloth/kernels/utils.py",
            ),
            Term(
                phrase("optimizer"), between.states, work.optim, "torch/optim/adamw.py; bitsandbytes/optim/optimizer.py"
            ),
            Term(
                phrase("communication"),
                extra,
                phrase("{sharding} over {devices} devices", sharding=work.sharding, devices=work.devices),
                "torch.distributed",
            ),
            Term(
                phrase("libraries"),
                libraries,
                phrase("matrix products' workspace, two threads"),
                "aten/src/ATen/cuda/CUDABlas.cpp",
            ),
        ]
    if moment == "optimizer":
        terms.append(Term(phrase("gradients"), between.gradients, phrase("of every trained weight"), "torch.autograd"))
        terms.append(
            Term(phrase("update"), between.update, phrase("copies while weights are updated"), "torch/optim/adamw.py")
        )
    elif moment != "loading":
        if stack.gradients_kept:
            terms.append(
                Term(
                    phrase("gradients"),
                    between.gradients,
                    phrase("kept from micro-step to micro-step"),
                    "torch.autograd",
                )
            )
        peak, layers = step
        layers = min(layers, peak)
        what = (
            phrase("inputs of the layers")
            if stack.checkpoint != "none"
            else phrase("what layers keep for the way back")
        )
        names = {
            "forward": phrase("layer"),
            "head": phrase("logits and loss"),
            "backward": phrase("layer and gradients"),
        }
        terms += [
            Term(phrase("activations"), layers, what, phrase("a step walked through, operation by operation")),
            Term(names[moment], peak - layers, phrase("at work at the highest moment"), phrase("the same walk")),
        ]
    return tuple(term for term in terms if term.bytes)


def _host(work: Work, between: Between) -> Amount:
    """Main memory beside a GPU: the process itself, states that may leave the GPU, offloaded checkpoints."""
    own = executor(work, 0).bytes + between.paged
    if work.backend == "unsloth" and work.gradient_checkpointing:
        sizes = work.architecture
        own += sizes.num_hidden_layers * work.micro_batch * work.length * sizes.hidden_size * 2
    return Amount(own, int(own * 0.7), int(own * 1.5))
