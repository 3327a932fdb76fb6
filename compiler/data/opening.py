"""The sources behind one name of a recipe: a file, a folder of texts, the files of rows in a folder, a data set."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from compiler.data.file_choice import KIND_BY_ENDING, NoChoice, chosen, files_of_rows
from compiler.data.named_path import NamedPath, find_named, outside
from compiler.data.sources import Source, no_rows, open_source
from compiler.data.text_files import shown, text_files
from compiler.diagnostics import Diagnostic, describe_os_error
from compiler.facts.hub_data import Choose, Downloaded, HubData, HubFault, absent, hub_data
from compiler.phrases import phrase

_ABOUT = frozenset({"readme", "license", "licence", "notice", "changelog"})
"""Texts beside files of rows that are about them."""


class Opened(Struct):
    """The sources in their order, and what is to be said; ``absent`` is a data set that is not on this disk yet."""

    sources: list[Source] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    absent: HubData | None = None


def open_sources(named: NamedPath, root: Path, *, allow_outside: bool) -> Opened:
    """Find what a recipe names; ``root`` is its folder. A data set of the hub is looked for on this disk only."""
    wanted = hub_data(named.name, root)
    if wanted is not None:
        return _of_the_hub(named, wanted)
    path, problems = find_named(named, root, allow_outside=allow_outside)
    if path is None:
        return Opened([], problems)
    try:
        rows = _rows_below(path) if path.is_dir() else []
    except OSError as error:
        problem = describe_os_error(error, named.name[:200], doing=phrase("looking for the data"))
        return Opened([], [replace(problem, path=named.field)])
    if rows and _own_texts(path):
        why = NoChoice(
            phrase("it holds both files of rows and texts"), phrase("name the file itself, or keep them in two folders")
        )
        return Opened([], [not_chosen(named, why)])
    if not rows:
        source, problems = open_source(named, root, allow_outside=allow_outside)
        return Opened([source] if source is not None else [], problems)
    return _of_a_folder(named, path, rows, root, allow_outside=allow_outside)


def wanted_files(named: NamedPath, wanted: HubData) -> Choose:
    """The choice among the files of a data set. It raises NoChoice."""

    def choose(names: list[str]) -> list[str]:
        if wanted.path in names:
            return [wanted.path]
        below = f"{wanted.path.rstrip('/')}/" if wanted.path else ""
        return chosen((name for name in names if name.startswith(below)), held_out=_measures(named))

    return choose


def purpose(named: NamedPath) -> str:
    """What a data set is for, in a word."""
    return "held-out" if _measures(named) else "train"


def not_chosen(named: NamedPath, why: NoChoice) -> Diagnostic:
    """That nobody can tell which of many files is meant."""
    return Diagnostic("D015", phrase("{name}: {why}", name=named.name, why=str(why)), path=named.field, help=why.remedy)


def hub_problem(named: NamedPath, fault: HubFault) -> Diagnostic:
    """That a data set cannot be had."""
    return Diagnostic("D006", str(fault), path=named.field, help=fault.remedy)


def _measures(named: NamedPath) -> bool:
    return "held_out_path" in named.field


def _of_the_hub(named: NamedPath, wanted: HubData) -> Opened:
    from compiler.facts.hub_data import in_cache

    try:
        found = in_cache(wanted, purpose(named), wanted_files(named, wanted))
    except NoChoice as why:  # the hub may have more of it
        return Opened([], [not_chosen(named, why)], wanted)
    except OSError as error:
        problem = describe_os_error(error, error.filename or wanted.name, doing=phrase("looking for the data set"))
        return Opened([], [replace(problem, path=named.field)])
    if found is None:
        return Opened([], [hub_problem(named, absent(wanted, phrase("and the hub was not asked")))], wanted)
    return _taken(named, replace(wanted, revision=found.commit), found)


def _taken(named: NamedPath, at_commit: HubData, found: Downloaded) -> Opened:
    opened = Opened()
    for file in found.files:
        name = str(replace(at_commit, path=file))
        _add(opened, Source(name, found.folder / file, _kind(file), named.field))
    return opened


def _of_a_folder(named: NamedPath, folder: Path, rows: list[str], root: Path, *, allow_outside: bool) -> Opened:
    try:
        files = chosen(rows, held_out=_measures(named))
    except NoChoice as why:
        return Opened([], [not_chosen(named, why)])
    opened, home = Opened(), root.resolve()
    for file in files:
        name = shown(Path(named.name) / file)
        if not allow_outside and not (folder / file).resolve().is_relative_to(home):
            return Opened([], [outside(name, named.field)])
        _add(opened, Source(name, folder / file, _kind(file), named.field))
    return opened


def _add(opened: Opened, source: Source) -> None:
    if source.path.stat().st_size:
        opened.sources.append(source)
    else:
        opened.problems.append(no_rows(source, phrase("is empty")))


def _rows_below(folder: Path) -> list[str]:
    """The files of rows of a folder, by their relative names. Raises OSError."""
    return files_of_rows(path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())


def _own_texts(folder: Path) -> bool:
    """Whether a folder has texts that are more than a word about its files of rows."""
    return any(path.stem.lower() not in _ABOUT for path in text_files(folder))


def _kind(file: str) -> str:
    return KIND_BY_ENDING[Path(file).suffix.lower()]
