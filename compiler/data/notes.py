"""What is known of the rows once all are read and tokenised, but the examples themselves."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, convert, field, to_builtins

from compiler.data.formats import Format
from compiler.data.ledger import DroppedRows, Ledger
from compiler.data.row_list import RowList
from compiler.data.split import Split
from compiler.data.text_audit import TextFindings
from compiler.diagnostics import Diagnostic


class Notes(Struct):
    """What reading came to: the rows' fates so far, what is to be told, and what later stages need."""

    ledger: Ledger
    split: Split
    problems: list[Diagnostic] = field(default_factory=list)
    forms: list[Format] = field(default_factory=list)
    masks: dict[str, RowList] = field(default_factory=dict)
    """What could not be masked as asked, in words, and where."""
    control: dict[str, RowList] = field(default_factory=dict)
    """The model's control tokens that texts hold, and where."""
    contents: TextFindings = field(default_factory=TextFindings)
    """What the texts told."""
    has_messages: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain data that ``notes_from_json`` reads, as long as no later stage has written into the ledger."""
        split = self.split
        return {
            "sources": self.ledger.sources,
            "dropped": {reason: rows.as_json() for reason, rows in self.ledger.dropped.items()},
            "split": [split.share, *(one.hex() if one is not None else None for one in (split.least, split.most))],
            "problems": to_builtins(self.problems, enc_hook=str.__str__),
            "forms": to_builtins(self.forms, enc_hook=str.__str__),
            "masks": {text: rows.as_json() for text, rows in self.masks.items()},
            "control": {text: rows.as_json() for text, rows in self.control.items()},
            "contents": to_builtins(self.contents, str_keys=True, enc_hook=str.__str__),
            "has_messages": self.has_messages,
        }


def notes_from_json(plain: dict[str, Any]) -> Notes:
    """The notes that ``as_json`` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    share, *ends = plain["split"]
    least, most = (bytes.fromhex(one) if one is not None else None for one in ends)
    return Notes(
        Ledger(
            sources=[(name, count) for name, count in plain["sources"]],
            dropped={reason: DroppedRows.from_json(rows) for reason, rows in plain["dropped"].items()},
        ),
        Split(share, least, most),
        convert(plain["problems"], list[Diagnostic]),
        convert(plain["forms"], list[Format]),
        {text: RowList.from_json(rows) for text, rows in plain["masks"].items()},
        {text: RowList.from_json(rows) for text, rows in plain["control"].items()},
        convert(plain["contents"], TextFindings, str_keys=True),
        plain["has_messages"],
    )
