"""Axolotl and LLaMA-Factory on the rows and settings of a recipe's plan, each in the environment it is installed in."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLOCKED = Path(__file__).with_name("clocked.py")
ALONE = {"HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1"}
"""Neither asks a hub for anything nor tells anybody that it was run."""
ROWS = "rows.jsonl"

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Other:
    """A program that trains: what it is called, its command, and its configuration of a plan's job.

    ``job`` says what is trained and how much of it, everything else left to the program; ``by_hand`` adds the rest of
    the plan's settings.
    """

    name: str
    command: str
    program: str
    job: Callable[[dict[str, Any], Path, int], Settings]
    by_hand: Callable[[dict[str, Any]], Settings]


def train(other: Other, python: Path, folder: Path, config: Settings, messages: list[list[dict[str, str]]]) -> Settings:
    """Train in ``folder`` with the environment's ``python``: what ``clocked.py`` tells, and seconds to the first step.

    Raises RuntimeError, with the end of what the program said, when it cannot.
    """
    folder.mkdir()
    lines = [json.dumps({"messages": row}, ensure_ascii=False) for row in messages]
    (folder / ROWS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "dataset_info.json").write_text(json.dumps(DATASET_INFO), encoding="utf-8")
    # JSON is YAML too, and both read it as such.
    (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    started = time.time()
    command: list[str | Path] = [python, "-I", CLOCKED, other.program, "config.yaml", "result.json"]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **ALONE}, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{other.name} did not train: {done.stderr[-2000:]}")
    told: Settings = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return {**told, "start": told["first_step"] - started}


def _axolotl(plan: dict[str, Any], model: Path, steps: int) -> Settings:
    lora, sft = plan["peft"]["kwargs"], plan["sft"]["kwargs"]
    return {
        "base_model": str(model),
        "datasets": [{"path": ROWS, "ds_type": "json", "type": "chat_template", "field_messages": "messages"}],
        "chat_template": "tokenizer_default",
        "dataset_prepared_path": "prepared",
        "output_dir": "trained",
        "adapter": "lora",
        "lora_r": lora["r"],
        "lora_alpha": lora["lora_alpha"],
        "lora_dropout": lora["lora_dropout"],
        "lora_target_linear": True,
        # Triton's kernels for these are taken unless told otherwise, and end at once without CUDA.
        "lora_mlp_kernel": False,
        "lora_qkv_kernel": False,
        "lora_o_kernel": False,
        "sequence_len": sft["max_length"],
        "max_steps": steps,
        "micro_batch_size": sft["per_device_train_batch_size"],
        "gradient_accumulation_steps": sft["gradient_accumulation_steps"],
        "learning_rate": sft["learning_rate"],
        "seed": sft["seed"],
        "logging_steps": 1,
        "save_strategy": "no",
    }


def _axolotl_by_hand(plan: dict[str, Any]) -> Settings:
    sft = plan["sft"]["kwargs"]
    return {
        "bf16": sft["bf16"],
        "plugins": ["axolotl_plugin.OnCpu"],  # else the Trainer refuses bf16
        "gradient_checkpointing": sft["gradient_checkpointing"],
        "attn_implementation": plan["load"]["kwargs"]["attn_implementation"],
        "optimizer": sft["optim"],
        "lr_scheduler": sft["lr_scheduler_type"],
        "warmup_steps": sft["warmup_steps"],
        "weight_decay": sft["weight_decay"],
        "shuffle_merged_datasets": False,  # the Trainer shuffles, as it does for the plan
    }


DATASET_INFO = {
    "rows": {
        "file_name": ROWS,
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
}
"""How LLaMA-Factory reads the rows."""
ATTENTION = {"eager": "disabled", "sdpa": "sdpa"}
"""What LLaMA-Factory calls them."""


def _llamafactory(plan: dict[str, Any], model: Path, steps: int) -> Settings:
    lora, sft = plan["peft"]["kwargs"], plan["sft"]["kwargs"]
    return {
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": str(model),
        "template": "smollm2",
        "dataset_dir": ".",
        "dataset": "rows",
        "output_dir": "trained",
        "finetuning_type": "lora",
        "lora_rank": lora["r"],
        "lora_alpha": lora["lora_alpha"],
        "lora_dropout": lora["lora_dropout"],
        "lora_target": "all",
        "cutoff_len": sft["max_length"],
        "max_steps": steps,
        "per_device_train_batch_size": sft["per_device_train_batch_size"],
        "gradient_accumulation_steps": sft["gradient_accumulation_steps"],
        "learning_rate": sft["learning_rate"],
        "seed": sft["seed"],
        "use_cpu": True,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
    }


def _llamafactory_by_hand(plan: dict[str, Any]) -> Settings:
    sft = plan["sft"]["kwargs"]
    return {
        "bf16": sft["bf16"],
        "disable_gradient_checkpointing": not sft["gradient_checkpointing"],
        "flash_attn": ATTENTION[plan["load"]["kwargs"]["attn_implementation"]],
        "optim": sft["optim"],
        "lr_scheduler_type": sft["lr_scheduler_type"],
        "warmup_steps": sft["warmup_steps"],
        "weight_decay": sft["weight_decay"],
    }


OTHERS = (
    Other("Axolotl", "axolotl", "axolotl", _axolotl, _axolotl_by_hand),
    Other("LLaMA-Factory", "llamafactory-cli", "llamafactory", _llamafactory, _llamafactory_by_hand),
)
