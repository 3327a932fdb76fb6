"""The small files of a hub model (config, tokenizer) from the local cache, else from the hub; what its weights are."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from compiler.cache import remember, remembered
from compiler.facts.weight_files import INDEX, PICKLE_INDEX, PICKLE_WHOLE_FILE, WHOLE_FILE, ModelFault
from compiler.phrases import phrase

SMALL_FILES = ["*.json", "*.jinja", "tokenizer.model"]

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
"""One of these is part of every model; a cache without it was filled by something that took a file or two."""

PATIENCE = 5.0
"""Seconds that the hub may take to say which files a model has."""

_REMEMBERED = "hub-weights.json"
MOST_REMEMBERED = 500

_OF_THIS_DISK = frozenset({errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.ENOTDIR, errno.EROFS})
"""Errors of the cache folder, not of the network."""


def snapshot_of_texts(name: str, revision: str | None, *, offline: bool) -> tuple[Path, str]:
    """The folder with the model's small files, and its commit.

    Raises ModelFault: M040 not reachable, M041 no such model, M042 access not granted, M043 no such revision;
    and OSError when the cache cannot be written.
    """
    if offline and not _repository(name).is_dir():
        raise _unreachable(name, offline=True)  # told without what a download needs, whose import takes a while
    from httpx import HTTPError  # what huggingface_hub lets through of its connection
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    def take(local: bool) -> Path:
        return Path(snapshot_download(name, revision=revision, allow_patterns=SMALL_FILES, local_files_only=local))

    try:
        folder = _cached(take)
        if folder is None and offline:
            raise _unreachable(name, offline=True)
        folder = folder or take(False)
    except HFValidationError as error:
        raise ModelFault(
            "M001",
            phrase("{name!r} is not a hub name: {first_line}", name=name, first_line=_first_line(error)),
            "write ORG/MODEL",
        ) from error
    except GatedRepoError as error:
        page = f"https://huggingface.co/{name}"
        help_text = phrase("accept the licence on {page}, then `hf auth login`", page=page)
        raise ModelFault(
            "M042", phrase("{name} is gated and your account has no access", name=name), help_text
        ) from error
    except RevisionNotFoundError as error:
        message = phrase("{name} has no revision {revision!r}", name=name, revision=revision)
        raise ModelFault(
            "M043", message, phrase("name a branch, tag or commit of it, or leave revision out")
        ) from error
    except RepositoryNotFoundError as error:
        message = phrase("there is no model {name} on the hub, or it is private", name=name)
        raise ModelFault("M041", message, phrase("check the spelling; for a private one, `hf auth login`")) from error
    except (HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _OF_THIS_DISK:
            raise
        raise _unreachable(name, offline=False) from error
    return folder, folder.name


def main_weight_file(name: str, commit: str, folder: Path, *, offline: bool) -> str:
    """The file that Transformers looks for first among the model's weights, safetensors before pickles.

    Known from the cache's ``folder`` (of ``commit``), else from the hub, which is asked once for a commit. Empty when
    neither says, and where the weights have other names.
    """
    here = [file for file in (WHOLE_FILE, INDEX) if (folder / file).is_file()]
    if here:
        return here[0]
    known = remembered(_REMEMBERED).get(f"{name}@{commit}", "")
    if known or offline:
        return known or _pickles_here(folder)
    from httpx import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        about = HfApi().model_info(name, revision=commit, timeout=PATIENCE)
    except (HTTPError, HfHubHTTPError, OSError):  # then it is told when the weights are downloaded
        return _pickles_here(folder)
    there = {file.rfilename for file in about.siblings or []}
    found = next((file for file in (WHOLE_FILE, INDEX, PICKLE_WHOLE_FILE, PICKLE_INDEX) if file in there), "")
    if found:
        remember(_REMEMBERED, f"{name}@{commit}", found, most=MOST_REMEMBERED)
    return found


def _pickles_here(folder: Path) -> str:
    """The pickle that somebody has downloaded; the index alone is one of the small files."""
    if (folder / PICKLE_WHOLE_FILE).is_file():
        return PICKLE_WHOLE_FILE
    return PICKLE_INDEX if any(folder.glob("pytorch_model-*.bin")) else ""


def _repository(name: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"


def _cached(take: Callable[[bool], Path]) -> Path | None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = take(True)
    except LocalEntryNotFoundError:
        return None
    whole = (folder / "config.json").is_file() and any((folder / name).is_file() for name in TOKENIZERS)
    return folder if whole else None


def _unreachable(name: str, *, offline: bool) -> ModelFault:
    why = phrase("and the hub was not asked") if offline else phrase("and the hub cannot be reached")
    return ModelFault(
        "M040",
        phrase("{name} is neither a folder here nor in the hub cache, {why}", name=name, why=why),
        phrase(
            "with a connection: `hf download {name}`; or copy the model here and put its folder into [model] id",
            name=name,
        ),
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
