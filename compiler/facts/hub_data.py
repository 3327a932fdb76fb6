"""A data set of the hub: what a recipe may call it, and its files from the local cache, else from the hub."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from msgspec import Struct
from msgspec.structs import replace

from compiler.cache import remember, remembered
from compiler.phrases import phrase

HUB = "hf://datasets/"
"""How ``huggingface_hub.HfFileSystem`` writes the place of a data set, with ``@REVISION`` and a path after it."""

_PAGE = "https://huggingface.co/datasets/"
_BARE = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9_.-]+")
_PLACE = re.compile(r"(?P<name>[\w-][\w.-]*/[\w.-]+)(?:@(?P<revision>[^/]+))?(?:/(?P<path>.+))?/?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")

_REMEMBERED = "data-sets.json"
MOST_REMEMBERED = 500

_OF_THIS_DISK = frozenset({errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.ENOTDIR, errno.EROFS})
"""Errors of the cache folder, not of the network."""

Choose = Callable[[list[str]], list[str]]
"""Which of the names of all files are wanted; it may raise what its caller understands."""


class HubData(Struct, frozen=True):
    """A data set by its name, at a branch, tag or commit; ``path`` is a file or folder in it, empty for all of it."""

    name: str
    revision: str = "main"
    path: str = ""

    def __str__(self) -> str:
        revision = "" if self.revision == "main" else f"@{self.revision}"
        return f"{HUB}{self.name}{revision}" + (f"/{self.path}" if self.path else "")


class Downloaded(Struct, frozen=True):
    """Where a data set's files are, at which commit, and the names of those that are wanted."""

    folder: Path
    commit: str
    files: tuple[str, ...]


class HubFault(Exception):  # noqa: N818 - told as a diagnostic by the caller
    """A data set that cannot be had; ``absent`` says that it is only not on this disk yet."""

    def __init__(self, message: str, remedy: str, *, absent: bool = False) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.absent = absent


def hub_data(name: str, root: Path) -> HubData | None:
    """The data set that a recipe's path means; None for a path of this disk. ``root`` is the recipe's folder.

    A bare ``ORG/NAME`` is one when its ORG is no folder here.
    """
    for prefix in (HUB, _PAGE):
        place = _PLACE.fullmatch(name[len(prefix) :]) if name.startswith(prefix) else None
        if place is not None:
            return HubData(place["name"], place["revision"] or "main", place["path"] or "")
    if _BARE.fullmatch(name) and "." not in name and not (root / name).parent.is_dir():
        return HubData(name)
    return None


def in_cache(wanted: HubData, purpose: str, choose: Choose) -> Downloaded | None:
    """The files as they were downloaded before for this ``purpose``; None when that was not done, or not to its end.

    A cache that another program filled is looked through, and ``choose`` may raise then.
    """
    repository = _repository(wanted)
    commit = wanted.revision if _COMMIT.fullmatch(wanted.revision) else _known_commit(wanted, repository)
    folder = repository / "snapshots" / commit
    if not commit or not folder.is_dir():
        return None
    known = _files_of(remembered(_REMEMBERED).get(_key(wanted, commit, purpose), ""))
    if known and all((folder / name).is_file() for name in known):
        return Downloaded(folder, commit, known)
    if any((repository / "blobs").glob("*.incomplete")):
        return None
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files = choose(names) if names else []
    return Downloaded(folder, commit, tuple(files)) if files else None


def place_in_cache(wanted: HubData) -> Path:
    """Where a file of a data set, at a commit, is once it was downloaded."""
    return _repository(wanted) / "snapshots" / wanted.revision / wanted.path


def _repository(wanted: HubData) -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE  # huggingface_hub takes a while to import

    return Path(HF_HUB_CACHE) / f"datasets--{wanted.name.replace('/', '--')}"


def _key(wanted: HubData, commit: str, purpose: str) -> str:
    return f"{replace(wanted, revision=commit)} {purpose}"


def _files_of(text: str) -> tuple[str, ...]:
    """What was remembered, as names that stay in their folder."""
    names = tuple(text.splitlines())
    return names if all(not Path(name).is_absolute() and ".." not in Path(name).parts for name in names) else ()


def _known_commit(wanted: HubData, repository: Path) -> str:
    """The commit that a branch or tag was at when it was last downloaded; empty when it never was."""
    known = remembered(_REMEMBERED).get(str(replace(wanted, path="")), "")
    if _COMMIT.fullmatch(known) and (repository / "snapshots" / known).is_dir():
        return known
    try:
        said = (repository / "refs" / wanted.revision).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return said if _COMMIT.fullmatch(said) else ""


def download(wanted: HubData, purpose: str, choose: Choose, tell: Callable[[str, int, int], None]) -> Downloaded:
    """Bring the files that are wanted for a purpose into the hub's cache, where they stay; ``tell`` hears of it.

    Raises HubFault, what ``choose`` raises, and OSError when the cache cannot be written.
    """
    from httpx import HTTPError  # what huggingface_hub lets through of its connection
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        about = HfApi().dataset_info(wanted.name, revision=wanted.revision)
        commit = about.sha or ""
        files = choose(sorted(file.rfilename for file in about.siblings or []))
        paths = []
        for number, file in enumerate(files):
            tell(phrase("downloading {name}", name=wanted.name), number, len(files))
            paths.append(Path(hf_hub_download(wanted.name, file, repo_type="dataset", revision=commit)))
        tell(phrase("downloading {name}", name=wanted.name), len(files), len(files))
    except (HTTPError, HfHubHTTPError, HFValidationError, OSError) as error:
        if isinstance(error, OSError) and error.errno in _OF_THIS_DISK:
            raise
        _tell(wanted, error)
    folder = paths[0].parents[len(Path(files[0]).parts) - 1]
    remember(_REMEMBERED, str(replace(wanted, path="")), commit, most=MOST_REMEMBERED)
    remember(_REMEMBERED, _key(wanted, commit, purpose), "\n".join(files), most=MOST_REMEMBERED)
    return Downloaded(folder, commit, tuple(files))


def _tell(wanted: HubData, error: Exception) -> NoReturn:
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name = wanted.name
    if isinstance(error, GatedRepoError):
        remedy = phrase("accept its conditions on {page}{name}, then `hf auth login`", page=_PAGE, name=name)
        raise HubFault(
            phrase("the data set {name} is gated and your account has no access", name=name), remedy
        ) from error
    if isinstance(error, RevisionNotFoundError):
        message = phrase("the data set {name} has no revision {revision!r}", name=name, revision=wanted.revision)
        raise HubFault(message, phrase("name a branch, tag or commit of it, or leave @REVISION out")) from error
    if isinstance(error, RepositoryNotFoundError):
        message = phrase(
            "there is no data set {name} on the hub, or it is private, and no folder of that name here", name=name
        )
        raise HubFault(message, phrase("check the spelling; for a private one, `hf auth login`")) from error
    if isinstance(error, HFValidationError):
        raise HubFault(phrase("{name!r} is no name that the hub has", name=name[:80]), "write ORG/NAME") from error
    raise absent(wanted, phrase("and the hub cannot be reached")) from error


def absent(wanted: HubData, why: str) -> HubFault:
    """That a data set is not on this disk, and why it was not fetched."""
    remedy = phrase(
        "with a connection: `hf download --repo-type dataset {name}`; or put its files beside the recipe",
        name=wanted.name,
    )
    return HubFault(
        phrase("there is no {wanted} here and it is not in the hub's cache, {why}", wanted=wanted, why=why),
        remedy,
        absent=True,
    )
