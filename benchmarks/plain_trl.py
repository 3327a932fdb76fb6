"""The quickstart as a person would write it by hand with TRL alone: the same model and rows.

``python -m benchmarks.plain_trl MODEL_FOLDER STEPS ROWS DTYPE [defaults]`` prints the tokens, seconds and losses of all
steps: with the settings of the recipe's plan, or with ``defaults`` those of TRL where a script says nothing. These are
bfloat16; a processor without it, where TRL would have it emulated at a hundredth of the speed, is told float32.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from compiler.facts.machine import cpu_has_bf16

SYSTEM = "Vous répondez en français, brièvement, et terminez par une phrase qui commence par « En bref : »."


BY_HAND = {
    "lr_scheduler_type": "cosine",
    "warmup_steps": 2,
    "gradient_checkpointing": False,
    "optim": "adamw_torch_fused",
}
"""What the recipe's plan says and TRL or Transformers say otherwise, or not at all."""


def rows(file: Path) -> Dataset:
    """Prompt and completion as TRL wants them."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return Dataset.from_list(
        [
            {
                "prompt": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": line["question"]}],
                "completion": [{"role": "assistant", "content": line["reponse"]}],
            }
            for line in lines
        ]
    )


class Clock(TrainerCallback):
    """Seconds spent in optimizer steps."""

    seconds = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start."""
        self.started = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop."""
        self.seconds += time.perf_counter() - self.started


LORA: dict[str, Any] = {"r": 16, "lora_alpha": 32}


def main(folder: str, steps: int, file: Path, dtype: str, *, defaults: bool) -> None:
    """Train."""
    model = AutoModelForCausalLM.from_pretrained(folder, **({} if defaults else {"dtype": getattr(torch, dtype)}))
    adapter = LoraConfig(**LORA, target_modules="all-linear", task_type="CAUSAL_LM")
    train(model, folder, steps, rows(file), settings(dtype, defaults=defaults), peft_config=adapter)


def settings(dtype: str, *, defaults: bool = False) -> dict[str, Any]:
    """The arguments of SFTConfig that a script gives, beside those that every one of these gives."""
    if defaults:
        return {} if cpu_has_bf16() else {"bf16": False}
    return {**BY_HAND, "bf16": dtype == "bfloat16"}


def train(model: Any, folder: str, steps: int, dataset: Dataset, arguments: dict[str, Any], **more: Any) -> None:
    """Train, and print what it took; ``more`` is for the trainer."""
    clock = Clock()
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir="plain-trl",
            max_steps=steps,
            per_device_train_batch_size=8,
            learning_rate=1e-3,
            use_cpu=True,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=42,
            **arguments,
        ),
        train_dataset=dataset,
        processing_class=AutoTokenizer.from_pretrained(folder),
        callbacks=[clock],
        **more,
    )
    trainer.train()
    tokens = next(entry["num_tokens"] for entry in reversed(trainer.state.log_history) if "num_tokens" in entry)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    print(json.dumps({"tokens": tokens, "seconds": clock.seconds, "losses": losses}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], defaults="defaults" in sys.argv[5:])
