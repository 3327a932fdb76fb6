"""What a recipe asks for that the walk through a step does not know: told in words, and never left out in silence."""

from __future__ import annotations

from compiler.estimate.result import Unknown
from compiler.facts.gpus import BF16_SINCE, catalogue
from compiler.facts.machine import Target
from compiler.facts.models import ModelFacts
from compiler.language.recipe import Recipe
from compiler.phrases import phrase
from compiler.trainable import SHAPELESS

SFT = frozenset(
    {
        *("activation_offloading", "auto_find_batch_size", "deepspeed", "fsdp", "fsdp_config", "optim_target_modules"),
        *("padding_free", "parallelism_config", "torch_compile", "torch_compile_backend", "torch_compile_mode"),
        *("use_liger_kernel", "liger_kernel_config"),
    }
)
"""TRL's and Transformers' arguments that change what lies in memory in a step."""

LOSSES = frozenset({"nll", "chunked_nll"})

_GELU = frozenset({"gelu", "gelu_pytorch_tanh"})
"""One operation each."""

_SILU = frozenset({"silu", "swish"})

ACTIVATIONS = {
    **dict.fromkeys(["gemma", "gemma2", "gemma3", "gemma3_text", "gpt_neox", "starcoder2"], _GELU),
    "phi": frozenset({"gelu_new"}),
}
"""What is walked of a family; Llama's for all others."""


def not_walked(recipe: Recipe, facts: ModelFacts, target: Target) -> Unknown | None:
    """The first thing that would make an estimate wrong; None where all that the recipe asks for is walked.

    What a work alone tells (adapters on experts, Unsloth's other families) ``memory`` refuses itself.
    """
    for reason in (
        facts.odd or None,
        _activation(facts),
        _dropout(facts, recipe, target.device),
        _adapter(recipe),
        _training(recipe),
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


def _adapter(recipe: Recipe) -> str | None:
    given = {} if recipe.adapter.method == "full" else recipe.adapter.peft
    name = next((name for name, value in given.items() if value and name not in SHAPELESS), None)
    return phrase("what [adapter.peft] {name} takes is not known", name=name) if name else None


def _training(recipe: Recipe) -> str | None:
    for name, value in recipe.training.sft.items():
        if value and name in SFT:
            return phrase("what [training.sft] {name} takes is not known", name=name)
    loss = recipe.training.sft.get("loss_type", "nll")
    return None if loss in LOSSES else phrase("what the loss {loss} takes is not known", loss=str(loss)[:40])


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
