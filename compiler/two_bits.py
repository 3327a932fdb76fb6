"""Weights in 2 bits, as the package hqq stores them: which layers can be, and in what.

HQQ (half-quadratic quantisation, https://github.com/dropbox/hqq) gives each group of weights a scale and a zero, which
it fits to the weights without data. Both are kept in the type that is computed in.
"""

from __future__ import annotations

from typing import Final

QUANTIZATION: Final = "hqq-2bit"
"""What a recipe calls it."""

BITS, GROUP = 2, 64
"""Bits of a weight, and weights that share a scale and a zero: 2.5 bits a weight with both in 16 bits."""

CONFIG: dict[str, int] = {"axis": 0, "group_size": GROUP, "nbits": BITS}
"""What ``hqq.core.quantize.BaseQuantizeConfig`` is asked for.

Groups run across the rows of a matrix (axis 0), not along them, which is the package's default for the sake of kernels
that nothing here uses: SmolLM2-135M loses less so.
"""


def can_be_stored(numbers: int) -> bool:
    """Whether a matrix of so many weights divides into groups. One that does not stays as it is; models' own do."""
    return numbers % GROUP == 0


def stored_bytes(numbers: int, width: int) -> tuple[int, int, int]:
    """Bytes of a packed matrix, of its scales and of its zeros; ``width`` is that of a number computed with."""
    groups = numbers // GROUP
    return numbers * BITS // 8, groups * width, groups * width
