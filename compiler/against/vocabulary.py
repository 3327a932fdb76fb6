"""Whether the model has an embedding for every token that its tokenizer made of the rows."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from compiler.diagnostics import Diagnostic
from compiler.facts.models import ModelFacts
from compiler.phrases import phrase

if TYPE_CHECKING:
    from compiler.data.prepare import PreparedData


def beyond_vocabulary(data: PreparedData, facts: ModelFacts) -> list[Diagnostic]:
    """An error where a token's id is no row of the embedding: training would stop at the first such row."""
    if facts.architecture is None:
        return []
    size = facts.architecture.vocab_size
    rows, beyond, highest = 0, 0, 0
    for of_row in chain(data.train.highest_ids(), data.held_out.highest_ids()):
        rows, beyond, highest = rows + 1, beyond + (of_row >= size), max(highest, of_row)
    if not beyond:
        return []
    message = phrase(
        "the tokenizer of {id} writes token {highest} in {beyond} of {rows} rows, and the model has "
        "embeddings for 0 to {size}",
        id=facts.id,
        highest=highest,
        beyond=beyond,
        rows=rows,
        size=size - 1,
    )
    advice = phrase(
        "take the tokenizer files that were published with these weights; tokens cannot be added by a recipe"
    )
    return [Diagnostic("M095", message, help=advice)]
