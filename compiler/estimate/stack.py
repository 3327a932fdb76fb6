"""What a training stack does beyond its recipe: casts, losses, checkpoints, gradients, by library and version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

Loss = Literal["whole", "trl-whole", "chunked", "learnt", "tiled", "fused"]


class Stack(Struct, frozen=True):
    """The parts of a training loop that decide its memory. Widths are bytes of one number.

    ``base_width`` is that of weights which are not quantised, ``kept_width`` that of embeddings, norms and head
    (4 after PEFT's ``prepare_model_for_kbit_training``), ``adapter_width`` that of adapters. ``autocast`` is the width
    that autocast computes in, 0 without. ``outputs_in_float`` is accelerate's ``convert_outputs_to_fp32``;
    ``logits_held`` says that the loop holds the model's output while it goes back. ``gradients_kept`` are
    there from the first micro-step on: with accumulation, or when they are zeroed rather than dropped. ``masked`` says
    whether attention is given a mask (None: when rows are padded); ``expands_keys`` that keys and values are copied for
    each head that shares them. ``keeps_packed_inputs``: bitsandbytes before 0.44 kept the input of each packed layer,
    as an attribute that no way back releases. ``graph_held``: the loop names its logits until it has others, so that
    the graph of one micro-step, and what its functions keep as attributes, stay while the next one goes forward.
    ``casts_inputs``: PEFT makes what an adapter on a plain base reads as wide as the adapter is.
    ``sums_in_place``: an adapter adds to the base's result where it lies (``runtime.in_place``).
    ``own_layer`` and ``own_loss`` stand for a backend that does not run Transformers' own.
    """

    base_width: int
    kept_width: int
    adapter_width: int
    autocast: int
    loss: Loss
    chunk: int = 256
    outputs_in_float: bool = False
    logits_held: bool = False
    gradients_kept: bool = False
    checkpoint: Literal["none", "layer", "offload"] = "none"
    input_gradients: bool = False
    fused_optimizer: bool = False
    foreach_optimizer: bool = False
    defensive_clone: bool = True
    masked: bool | None = None
    expands_keys: bool = False
    keeps_packed_inputs: bool = False
    graph_held: bool = False
    casts_inputs: bool = True
    sums_in_place: bool = False
    own_layer: Callable[..., Any] | None = None
    own_loss: Callable[..., Any] | None = None
