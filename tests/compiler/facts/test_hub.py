"""Hub models: the cache first, then the hub; each of its documented errors has its code. No network."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import huggingface_hub
import pytest
from huggingface_hub import errors

from compiler.facts.hub import SMALL_FILES, main_weight_file, snapshot_of_texts
from compiler.facts.models import locate_model
from compiler.facts.weight_files import ModelFault
from compiler.language.recipe import ModelTable
from tests.compiler.facts.test_architecture import CONFIG

NAME = "org/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def answer(status: int) -> httpx.Response:
    return httpx.Response(status, request=httpx.Request("GET", f"https://huggingface.co/{NAME}"))


def hub(monkeypatch: pytest.MonkeyPatch, *, cached: Path | None = None, online: Path | Exception) -> list[bool]:
    """Replace the download: what it finds in the cache, and what the hub gives. Returns the list of calls made."""
    calls: list[bool] = []

    def download(name: str, *, revision: str | None, allow_patterns: list[str], local_files_only: bool) -> str:
        assert (name, allow_patterns) == (NAME, SMALL_FILES)
        calls.append(local_files_only)
        if local_files_only and cached is None:
            raise errors.LocalEntryNotFoundError("not in the cache")
        found = cached if local_files_only else online
        if isinstance(found, Exception):
            raise found
        return str(found)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr("compiler.facts.hub._repository", lambda _: cached or Path("nowhere"))
    return calls


def snapshot(folder: Path) -> Path:
    found = folder / COMMIT
    found.mkdir()
    (found / "config.json").write_text("{}")
    (found / "tokenizer.json").write_text("{}")
    return found


def test_what_is_in_the_cache_is_taken_without_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = snapshot(tmp_path)
    calls = hub(monkeypatch, cached=folder, online=AssertionError("the hub was asked"))
    for offline in (True, False):
        assert snapshot_of_texts(NAME, None, offline=offline) == (folder, COMMIT)
    assert calls == [True, True]


def test_what_is_not_in_the_cache_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / "config.json").write_text("{}")  # whoever looked at the config alone left it
    folder = snapshot(tmp_path)
    for cached in (None, tmp_path / "empty", tmp_path / "partial"):
        calls = hub(monkeypatch, cached=cached, online=folder)
        assert snapshot_of_texts(NAME, "main", offline=False) == (folder, COMMIT)
        assert calls == [True, False]


def test_offline_means_that_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = hub(monkeypatch, online=AssertionError("the hub was asked"))
    with pytest.raises(ModelFault, match="the hub was not asked") as fault:
        snapshot_of_texts(NAME, None, offline=True)
    assert fault.value.code == "M040"
    assert calls == []


def test_what_is_not_here_is_told_without_loading_what_a_download_needs() -> None:
    program = (
        "import sys\nfrom compiler.facts.hub import snapshot_of_texts\n"
        "from compiler.facts.weight_files import ModelFault\n"
        "try: snapshot_of_texts('org/no-such-model', None, offline=True)\n"
        "except ModelFault: print(*sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "compiler.facts.hub" in told.stdout
    assert "httpx" not in told.stdout.split()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: errors.HFValidationError("Repo id must be alphanumeric\nand more"), "M001"),
        (lambda: errors.LocalEntryNotFoundError("no connection"), "M040"),
        (lambda: errors.IncompleteSnapshotError("3 files are missing", snapshot_path="/x"), "M040"),
        (lambda: errors.OfflineModeIsEnabled("HF_HUB_OFFLINE=1"), "M040"),
        (lambda: errors.LocalTokenNotFoundError("token=True and no token"), "M040"),
        (lambda: errors.FileMetadataError("no etag"), "M040"),
        (lambda: errors.HfHubHTTPError("server error", response=answer(503)), "M040"),
        (lambda: errors.HfHubHTTPError("too many requests", response=answer(429)), "M040"),
        (lambda: errors.BadRequestError("bad", response=answer(400)), "M040"),
        (lambda: errors.DisabledRepoError("disabled", response=answer(403)), "M040"),
        (lambda: errors.RemoteEntryNotFoundError("no such file", response=answer(404)), "M040"),
        (lambda: errors.RepositoryNotFoundError("404", response=answer(404)), "M041"),
        (lambda: errors.GatedRepoError("403", response=answer(403)), "M042"),
        (lambda: errors.RevisionNotFoundError("404", response=answer(404)), "M043"),
        (lambda: httpx.ConnectError("no route"), "M040"),
        (lambda: httpx.ProxyError("407 Proxy Authentication Required"), "M040"),
        (lambda: httpx.ReadTimeout("slow"), "M040"),
        (lambda: httpx.RemoteProtocolError("peer closed the connection"), "M040"),
        (lambda: ConnectionResetError(errno.ECONNRESET, "reset by peer"), "M040"),
        (lambda: OSError(errno.ENETUNREACH, "Network is unreachable"), "M040"),
        (lambda: OSError(errno.ENOSPC, "No space left on device"), "E004"),
        (lambda: PermissionError(errno.EACCES, "Permission denied", "/cache/x"), "E003"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value()).__name__,
)
def test_each_error_has_its_code(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Exception], code: str) -> None:
    hub(monkeypatch, online=make())
    facts, (problem,) = locate_model(ModelTable(id=NAME, revision="v9"), root=Path("nowhere"))
    assert facts is None
    assert problem.code == code
    assert problem.help
    assert NAME in problem.message or code.startswith("E")
    assert "\n" not in problem.message


def test_a_fault_of_the_program_is_no_fault_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, online=TypeError("a mistake in our call"))
    with pytest.raises(TypeError):
        snapshot_of_texts(NAME, None, offline=False)


# --- which files hold the weights --------------------------------------------------------------------------


class Listing:
    """What the hub says of a model's files, and how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path, *files: str, error: Exception | None = None):
        self.asked = 0
        monkeypatch.setenv("RECIPE_CACHE_DIR", str(cache))

        def model_info(_: object, name: str, *, revision: str, timeout: float) -> SimpleNamespace:
            assert (name, revision) == (NAME, COMMIT)
            assert timeout < 60
            self.asked += 1
            if error is not None:
                raise error
            return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in files])

        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)


BIN = "pytorch_model.bin"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["config.json", BIN, "model.safetensors"], "model.safetensors"),
        (["pytorch_model.bin.index.json", "model.safetensors.index.json"], "model.safetensors.index.json"),
        (["config.json", BIN], BIN),
        (["pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"], "pytorch_model.bin.index.json"),
        (["consolidated.00.pth"], ""),
        ([], ""),
    ],
)
def test_the_hub_says_which_files_hold_the_weights_and_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], found: str
) -> None:
    listing = Listing(monkeypatch, tmp_path / "cache", *files)
    folder = snapshot(tmp_path)
    assert main_weight_file(NAME, COMMIT, folder, offline=True) == ""
    assert listing.asked == 0
    for _ in range(2):
        assert main_weight_file(NAME, COMMIT, folder, offline=False) == found
    assert listing.asked == (1 if found else 2)
    assert main_weight_file(NAME, COMMIT, folder, offline=True) == found  # it is remembered


def test_safetensors_in_the_cache_are_asked_nothing_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = Listing(monkeypatch, tmp_path / "cache", BIN)
    folder = snapshot(tmp_path)
    (folder / "model.safetensors").touch()
    assert main_weight_file(NAME, COMMIT, folder, offline=False) == "model.safetensors"
    assert listing.asked == 0


@pytest.mark.parametrize("error", [httpx.ConnectError("no route"), errors.OfflineModeIsEnabled("HF_HUB_OFFLINE=1")])
def test_without_the_hub_a_pickle_in_the_cache_is_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    Listing(monkeypatch, tmp_path / "cache", error=error)
    folder = snapshot(tmp_path)
    for file, found in (
        ("pytorch_model.bin.index.json", ""),  # one of the small files, which say nothing of what else there is
        ("pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"),
        (BIN, BIN),
    ):
        (folder / file).touch()
        for offline in (True, False):
            assert main_weight_file(NAME, COMMIT, folder, offline=offline) == found


def test_a_hub_model_of_pickles_alone_is_refused_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Listing(monkeypatch, tmp_path / "cache", BIN)
    folder = snapshot(tmp_path)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    hub(monkeypatch, cached=folder, online=AssertionError("the hub was asked"))
    facts, (problem,) = locate_model(ModelTable(id=NAME), root=tmp_path)
    assert facts is None
    assert problem.code == "M006"
    assert f"{NAME} has its weights only as a pickle ({BIN})" in problem.message
    assert "--allow-pickle" in str(problem.help)
    facts, problems = locate_model(ModelTable(id=NAME), root=tmp_path, allow_pickle=True)
    assert (facts is not None and facts.pickled, problems) == (True, [])
