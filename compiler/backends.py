"""The choice between PEFT and Unsloth: a table of rules, each of which names what stands against Unsloth.

PEFT with Transformers runs whatever the language can say; Unsloth is faster on a GPU where nothing of the table stands
against it. On a CPU it took less time and more memory, and PEFT is what is best known there. A recipe that asks for
Unsloth by name and for what it cannot do is told so (R118).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from compiler.decide import Decision
from compiler.facts import unsloth
from compiler.facts.architecture import Architecture
from compiler.facts.families import HEADS
from compiler.facts.machine import Target
from compiler.language.recipe import Recipe
from compiler.phrases import phrase
from compiler.plan import Rejected

STARTS = frozenset({"default", "gaussian"})
"""Starts of an adapter that Unsloth takes on a GPU as PEFT does (FastLanguageModel.get_peft_model)."""

NOT_ON_CPU = ("8bit", "paged", "bnb")
"""Parts of the names of optimizers that Unsloth's CPU backend replaces by another (unsloth_zoo/cpu/trainer.py)."""


class Job(Struct, frozen=True):
    """What the rules look at: the recipe, the machine, the model's family, and what has been decided so far."""

    recipe: Recipe
    target: Target
    architecture: Architecture | None
    method: str
    quantization: str


Rule = Callable[[Job], str | None]
"""What stands against Unsloth, in words, or None."""


def _not_here(job: Job) -> str | None:
    missing = unsloth.untested()
    return missing[0] if missing else None


def _ruled_out(job: Job) -> str | None:
    for name, (version, allowed) in unsloth.ruled_out().items():
        return phrase(
            "{name} {version} is installed, and Unsloth allows {allowed}", name=name, version=version, allowed=allowed
        )
    return None


def _method(job: Job) -> str | None:
    if job.method == "adalora":
        return phrase("it puts plain LoRA adapters on a model, and no AdaLoRA")
    if job.target.device == "cuda" and job.method == "dora":
        return phrase("its kernels compute plain LoRA, and no DoRA")
    return None


def _storage(job: Job) -> str | None:
    if job.quantization == "fp4":
        return phrase("it stores 4-bit weights as nf4 only")
    if job.quantization == "nf4" and not job.recipe.model.bnb_4bit_use_double_quant:
        return phrase("it always quantises the quantisation constants of 4-bit weights too")
    if job.quantization == "int8" and job.target.device == "cpu":
        return phrase("on a CPU it loads 16-bit weights where 8 bits are asked for")
    if job.quantization == "hqq-2bit":
        return phrase("it does not store weights in 2 bits")
    return None


def _start(job: Job) -> str | None:
    start = job.recipe.adapter.init_lora_weights
    if start == "loftq" or (job.target.device == "cuda" and start not in STARTS):
        return phrase("it does not take the start {start!r} as PEFT does", start=start)
    return None


def _family(job: Job) -> str | None:
    if job.architecture is None:
        return phrase("the model's family is known to its own code only")
    if job.architecture.model_type not in unsloth.families(job.target.device):
        return phrase(
            "it has no code of its own for {model_type} on a {device}",
            model_type=job.architecture.model_type,
            device=_device(job),
        )
    return None


def _devices(job: Job) -> str | None:
    return phrase("it trains on one GPU") if job.target.gpu_count > 1 else None


def _own_code(job: Job) -> str | None:
    return (
        phrase("it patches known model code, and this model brings its own")
        if job.recipe.model.trust_remote_code
        else None
    )


def _optimizer(job: Job) -> str | None:
    optim = job.recipe.training.optim
    if job.target.device == "cpu" and any(part in optim for part in NOT_ON_CPU):
        return phrase("on a CPU it trains with AdamW where {optim} is asked for", optim=optim)
    return None


def _float16(job: Job) -> str | None:
    if job.target.device == "cpu" and job.recipe.model.dtype == "float16":
        return phrase("on a CPU it computes in another type where float16 is asked for")
    return None


def _packing(job: Job) -> str | None:
    if job.recipe.training.packing is True and job.target.device == "cuda":
        return phrase("whether its attention keeps packed examples apart has not been tested on a GPU")
    return None


def _loss(job: Job) -> str | None:
    adapter, training = job.recipe.adapter, job.recipe.training
    named = [*adapter.modules_to_save, *([] if isinstance(adapter.target_modules, str) else adapter.target_modules)]
    if any(name.rpartition(".")[2] in HEADS for name in named):
        return phrase("it trains the head and the embedding in its own way")
    if "loss_type" in training.sft:
        return phrase("it computes the loss itself")
    return None


RULES: dict[str, Rule] = {
    "B10": _not_here,
    "B11": _ruled_out,
    "B12": _method,
    "B13": _storage,
    "B14": _start,
    "B15": _family,
    "B16": _devices,
    "B17": _own_code,
    "B18": _optimizer,
    "B19": _float16,
    "B20": _packing,
    "B21": _loss,
}
"""By the code that a plan names (``codes/rules.toml``)."""

IMPOSSIBLE = frozenset({"B12", "B13", "B14", "B16", "B18", "B19", "B20", "B21"})
"""Rules that hold for a recipe which asks for Unsloth by name too; the others only decide where nobody asks."""


def against_unsloth(job: Job) -> list[Rejected]:
    """Everything that stands against Unsloth, each with its rule; empty when nothing does."""
    found = ((code, rule(job)) for code, rule in RULES.items())
    return [Rejected(value="unsloth", code=code, reason=reason) for code, reason in found if reason is not None]


def backend(job: Job) -> Decision:
    """Unsloth where it can do all that the recipe says and has code of its own for the model; PEFT elsewhere."""
    reasons = against_unsloth(job)
    if reasons:
        return Decision(
            "peft",
            "B01",
            phrase("Transformers with PEFT; Unsloth is ruled out: {reason}", reason=reasons[0].reason),
            reasons,
        )
    if job.target.device == "cpu":
        why = phrase("13 to 29 % fewer tokens a second on rows of like length, and more memory")
        dearer = Rejected(value="unsloth", code="B03", reason=why)
        return Decision("peft", "B02", phrase("it runs every method on a CPU, in less time and memory"), [dearer])
    slower = Rejected(value="peft", code="B05", reason=phrase("the same numbers in more time"))
    return Decision(
        "unsloth", "B04", phrase("its kernels take less time and memory for this family on one GPU"), [slower]
    )


def _device(job: Job) -> str:
    return "CPU" if job.target.device == "cpu" else "GPU"
