"""Which stack a recipe's work runs on, by backend and by the versions of its packages."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from compiler.estimate import unsloth
from compiler.estimate.stack import Loss, Stack
from compiler.estimate.work import BITSANDBYTES, Work
from compiler.facts.packages import tested_set

WIDTH = {"bfloat16": 2, "float16": 2, "float32": 4}


def version(work: Work, package: str) -> tuple[int, ...]:
    """The version of a package as numbers; that of the tested set when the work does not say."""
    return _numbers(dict(work.versions).get(package) or tested_set().get(package, "0"))


@lru_cache(maxsize=64)
def _numbers(text: str) -> tuple[int, ...]:
    """Kept: a search asks for the same few of each of its candidates."""
    parts = []
    for part in text.split("."):
        digits = "".join(character for character in part if character.isdigit())
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts)


def stack_of(work: Work) -> Stack:
    """The stack of a recipe's own run.

    TRL trains under autocast when the model is in 16 bits, keeps adapters on a plain base in float32 (PEFT's
    ``autocast_adapter_dtype``) and casts those on a quantised base to bfloat16 (sft_trainer.py, since 0.26); before, it
    called ``prepare_model_for_kbit_training``, which made whatever is not quantised float32.
    """
    width = WIDTH[work.dtype]
    packed = work.quantization in BITSANDBYTES  # 2 bits are PEFT's affair alone, which leaves all else as it is
    old = version(work, "trl") < (0, 26)
    upcast = packed and old and work.backend == "peft"
    adapter = 2 if packed and not upcast else 4
    if work.backend == "unsloth":
        adapter = 4
    own = work.backend == "unsloth" and work.device == "cuda"
    plain = plain_lora(work.backend, work.method, packed=packed)
    left = plain and width == 2
    return Stack(
        base_width=width,
        kept_width=4 if upcast else width,
        adapter_width=adapter,
        autocast=2 if width == 2 else 0,
        loss=_loss(work),
        chunk=4096 if _loss(work) == "tiled" else 256,
        outputs_in_float=width == 2,
        gradients_kept=work.accumulation > 1,
        checkpoint=_checkpoint(work),
        input_gradients=work.gradient_checkpointing and work.method != "full",
        casts_inputs=not left,
        sums_in_place=plain and work.device == "cpu",
        own_layer=unsloth.layer if own else None,
        own_loss=unsloth.loss if own else None,
    )


def plain_lora(backend: str, method: str, *, packed: bool) -> bool:
    """LoRA by PEFT on a base that is not bitsandbytes': where adapters are computed in another way than PEFT's.

    Under autocast what they read is left to it (``runtime.training``): PEFT makes it float32, and autocast 16 bits
    again, the same numbers and a copy that each adapter keeps. It spares them itself where bitsandbytes' layers run on
    a GPU; DoRA and AdaLoRA compute in float32 for real. On a CPU they add in place (``runtime.in_place``).
    """
    return backend == "peft" and method == "lora" and not packed


def _loss(work: Work) -> Loss:
    """TRL 1.16 tiles the head and never has logits; "chunked_nll" is there since 1.7; else they are whole.

    On a CPU ``runtime.learnt_loss`` computes the chunks, but of a head that is trained itself. Beside an adapter such a
    head asks for whole logits, and PEFT trains a copy of an embedding, which is not the head's then.
    """
    if work.backend == "unsloth" and work.device == "cuda":
        return "fused"
    if work.loss_type != "chunked_nll" or version(work, "trl") < (1, 7):
        return "trl-whole"
    if work.device == "cpu":
        return "chunked" if work.method == "full" else "learnt"
    return "chunked" if version(work, "trl") < (1, 16) else "tiled"


def _checkpoint(work: Work) -> Literal["none", "layer", "offload"]:
    if not work.gradient_checkpointing:
        return "none"
    return "offload" if work.backend == "unsloth" and work.device == "cuda" else "layer"
