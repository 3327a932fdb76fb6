"""Which format the rows have, and which of their columns holds what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from compiler.data.columns import did_you_mean, in_words, looks_like_a_row, toml, usual, written_as
from compiler.data.row import Place, Row, RowFault
from compiler.data.sources import Source, SourceFault, no_rows
from compiler.diagnostics import Diagnostic, KeyPath, Severity
from compiler.language.recipe import ColumnsTable, DataTable
from compiler.phrases import joined, phrase

LOOKED_AT = 20
"""Rows whose columns together tell the format."""

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("prompt", "chosen"),
    ("question", "answer"),
    ("question", "reponse"),
    ("question", "response"),
    ("query", "response"),
    ("query", "answer"),
    ("instruction", "response"),
    ("instruction", "answer"),
    ("input", "output"),
    ("frage", "antwort"),
)
"""Names of question and answer that people use, in any case and with any accents; the first pair there is taken."""

MESSAGES, SHARED = ("messages", "conversation", "conversations"), ("conversations", "conversation", "messages")
CONTEXT = ("input", "context", "contexte", "kontext", "contexto", "contesto")
"""Names of columns that belong to the question where there is another one for it."""

FAMILIES = {
    "alpaca": phrase("questions with answers"),
    "prompt-completion": phrase("questions with answers"),
    "messages": "conversations",
    "sharegpt": "conversations",
    "text": phrase("plain text"),
}
_NAME_THEM = phrase('name the columns of question and answer: columns = { prompt = "…", completion = "…" } in [data]')
_HEADLESS = phrase("the first line looks like a row; write the names of the columns above it")


class Format(Struct, frozen=True):
    """What the rows are, and which column holds what (``prompt``, ``completion``, ``messages``, …)."""

    name: str
    columns: Mapping[str, str]
    reason: str


def with_columns_of(seen: Row, row: Row) -> Row:
    """Two rows as one, with the first value of each column that says something."""
    return {**seen, **{name: value for name, value in row.items() if not seen.get(name)}}


def seen_in(rows: Iterable[Row | RowFault]) -> tuple[Row, bool]:
    """The first good rows as one, and whether there was any row at all."""
    seen: Row = {}
    any_row = False

    def good() -> Iterator[Row]:
        nonlocal any_row
        for row in rows:
            any_row = True
            if not isinstance(row, RowFault):
                yield row

    for row in islice(good(), LOOKED_AT):
        seen = with_columns_of(seen, row)
    return seen, any_row


# --- a source ---------------------------------------------------------------------------------------------


def format_told_by(
    source: Source, rows: Iterable[tuple[Place, Row | RowFault]], data: DataTable
) -> tuple[Row, Format | None, list[Diagnostic]]:
    """The first good rows of a source as one, the format that they tell, and what to say of it.

    Without a good row there is neither. Raises SourceFault when there is no row at all.
    """
    seen, any_row = seen_in(row for _, row in rows)
    if not any_row:
        raise SourceFault(no_rows(source))
    form, problems = format_of(source, seen, data) if seen else (None, [])
    return seen, form, problems


def format_of(source: Source, seen: Row, data: DataTable) -> tuple[Format | None, list[Diagnostic]]:
    """The format of a source, told by its first rows as one; what is said of it names the source."""
    if source.is_text:
        return Format("text", {"text": "text"}, phrase("the source is plain text")), _not_for_text(source, data)
    form, problems = find_format(
        seen, data.columns, data.format, templated=bool(data.prompt_template), table=source.kind == "csv"
    )
    return form, [
        replace(
            problem,
            message=phrase("{name}: {message}", name=source.name, message=problem.message),
            path=problem.path or source.field,
        )
        for problem in problems
    ]


def _not_for_text(source: Source, data: DataTable) -> list[Diagnostic]:
    """What a recipe says of its data that plain text cannot have."""
    said: list[tuple[KeyPath, str]] = [
        (("data", "columns", role), phrase("no column `{name}`", name=name))
        for role, name in data.columns.model_dump().items()
        if name
    ]
    if data.prompt_template:
        said.append((("data", "prompt_template"), phrase("no columns for a prompt template")))
    if data.format not in {"auto", "text"}:
        said.append((("data", "format"), phrase("not of the format {format}", format=data.format)))
    if not said or "held_out_path" in source.field:
        return []
    path, what = said[0]
    severity = Severity.WARNING if len(data.sources) > 1 else Severity.ERROR
    message = phrase("{name} is plain text: {what}", name=source.name, what=what)
    help_text = phrase("write questions and answers as JSON lines or CSV; for plain text, leave this out")
    return [Diagnostic("D032", message, severity=severity, path=path, help=help_text)]


def of_another_kind(held_out: Format, training: list[Format]) -> list[Diagnostic]:
    """Held-out rows that measure something else than what is learnt."""
    kinds = dict.fromkeys(FAMILIES[form.name] for form in training)
    kind = FAMILIES[held_out.name]
    if kind in kinds or not kinds:
        return []
    message = phrase(
        "the held-out rows are {kind}, the training rows {kinds}", kind=kind, kinds=phrase(" and ").join(kinds)
    )
    help_text = phrase("hold out rows of the same format; else the held-out loss says little of what is learnt")
    path = ("data", "held_out_path")
    return [Diagnostic("D033", message, severity=Severity.WARNING, path=path, help=help_text)]


# --- columns ----------------------------------------------------------------------------------------------


def find_format(
    row: Row, columns: ColumnsTable, asked: str, *, templated: bool = False, table: bool = False
) -> tuple[Format | None, list[Diagnostic]]:
    """The format of the rows, told by the first of them, and what to say of it.

    ``asked`` is ``[data] format``; ``templated`` says that a prompt template makes the prompt, so that only
    the answer has to be a column; ``table`` that the first line of a file names the columns.
    """
    headless = table and looks_like_a_row(row)
    wanted = {role: name for role, name in columns.model_dump().items() if name}
    named = {role: found for role, name in wanted.items() if (found := written_as(name, row)) is not None}
    if len(named) < len(wanted):
        missing = [(role, name) for role, name in wanted.items() if role not in named]
        return None, [_no_column(role, name, row, headless=headless) for role, name in missing]
    chosen = asked if asked != "auto" else _by_named(named, templated=templated)
    if chosen:
        form, problems = _complete(chosen, named, row, templated=templated, asked=asked != "auto")
    else:
        form, problems = _by_looking(row, named)
    if form is None:
        return None, [replace(problem, help=_HEADLESS) for problem in problems] if headless else problems
    form = _with_system(form, row)
    return form, _left_out(form, row) if not templated else []


def _by_named(named: Mapping[str, str], *, templated: bool) -> str | None:
    """The format that the named columns alone decide."""
    if "messages" in named:
        return "messages"
    if "completion" in named or "prompt" in named:
        return "prompt-completion"
    if "text" in named:
        return "text"
    return "prompt-completion" if templated else None


def _by_looking(row: Row, named: Mapping[str, str]) -> tuple[Format | None, list[Diagnostic]]:
    looks: tuple[tuple[str, Callable[[Row], dict[str, str] | None]], ...] = (
        ("messages", lambda r: _list_column(r, MESSAGES, "role")),
        ("sharegpt", lambda r: _list_column(r, SHARED, "from")),
        ("alpaca", lambda r: _both(r, "instruction", "output")),
        ("prompt-completion", _pair),
        ("text", _text_column),
    )
    for name, look in looks:
        found = look(row)
        if found is not None:
            where = joined(phrase(" and "), [f"`{column}`" for column in found.values()])
            return Format(
                name, _with_input(name, {**found, **named}, row), phrase("the first row has {where}", where=where)
            ), []
    return None, [_unknown(row)]


def _complete(
    chosen: str, named: Mapping[str, str], row: Row, *, templated: bool, asked: bool
) -> tuple[Format | None, list[Diagnostic]]:
    """The columns that a format needs, under the names given or the usual ones."""
    formats: dict[str, dict[str, tuple[str, ...]]] = {
        "alpaca": {"prompt": ("instruction",), "completion": ("output", "response")},
        "prompt-completion": {
            "prompt": () if templated else tuple(dict.fromkeys(p for p, _ in PAIRS)),
            "completion": tuple(dict.fromkeys([*(c for _, c in PAIRS), "output"])),
        },
        "messages": {"messages": MESSAGES},
        "sharegpt": {"messages": SHARED},
        "text": {"text": ("text",)},
    }
    found = dict(named)
    for role, names in formats[chosen].items():
        if role in found or not names:
            continue
        name = usual(names, row)
        if name is None:
            return None, [_not_told(role, chosen, row, asked=asked)]
        found[role] = name
    reason = (
        phrase("format of the recipe")
        if asked
        else phrase("the recipe names ") + joined(phrase(" and "), [f"`{n}`" for n in named.values()])
    )
    reason = reason if named or asked else phrase("the prompt template makes the prompt")
    return Format(chosen, _with_input(chosen, found, row), reason), []


def _with_input(name: str, columns: dict[str, str], row: Row) -> dict[str, str]:
    """Alpaca's columns have an input too, where it is there."""
    found = usual(("input",), row) if name == "alpaca" else None
    return {"input": found, **columns} if found is not None and found not in columns.values() else columns


