"""Questions of a recipe's own for the evaluation: rows with a question and, where there are any, answer and tags."""

from __future__ import annotations

from pathlib import Path

from compiler.data.columns import usual
from compiler.data.faults import at_place
from compiler.data.named_path import NamedPath
from compiler.data.row import Place, Row, RowFault
from compiler.data.rows import read_rows
from compiler.data.sources import SourceFault, open_source
from compiler.diagnostics import Diagnostic, short
from compiler.language.recipe import OwnQuestion
from compiler.phrases import phrase

FIELD = ("evaluation", "questions_path")

QUESTION = ("question", "prompt", "instruction", "query", "frage")
ANSWER = ("answer", "expected", "reponse", "response", "completion", "output", "antwort")
TAGS = ("tags", "tag")
"""Names of the columns, in any case and with any accents."""

MOST = 5_000
"""Questions of a file; each is answered twice, which takes seconds."""

MOST_TOLD = 20
"""Faults of rows that are told."""


def load_questions(name: str, root: Path, *, allow_outside: bool) -> tuple[list[OwnQuestion], list[Diagnostic]]:
    """The questions of a file, or what is wrong with it. ``root`` is the recipe's folder."""
    source, problems = open_source(
        NamedPath(name, FIELD, phrase("file of questions")), root, allow_outside=allow_outside
    )
    if source is None:
        return [], problems
    if source.is_text:
        return [], [
            Diagnostic(
                "D071",
                phrase("{name} is plain text", name=name),
                path=FIELD,
                help=phrase('write {"question": "…"} a line'),
            )
        ]
    found: list[OwnQuestion] = []
    try:
        for place, row in read_rows(source):
            one = row if isinstance(row, RowFault) else _question(row)
            if isinstance(one, OwnQuestion):
                found.append(one)
                continue
            told = Diagnostic(one.code, one.message, help=one.help_text)
            problems.append(at_place(told, source, place, who=_row(place), column=one.column or 1))
            if len(problems) >= MOST_TOLD:
                break
    except SourceFault as fault:
        return [], [*problems, fault.diagnostic]
    if len(found) > MOST:
        message = phrase("{name} has {count:,} questions, more than {most:,}", name=name, count=len(found), most=MOST)
        problems.append(Diagnostic("D071", message, path=FIELD, help=phrase("keep those that tell most")))
    return ([] if problems else found), problems


def tags_of(row: Row) -> tuple[str, ...] | None:
    """The tags of a row, none without the column; None when they are no texts."""
    column = usual(TAGS, row)
    value = row[column] if column is not None else None
    if value is None or value == "":
        return ()
    listed = value if isinstance(value, list) else str(value).split(",") if isinstance(value, str) else None
    if listed is None or not all(isinstance(tag, str) for tag in listed):
        return None
    return tuple(tag.strip() for tag in listed if tag.strip())


def _question(row: Row) -> OwnQuestion | RowFault:
    asks, answers, tags = usual(QUESTION, row), usual(ANSWER, row), tags_of(row)
    question = row.get(asks) if asks is not None else None
    if not isinstance(question, str) or not question.strip():
        return RowFault(
            "D071",
            phrase("the row has no question"),
            phrase("no question"),
            help_text=phrase('write {"question": "…"}'),
        )
    expected = row.get(answers) if answers is not None else None
    if expected is not None and not isinstance(expected, str):
        message = phrase("the answer to {question!r} is no text", question=short(question))
        return RowFault(
            "D071", message, phrase("answer is no text"), help_text=phrase("put it in quotes, or leave it out")
        )
    if tags is None:
        message = phrase("the tags of {question!r} are no texts", question=short(question))
        return RowFault("D071", message, phrase("tags are no texts"), help_text=phrase('write "tags": ["citation"]'))
    return OwnQuestion(question=question, answer=expected or None, tags=list(tags))


def _row(place: Place) -> str:
    return phrase("row {row}", row=place.row)
