"""Several rows of a micro-batch in one sequence: fewer positions that only pad, the same rows in every step.

TRL's packing fills sequences from all rows, so that a step sees another number of rows than the recipe's batch_size.
Here the rows of a micro-batch are joined among themselves: batch, steps, schedule and loss stay those of the recipe,
and only padding goes. Who trains and who estimates take the same function: a plan's figures are those of its run.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from msgspec import Struct

from compiler.facts.architecture import Architecture
from compiler.facts.parameters import Weight, passed_by_token

STRETCH = 2
"""How much longer than its longest row a micro-batch's sequences may become: so much more a mask may take at most."""

_STRETCHES = (1.0, 1.1, 1.25, 1.5, 1.75, STRETCH)
"""Lengths of sequences that are looked at, in longest rows."""

KERNEL = {"eager": 4.0, "sdpa": 8.0}
"""How much longer an operation of attention under a mask takes than one of a matrix product, by Transformers' name.

In bfloat16 on a CPU, sequences of 256 to 1,024 tokens (``python -m benchmarks packing``). On a GPU it was not measured.
"""

KERNEL_IN_FLOAT32 = 2.7
"""The same of either in float32, where matrix products are slower: 2.4 to 2.8 from 256 tokens on, with AVX2."""

FAMILIES = frozenset(
    {
        "apertus",
        "arcee",
        "cohere",
        "cohere2",
        "ernie4_5",
        "exaone4",
        "gemma",
        "gemma2",
        "gemma3_text",
        "glm",
        "glm4",
        "glm4_moe",
        "gpt2",
        "gpt_neox",
        "granite",
        "helium",
        "hunyuan_v1_dense",
        "llama",
        "ministral",
        "mistral",
        "mixtral",
        "olmo",
        "nemotron",
        "olmo2",
        "olmo3",
        "phi",
        "phi3",
        "phimoe",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "seed_oss",
        "smollm3",
        "stablelm",
        "starcoder2",
    }
)
"""Families of Transformers whose attention keeps joined rows apart, as tests/runtime/test_packing.py shows of each."""


class Joining(Struct, frozen=True):
    """How the rows of a micro-batch are joined.

    ``pair`` is what a pair of tokens in one sequence costs, in tokens; ``whole`` joins all rows into one sequence, as
    FlashAttention's kernels for sequences of different lengths take them. So does ``by_row``, where attention sees
    each row by itself and what all begin with is there once (``runtime/by_row.py``).
    """

    pair: float
    whole: bool = False
    by_row: bool = False

    def bins(self, lengths: Sequence[int]) -> list[list[int]]:
        """The rows of each sequence, by their numbers in ``lengths``: the cheapest of what was looked at.

        For each number of sequences the rows go, longest first, to the shortest sequence so far (Graham 1969); the
        cost is that of all positions, padded ones too, and of their pairs.
        """
        if self.whole or self.by_row or len(lengths) < 2:
            return [list(range(len(lengths)))] if lengths else []
        longest, total = max(lengths), sum(lengths)
        order = sorted(range(len(lengths)), key=lambda number: (-lengths[number], number))
        best, least = [[number] for number in range(len(lengths))], self._cost(len(lengths), longest)
        counts = {math.ceil(total / (stretch * longest)) for stretch in _STRETCHES} - {len(lengths)}
        at_least = {count: self._cost(count, max(longest, math.ceil(total / count))) for count in counts}
        for count in sorted(counts, key=lambda count: (at_least[count], -count)):
            if at_least[count] >= least:
                break
            bins, most = _spread(order, lengths, count)
            cost = self._cost(count, most)
            if most <= STRETCH * longest and cost < least:
                best, least = bins, cost
        return [sorted(each) for each in best]

    def _cost(self, count: int, length: int) -> float:
        return count * length * (1 + self.pair * length)


def _spread(order: Sequence[int], lengths: Sequence[int], count: int) -> tuple[list[list[int]], int]:
    """The rows over ``count`` sequences, and the longest of these."""
    bins: list[list[int]] = [[] for _ in range(count)]
    filled = [(0, number) for number in range(count)]
    for number in order:
        length, shortest = filled[0]
        bins[shortest].append(number)
        heapq.heapreplace(filled, (length + lengths[number], shortest))
    return bins, max(filled)[0]


def attends_by_row(architecture: Architecture | None, *, device: str, backend: str) -> bool:
    """Whether attention sees joined rows each by itself: on CPUs, in families known to take their attention by name."""
    known = architecture is not None and architecture.model_type in FAMILIES
    return known and device == "cpu" and backend == "peft"


def joining(
    architecture: Architecture | None, weights: Sequence[Weight], attention: str, dtype: str, *, by_row: bool = False
) -> Joining:
    """How rows of this model are joined. A pair costs nothing where the model's shape is not known.

    FlashAttention, and attention by row, take all rows of a micro-batch as they are: nothing is weighed there.

    4 operations a number of a head, 2 a weight (Kaplan et al. 2020, 2001.08361). The share is rounded, as a plan holds
    it, so that an estimate joins rows as the run does.
    """
    if by_row:
        return Joining(0.0, by_row=True)
    pair, whole = 0.0, attention == "flash_attention_2"
    if architecture is not None and not whole:
        chosen = architecture.experts_per_token
        linear = sum(passed_by_token(w, chosen) for w in weights if w.role in {"linear", "expert", "head"})
        heads = 4 * architecture.num_hidden_layers * architecture.num_attention_heads * architecture.head_dim
        longer = KERNEL_IN_FLOAT32 if dtype == "float32" else KERNEL[attention]
        pair = round(longer * heads / (2 * linear), 9) if linear else 0.0
    return Joining(pair, whole=whole)


class Joined(Struct, frozen=True):
    """What joining comes to, as a mean of micro-batches: positions, and the length that each token's sequence has."""

    positions: float
    length: float


def joined(ordered: Sequence[int], rows: int, joining: Joining) -> Joined:
    """Some micro-batches of ``rows``, drawn from ``ordered`` always in the same way, joined.

    What is drawn is not on average as long as all: the positions are those for each token that was drawn.
    """
    count, samples = len(ordered), max(2, 192 // rows)
    positions = pairs = tokens = 0
    state = 1
    for _ in range(samples):
        lengths = []
        for _ in range(rows):  # Knuth's MMIX generator: always the same draws, and nothing to import
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            lengths.append(ordered[state * count >> 64])
        bins = joining.bins(lengths)
        most = max(sum(lengths[number] for number in each) for each in bins)
        positions += len(bins) * most
        pairs += len(bins) * most * most
        tokens += sum(lengths)
    return Joined(positions / tokens * rows * sum(ordered) / count, pairs / positions)


def shareable(length: int, learnt_from: int | None) -> int:
    """Tokens at a row's beginning that it may share: one is left to it, and what is learnt keeps the one before it."""
    return max(0, min(length, length if learnt_from is None else learnt_from) - 1)


def same_beginning(one: Sequence[object], other: Sequence[object], most: int) -> int:
    """Of the first ``most`` tokens or characters (or of as many as there are), those that both begin with."""
    most = min(most, len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(at for at in range(most) if one[at] != other[at])