def _with_system(form: Format, row: Row) -> Format:
    """A column ``system`` with text is each row's system message."""
    found = usual(("system",), row)
    free = found is not None and "system" not in form.columns and found not in form.columns.values()
    if found is None or not free or form.name == "text" or not isinstance(row[found], str | None):
        return form
    return replace(form, columns={**form.columns, "system": found})


def _left_out(form: Format, row: Row) -> list[Diagnostic]:
    """A note on a column that belongs to the question, and that nothing uses."""
    if form.name != "prompt-completion" or "input" in form.columns:
        return []
    prompt, completion = form.columns["prompt"], form.columns["completion"]
    there = [column for column in row if column not in form.columns.values()]
    found = usual(CONTEXT, there)
    if found is None or not isinstance(row[found], str) or not row[found].strip():
        return []
    line = f"prompt = {toml(prompt)}, completion = {toml(completion)}, input = {toml(found)}"
    return [
        Diagnostic(
            "D031",
            phrase("the column `{found}` is not used", found=found),
            severity=Severity.NOTE,
            path=("data", "columns"),
            help=phrase("to put it below each question: columns = {{ {line} }} in [data]", line=line),
        )
    ]


def _pair(row: Row) -> dict[str, str] | None:
    return next((found for pair in PAIRS if (found := _both(row, *pair)) is not None), None)


