"""What a tuned model says of itself in its own files: the plan, the base and the rows that made it, and how good it is.

``recipec.json`` is for programs, ``README.md`` is the model card that the hub and PEFT know, and the adapter's
safetensors file names plan and base in its header, which stays with the weights wherever they are copied.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from compiler.facts.hub_data import HUB
from compiler.facts.packages import own_version
from compiler.plan import Plan
from runtime.journal import writable
from runtime.outcome import begun, comparison
from runtime.run_folder import RunFolder
from runtime.state import Story

MADE = "recipec.json"
"""The file for programs; ``compiler.facts.adapters`` reads it."""

VERSION = 1
CARD = "README.md"
WEIGHTS = "adapter_model.safetensors"
COPIED = 1 << 20
"""Bytes that are copied at once."""

METHODS = {"lora": "LoRA", "qlora": "QLoRA", "dora": "DoRA", "adalora": "AdaLoRA", "full": "full fine-tuning"}
DATA_ROLES = frozenset({"data", "held-out", "replay"})


def made(plan: Plan, run: RunFolder, story: Story) -> dict[str, Any]:
    """What ``recipec.json`` holds (docs/run-folder.md)."""
    compared, start = comparison(story), begun(plan, story)
    replayed = plan.start.replay_files if plan.start is not None else []
    return {
        "version": VERSION,
        "recipec": own_version(),
        "plan_sha256": plan.sha256(),
        "run": run.id,
        "name": plan.name,
        "title": plan.title,
        "base": {
            "id": plan.model.id,
            "kind": plan.model.kind,
            "revision": plan.model.revision,
            "model_type": (plan.model.architecture or {}).get("model_type"),
            "tokenizer_sha256": plan.model.tokenizer_sha256,
            "files": [file.model_dump(exclude={"role"}) for file in plan.model.files],
        },
        "start": start.as_json() if start is not None else None,
        "backend": plan.backend,
        "method": plan.method,
        "data": {
            "files": [file.model_dump() for file in (*plan.inputs, *replayed) if file.role in DATA_ROLES],
            "tokens_sha256": plan.data.tokens_sha256,
            "train_rows": plan.data.train_rows,
            "held_out_rows": plan.data.held_out_rows,
            "train_tokens": plan.data.train_tokens,
        },
        "recipe_sha256": next((file.sha256 for file in plan.inputs if file.role == "recipe"), None),
        "steps": story.step,
        "seed": plan.seed,
        "metrics": {"held_out": compared.as_json() if compared is not None else None},
        "packages": plan.packages,
    }


def leave(folder: Path, plan: Plan, run: RunFolder, story: Story) -> None:
    """Write all of it into the folder of a tuned model that was just saved. Raises OSError."""
    told = writable(made(plan, run, story))
    (folder / MADE).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / CARD).write_text(card(plan, told), encoding="utf-8")
    if (folder / WEIGHTS).is_file():
        base = plan.model
        note = {
            "recipec": told["recipec"],
            "recipec_plan_sha256": told["plan_sha256"],
            "recipec_base": base.id if base.revision is None else f"{base.id}@{base.revision}",
            "recipec_tokens_sha256": plan.data.tokens_sha256,
        }
        annotate(folder / WEIGHTS, note)


def annotate(file: Path, note: dict[str, str]) -> None:
    """Add texts to the metadata of a safetensors file; its tensors stay byte for byte. Raises OSError or ValueError.

    The format: 8 bytes with the header's length, a JSON header whose offsets count from its own end, the tensors.
    Written beside the file and renamed.
    """
    draft = file.with_name(f".{file.name}")
    with file.open("rb") as old, draft.open("wb") as new:
        (length,) = struct.unpack("<Q", old.read(8))
        header = json.loads(old.read(length))
        header["__metadata__"] = {**header.get("__metadata__", {}), **note}
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8, as the format's own writer keeps it
        new.write(struct.pack("<Q", len(text)) + text)
        while piece := old.read(COPIED):
            new.write(piece)
    draft.replace(file)


def card(plan: Plan, told: dict[str, Any]) -> str:
    """The model card: front matter as the hub reads it, then the same for people."""
    from huggingface_hub import ModelCardData

    base = plan.model
    sets = sorted({_data_set(file.path) for file in plan.inputs if file.role in DATA_ROLES} - {""})
    adapter = plan.method != "full"
    tags = [plan.method, "recipec", "sft", "transformers", "trl"]
    if adapter and base.kind == "hub":
        tags.insert(0, f"base_model:adapter:{base.id}")
    data = ModelCardData(
        language=plan.language,
        library_name="peft" if adapter else "transformers",
        pipeline_tag="text-generation",
        base_model=base.id if base.kind == "hub" else None,  # the hub takes names of its own alone
        datasets=sets or None,
        tags=tags,
    )
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n".join(_sections(plan, told)) + "\n"


def _sections(plan: Plan, told: dict[str, Any]) -> list[str]:
    base, data = plan.model, told["data"]
    revision = f" at `{base.revision}`" if base.revision else ""
    lines = [
        f"# {plan.title or plan.name or told['run']}",
        "",
        f"{METHODS[plan.method]} on `{base.id}`{revision}, trained with recipec {told['recipec']}.",
        "",
        "## What made it",
        "",
        f"- plan: `{told['plan_sha256']}`",
        f"- run: `{told['run']}`, {told['steps']} steps, seed {plan.seed}",
        f"- base: `{base.id}`{revision}{_weights(told)}",
        *([_start(told["start"])] if told["start"] is not None else []),
        f"- rows: {data['train_rows']:,} trained, {data['held_out_rows']:,} held out; tokens `{data['tokens_sha256']}`",
        *(f"- {file['role']}: `{file['path']}`, sha256 `{file['sha256']}`" for file in data["files"]),
        "",
        "The same for programs: `recipec.json`.",
    ]
    compared = told["metrics"]["held_out"]
    if compared is not None:
        lines += [
            "",
            "## Held-out rows",
            "",
            "| | loss in nats | perplexity |",
            "| --- | --- | --- |",
            f"| base | {_figure(compared['base_loss'])} | {_figure(compared['base_perplexity'])} |",
            f"| tuned | {_figure(compared['tuned_loss'])} | {_figure(compared['tuned_perplexity'])} |",
        ]
    versions = [f"- {name} {version}" for name, version in sorted(plan.packages.items())]
    return [*lines, "", "## Framework versions", "", *versions] if versions else lines


def _start(start: dict[str, Any]) -> str:
    """The adapter that it goes on from."""
    plan = f", made by the plan `{start['plan_sha256']}`" if start["plan_sha256"] else ""
    rows = f"; {start['replay_rows']:,} of its rows were replayed" if start["replay_rows"] else ""
    return f"- goes on from: the adapter of `{start['path']}`{plan}{rows}"


def _weights(told: dict[str, Any]) -> str:
    files = [f for f in told["base"]["files"] if f["path"].endswith((".safetensors", ".bin", ".gguf"))]
    return "".join(f"; `{file['path']}`, sha256 `{file['sha256']}`" for file in files)


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "-" if value is None else str(value)


def _data_set(path: str) -> str:
    """The hub's name of a data set that an input names (``hf://datasets/ORG/NAME@REVISION/PATH``); else nothing."""
    if not path.startswith(HUB):
        return ""
    return "/".join(path.removeprefix(HUB).split("/")[:2]).partition("@")[0]
