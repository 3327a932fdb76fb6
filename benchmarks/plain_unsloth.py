"""The same with Unsloth, as its notebooks have it: its loader and adapter, TRL's trainer.

``python -m benchmarks.plain_unsloth MODEL_FOLDER STEPS ROWS DTYPE`` prints what ``plain_trl.py`` does, with the
settings of the recipe's plan.
"""

# ruff: noqa: I001 - it patches whatever comes after it
from unsloth import FastLanguageModel

import sys
from pathlib import Path

import torch

from benchmarks.plain_trl import BY_HAND, LORA, rows, settings, train

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main(folder: str, steps: int, file: Path, dtype: str) -> None:
    """Train."""
    model, _ = FastLanguageModel.from_pretrained(folder, dtype=getattr(torch, dtype), load_in_4bit=False)
    again = BY_HAND["gradient_checkpointing"]
    model = FastLanguageModel.get_peft_model(model, **LORA, target_modules=LINEAR, use_gradient_checkpointing=again)
    train(model, folder, steps, rows(file), settings(dtype))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
