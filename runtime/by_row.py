"""Rows of a micro-batch in one sequence, each attended to by itself, and what all of them begin with computed once.

Transformers keeps joined rows apart by a mask over all of their tokens, so that attention costs with the square of
the sequence. Here the layers' products see one sequence without padding, and attention sees row after row, as long as
each is. A beginning that all rows have in common (a system prompt) is there once: what a token is turned into depends
on nothing after it, so each row would compute the same, and what the rows want of it adds up on the way back.

Transformers lets attention be registered under a name (``AttentionInterface``), and the masks that belong to it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

_NAME = "by-row "
"""Before the name of the attention that each row is given."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How a sequence is made: tokens that all rows begin with, then those that each goes on with."""

    shared: int
    own: tuple[int, ...]


@dataclass(slots=True)
class _Apart:
    """What stands in a mask's place: the rows, and the mask of one that is so long."""

    rows: Rows
    mask: Callable[[int], torch.Tensor | None]
    known: dict[int, torch.Tensor | None] = field(default_factory=dict)

    def of(self, length: int) -> torch.Tensor | None:
        """The mask (1, 1, length, length) of a row of that length; None where the kernel needs none."""
        if length not in self.known:
            self.known[length] = self.mask(length)
        return self.known[length]


@contextlib.contextmanager
def by_row(model: Any, rows: Rows | None) -> Iterator[None]:
    """While it lasts, ``model`` takes its input as ``rows`` say; as it is without any.

    The way back belongs to it too: what checkpoints compute once more asks again which attention there is, which is
    the one that the model's config names: "eager" or "sdpa".
    """
    if rows is None:
        yield
        return
    config = model.config
    before = config._attn_implementation
    config._attn_implementation = _registered(before, rows)
    try:
        yield
    finally:
        config._attn_implementation = before


def _registered(kernel: str, rows: Rows) -> str:
    """The name under which attention by ``kernel`` sees each of the rows alone."""
    name = _NAME + kernel
    makes = ALL_MASK_ATTENTION_FUNCTIONS[kernel]

    def masks(**asked: Any) -> _Apart:
        alone = {"batch_size": 1, "q_offset": 0, "kv_offset": 0, "attention_mask": None}
        return _Apart(rows, lambda length: makes(**{**asked, **alone, "q_length": length, "kv_length": length}))

    AttentionMaskInterface.register(name, masks)
    AttentionInterface.register(name, _scores_of_each if kernel == "eager" else _kernel_of_each)
    return name


_States = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Queries, keys and values (1, heads, tokens, head)."""


def _scores_of_each(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: _Apart, **named: Any
) -> tuple[torch.Tensor, None]:
    """The family's own attention by scores, for each row."""
    attend = partial(sys.modules[type(module).__module__].eager_attention_forward, module)
    return _each(attend, (query, key, value), attention_mask, named), None


def _kernel_of_each(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: _Apart, **named: Any
) -> tuple[torch.Tensor, None]:
    """PyTorch's kernel, for each row."""
    attend = partial(ALL_ATTENTION_FUNCTIONS["sdpa"], module)
    return _each(attend, (query, key, value), attention_mask, named), None


def _each(attend: Callable[..., Any], states: _States, apart: _Apart, named: dict[str, Any]) -> torch.Tensor:
    """The results (1, tokens, heads, head).

    The first row's queries bring those of the shared beginning along. PyTorch's kernel without a mask takes queries
    and keys to begin alike: then the other rows bring the beginning along too, and what is found for it is dropped.
    """
    rows, (query, key, value) = apart.rows, states
    masks = [apart.of(rows.shared + own) for own in rows.own]
    whole = any(mask is None for mask in masks)
    queries = _with_beginning(query, rows) if whole else _pieces(query, [rows.shared + rows.own[0], *rows.own[1:]])
    results = []
    for number, parts in enumerate(zip(queries, _with_beginning(key, rows), _with_beginning(value, rows), strict=True)):
        mask, begins = masks[number], rows.shared if number else 0
        mask = mask if whole or mask is None else mask[:, :, begins:]
        result: torch.Tensor = attend(*parts, mask, **named)[0]
        results.append(result[:, begins:] if whole else result)
    return torch.cat(results, dim=1)


def _with_beginning(states: torch.Tensor, rows: Rows) -> Sequence[torch.Tensor]:
    """Of queries, keys or values those of each row, the shared beginning before its own."""
    if not rows.shared:
        return _pieces(states, rows.own)
    beginning, *own = _pieces(states, [rows.shared, *rows.own])
    return [torch.cat([beginning, each], dim=2) for each in own]


def _pieces(states: torch.Tensor, sizes: Sequence[int]) -> Sequence[torch.Tensor]:
    return torch.split(states, list(sizes), dim=2)
