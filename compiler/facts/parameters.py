"""Every weight of a model, counted from its config alone, as Transformers builds it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Role = Literal["embedding", "head", "linear", "expert", "norm", "bias", "other"]
"""``linear`` weights are what bitsandbytes quantises and what an adapter can sit on;
``expert`` are 3-D stacks of experts."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A kind of weight tensor: the short name of its module, its shape, and how many the whole model has of it."""

    module: str
    shape: tuple[int, ...]
    count: int
    role: Role

    @property
    def numbers(self) -> int:
        """Parameters in all tensors of this kind."""
        return math.prod(self.shape) * self.count


def parameter_count(weights: tuple[Weight, ...]) -> int:
    """All parameters; a head tied to the embedding is no weight of its own."""
    return sum(weight.numbers for weight in weights)
