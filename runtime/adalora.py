"""What AdaLoRA (2303.10512) needs of a training loop, and Transformers does not give it.

PEFT moves the ranks only when it is told of every step, keeps what it has learnt of their importance outside
the model, and adds a penalty to every loss, also to those that are only measured.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers
from safetensors.torch import load_file, save_file

PATTERN, IMPORTANCE = "rank_pattern.json", "rank_importance.safetensors"
"""Files of a checkpoint: which ranks live, and how important each weight has been."""

AVERAGES = ("ipt", "exp_avg_ipt", "exp_avg_unc")
"""PEFT's names (``RankAllocator``) for the sensitivity of each weight and its two moving averages."""


class RankAllocation(transformers.TrainerCallback):
    """Prunes ranks after every optimizer step, and keeps what that needs in each checkpoint.

    The pattern stands in the adapter's configuration only while PEFT works with it and once training is over:
    with one in it, PEFT cuts the saved tensors down, and no optimizer state fits them any more.
    """

    def __init__(self, model: Any, checkpoint: Path | None) -> None:
        self._model = model
        self._config = model.peft_config["default"]
        self._checkpoint = checkpoint
        self._pattern: dict[str, list[bool]] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Go on from a checkpoint's ranks."""
        if self._checkpoint is None:
            return
        self._pattern = json.loads((self._checkpoint / PATTERN).read_text(encoding="utf-8"))
        tensors = load_file(self._checkpoint / IMPORTANCE, device=str(self._model.device))
        allocator = self._model.base_model.rankallocator
        for average in AVERAGES:
            known = {key.removeprefix(f"{average}/"): value for key, value in tensors.items() if "/" in key}
            setattr(allocator, average, {k: v for k, v in known.items() if f"{average}/{k}" in tensors})

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Gradients are still there, as PEFT wants it; ``state.global_step`` counts the steps before this one."""
        self._config.rank_pattern = self._pattern
        self._model.base_model.update_and_allocate(state.global_step)
        self._pattern, self._config.rank_pattern = self._config.rank_pattern, None

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the ranks into the checkpoint. Stands before the watcher, which seals it."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        (folder / PATTERN).write_text(json.dumps(self._pattern), encoding="utf-8")
        allocator = self._model.base_model.rankallocator
        tensors = {
            f"{average}/{name}": tensor.detach().clone()
            for average in AVERAGES
            for name, tensor in getattr(allocator, average).items()
        }
        save_file(tensors, folder / IMPORTANCE)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """From here on the adapter is saved with the ranks that are left."""
        self._config.rank_pattern = self._pattern


@contextlib.contextmanager
def without_penalty(model: Any) -> Iterator[None]:
    """Losses as cross entropy alone: AdaLoRA's penalty for matrices that are not orthogonal is set aside."""
    configs = [config for config in getattr(model, "peft_config", {}).values() if hasattr(config, "orth_reg_weight")]
    weights = [config.orth_reg_weight for config in configs]
    for config in configs:
        config.orth_reg_weight = 0.0
    try:
        yield
    finally:
        for config, weight in zip(configs, weights, strict=True):
            config.orth_reg_weight = weight
