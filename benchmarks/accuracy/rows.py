"""Published measurements: one JSON object a line, with what was run, on what, and what it took."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from compiler.facts.architecture import Architecture, from_config
from compiler.facts.catalogue import catalogue

GIB = 1 << 30
Metric = Literal["allocated", "reserved", "device"]
_OTHER_NAMES = {
    "llama-2-7b": "Llama-2-7b-hf",
    "llama-3-8b": "Meta-Llama-3-8B",
    "llama-3-8b-instruct": "Meta-Llama-3-8B",
    "llama-3.1-8b-instruct": "Meta-Llama-3.1-8B",
    "mistral-7b": "Mistral-7B-v0.1",
    "zephyr-7b-beta": "Mistral-7B-v0.1",
    "plano-orchestrator-4b": "Qwen3-4B",
    "codegemma-7b": "gemma-7b",
}
"""Models under other names: copies, and models tuned from one, whose sizes are the same."""

_COPIES = ("-unsloth-bnb-4bit", "-bnb-4bit")

_OTHERS: dict[str, Architecture] = {
    "codellama-34b": Architecture("llama", 8192, 48, 64, 8, 128, 22016, 32000, False, 16384),
    "devstral-small-2507": Architecture("mistral", 5120, 40, 32, 8, 128, 32768, 131072, False, 131072),
    "baichuan2-7b-chat": Architecture("llama", 4096, 32, 32, 32, 128, 11008, 125696, False, 4096),
    "baichuan2-13b-chat": Architecture("llama", 5120, 40, 40, 40, 128, 13696, 125696, False, 4096),
    "stablelm-base-alpha-3b": Architecture("gpt_neox", 4096, 16, 32, 32, 128, 16384, 50688, False, 4096, 0.25),
    "falcon-7b": Architecture("phi", 4544, 32, 71, 1, 64, 18176, 65024, False, 2048, 1.0),
}
"""Sizes of published models outside the catalogue, from their config.json, with the family whose layer theirs is in
all that takes memory: a Falcon's of 7B is Phi's, one norm before attention and MLP side by side."""

_TYPES = {"Qwen2.5": "qwen2", "Qwen3": "qwen3", "gemma-2-": "gemma2", "gemma-2b": "gemma", "gemma-7b": "gemma"}


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement. ``amounts`` are bytes by what was measured; ``soft`` says that the length was not fixed."""

    id: str
    source: str
    trust: str
    values: dict[str, Any]
    architecture: Architecture | None
    amounts: dict[Metric, float]
    soft: bool


def read_rows(file: Path) -> list[Row]:
    """The rows of a file that have a peak; architectures from archs.json beside it, or from the row itself."""
    beside = file.with_name("archs.json")
    known = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    rows = []
    for text in file.read_text(encoding="utf-8").splitlines():
        if not text.strip():
            continue
        values = json.loads(text)
        amounts = _amounts(values)
        if not amounts:
            continue
        rows.append(
            Row(
                id=values["id"],
                source=values["source"],
                trust=values["trust"],
                values=values,
                architecture=_architecture(values, known),
                amounts=amounts,
                soft=not str(values.get("seq_len_kind") or "").startswith(("fixed", "packed", "longest", "stated")),
            )
        )
    return rows


def _amounts(values: dict[str, Any]) -> dict[Metric, float]:
    peak, metric = values.get("peak_mem_gib"), str(values.get("peak_mem_metric") or "").lower()
    if not peak or values.get("oom"):
        return {}
    extra = values.get("extra") or {}
    found: dict[Metric, float] = {}
    if "reserved" in metric and "allocated" not in metric:
        found["reserved"] = peak * GIB
    elif "allocated" in metric or "active" in metric or metric.startswith("max_memory"):
        found["allocated"] = peak * GIB
    else:
        found["device"] = peak * GIB
    if extra.get("peak_reserved_mib"):
        found["reserved"] = extra["peak_reserved_mib"] * 2**20
    if extra.get("process_mib"):
        found["device"] = extra["process_mib"] * 2**20
    return found


def _architecture(values: dict[str, Any], known: dict[str, Any]) -> Architecture | None:
    name = values["model"].removesuffix("-Int4")
    found = known.get(name)
    if found is None:
        inner = (values.get("extra") or {}).get("arch")
        if not inner:
            return _by_name(values["model"])
        return Architecture(
            model_type=_type(name),
            hidden_size=inner["hidden_size"],
            num_hidden_layers=inner.get("num_hidden_layers") or inner["num_layers"],
            num_attention_heads=inner.get("num_attention_heads") or inner["num_heads"],
            num_key_value_heads=inner["num_kv_heads"],
            head_dim=inner["head_dim"],
            intermediate_size=inner["intermediate_size"],
            vocab_size=inner["vocab_size"],
            tie_word_embeddings=bool(inner["tie_word_embeddings"]),
            max_position_embeddings=0,
        )
    return Architecture(
        model_type=_type(name),
        hidden_size=found["h"],
        num_hidden_layers=found["L"],
        num_attention_heads=found["nh"],
        num_key_value_heads=found["kv"],
        head_dim=found["hd"],
        intermediate_size=found["ff"],
        vocab_size=found["V"],
        tie_word_embeddings=found["tie"],
        max_position_embeddings=0,
    )


def _by_name(name: str) -> Architecture | None:
    """The sizes of a model that the catalogue has under this name or another."""
    bare = name.rpartition("/")[2].lower()
    for copy in _COPIES:
        bare = bare.removesuffix(copy)
    if bare in _OTHERS:
        return _OTHERS[bare]
    bare = _OTHER_NAMES.get(bare, bare).lower()
    found = next((entry for key, entry in catalogue().items() if key.rpartition("/")[2] == bare), None)
    return from_config(found.config) if found else None


def _type(name: str) -> str:
    """The family; those whose layers are a Llama's in all that takes memory count as one."""
    bare = name.rpartition("/")[2]
    return next((family for beginning, family in _TYPES.items() if bare.startswith(beginning)), "llama")
