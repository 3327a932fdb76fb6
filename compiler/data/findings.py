"""What a person should know of the data that will train: errors where nothing would be learnt, warnings else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler.data.audit import Audit
from compiler.data.faults import told_of_rows
from compiler.data.limits import limited
from compiler.data.row import RowsOf
from compiler.data.sources import Source
from compiler.data.text_audit import TextFindings
from compiler.data.tokenizer import ACROSS, REWRITTEN, UNASKED
from compiler.diagnostics import Diagnostic, Severity
from compiler.language.recipe import AuditTable, MostRows
from compiler.phrases import phrase

_MASK_HELP: dict[str, str] = {
    REWRITTEN: phrase(
        "write each conversation as several rows, each of which ends with an answer that is to be learnt"
    ),
    UNASKED: phrase("begin the conversation with a question, or leave that turn out"),
    ACROSS: phrase("take a chat template that puts a token of its own, or a line end, before each answer"),
}

_PERSONAL_HELP = phrase("take it out or put another in its place: the tuned model may say it to anyone")

_USUAL = AuditTable()

_CONTROL_HELP = phrase("take it out, or write it otherwise (with a space in it); the chat template writes its own")


def judge(found: Audit, sources: Sequence[Source], limits: AuditTable = _USUAL) -> list[Diagnostic]:
    """What an audit came to, with the rows and their places in the data."""
    told: list[Diagnostic] = []

    def tell(code: str, message: str, help_text: str, rows: RowsOf, most: MostRows) -> None:
        total = found.held_out if rows is found.held_out_in_train else found.rows
        problems = told_of_rows(code, message, rows, sources, help_text=help_text)
        told.extend(limited(problems, most, count=len(rows), rows=total))

    tell(
        "D040",
        phrase("no token of the answer would be learnt"),
        phrase("check the chat template and max_length; `on_too_long` says what happens to long rows"),
        found.nothing_learnt,
        limits.nothing_learnt,
    )
    tell(
        "D041",
        phrase("the end of the answer is not learnt, so that the tuned model may not stop"),
        phrase("check that the chat template ends each answer with an end-of-turn token; truncated rows lose theirs"),
        found.end_of_turn_not_learnt,
        limits.end_of_turn_not_learnt,
    )
    tell(
        "D042",
        phrase("the text begins twice (BOS)"),
        phrase("leave it out of the data: the template writes it"),
        found.doubled_bos,
        limits.doubled_bos,
    )
    tell(
        "D045",
        phrase("the same example comes again"),
        phrase("remove the copies, unless they are meant"),
        found.duplicates,
        limits.duplicates,
    )
    tell(
        "D044",
        phrase("held out, and trained on too, so that the held-out loss flatters"),
        phrase("remove them from one of the two files"),
        found.held_out_in_train,
        limits.held_out_in_train,
    )
    return told


def judge_questions(
    rows: RowsOf, found: Audit, sources: Sequence[Source], limits: AuditTable = _USUAL
) -> list[Diagnostic]:
    """Held-out questions that are trained on with another answer."""
    same = set(found.held_out_in_train)
    others = [row for row in rows if row not in same]
    problems = told_of_rows(
        "D046",
        phrase("the question is held out, and trained on too with another answer"),
        others,
        sources,
        help_text=phrase(
            "remove such rows from one of the two files; held_out_share puts each question on one side only"
        ),
    )
    return limited(problems, limits.questions_in_train, count=len(others), rows=found.held_out)


def judge_contents(found: TextFindings, sources: Sequence[Source], limits: AuditTable = _USUAL) -> list[Diagnostic]:
    """What the texts of the rows came to."""
    told: list[Diagnostic] = []
    for language, noted in sorted(found.languages.items()):
        problems = noted.told(
            "D049",
            phrase("the answer is in another language than [recipe] language: {language}", language=language),
            sources,
            help_text=phrase(
                "leave such rows out, translate them, or say in the recipe which language the answers are in"
            ),
        )
        told += limited(problems, limits.other_language, count=found.other_language, rows=found.rows)
    for kind, noted in sorted(found.personal.items()):
        problems = noted.told("D048", phrase("{kind} ({{example}})", kind=kind), sources, help_text=_PERSONAL_HELP)
        told += limited(problems, limits.personal_data, count=found.personal_rows, rows=found.rows)
    near = found.near_duplicates
    problems = near.told(
        "D053",
        phrase("nearly the same as another row (the first as {example})"),
        sources,
        help_text=phrase("remove such rows, unless they are meant: they weigh more than others"),
    )
    told += limited(problems, limits.near_duplicates, count=near.total, rows=found.rows - found.held_out)
    near = found.held_out_near_train
    problems = near.told(
        "D054",
        phrase("held out, and nearly the same as a row that is trained on (the first as {example})"),
        sources,
        help_text=phrase("remove such rows from one of the two sides"),
    )
    return told + limited(problems, limits.held_out_near_train, count=near.total, rows=found.held_out)


def judge_system(token: str | None) -> list[Diagnostic]:
    """A control token in the recipe's own system message."""
    if token is None:
        return []
    message = phrase(
        "the system message holds {token}, which the model reads as a control token, not as text", token=token
    )
    path = ("data", "system")
    return [Diagnostic("D047", message, severity=Severity.WARNING, path=path, help=_CONTROL_HELP)]


def judge_texts(
    masks: Mapping[str, RowsOf],
    control: Mapping[str, RowsOf],
    sources: Sequence[Source],
    limits: AuditTable = _USUAL,
    *,
    rows: int = 0,
) -> list[Diagnostic]:
    """What could not be masked as asked, and texts that the tokenizer takes for its own tokens; of ``rows`` rows."""
    told: list[Diagnostic] = []
    for text, places in masks.items():
        problems = told_of_rows("D043", text, places, sources, help_text=_MASK_HELP.get(text))
        told += limited(problems, limits.partly_learnt, count=rows_in(masks), rows=rows)
    for token, places in control.items():
        message = phrase("the text holds {token}, which the model reads as a control token, not as text", token=token)
        problems = told_of_rows("D047", message, places, sources, help_text=_CONTROL_HELP)
        told += limited(problems, limits.control_tokens, count=rows_in(control), rows=rows)
    return told


def rows_in(places: Mapping[str, RowsOf]) -> int:
    """How many rows there are in several lists, each counted once."""
    return len({(source, place.row) for rows in places.values() for source, place in rows})
