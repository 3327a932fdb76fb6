"""A language model from its files and nothing else: what they lack, Transformers would fill with random numbers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase

OF_FILES = ("trust_remote_code", "use_safetensors", "weights_only")
"""Arguments of ``from_pretrained`` that say which files are read, and what of them."""

_BOTH = phrase("its weights and its description belong to different models: download both again from the same page")


def load_causal_lm(name: str, folder: Path, **kwargs: Any) -> Any:
    """``AutoModelForCausalLM.from_pretrained(folder)``. Raises Refusal (X009) unless every weight came from its files.

    ``name`` is what the model is called in that refusal. A head that is tied to the embedding needs no weight of
    its own, and buffers are computed, so neither is missed.
    """
    from transformers import AutoModelForCausalLM

    # Without ignore_mismatched_sizes, Transformers stops at the first pass with a text that names no weight.
    model, report = AutoModelForCausalLM.from_pretrained(
        folder, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs
    )
    parameters = {name for name, _ in model.named_parameters()}
    refuse_invented(
        name,
        missing=parameters & set(report["missing_keys"]),
        mismatched={name: (tuple(there), tuple(wanted)) for name, there, wanted in report["mismatched_keys"]},
    )
    return model


def refuse_incomplete(name: str, folder: Path, **kwargs: Any) -> None:
    """Raise Refusal (X009) as ``load_causal_lm`` does, without reading the weights: on PyTorch's meta device."""
    load_causal_lm(name, folder, device_map="meta", **kwargs)


def read_tensors(file: Path) -> dict[str, Any]:
    """The tensors of a file of safetensors or of ``torch.save``, by their names.

    Of a pickle nothing but plain tensors is ever taken, and they are read as they are looked at (mmap).
    """
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(file))
    import torch

    return dict(torch.load(file, map_location="cpu", weights_only=True, mmap=True))


def refuse_invented(
    name: str, *, missing: Collection[str], mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
) -> None:
    """Raise Refusal (X009) for weights that the files of ``name`` lack or hold in another shape."""
    if mismatched:
        first = min(mismatched)
        there, wanted = (" x ".join(map(str, shape)) for shape in mismatched[first])
        message = phrase(
            "{first} is {there} in the weights, and {wanted} by its description",
            first=first,
            there=there,
            wanted=wanted,
        )
        raise Refusal(
            Diagnostic(
                "X009",
                phrase("{name}: {message}{more}", name=name, message=message, more=_more(len(mismatched))),
                help=_BOTH,
            )
        )
    if missing:
        message = phrase(
            "the weights of {missing}{more} are in none of its files", missing=min(missing), more=_more(len(missing))
        )
        help_text = phrase("{both}; training on would start from random numbers", both=_BOTH)
        raise Refusal(Diagnostic("X009", phrase("{name}: {message}", name=name, message=message), help=help_text))


def refuse_not_finite(name: str, model: Any) -> None:
    """Raise Refusal (X015) when a weight of ``model`` holds NaN or an infinity: every loss would be one too.

    Looked at where the weights lie, in one pass.
    """
    for path, parameter in model.named_parameters():
        numbers = _telling(parameter)
        if not numbers.is_floating_point() or bool(numbers.isfinite().all()):
            continue
        message = phrase("{name}: {path} holds numbers that are none (NaN or infinite)", name=name, path=path)
        help_text = phrase("the weights were damaged, or trained until they overflowed: take them from their publisher")
        raise Refusal(Diagnostic("X015", message, path=("model", "id"), help=help_text))


def _telling(parameter: Any) -> Any:
    """The numbers in which a NaN or an infinity of a weight is still one.

    bitsandbytes makes the scale of a block (4 bits) or row (8 bits) from its largest number. Scales that are stored in
    8 bits themselves are told apart from their mean, which then is no number.
    """
    state = getattr(parameter, "quant_state", None)
    if state is not None:
        return state.offset if state.nested else state.absmax
    scales = getattr(parameter, "SCB", None)
    return parameter if scales is None else scales


def _more(count: int) -> str:
    return phrase(" (and {count} more)", count=count - 1) if count > 1 else ""
