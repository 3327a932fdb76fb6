"""Where rows come from: the file or folder that a recipe names, and what kind of file it is."""

from __future__ import annotations

import shlex
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from compiler.data.named_path import NamedPath, find_named, outside
from compiler.data.text_files import shown, text_files
from compiler.diagnostics import Diagnostic, KeyPath, Span, describe_os_error
from compiler.language.recipe import DataTable
from compiler.phrases import phrase

KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".txt": "text",
    ".md": "text",
}

_REMEDIES = {
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), phrase("save the sheet as CSV (UTF-8)")),
    **dict.fromkeys(
        (".docx", ".doc", ".odt", ".rtf", ".pdf", ".html", ".htm"), phrase("save it as plain text (.txt, UTF-8)")
    ),
    **dict.fromkeys((".arrow", ".feather"), phrase("write it as Parquet")),
}
_COMPRESSED = {".gz": "gunzip", ".zip": "unzip", ".zst": "unzstd", ".bz2": "bunzip2", ".xz": "unxz"}


class Source(Struct, frozen=True):
    """A place that rows come from: its name as the recipe writes it, its path, its kind, the field that names it."""

    name: str
    path: Path
    kind: str
    field: KeyPath = ("data", "path")

    @property
    def is_text(self) -> bool:
        """Whether its rows are plain texts, without columns."""
        return self.kind in {"text", "folder"}


class SourceFault(Exception):  # noqa: N818 - told as a diagnostic by the caller
    """A source that cannot be read (on)."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def source_fault(
    source: Source,
    code: str,
    message: str,
    help_text: str | None = None,
    *,
    line: int | None = None,
    column: int = 1,
) -> SourceFault:
    """A fault of a whole source, at a line of it where there is one."""
    span = Span(line, column, line, column + 1) if line else None
    file = source.name if line else None
    return SourceFault(Diagnostic(code, message, file=file, path=source.field, span=span, help=help_text))


def no_rows(source: Source, said: str = phrase("holds no rows")) -> Diagnostic:
    """That a source holds nothing to learn from."""
    help_text = {
        "jsonl": phrase("put rows into it, one JSON object a line"),
        "json": phrase("put rows into it: a list of JSON objects"),
        "csv": phrase("put rows below the line with the names of the columns"),
        "parquet": phrase("write it again with rows in it"),
        "text": phrase("put text into it"),
    }.get(source.kind, phrase("put .txt or .md files into it"))
    return Diagnostic("D007", phrase("{name} {said}", name=source.name, said=said), path=source.field, help=help_text)


def open_source(named: NamedPath, root: Path, *, allow_outside: bool) -> tuple[Source | None, list[Diagnostic]]:
    """Find a source and its kind; a file outside the recipe's folder needs leave from the command line."""
    path, problems = find_named(named, root, allow_outside=allow_outside)
    if path is None:
        return None, problems
    name = named.name
    try:
        if path.is_dir():
            problem = None if allow_outside else _strays(path, named, root)
            return (None, [problem]) if problem else (Source(name, path, "folder", named.field), [])
        source = Source(name, path, KINDS.get(path.suffix.lower(), ""), named.field)
        if source.kind and not path.stat().st_size:
            return None, [no_rows(source, phrase("is empty"))]
    except OSError as error:
        problem = describe_os_error(error, name[:200], doing=phrase("looking for the data"))
        return None, [replace(problem, path=named.field)]
    return (source, []) if source.kind else (None, [_unknown_kind(source)])


def training_paths(data: DataTable) -> list[NamedPath]:
    """The sources that a recipe learns from, and where it names them."""
    if not data.sources:
        return [NamedPath(data.path)]
    return [NamedPath(source.path, ("data", "sources", i, "path")) for i, source in enumerate(data.sources)]


def weight_of(source: Source, data: DataTable) -> float:
    """How often the rows of a source are used, as the recipe says."""
    match source.field:
        case ("data", "sources", int(number), _):
            return data.sources[number].weight
    return 1.0


def held_out_paths(data: DataTable) -> list[NamedPath]:
    """The source that a recipe measures with, if it names one."""
    return [NamedPath(data.held_out_path, ("data", "held_out_path"))] if data.held_out_path else []


def _strays(folder: Path, named: NamedPath, root: Path) -> Diagnostic | None:
    """A text of a folder that is a link to somewhere else."""
    home = root.resolve()
    for file in text_files(folder):
        if not file.resolve().is_relative_to(home):
            return outside(shown(Path(named.name) / file.relative_to(folder)), named.field)
    return None


def _unknown_kind(source: Source) -> Diagnostic:
    suffix = source.path.suffix
    message = (
        phrase("{name}: files ending in {suffix!r} are not read", name=source.name, suffix=suffix)
        if suffix
        else phrase("{name} has no ending", name=source.name)
    )
    help_text = _REMEDIES.get(suffix.lower(), phrase("known: {kinds}", kinds=", ".join(KINDS)))
    if suffix.lower() in _COMPRESSED:
        help_text = phrase(
            "decompress it first: {compressed} {quote}",
            compressed=_COMPRESSED[suffix.lower()],
            quote=shlex.quote(source.name),
        )
    return Diagnostic("D005", message, path=source.field, help=help_text)
