"""What only the texts of rows tell: personal data, another language, near repeats.

Each row is looked at once, as it is read; what is kept is a few dozen bytes a row, and audits of several processes
are merged. The few rows that may be near repeats are then read a second time and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from hashlib import blake2b

from msgspec import Struct, field

from compiler.data.conversations import Conversation
from compiler.data.faults import in_words
from compiler.data.languages import other_language
from compiler.data.near_duplicates import Comparison, NearDuplicates, words_of
from compiler.data.noted import Noted
from compiler.data.personal import personal_data_in
from compiler.data.row import Place
from compiler.phrases import phrase

TextPlace = tuple[int, int]
"""The number of a row's source, and the row's number there."""

TextOf = tuple[int, Place, Conversation]
"""The number of a row's source, its place there, and its text."""

Again = Callable[[Collection[TextPlace]], Iterable[TextOf]]
"""Gives some rows a second time; it may give others too."""

_ROWS_OF_A_SOURCE = 1 << 40


class TextFindings(Struct):
    """What was found, by the name of its limit in the recipe where nothing else is said."""

    rows: int = 0
    held_out: int = 0
    personal: dict[str, Noted] = field(default_factory=dict)
    """By kind, in words."""
    personal_rows: int = 0
    languages: dict[str, Noted] = field(default_factory=dict)
    """By the other language, in words."""
    near_duplicates: Noted = field(default_factory=Noted)
    held_out_near_train: Noted = field(default_factory=Noted)

    @property
    def other_language(self) -> int:
        """Rows in another language."""
        return sum(noted.total for noted in self.languages.values())

    def counts(self) -> dict[str, int]:
        """Rows by the name of the limit."""
        return {
            "near_duplicates": self.near_duplicates.total,
            "held_out_near_train": self.held_out_near_train.total,
            "other_language": self.other_language,
            "personal_data": self.personal_rows,
        }


class TextAudit(Struct):
    """One pass over some rows in their order; ``language`` and ``system`` are the recipe's."""

    language: str
    system: str = ""
    found: TextFindings = field(default_factory=TextFindings)
    repeats: NearDuplicates = field(default_factory=NearDuplicates)

    def add(self, source: int, place: Place, conversation: Conversation, *, held_out: bool = False) -> None:
        """Look at one row."""
        found = self.found
        found.rows += 1
        found.held_out += held_out
        texts = [m["content"] for m in conversation.messages if m["content"] != self.system] or [conversation.text]
        kinds = personal_data_in("\n".join(texts))
        found.personal_rows += bool(kinds)
        for kind, masked in kinds:
            found.personal.setdefault(kind, Noted()).add(source, place, masked)
        language = other_language(conversation.answer or conversation.text, self.language)
        if language is not None:
            found.languages.setdefault(language, Noted()).add(source, place)
        self.repeats.add(_number(source, place.row), _words(conversation), _whole(conversation), held_out=held_out)

    def merge(self, other: TextAudit) -> None:
        """Take in the rows that another process looked at."""
        found, more = self.found, other.found
        found.rows += more.rows
        found.held_out += more.held_out
        found.personal_rows += more.personal_rows
        for mine, theirs in ((found.personal, more.personal), (found.languages, more.languages)):
            for name, noted in theirs.items():
                mine.setdefault(name, Noted()).merge(noted)
        self.repeats.merge(other.repeats)

    def hold_out(self, rows: Iterable[TextPlace]) -> None:
        """Tell which rows are held out, where that is known only once all are read."""
        numbers = {_number(source, row) for source, row in rows}
        for at, number in enumerate(self.repeats.rows):
            if number in numbers:
                self.repeats.held_out[at] = True
        self.found.held_out = sum(self.repeats.held_out)

    def finish(self, again: Again, names: Sequence[str]) -> TextFindings:
        """Everything found; ``again`` gives rows a second time, and is called only if some may be near repeats.

        ``names`` are those of the sources.
        """
        work = Comparison(self.repeats.candidates(), self.found.rows)
        if not work.pairs:
            return self.found
        wanted: dict[int, tuple[int, Place]] = {}
        for source, place, conversation in again({divmod(number, _ROWS_OF_A_SOURCE) for number in work.wanted}):
            number = _number(source, place.row)
            if number in work.wanted:
                wanted[number] = source, place
                work.add(number, _words(conversation))
        held_out = self.repeats.held_out_rows()
        for number, other in sorted(work.nearly_the_same().items()):
            noted = self.found.held_out_near_train if number in held_out else self.found.near_duplicates
            source, place = wanted[other]
            where = in_words([place], total=1)
            noted.add(
                *wanted[number],
                where
                if source == wanted[number][0]
                else phrase("{where} of {names}", where=where, names=names[source]),
            )
        return self.found


def _number(source: int, row: int) -> int:
    return source * _ROWS_OF_A_SOURCE + row


def _whole(conversation: Conversation) -> int:
    said = "\0".join([message["content"] for message in conversation.messages] or [conversation.text])
    return int.from_bytes(blake2b(said.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _words(conversation: Conversation) -> list[bytes]:
    """Question and answer; a system message is as a rule the same in all rows."""
    said = [message["content"] for message in conversation.messages if message["role"] != "system"]
    return words_of("\n".join(said or [conversation.text]))