def _both(row: Row, prompt: str, completion: str) -> dict[str, str] | None:
    one, other = usual((prompt,), row), usual((completion,), row)
    return None if one is None or other is None else {"prompt": one, "completion": other}


def _list_column(row: Row, names: tuple[str, ...], key: str) -> dict[str, str] | None:
    for name in names:
        column = usual((name,), row)
        if column is not None and is_talk(row[column]) and key in row[column][0]:
            return {"messages": column}
    return None


def _text_column(row: Row) -> dict[str, str] | None:
    column = usual(("text",), row)
    return {"text": column} if column is not None and isinstance(row[column], str) else None


def is_talk(value: Any) -> TypeGuard[list[Any]]:
    """Whether a value is a list of messages, by its first one."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _unknown(row: Row) -> Diagnostic:
    written = usual(MESSAGES, row)
    if written is not None and isinstance(row[written], str) and row[written].lstrip().startswith("["):
        message = phrase("`{written}` holds a list written as text, not a list", written=written)
        help_text = phrase("write the list itself, without quotes around it; JSON lines hold lists, CSV cannot")
        return Diagnostic("D027", message, help=help_text)
    if {"role", "content"} <= set(row):
        message = phrase("each row is one message, not a conversation")
        return Diagnostic(
            "D027", message, help=phrase('put those of a conversation together: {"messages": [{…}, {…}]}')
        )
    texts = [name for name, value in row.items() if isinstance(value, str) and value.strip()]
    talks = [name for name, value in row.items() if is_talk(value)]
    help_text = _NAME_THEM
    if len(talks) == 1:
        help_text = phrase("columns = {{ messages = {toml} }} in [data]", toml=toml(talks[0]))
    elif len(texts) == 2:
        help_text = phrase(
            "columns = {{ prompt = {toml}, completion = {toml2} }} in [data]", toml=toml(texts[0]), toml2=toml(texts[1])
        )
    elif len(texts) == 1 and len(row) == 1:
        help_text = phrase("columns = {{ text = {toml} }} in [data]", toml=toml(texts[0]))
    return Diagnostic(
        "D027",
        phrase("the rows are of no known format; their columns are {in_words}", in_words=in_words(row)),
        help=help_text,
    )


def _no_column(role: str, name: str, row: Row, *, headless: bool) -> Diagnostic:
    return Diagnostic(
        "D020",
        phrase("the data has no column `{name}` (named as {role})", name=name, role=role),
        path=("data", "columns", role),
        help=_HEADLESS if headless else did_you_mean(name, row),
    )


def _not_told(role: str, chosen: str, row: Row, *, asked: bool) -> Diagnostic:
    return Diagnostic(
        "D020",
        phrase(
            "which column holds the {role}? The format {chosen} needs one; there are {in_words}",
            role=role,
            chosen=chosen,
            in_words=in_words(row),
        ),
        path=("data", "format" if asked else "columns"),
        help=phrase('name it: columns = {{ {role} = "…" }} in [data]', role=role),
    )
