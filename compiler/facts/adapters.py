"""A saved adapter as PEFT writes it: what its adapter_config.json says, the shapes of its tensors, what made it.

Read without torch: the description is JSON, and of the weights only the header is looked at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from compiler.facts.weight_files import (
    ModelFault,
    Shapes,
    only_pickled,
    read_json_object,
    read_pickled_shapes,
    read_shapes,
)
from compiler.phrases import phrase

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLE = "adapter_model.bin"
MADE = "recipec.json"

OTHER_KINDS = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "use_bdlora",
    "velora_config",
)
"""Arguments of PEFT's LoraConfig that make another adapter of it than recipes have."""

_LAYER = re.compile(r"\.(\d+)\.")


class Base(Struct, frozen=True):
    """The model that an adapter was made on. ``files`` are hashes and sizes in bytes by name; none for a hub model."""

    id: str
    kind: str
    revision: str | None
    model_type: str | None
    files: Mapping[str, tuple[str, int]]


class Adapter(Struct, frozen=True):
    """A LoRA or DoRA adapter. ``base`` and ``plan_sha256`` are None where nothing says what made it."""

    folder: Path
    config: Mapping[str, Any]
    shapes: Shapes
    base: Base | None
    plan_sha256: str | None
    pickled: bool = False
    """Whether the weights are a file of ``torch.save``."""

    @property
    def weights(self) -> Path:
        """The file with the adapter's tensors."""
        return self.folder / (PICKLE if self.pickled else WEIGHTS)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that decide what is loaded."""
        return self.folder / CONFIG, self.weights

    @property
    def layers(self) -> int:
        """One more than the highest layer that has an adapter; 0 when none is numbered."""
        numbers = [int(found[1]) for name in self.shapes if (found := _LAYER.search(name)) is not None]
        return max(numbers, default=-1) + 1

    def matrices(self) -> dict[str, tuple[int, int]]:
        """Outputs and inputs of each layer with an adapter, by the layer's path in the model."""
        found: dict[str, tuple[int, int]] = {}
        for name, shape in self.shapes.items():
            layer, _, rest = name.partition(".lora_A.")
            other = self.shapes.get(f"{layer}.lora_B.{rest}")
            if rest and other is not None and len(shape) == len(other) == 2:
                found[layer.removeprefix("base_model.model.")] = (other[0], shape[1])
        return found


def read_adapter(folder: Path, name: str, *, allow_pickle: bool) -> Adapter:
    """The adapter in a folder, called ``name``. Raises ModelFault (M004, M006, M007, M050, M101), and OSError.

    Without safetensors, a file of ``torch.save`` is taken where the command line allows it; nothing of it is run.
    """
    if not (folder / CONFIG).is_file():
        message = phrase("{name} holds no {file}, which every adapter of PEFT has", name=name, file=CONFIG)
        raise ModelFault("M101", message, phrase("name the folder of a run, or that of its adapter"))
    config = read_json_object(folder / CONFIG)
    _check(config, name)
    pickled = not (folder / WEIGHTS).is_file() and (folder / PICKLE).is_file()
    if pickled and not allow_pickle:
        raise only_pickled(
            name, PICKLE, phrase("PeftModel.from_pretrained(BASE, FOLDER).save_pretrained(FOLDER) of PEFT")
        )
    if not pickled and not (folder / WEIGHTS).is_file():
        message = phrase("{name} has no {file}", name=name, file=WEIGHTS)
        raise ModelFault("M101", message, phrase("copy it from where the adapter was trained"))
    shapes = read_pickled_shapes(folder / PICKLE) if pickled else read_shapes(folder / WEIGHTS)
    made = read_json_object(folder / MADE) if (folder / MADE).is_file() else {}
    base, plan = made.get("base"), made.get("plan_sha256")
    told = _base(base) if isinstance(base, dict) else None
    return Adapter(folder, config, shapes, told, plan if isinstance(plan, str) else None, pickled)


def _check(config: Mapping[str, Any], name: str) -> None:
    """Raise ModelFault (M101) for what is no LoRA adapter that can be trained on."""
    kind = str(config.get("peft_type"))
    if kind == "ADALORA":
        message = phrase(
            "{name} is an AdaLoRA adapter: its ranks were given out over its own run, and cannot be again", name=name
        )
        raise ModelFault("M101", message, phrase("go on from a LoRA or DoRA adapter"))
    if kind != "LORA":
        message = phrase("{name} is an adapter of the kind {kind}", name=name, kind=kind[:40])
        raise ModelFault("M101", message, phrase("go on from a LoRA or DoRA adapter"))
    other = next((key for key in OTHER_KINDS if config.get(key)), None)
    if other is not None:
        message = phrase("{name} uses {argument}, which recipes do not have", name=name, argument=other)
        raise ModelFault("M101", message, phrase("go on from another adapter"))
    rank, alpha, modules = config.get("r"), config.get("lora_alpha"), config.get("target_modules")
    whole = type(rank) is int and rank > 0
    number = isinstance(alpha, int | float) and not isinstance(alpha, bool) and math.isfinite(alpha) and alpha > 0
    named = isinstance(modules, list) and modules and all(isinstance(module, str) and module for module in modules)
    if not (whole and number and (named or (isinstance(modules, str) and modules))):
        what = "r" if not whole else "lora_alpha" if not number else "target_modules"
        said = str(config.get(what))[:40]
        message = phrase("{file} of {name} says {what} = {said!r}", file=CONFIG, name=name, what=what, said=said)
        raise ModelFault("M004", message, phrase("copy the adapter again"))


def _base(told: Mapping[str, Any]) -> Base | None:
    """The base that recipec.json names, None where it is not as it is written."""
    name, kind, revision, model_type = (told.get(key) for key in ("id", "kind", "revision", "model_type"))
    files = told.get("files")
    if not isinstance(name, str) or not isinstance(kind, str) or not isinstance(files, list):
        return None
    known = {
        file["path"]: (file["sha256"], file["bytes"])
        for file in files
        if isinstance(file, dict) and {"path", "sha256", "bytes"} <= file.keys()
    }
    return Base(
        name,
        kind,
        revision if isinstance(revision, str) else None,
        model_type if isinstance(model_type, str) else None,
        known,
    )
