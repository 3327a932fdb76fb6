"""What the model will really learn from: counts over every training example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from compiler.data.examples import Example
from compiler.data.row_list import RowList

if TYPE_CHECKING:
    from compiler.data.tokenizer import ChatTokenizer

ELSEWHERE = (
    "partly_learnt",
    "control_tokens",
    "cut",
    "questions_in_train",
    "near_duplicates",
    "held_out_near_train",
    "other_language",
    "personal_data",
)
"""Findings that are made before rows are examples, or by their texts."""


class Audit(Struct):
    """Counts of training examples (``tokens``: of their tokens), and the rows in which something is amiss."""

    rows: int = 0
    tokens: int = 0
    supervised_tokens: int = 0
    end_of_turn_learnt: int = 0
    nothing_learnt: RowList = field(default_factory=RowList)
    end_of_turn_not_learnt: RowList = field(default_factory=RowList)
    doubled_bos: RowList = field(default_factory=RowList)
    duplicates: RowList = field(default_factory=RowList)
    held_out_in_train: RowList = field(default_factory=RowList)
    pad_is_eos: bool = False
    """Told in the plan alone: labels are padded by place, never by id, so that no end of an answer is lost by it."""
    held_out: int = 0
    elsewhere: Counter[str] = field(default_factory=Counter)
    """Rows that other passes found, by the names of their limits in the recipe (``ELSEWHERE``)."""

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
            "held_out_in_train": len(self.held_out_in_train),
            **{name: self.elsewhere[name] for name in ELSEWHERE},
            "pad_is_eos": self.pad_is_eos,
        }


def audit(train: Iterable[Example], held_out: Iterable[Example], tokenizer: ChatTokenizer) -> Audit:
    """Look at every training example; one that a source's weight repeats is counted each time."""
    found = Audit(pad_is_eos=tokenizer.pad_token_id is not None and tokenizer.pad_token_id == tokenizer.eos_token_id)
    bos = tokenizer.bos_token_id
    stops = set(tokenizer.stop_token_ids)
    seen: dict[bytes, int] = {}
    for example in train:
        where = (example.source, example.place)
        found.rows += 1
        found.tokens += len(example.ids)
        found.supervised_tokens += example.learnt_tokens
        if not example.learnt_tokens:
            found.nothing_learnt.append(where)
        elif _ends(example, stops):
            found.end_of_turn_learnt += 1
        else:
            found.end_of_turn_not_learnt.append(where)
        if bos is not None and len(example.ids) > 1 and example.ids[0] == example.ids[1] == bos:
            found.doubled_bos.append(where)
        row = example.source << 48 | example.row  # a number takes a quarter of what a place does
        if seen.setdefault(_digest(example), row) != row:  # a weight repeats rows: that is meant
            found.duplicates.append(where)
    for example in held_out:
        found.held_out += 1
        if _digest(example) in seen:
            found.held_out_in_train.append((example.source, example.place))
    return found


def _ends(example: Example, stops: set[int]) -> bool:
    """Whether an end-of-turn token is learnt with the last answer; many templates write a line end after it."""
    first, last = example.learnt[-1]
    return any(example.ids[at] in stops for at in range(last - 1, first - 1, -1))


def _digest(example: Example) -> bytes:
    return blake2b(example.ids.tobytes(), digest_size=16).digest()
