"""Which files of a folder or of a data set of the hub hold the rows that are meant.

Names tell splits and shards by the conventions of the hub's data sets (``data/train-00000-of-00002.parquet``,
``test.jsonl``; https://huggingface.co/docs/hub/datasets-file-names-and-splits).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from compiler.phrases import counted, phrase

KIND_BY_ENDING = {
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
}
"""Endings of files of rows, the likelier ones first: of a folder that has several kinds, one is taken."""

TRAINED_ON = frozenset({"train", "training"})
MEASURED_WITH = (
    frozenset({"validation", "valid", "val", "dev", "heldout", "held_out"}),
    frozenset({"test", "testing", "eval", "evaluation"}),
)
"""Words in the names of files to measure with; the first set that a folder has any of is taken."""

_NOT_ROWS = frozenset({"dataset_info.json", "dataset_infos.json", "state.json", "config.json", "metadata.json"})
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})")


class NoChoice(Exception):  # noqa: N818 - told as a diagnostic by the caller
    """No file is meant for certain; the message says why, ``remedy`` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def files_of_rows(names: Iterable[str]) -> list[str]:
    """The files that can hold rows, of the likeliest kind alone; names are relative, with ``/``."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        path = PurePosixPath(name)
        kind = KIND_BY_ENDING.get(path.suffix.lower())
        if kind and path.name not in _NOT_ROWS and not any(part.startswith(".") for part in path.parts):
            by_kind[kind].append(name)
    return next((by_kind[kind] for kind in dict.fromkeys(KIND_BY_ENDING.values()) if by_kind[kind]), [])


def chosen(names: Iterable[str], *, held_out: bool) -> list[str]:
    """The files to train on, or to measure with, in the order of their names.

    Raises NoChoice: no such file, files in several folders, or a shard that is missing.
    """
    files = files_of_rows(names)
    if not files:
        raise NoChoice(
            phrase("no file of rows is in it"),
            phrase("known: {kind_by_ending}", kind_by_ending=", ".join(KIND_BY_ENDING)),
        )
    found = _measured_with(files) if held_out else _trained_on(files)
    if not found:
        which = phrase("to measure with") if held_out else phrase("to train on")
        raise NoChoice(
            phrase("no file of it is named as one {which} (it has {some})", which=which, some=_some(files)),
            phrase("name the file itself"),
        )
    folders = sorted({str(PurePosixPath(name).parent) for name in found})
    if len(folders) > 1:
        raise NoChoice(
            phrase("its rows stand in several folders: {some}", some=_some(folders)), phrase("name one of them")
        )
    _all_shards(found)
    return found


def _trained_on(files: list[str]) -> list[str]:
    marked = [name for name in files if _words(name) & TRAINED_ON]
    others = [name for name in files if not any(_words(name) & words for words in MEASURED_WITH)]
    return marked or others


def _measured_with(files: list[str]) -> list[str]:
    for words in MEASURED_WITH:
        found = [name for name in files if _words(name) & words]
        if found:
            return found
    return []


def _words(name: str) -> set[str]:
    """The words of a file's path, as far as letters go: ``data/train-00000-of-00001`` → data, train, of."""
    text = name.rsplit(".", 1)[0].lower()
    return set(re.split(r"[^a-z_]+", text)) | set(re.split(r"[^a-z]+", text))


def _all_shards(files: list[str]) -> None:
    """Raise NoChoice when files are numbered parts of a whole and one of them is not there."""
    there: dict[tuple[str, int], set[int]] = defaultdict(set)
    for name in files:
        shard = _SHARD.fullmatch(name.rsplit(".", 1)[0])
        if shard:
            there[shard[1], int(shard[3])].add(int(shard[2]))
    for (stem, count), numbers in there.items():
        missing = sorted(set(range(count)) - numbers)
        if missing:
            what = counted(
                "{n} of the {count} parts of {stem} is not there",
                "{n} of the {count} parts of {stem} are not there",
                len(missing),
                count=count,
                stem=stem,
            )
            raise NoChoice(
                phrase("{what} (number {missing} is the first)", what=what, missing=missing[0]),
                phrase("download it again, whole"),
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (phrase(" and {count} more", count=len(names) - 4) if len(names) > 4 else "")
