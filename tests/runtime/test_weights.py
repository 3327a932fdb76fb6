"""A hub model's weights: from the cache when they are whole there, else downloaded, and told when they are no use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from compiler.diagnostics import Refusal
from compiler.facts.models import ModelFacts
from compiler.plan import ModelPart
from runtime.weights import weights_folder
from tests.compiler.facts.test_architecture import CONFIG
from tests.compiler.facts.test_weight_files import WHOLE
from tests.runtime.plans import make_plan

NAME = "org/model"


def snapshot(folder: Path, *, weights: bytes | None) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    if weights is not None:
        (folder / "model.safetensors").write_bytes(weights)
    return folder


def fetch(
    monkeypatch: pytest.MonkeyPatch, *, cached: Path | Exception, online: Path | Exception
) -> tuple[Callable[[], Path], list[str]]:
    """``weights_folder`` with the cache and the hub replaced, and what it announces."""

    def download(name: str, *, local_files_only: bool, **_: object) -> str:
        assert name == NAME
        found = cached if local_files_only else online
        if isinstance(found, Exception):
            raise found
        return str(found)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    part = ModelPart(id=NAME, kind="hub", revision="0" * 40, architecture=None, tokenizer_sha256="0" * 64, files=[])
    facts = ModelFacts(NAME, "hub", "0" * 40, Path("nowhere"), None, (), ())
    said: list[str] = []
    return lambda: weights_folder(make_plan(model=part), facts, None, said.append), said  # type: ignore[arg-type]


def test_whole_weights_in_the_cache_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = snapshot(tmp_path / "cached", weights=WHOLE)
    run, said = fetch(monkeypatch, cached=folder, online=AssertionError("the hub was asked"))
    assert run() == folder
    assert said == []


@pytest.mark.parametrize("weights", [None, WHOLE[:-1]])
def test_a_cache_without_whole_weights_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: bytes | None
) -> None:
    partial = snapshot(tmp_path / "partial", weights=weights)
    whole = snapshot(tmp_path / "whole", weights=WHOLE)
    for cached in (partial, LocalEntryNotFoundError("not in the cache")):
        run, said = fetch(monkeypatch, cached=cached, online=whole)
        assert run() == whole
        assert said == [f"downloading {NAME}"]


def test_weights_that_are_no_use_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = snapshot(tmp_path / "empty", weights=None)
    run, _ = fetch(monkeypatch, cached=empty, online=empty)
    with pytest.raises(Refusal, match=r"X009: org/model has a config\.json but no weights"):
        run()


@pytest.mark.parametrize("error", [httpx.ConnectError("no route"), OSError(28, "No space left")])
def test_a_download_that_fails_is_refused(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    run, _ = fetch(monkeypatch, cached=LocalEntryNotFoundError("not in the cache"), online=error)
    with pytest.raises(Refusal, match=f"org/model cannot be downloaded: .*{error.args[-1]}"):
        run()
