"""What a person should know of the data that will train: errors where nothing would be learnt, warnings else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler.data.audit import Audit
from compiler.data.faults import told_of_rows
from compiler.data.row import RowsOf
from compiler.data.sources import Source
from compiler.data.tokenizer import ACROSS, REWRITTEN, UNASKED
from compiler.diagnostics import Diagnostic, Severity

_MASK_HELP = {
    REWRITTEN: "write each conversation as several rows, each of which ends with an answer that is to be learnt",
    UNASKED: "begin the conversation with a question, or leave that turn out",
    ACROSS: "take a chat template that puts a token of its own, or a line end, before each answer",
}

_CONTROL_HELP = "take it out, or write it otherwise (with a space in it); the chat template writes its own"


def judge(found: Audit, sources: Sequence[Source]) -> list[Diagnostic]:
    """What an audit came to, with the rows and their places in the data."""
    told: list[Diagnostic] = []

    def tell(code: str, message: str, help_text: str, rows: RowsOf, severity: Severity = Severity.WARNING) -> None:
        told.extend(told_of_rows(code, message, rows, sources, severity=severity, help_text=help_text))

    tell(
        "D040",
        "no token of the answer would be learnt",
        "check the chat template and max_length; `on_too_long` says what happens to long rows",
        found.nothing_learnt,
        Severity.ERROR,
    )
    tell(
        "D041",
        "the end of the answer is not learnt, so that the tuned model may not stop",
        "check that the chat template ends each answer with an end-of-turn token; truncated rows lose theirs",
        found.end_of_turn_not_learnt,
    )
    tell("D042", "the text begins twice (BOS)", "leave it out of the data: the template writes it", found.doubled_bos)
    tell("D045", "the same example comes again", "remove the copies, unless they are meant", found.duplicates)
    tell(
        "D044",
        "held out, and trained on too, so that the held-out loss flatters",
        "remove them from one of the two files",
        found.held_out_in_train,
    )
    return told


def judge_questions(rows: RowsOf, found: Audit, sources: Sequence[Source]) -> list[Diagnostic]:
    """Held-out questions that are trained on with another answer."""
    same = set(found.held_out_in_train)
    return told_of_rows(
        "D046",
        "the question is held out, and trained on too with another answer",
        [row for row in rows if row not in same],
        sources,
        help_text="remove such rows from one of the two files; held_out_share puts each question on one side only",
    )


def judge_system(token: str | None) -> list[Diagnostic]:
    """A control token in the recipe's own system message."""
    if token is None:
        return []
    message = f"the system message holds {token}, which the model reads as a control token, not as text"
    path = ("data", "system")
    return [Diagnostic("D047", message, severity=Severity.WARNING, path=path, help=_CONTROL_HELP)]


def judge_texts(
    masks: Mapping[str, RowsOf], control: Mapping[str, RowsOf], sources: Sequence[Source]
) -> list[Diagnostic]:
    """What could not be masked as asked, and texts that the tokenizer takes for its own tokens."""
    told = [
        problem
        for text, rows in masks.items()
        for problem in told_of_rows("D043", text, rows, sources, help_text=_MASK_HELP.get(text))
    ]
    for token, rows in control.items():
        message = f"the text holds {token}, which the model reads as a control token, not as text"
        told += told_of_rows("D047", message, rows, sources, help_text=_CONTROL_HELP)
    return told
