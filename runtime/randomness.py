"""The states of every random generator that training draws from, kept so that a step can be begun again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class RandomStates:
    """Python's, NumPy's and PyTorch's generators at one moment: those that a checkpoint of Transformers holds."""

    python: Any
    numpy: Any
    cpu: torch.Tensor
    cuda: list[torch.Tensor]

    @classmethod
    def now(cls) -> RandomStates:
        """As they stand; a few kilobytes and microseconds."""
        cuda = torch.cuda.random.get_rng_state_all() if torch.cuda.is_available() else []
        return cls(random.getstate(), np.random.get_state(), torch.random.get_rng_state(), cuda)

    def restore(self) -> None:
        """Set them back."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.random.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.random.set_rng_state_all(self.cuda)
