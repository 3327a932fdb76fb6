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
from compiler.plan import InputFile, LibraryCall, ModelPart
from runtime.weights import weights_folder
from tests.compiler.facts.test_architecture import CONFIG
from tests.compiler.facts.test_weight_files import WHOLE
from tests.runtime.plans import make_plan
from tests.runtime.tiny import of_pickles
from tests.torch_files import saved

NAME = "org/model"


def snapshot(folder: Path, *, weights: bytes | None) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    if weights is not None:
        (folder / "model.safetensors").write_bytes(weights)
    return folder


def fetch(
    monkeypatch: pytest.MonkeyPatch, *, cached: Path | Exception, online: Path | Exception, pickled: bool = False
) -> tuple[Callable[[], Path], list[str]]:
    """``weights_folder`` with the cache and the hub replaced, and what it announces."""

    def download(name: str, *, local_files_only: bool, allow_patterns: list[str], **_: object) -> str:
        assert name == NAME
        assert ("pytorch_model*.bin" in allow_patterns, "*.safetensors" in allow_patterns) == (pickled, not pickled)
        found = cached if local_files_only else online
        if isinstance(found, Exception):
            raise found
        return str(found)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    part = ModelPart(id=NAME, kind="hub", revision="0" * 40, architecture=None, tokenizer_sha256="0" * 64, files=[])
    facts = ModelFacts(NAME, "hub", "0" * 40, Path("nowhere"), None, (), ())
    said: list[str] = []
    plan = make_plan(model=part)
    if pickled:
        plan = of_pickles(plan)
    return lambda: weights_folder(plan, facts, None, said.append), said  # type: ignore[arg-type]


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


def test_pickles_are_downloaded_where_the_plan_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = snapshot(tmp_path / "partial", weights=None)
    whole = snapshot(tmp_path / "whole", weights=None)
    (whole / "pytorch_model.bin").write_bytes(saved({"w": (2, 2)}))
    run, said = fetch(monkeypatch, cached=partial, online=whole, pickled=True)
    assert run() == whole
    assert said == [f"downloading {NAME}"]
    run, _ = fetch(monkeypatch, cached=whole, online=whole)
    with pytest.raises(Refusal, match="X009: org/model has its weights only as a pickle"):
        run()


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), None),
        (RuntimeError("[Errno 28] No space left on device"), None),
        (ValueError("GGUF model with architecture x is not supported yet."), "X009"),
    ],
)
def test_want_of_memory_or_disk_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str | None
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("runtime.loading.load_causal_lm", fail)
    monkeypatch.setenv("RECIPE_CACHE_DIR", str(tmp_path))
    gguf = tmp_path / "m.gguf"
    gguf.touch()
    file = InputFile(role="model", path="m.gguf", sha256="0" * 64, bytes=0)
    part = ModelPart(id="m.gguf", kind="gguf", revision=None, architecture=None, tokenizer_sha256="0", files=[file])
    facts = ModelFacts("m.gguf", "gguf", None, gguf, None, (gguf,), ())
    plan = make_plan(model=part, load=LibraryCall(name="load", kwargs={"dtype": "float32"}))
    with pytest.raises((Refusal, RuntimeError)) as raised:
        weights_folder(plan, facts, None, lambda _: None)  # type: ignore[arg-type]
    codes = [d.code for d in raised.value.diagnostics] if isinstance(raised.value, Refusal) else [None]
    assert codes == [told]
    assert not list((tmp_path / "models").iterdir())


def test_a_gguf_file_is_read_once_while_it_is_converted_and_gguf_is_as_it_was_afterwards(tmp_path: Path) -> None:
    import gguf

    from runtime.weights import _read_once

    file = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    before = gguf.GGUFReader, gguf.get_tensor_name_map
    with _read_once():
        assert gguf.GGUFReader(file) is gguf.GGUFReader(file)
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
        assert gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2) is names
    assert (gguf.GGUFReader, gguf.get_tensor_name_map) == before
    assert names.mapping == gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2).mapping
