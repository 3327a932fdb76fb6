"""LoftQ (2310.08659): an adapter that begins as the best low-rank part of what 4 bits have lost of the base.

One pass of the paper's alternation: the stored base Q stays as bitsandbytes made it, so that whoever loads it in
4 bits has the very base that was trained on, and the adapter begins as the truncated SVD of W - Q. PEFT has the same
(``replace_lora_weights_loftq``), but on GPUs only, and leaves the adapter's scale out of account: it would multiply
the start by lora_alpha / r.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bitsandbytes
import torch
from safetensors import safe_open

from compiler.diagnostics import Diagnostic, Refusal
from compiler.facts.weight_files import find_weights
from compiler.phrases import phrase
from runtime.loading import read_tensors
from runtime.stored_weights import dequantised

WHOLE = 1024
"""Rows or columns up to which a matrix gets a full SVD; a larger one gets a randomised one, in seconds."""


@torch.no_grad()
def start_with_loftq(model: Any, folder: Path, *, pickled: bool) -> None:
    """Set every adapter on a 4-bit layer of a PeftModel to the best approximation of W - Q, and leave the rest.

    ``folder`` holds the weights as published. Raises Refusal (X009) when one of them is not there.
    """
    published = _Published(folder, model.get_base_model().base_model_prefix, pickled=pickled)
    for name, layer in model.get_base_model().named_modules():
        stored = getattr(layer, "base_layer", None)
        if not isinstance(stored, bitsandbytes.nn.Linear4bit):
            continue
        kept = dequantised(stored)
        lost = published.weight(name).to(kept) - kept
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        up, values, down = _leading(lost, a.shape[0])
        root = values.sqrt()
        b.copy_(up * root / layer.scaling["default"])
        a.copy_(root[:, None] * down)


def _leading(matrix: torch.Tensor, r: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The r largest singular values (zeros beyond the last), left vectors as columns, right ones as rows."""
    if min(matrix.shape) <= WHOLE:
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    else:
        u, s, v = torch.svd_lowrank(matrix, q=min(r + 16, *matrix.shape), niter=8)
        vh = v.T
    missing = max(0, r - len(s))
    pad = torch.nn.functional.pad
    return pad(u[:, :r], (0, missing)), pad(s[:r], (0, missing)), pad(vh[:r], (0, 0, 0, missing))


class _Published:
    """The weights in a folder, by the names of the modules that they belong to."""

    def __init__(self, folder: Path, prefix: str, *, pickled: bool) -> None:
        self._prefix = f"{prefix}."
        self._files: dict[str, Path] = {}
        self._mapped: dict[str, torch.Tensor] = {}  # of pickles, which are read as they are looked at
        if pickled:
            for file in find_weights(folder.name, folder, allow_pickle=True).files:
                if file.suffix != ".json":
                    self._mapped |= read_tensors(file)
            return
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, framework="pt") as opened:
                self._files |= dict.fromkeys(opened.keys(), file)

    def weight(self, module: str) -> torch.Tensor:
        """A module's weight; some files leave out the prefix that the class puts before every name."""
        for name in (f"{module}.weight", f"{module}.weight".removeprefix(self._prefix)):
            if name in self._mapped:
                return self._mapped[name]
            if name in self._files:
                with safe_open(self._files[name], framework="pt") as opened:
                    tensor: torch.Tensor = opened.get_tensor(name)
                    return tensor
        message = phrase("LoftQ looks at the weights as published, and {name} is in none of the files", name=module)
        help_text = phrase('write init_lora_weights = "default" in [adapter], or remove it')
        raise Refusal(Diagnostic("X009", message, path=("adapter", "init_lora_weights"), help=help_text))
