"""What a recipe asks for that the walk through a step does not know: told in words, and never left out in silence."""

from __future__ import annotations

from compiler.estimate.result import Unknown
from compiler.facts.gpus import BF16_SINCE, catalogue
from compiler.facts.machine import Target
from compiler.facts.models import ModelFacts
from compiler.facts.parameters import Weight
from compiler.language.recipe import Recipe
from compiler.phrases import phrase
from compiler.trainable import EXPERTS, ONCE_LINEAR, SHAPELESS

SFT = frozenset(
    {
        *("activation_offloading", "auto_find_batch_size", "deepspeed", "fsdp", "fsdp_config", "optim_target_modules"),
        *("padding_free", "parallelism_config", "torch_compile", "torch_compile_backend", "torch_compile_mode"),
        *("use_liger_kernel", "liger_kernel_config"),
    }
)
"""TRL's and Transformers' arguments that change what lies in memory in a step."""

LOSSES = frozenset({"nll", "chunked_nll"})

HEADS = frozenset({"lm_head", "embed_tokens"})
"""Trained whole beside an adapter, they are counted; a tied head is no weight of its own."""

_GELU = frozenset({"gelu", "gelu_pytorch_tanh"})
"""One operation each."""

_SILU = frozenset({"silu", "swish"})

ACTIVATIONS = {
    **dict.fromkeys(["gemma", "gemma2", "gemma3", "gemma3_text", "gpt_neox", "starcoder2"], _GELU),
    "phi": frozenset({"gelu_new"}),
}
"""What is walked of a family; Llama's for all others."""

UNSLOTH = frozenset(
    {
        *("llama", "mistral", "ministral", "qwen2", "qwen3", "smollm3", "granite"),
        *("gemma", "gemma2", "gemma3", "gemma3_text"),
    }
)
"""Families whose layer, as Unsloth has it, is walked: the others' matrices are not those of its fast layers."""


def not_walked(
    recipe: Recipe,
    facts: ModelFacts,
    weights: tuple[Weight, ...],
    targets: tuple[str, ...],
    *,
    backend: str,
    target: Target,
) -> Unknown | None:
    """The first thing that would make an estimate wrong; None where all that the recipe asks for is walked."""
    for reason in (
        facts.odd or None,
        _activation(facts),
        _dropout(facts, recipe, target.device),
        *(() if recipe.adapter.method == "full" else (_adapter(recipe, facts, weights, targets),)),
        _training(recipe),
        _unsloth(facts, backend),
    ):
        if reason is not None:
            return Unknown(reason, phrase("trace it: recipe check --trace"))
    cannot = _card(recipe, target)
    return Unknown(cannot, phrase("leave dtype and attn_implementation to the compiler")) if cannot else None


def _activation(facts: ModelFacts) -> str | None:
    family = facts.architecture.model_type if facts.architecture else ""
    if not facts.activation or facts.activation in ACTIVATIONS.get(family, _SILU):
        return None
    return phrase("what {family} keeps with {activation} is not known", family=family, activation=facts.activation)


def _dropout(facts: ModelFacts, recipe: Recipe, device: str) -> str | None:
    """A GPU's kernels drop scores as they make them; elsewhere they are there, with what was dropped."""
    if facts.attention_dropout and (device == "cpu" or recipe.model.attn_implementation == "eager"):
        return phrase("what dropout in attention keeps is not known (attention_dropout in config.json)")
    return None


def _adapter(recipe: Recipe, facts: ModelFacts, weights: tuple[Weight, ...], targets: tuple[str, ...]) -> str | None:
    for name, value in recipe.adapter.peft.items():
        if value and name not in SHAPELESS:
            return phrase("what [adapter.peft] {name} takes is not known", name=name)
    modules = {weight.module for weight in weights} | HEADS
    for name in recipe.adapter.modules_to_save:
        if name.rpartition(".")[2] not in modules:
            return phrase("what {name} takes, trained whole, is not known", name=name)
    family = facts.architecture.model_type if facts.architecture else ""
    experts = sorted({*targets} & ONCE_LINEAR) if family in EXPERTS else []
    if experts and any(weight.role == "expert" for weight in weights):
        return phrase("what adapters on stacks of experts take is not known ({names})", names=", ".join(experts))
    return None


def _training(recipe: Recipe) -> str | None:
    for name, value in recipe.training.sft.items():
        if value and name in SFT:
            return phrase("what [training.sft] {name} takes is not known", name=name)
    loss = recipe.training.sft.get("loss_type", "nll")
    return None if loss in LOSSES else phrase("what the loss {loss} takes is not known", loss=str(loss)[:40])


def _unsloth(facts: ModelFacts, backend: str) -> str | None:
    family = facts.architecture.model_type if facts.architecture else ""
    if backend != "unsloth" or family in UNSLOTH:
        return None
    return phrase("what Unsloth makes of {family} is not known", family=family)


def _card(recipe: Recipe, target: Target) -> str | None:
    """What a card of the catalogue cannot compute, whatever its memory (FlashAttention 2 is for Ampere and later)."""
    card = catalogue().get(target.gpu) if target.device == "cuda" else None
    model = recipe.model
    flash = model.attn_implementation == "flash_attention_2"
    if flash and model.dtype == "float32":
        return phrase("FlashAttention 2 computes in 16 bits, and dtype is float32")
    if card is None or card.compute_capability >= BF16_SINCE:
        return None
    if model.dtype == "bfloat16":
        return phrase("{gpu} has no bfloat16 (compute capability below 8.0)", gpu=card.name)
    return (
        phrase("FlashAttention 2 does not run on {gpu} (compute capability below 8.0)", gpu=card.name)
        if flash
        else None
    )
