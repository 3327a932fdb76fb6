"""Optimizers by Transformers' names, as they lie in memory."""

from __future__ import annotations

from typing import Any

import torch

from runtime.tracing.job import Job


def optimizer(job: Job, weights: list[Any]) -> Any:
    """The optimizer of the job; 8-bit ones as their states alone, since their kernels need a device."""
    if "8bit" in job.optim:
        return _EightBit(weights, paged="paged" in job.optim)
    if "fused" in job.optim:
        return torch.optim.AdamW(weights, fused=True)
    return torch.optim.AdamW(weights, foreach=job.device == "cuda")


class _EightBit(torch.optim.Optimizer):
    """bitsandbytes' AdamW: two states of one byte with a scale for each 256; small tensors keep float32.

    Source: bitsandbytes/optim/optimizer.py (``Optimizer2State.init_state``, ``min_8bit_size`` 4096, block 256). Paged
    states are unified memory outside PyTorch's allocator.
    """

    def __init__(self, weights: list[Any], *, paged: bool) -> None:
        super().__init__(weights, {})
        self._paged = paged

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Make the states once; the update itself is done in place."""
        for weight in self.param_groups[0]["params"]:
            if weight.grad is None or self.state[weight]:
                continue
            numbers = weight.numel()
            if numbers < 4096:
                made = [torch.empty(numbers, dtype=torch.float32) for _ in range(2)]
            else:
                paged = self._paged and numbers >= 100_000
                states = [] if paged else [torch.empty(numbers, dtype=torch.uint8) for _ in range(2)]
                made = [*states, *(torch.empty(-(-numbers // 256), dtype=torch.float32) for _ in range(2))]
            self.state[weight] = {str(number): state for number, state in enumerate(made)}
