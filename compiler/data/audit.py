"""What the model will really learn from: counts over every training example, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compiler.data.faults import rows_in_words
from compiler.diagnostics import Diagnostic, Severity

if TYPE_CHECKING:
    from compiler.data.examples import Example
    from compiler.data.tokenizer import ChatTokenizer

IGNORED = -100
"""The label that PyTorch's cross entropy leaves out."""


@dataclass(slots=True)
class Audit:
    """Counts of training examples (``tokens``: of their tokens)."""

    rows: int = 0
    tokens: int = 0
    supervised_tokens: int = 0
    end_of_turn_learnt: int = 0
    nothing_learnt: list[int] = field(default_factory=list)
    end_of_turn_not_learnt: list[int] = field(default_factory=list)
    doubled_bos: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    held_out_in_train: int = 0
    pad_is_eos: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain data for the plan: the counts."""
        return {
            "rows": self.rows,
            "tokens": self.tokens,
            "supervised_tokens": self.supervised_tokens,
            "end_of_turn_learnt": self.end_of_turn_learnt,
            "end_of_turn_not_learnt": len(self.end_of_turn_not_learnt),
            "nothing_learnt": len(self.nothing_learnt),
            "doubled_bos": len(self.doubled_bos),
            "duplicates": len(self.duplicates),
            "held_out_in_train": self.held_out_in_train,
            "pad_is_eos": self.pad_is_eos,
        }


def audit(train: Sequence[Example], held_out: Sequence[Example], tokenizer: ChatTokenizer) -> Audit:
    """Look at every label of every training example."""
    found = Audit(pad_is_eos=tokenizer.pad_token_id is not None and tokenizer.pad_token_id == tokenizer.eos_token_id)
    bos = tokenizer.bos_token_id
    stops = set(tokenizer.stop_token_ids)
    seen: dict[bytes, tuple[int, int]] = {}
    for example in train:
        found.rows += 1
        found.tokens += len(example.ids)
        learnt = [label for label in example.labels if label != IGNORED]
        found.supervised_tokens += len(learnt)
        if not learnt:
            found.nothing_learnt.append(example.row)
        elif learnt[-1] in stops:
            found.end_of_turn_learnt += 1
        else:
            found.end_of_turn_not_learnt.append(example.row)
        if bos is not None and len(example.ids) > 1 and example.ids[0] == example.ids[1] == bos:
            found.doubled_bos.append(example.row)
        place = (example.source, example.row)
        if seen.setdefault(example.ids.tobytes(), place) != place:  # a source's weight repeats its rows: that is meant
            found.duplicates.append(example.row)
    found.held_out_in_train = sum(example.ids.tobytes() in seen for example in held_out)
    return found


def judge(found: Audit) -> list[Diagnostic]:
    """What a person should know of an audit: errors where nothing would be learnt, warnings else."""
    told: list[Diagnostic] = []

    def tell(code: str, message: str, help_text: str, rows: list[int], severity: Severity = Severity.WARNING) -> None:
        where = rows_in_words(rows[:3], total=len(rows))
        told.append(Diagnostic(code, f"{message}: {where}", severity=severity, help=help_text))

    if found.nothing_learnt:
        tell(
            "D040",
            "no token of the answer would be learnt",
            "check the chat template and max_length; `on_too_long` says what happens to long rows",
            found.nothing_learnt,
            Severity.ERROR,
        )
    if found.end_of_turn_not_learnt:
        tell(
            "D041",
            "the end of the answer is not learnt, so that the tuned model may not stop",
            "check that the chat template ends each answer with an end-of-turn token; truncated rows lose theirs",
            found.end_of_turn_not_learnt,
        )
    if found.doubled_bos:
        tell(
            "D042",
            "the text begins twice (BOS)",
            "leave it out of the data: the template writes it",
            found.doubled_bos,
        )
    if found.duplicates:
        tell(
            "D045",
            "the same example comes again",
            "remove the copies, unless they are meant",
            found.duplicates,
        )
    if found.held_out_in_train:
        message = f"{found.held_out_in_train} held-out rows are trained on too, so that the held-out loss flatters"
        told.append(
            Diagnostic("D044", message, severity=Severity.WARNING, help="remove them from one of the two files")
        )
    return told
