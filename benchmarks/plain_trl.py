"""The quickstart as a person would write it by hand with TRL alone: the same model, rows and settings.

``python benchmarks/plain_trl.py MODEL_FOLDER STEPS`` prints the tokens of all steps and their seconds.
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

QUICKSTART = Path(__file__).resolve().parents[1] / "recipes" / "quickstart"
SYSTEM = "Vous répondez en français, brièvement, et terminez par une phrase qui commence par « En bref : »."


def rows(name: str) -> Dataset:
    """Prompt and completion as TRL wants them."""
    lines = [json.loads(line) for line in (QUICKSTART / name).read_text(encoding="utf-8").splitlines()]
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


def main(folder: str, steps: int) -> None:
    """Train."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    clock = Clock()
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir="plain-trl",
            max_steps=steps,
            per_device_train_batch_size=8,
            learning_rate=1e-3,
            lr_scheduler_type="cosine",
            warmup_steps=2,
            bf16=True,
            use_cpu=True,
            gradient_checkpointing=False,
            optim="adamw_torch_fused",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=42,
        ),
        train_dataset=rows("train.jsonl"),
        processing_class=AutoTokenizer.from_pretrained(folder),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[clock],
    )
    trainer.train()
    tokens = next(entry["num_tokens"] for entry in reversed(trainer.state.log_history) if "num_tokens" in entry)
    print(json.dumps({"tokens": tokens, "seconds": clock.seconds}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
