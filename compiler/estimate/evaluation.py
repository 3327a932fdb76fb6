"""Memory of what a run does beside its steps: measuring held-out rows, and answering questions with a cache of keys.

Neither keeps anything for a way back, so at equal rows it takes less than a step. It may take more where held-out rows
are longer than those trained on, where a step's rows are joined under a mask and these are padded, and where a question
is long.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from compiler.estimate.decoder import shape_of
from compiler.estimate.memory import kept_between, walk_of
from compiler.estimate.outside import workspaces
from compiler.estimate.result import Amount, Memory, Term, Unknown
from compiler.estimate.stacks import WIDTH, stack_of
from compiler.estimate.step import measured
from compiler.estimate.work import Work, is_by_row
from compiler.phrases import phrase


class Asked(Struct, frozen=True):
    """What a run measures and answers: tokens of the longest held-out row and question, and of an answer at most.

    0 rows or questions: none.
    """

    row: int
    question: int
    answer: int


def measuring(work: Work, rows: int, length: int, *, compute_capability: float = 8.0) -> int | Unknown:
    """Bytes allocated at most while ``rows`` held-out rows of up to ``length`` tokens are measured.

    They are padded to it, or joined as in a step where attention sees rows each by itself; ``work.shared`` is then what
    held-out rows begin with.
    """
    return _peak(work, rows, length, head=True, compute_capability=compute_capability)


def answering(work: Work, question: int, answer: int, *, compute_capability: float = 8.0) -> int | Unknown:
    """Bytes allocated at most while one question is answered: its way through the layers, and keys and values of all.

    The head sees the last token alone (``logits_to_keep`` of Transformers' generate).
    """
    peak = _peak(work, 1, question, head=False, compute_capability=compute_capability)
    if isinstance(peak, Unknown):
        return peak
    shape = work.architecture
    numbers = 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim * (question + answer)
    return peak + numbers * WIDTH[work.dtype]


def _peak(work: Work, rows: int, length: int, *, head: bool, compute_capability: float) -> int | Unknown:
    by_row = head and is_by_row(work)
    alone = replace(work, micro_batch=max(1, rows), length=max(2, length), packing=by_row, even=rows == 1)
    stack = stack_of(work)
    kept = kept_between(work, stack)
    shape = shape_of(work.architecture, work.weights)
    if isinstance(kept, Unknown):
        return kept
    if isinstance(shape, Unknown):
        return shape
    plain = replace(stack, checkpoint="none", input_gradients=False)
    asked = walk_of(alone, plain, replace(shape, layers=0))
    seen = _measured(asked).at(shape.layers, alone.micro_batch)
    walked = max(peak for phase, (peak, _) in seen.items() if head or phase in {"embedding", "forward"})
    return kept + walked + (workspaces(compute_capability) if work.device == "cuda" else 0)


_measured = lru_cache(maxsize=1024)(measured)


def most_rows(work: Work, length: int, within: int, *, compute_capability: float = 8.0) -> int | Unknown:
    """The most rows at once, of those that halve the micro-batch, whose measurement stays within so many bytes.

    One row where even that takes more.
    """
    rows = work.micro_batch
    while rows > 1:
        taken = measuring(work, rows, length, compute_capability=compute_capability)
        if isinstance(taken, Unknown):
            return taken
        if taken <= within:
            return rows
        rows //= 2
    return 1


def with_evaluation(memory: Memory, work: Work, asked: Asked, *, compute_capability: float = 8.0) -> Memory:
    """``memory`` of a step, raised where measuring one row, or answering, takes more than a step does."""
    found = []
    if asked.row:
        found.append(measuring(work, 1, asked.row, compute_capability=compute_capability))
    if asked.question:
        found.append(answering(work, asked.question, asked.answer, compute_capability=compute_capability))
    most = max((taken for taken in found if not isinstance(taken, Unknown)), default=0)
    more = most - memory.allocated.bytes
    if more <= 0:
        return memory
    own = Term(
        phrase("evaluation"),
        more,
        phrase(
            "more than a step: a row of {row} tokens, a question of {question}", row=asked.row, question=asked.question
        ),
        phrase("the forward pass walked through without gradients; keys and values of every layer"),
    )

    def raised(amount: Amount) -> Amount:
        return Amount(amount.bytes + more, amount.low + more, amount.high + more)

    return replace(
        memory,
        terms=(*memory.terms, own),
        allocated=raised(memory.allocated),
        reserved=raised(memory.reserved),
        process=raised(memory.process),
        moment="evaluation",
    )
