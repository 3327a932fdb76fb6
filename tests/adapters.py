"""Adapters as PEFT saves them, written without it: a description, and a safetensors file of zeros."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

SMOL = {"q_proj": (576, 576), "v_proj": (192, 576)}
"""Outputs and inputs of two layers of SmolLM2-135M."""


def write_adapter(
    folder: Path, *, layers: int = 30, modules: dict[str, tuple[int, int]] | None = None, **config: Any
) -> Path:
    """A LoRA adapter with r = 4 on ``modules`` of each layer; ``config`` are arguments of LoraConfig."""
    folder.mkdir(parents=True, exist_ok=True)
    modules, rank = modules or SMOL, config.get("r", 4)
    paths = [f"model.layers.{number}.self_attn.{name}" for number in range(layers) for name in modules]
    said = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": paths, "init_lora_weights": True}
    (folder / "adapter_config.json").write_text(json.dumps({**said, **config}), encoding="utf-8")
    entries: dict[str, Any] = {}
    end = 0
    for path in paths:
        outputs, inputs = modules[path.rpartition(".")[2]]
        for side, shape in (("A", (rank, inputs)), ("B", (outputs, rank))):
            begin, end = end, end + math.prod(shape)
            name = f"base_model.model.{path}.lora_{side}.weight"
            entries[name] = {"dtype": "U8", "shape": list(shape), "data_offsets": [begin, end]}
    header = json.dumps(entries).encode()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(end))
    return folder
