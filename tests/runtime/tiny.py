"""A Llama of a few thousand weights that trains in a second, and a trainer of recipec around it."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.data.examples import Example
from compiler.data.row import Place
from compiler.plan import LibraryCall, Plan
from runtime.journal import JournalWriter
from runtime.run_folder import RunFolder
from tests.runtime.plans import make_plan
from tests.tiny_llama import save_tiny_llama

if TYPE_CHECKING:
    from runtime.training import Trainer

STEPS = 12

LOADED = {"attn_implementation": "sdpa", "trust_remote_code": False, "use_safetensors": True}
"""What every plan says of how its model is loaded (compiler/calls.py)."""


def save_base(folder: Path) -> Path:
    """A base model as ``save_pretrained`` writes it, with a tokenizer that nothing is asked of."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    save_tiny_llama(folder, vocab_size=64, tied=False)
    words = Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "a": 2}, unk_token="<s>"))
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<s>").save_pretrained(folder)
    return folder


def rows(count: int, *, seed: int) -> list[Example]:
    """Rows of 12 tokens that follow a rule, so that there is something to learn."""
    return [
        Example(0, Place(number), array("i", [(seed + number * 7 + 3 * at) % 60 + 2 for at in range(12)]), ((4, 12),))
        for number in range(count)
    ]


@dataclass(frozen=True)
class Rows:
    """What the trainer takes of the prepared data."""

    train: list[Example]
    held_out: list[Example]


ROWS = Rows(rows(24, seed=1), rows(6, seed=2))


def plan_of(name: str, *, dtype: str = "float32", **arguments: Any) -> Plan:
    """A plan of twelve steps with ``name`` (LoraConfig, AdaLoraConfig) and its arguments."""
    adapter = {"task_type": "CAUSAL_LM", "target_modules": ["q_proj", "v_proj", "up_proj"], **arguments}
    sft = {
        "bf16": False,
        "data_seed": 1,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "disable_tqdm": True,
        "eval_steps": 4,
        "eval_strategy": "steps",
        "learning_rate": 0.02,
        "logging_steps": 1,
        "loss_type": "chunked_nll",
        "lr_scheduler_type": "constant",
        "max_length": 16,
        "max_steps": STEPS,
        "per_device_train_batch_size": 4,
        "report_to": "none",
        "save_steps": 4,
        "save_strategy": "steps",
        "seed": 1,
        "use_cpu": True,
    }
    plan = make_plan(
        method="adalora" if name.startswith("Ada") else "lora",
        load=LibraryCall(name="transformers.AutoModelForCausalLM.from_pretrained", kwargs={**LOADED, "dtype": dtype}),
        peft=LibraryCall(name=f"peft.{name}", kwargs=adapter),
        sft=LibraryCall(name="trl.SFTConfig", kwargs=sft),
    )
    return plan.model_copy(update={"schedule": plan.schedule.model_copy(update={"steps": STEPS})})


def of_pickles(plan: Plan) -> Plan:
    """The same plan for a base whose weights are files of ``torch.save``."""
    load = {**plan.load.kwargs, "use_safetensors": False, "weights_only": True}
    return plan.model_copy(update={"load": LibraryCall(name=plan.load.name, kwargs=load), "allow_pickle": True})


@dataclass(frozen=True)
class Work:
    """A trainer before its first step, its run folder, and the losses that it writes there."""

    trainer: Trainer
    run: RunFolder
    plan: Plan
    base: Path

    def losses(self) -> list[float]:
        """The loss of each step, from the journal."""
        lines = self.run.events.read_text(encoding="utf-8").splitlines()
        return [event["loss"] for event in map(json.loads, lines) if event["k"] == "metric"]


def work(plan: Plan, base: Path, folder: Path, *, checkpoint: Path | None = None, stop_at: int | None = None) -> Work:
    """Load the base and stand before the first step, or before going on from ``checkpoint``."""
    from runtime.backends import loader

    load = loader(plan.backend)  # before transformers, as the executor does

    import transformers

    from runtime.orders import Orders
    from runtime.training import Watcher, build_trainer

    run = RunFolder(folder)
    for needed in (run.control, run.checkpoints):
        needed.mkdir(parents=True, exist_ok=True)
    transformers.set_seed(plan.seed)
    loaded = load(plan, base)
    journal = JournalWriter(run.events)
    watcher = Watcher(plan, journal, Orders(run, journal))
    trainer = build_trainer(plan, loaded, run, ROWS, watcher, checkpoint=checkpoint)  # type: ignore[arg-type]
    if stop_at is not None:
        trainer.add_callback(_stopper(stop_at))
    return Work(trainer, run, plan, base)


def _stopper(step: int) -> Any:
    import transformers

    class Stopper(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop = state.global_step >= step

    return Stopper()
