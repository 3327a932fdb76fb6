"""One training step of the real code on fake tensors, told as live bytes of each phase."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from compiler.estimate.allocator import Allocator
from runtime.by_row import Rows, by_row
from runtime.learnt_loss import learnt_loss
from runtime.tracing.job import Job
from runtime.tracing.live import LiveBytes
from runtime.tracing.model import made_fake, outline
from runtime.tracing.optimizers import optimizer

STEPS = 2
"""Optimizer states appear in the first step and are there from the beginning of the second."""


@dataclass(frozen=True, slots=True)
class Traced:
    """Bytes: weights as loaded, what lies there between steps, the most of each phase, and what the allocator held."""

    loaded: int
    between: int
    peaks: dict[str, int]
    allocated: int
    reserved: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class Watcher(Protocol):
    """Who is told which phase begins."""

    def enter(self, phase: str) -> None:
        """What follows belongs to ``phase``."""


def trace(job: Job) -> Traced:
    """Run two optimizer steps and watch. Raises what the model's own code raises."""
    cuda = job.device == "cuda"
    live = LiveBytes(cuda=cuda)
    tokens = job.micro_batch * (job.length - 1)
    live.counted = math.ceil(tokens / job.stack.chunk) * job.stack.chunk
    model = outline(job)
    with FakeTensorMode(), live, _as_without_numbers(job), _as_on_cuda() if cuda else _as_it_is():
        model = made_fake(job, model)
        loaded = between = live.live
        patch_loss(job, model)
        run = optimizer(job, [weight for weight in model.parameters() if weight.requires_grad])
        for _ in range(STEPS):
            live.start_step()
            for _ in range(job.accumulation):
                micro_step(job, model, live)
            live.enter("optimizer")
            run.step()
            run.zero_grad(set_to_none=not (job.stack.gradients_kept and job.accumulation == 1))
            between = live.live
    allocator = Allocator()
    allocator.run(live.events)
    return Traced(loaded, between, dict(live.peaks), allocator.most_allocated, allocator.most_reserved)


def micro_step(job: Job, model: Any, watcher: Watcher) -> None:
    """Forward and back once, as the trainer does it."""
    with by_row(model, rows_apart(job)):
        watcher.enter("forward")
        loss, _held = loss_of(job, model)
        watcher.enter("backward")
        loss.backward()  # type: ignore[no-untyped-call]


def rows_apart(job: Job) -> Rows | None:
    """The rows of a micro-batch where attention sees each by itself."""
    return Rows(job.shared, (job.length - job.shared,) * job.micro_batch) if job.by_row else None


def loss_of(job: Job, model: Any) -> tuple[torch.Tensor, Any]:
    """The loss of a micro-batch, and the model's output where the trainer holds it meanwhile."""
    rows = rows_apart(job)
    sequences = (1, rows.shared + sum(rows.own)) if rows is not None else (job.micro_batch, job.length)
    ids = torch.zeros(*sequences, dtype=torch.long)
    batch: dict[str, Any] = {"input_ids": ids, "labels": torch.zeros_like(ids), "use_cache": False}
    if rows is not None:
        batch |= {"attention_mask": torch.ones_like(ids), "position_ids": torch.zeros_like(ids)}
    elif job.padded:
        mask = torch.ones_like(ids)
        mask[0, -1] = 0
        batch["attention_mask"] = mask
    stack = job.stack
    own = learnt_loss() if stack.loss == "learnt" else contextlib.nullcontext()
    computed = torch.bfloat16 if job.dtype == "float32" else getattr(torch, job.dtype)
    with own, torch.autocast("cpu", dtype=computed, enabled=bool(stack.autocast)):
        out = model(**batch)
    if stack.outputs_in_float and out.logits is not None:
        out.logits = out.logits.float()
    loss = out.loss
    if stack.loss == "trl-whole":
        _measure_whole_logits(out.logits)
    return loss, out if stack.logits_held else None


def _measure_whole_logits(logits: torch.Tensor) -> None:
    """What TRL's ``compute_loss`` does with whole logits for its two metrics."""
    from trl.trainer.utils import entropy_from_logits

    with torch.no_grad():
        shifted = logits[..., :-1, :]
        entropy_from_logits(shifted)
        shifted.argmax(dim=-1)


def patch_loss(job: Job, model: Any) -> None:
    """Give the model TRL's loss in chunks, with TRL's own code, if the job has it."""
    if job.stack.loss not in {"chunked", "learnt"}:
        return
    from trl.trainer.sft_trainer import _patch_chunked_ce_lm_head

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    _patch_chunked_ce_lm_head(inner, chunk_size=job.stack.chunk)


@contextmanager
def _as_without_numbers(job: Job) -> Iterator[None]:
    """Without padding Transformers finds out from the mask's numbers that none is needed, which fakes have not."""
    from transformers import masking_utils

    module: Any = masking_utils
    before = module.find_packed_sequence_indices
    if not job.padded:
        module.find_packed_sequence_indices = lambda position_ids: None
    try:
        yield
    finally:
        module.find_packed_sequence_indices = before


@contextmanager
def _as_on_cuda() -> Iterator[None]:
    """What a CPU does otherwise: dropout keeps a mask of bytes on CUDA, and one of the input's type on a CPU.

    Autocast on CUDA runs layer norms, powers and sums in float32, and leaves them as they are on a CPU
    (aten/src/ATen/autocast_mode.h, ``AT_FORALL_FP32``). PEFT asks for CUDA's autocast when it asks for none by name.
    """
    module: Any = functional
    library: Any = torch
    before = module.dropout, module.layer_norm, library.pow, torch.Tensor.sum, library.is_autocast_enabled

    def dropout(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        return torch.native_dropout(x, p, train=True)[0] if training and p > 0 else x

    def layer_norm(x: torch.Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
        wide = [each.float() if _autocast() and each is not None else each for each in (x, weight, bias)]
        return before[1](wide[0], shape, *wide[1:], eps)

    def pow(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: A001 - torch's own name
        return before[2](x.float() if _autocast() else x, *args, **kwargs)

    def sum(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: A001 - torch's own name
        if _autocast() and x.is_floating_point() and "dtype" not in kwargs:
            kwargs["dtype"] = torch.float32
        return before[3](x, *args, **kwargs)

    def _autocast(device: str = "cpu") -> bool:
        return bool(before[4]("cpu" if device == "cuda" else device))

    module.dropout, module.layer_norm, library.pow = dropout, layer_norm, pow
    torch.Tensor.sum, library.is_autocast_enabled = sum, _autocast  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        module.dropout, module.layer_norm, library.pow, torch.Tensor.sum, library.is_autocast_enabled = before  # type: ignore[method-assign]


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield
