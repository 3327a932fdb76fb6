"""How long an example may be, and what becomes of those that are longer."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence

from msgspec import Struct, field

from compiler.data.examples import Example, shortened
from compiler.data.faults import FaultLog, told_of_rows
from compiler.data.ledger import Ledger
from compiler.data.row import RowFault
from compiler.data.row_list import RowList
from compiler.data.sources import Source
from compiler.data.store import Examples
from compiler.diagnostics import Diagnostic, Severity
from compiler.phrases import phrase

SHORTEST = 16
"""The least that ``max_length`` may be."""


class Limit(Struct, frozen=True):
    """The longest example in tokens, why, and the model's context, 0 where it is not known."""

    tokens: int
    reason: str
    context: int = 0

    @property
    def in_words(self) -> str:
        """The limit by its name."""
        return (
            phrase("the model's context of {tokens}", tokens=self.tokens)
            if self.is_context
            else f"max_length {self.tokens}"
        )

    @property
    def is_context(self) -> bool:
        """Whether it cannot be raised."""
        return bool(self.context) and self.tokens >= self.context


def find_limit(asked: int | str, train: Examples, held_out: Examples, context: int, *, share: float = 1.0) -> Limit:
    """The limit that a recipe asks for; for ``auto`` the longest row of both sides, as far as the model goes.

    Below 1, ``share`` of the rows need fit whole: then it is the smallest length that keeps as many.
    """
    if isinstance(asked, int):
        return Limit(asked, phrase("set by the recipe"), context)
    if share < 1.0:
        return _limit_for_most(sorted([*train.lengths(), *held_out.lengths()]), context, share)
    longest = max(train.lengths(), default=0)
    measured = max(held_out.lengths(), default=0)
    which = phrase("the longest row") if longest >= measured else phrase("the longest row, a held-out one,")
    longest = max(longest, measured)
    if context and longest > context:
        return Limit(
            context, phrase("the model's context; {which} has {longest} tokens", which=which, longest=longest), context
        )
    if longest < SHORTEST:
        return Limit(
            SHORTEST, phrase("the least there is; {which} has {longest} tokens", which=which, longest=longest), context
        )
    return Limit(longest, phrase("{which}, so that nothing is cut", which=which.rstrip(",")), context)


def _limit_for_most(lengths: list[int], context: int, share: float) -> Limit:
    """The smallest limit that leaves a share of the rows whole, nearest rank."""
    whole = max(1, math.ceil(share * len(lengths) - 1e-9))
    tokens = max(SHORTEST, lengths[whole - 1] if lengths else 0)
    if context and tokens > context:
        return Limit(
            context,
            phrase(
                "the model's context; {share:.6g} of the rows would need {tokens} tokens", share=share, tokens=tokens
            ),
            context,
        )
    whole = bisect_right(lengths, tokens)
    return Limit(
        tokens,
        phrase("the smallest that keeps {whole} of {count} rows whole, as asked", whole=whole, count=len(lengths)),
        context,
    )


class Fitting(Struct):
    """What ``on_too_long`` does; what it finds is left in ``problems`` and ``ledger``."""

    limit: Limit
    policy: str
    sources: Sequence[Source]
    ledger: Ledger
    problems: list[Diagnostic] = field(default_factory=list)

    def fitted(self, examples: Examples) -> Examples:
        """The examples that are short enough, or are made so."""
        kept, cut = array("I"), RowList()
        lost = longest = 0
        faults = FaultLog()
        for at, length in enumerate(examples.lengths()):
            if length <= self.limit.tokens:
                kept.append(examples.numbers[at])
                continue
            example = examples[at]
            if self.policy == "truncate" and shortened(example, self.limit.tokens).learnt_tokens:
                cut.append((example.source, example.place))
                kept.append(examples.numbers[at])
                lost, longest = lost + length - self.limit.tokens, max(longest, length)
                continue
            fault = self._fault(example)
            source = self.sources[example.source]
            faults.add(source, example.place, fault)
            self.ledger.drop(fault.reason, source.name, example.row)
        self.ledger.truncated += len(cut)
        severity = Severity.ERROR if self.policy == "fail" else Severity.WARNING
        self.problems += faults.diagnostics(severity=severity, fate="" if self.policy == "fail" else "dropped")
        if cut:
            self._tell_cut(cut, lost, longest)
        return examples.of(kept, limit=self.limit.tokens)

    def _fault(self, example: Example) -> RowFault:
        length, most = len(example.ids), self.limit.tokens
        what = phrase(
            "{length} tokens, {length2} more than {in_words}",
            length=length,
            length2=length - most,
            in_words=self.limit.in_words,
        )
        advice = self._advice(example.source, length)
        if self.policy == "truncate":
            message = phrase("{what}, and what is before them holds nothing of the answer", what=what)
            return RowFault(
                "D050",
                message,
                phrase("no answer left after truncation"),
                help_text=self._advice(example.source, length),
            )
        return RowFault("D050", what, phrase("longer than max_length"), help_text=advice)

    def _advice(self, source: int, length: int) -> str:
        if self.sources[source].is_text:
            ways = [phrase("split it into files of at most {tokens} tokens each", tokens=self.limit.tokens)]
        else:
            ways = [phrase("shorten the rows, or cut each into several")]
        if not self.limit.is_context:
            enough = not self.limit.context or length <= self.limit.context
            most = f"{length}" if enough else phrase("{context}, the model's context", context=self.limit.context)
            ways.insert(0, phrase("raise max_length to {most}", most=most))
        if self.policy == "drop":
            ways.append(phrase('on_too_long = "truncate" in [training] keeps their beginnings'))
        return phrase("; or ").join(ways)

    def _tell_cut(self, cut: RowList, lost: int, longest: int) -> None:
        self.problems += told_of_rows(
            "D051",
            phrase("cut at {in_words}; {lost} tokens are lost", in_words=self.limit.in_words, lost=lost),
            cut,
            self.sources,
            help_text=self._advice(cut[0][0], longest),
        )
