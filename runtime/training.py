"""TRL's SFTTrainer, fed with the audited ids and labels, reporting every step to the journal."""

from __future__ import annotations

import math
import resource
import statistics
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import torch
import transformers
import trl

from compiler.data.prepare import Example, PreparedData
from compiler.diagnostics import Diagnostic, Refusal
from compiler.plan import Plan
from runtime import checkpoints
from runtime.adalora import RankAllocation, without_penalty
from runtime.backends import Loaded
from runtime.journal import JournalWriter
from runtime.run_folder import RunFolder, take_requests


def as_dataset(examples: Sequence[Example]) -> datasets.Dataset:
    """Rows of token ids and labels, exactly as the compiler audited them.

    They are read when they are asked for: Arrow would hold a million rows once more. What its table holds is
    each row's number, under the names of the columns that TRL looks for.
    """

    def read(rows: dict[str, list[int]]) -> dict[str, list[list[int]]]:
        """Some rows by their numbers, the columns that are asked for."""
        found = [examples[number] for number in next(iter(rows.values()))]
        values = {"input_ids": lambda example: example.ids, "labels": lambda example: example.labels}
        return {name: [list(values[name](example)) for example in found] for name in rows}

    numbers = pyarrow.array(range(len(examples)), pyarrow.int64())
    table = pyarrow.table({"input_ids": numbers, "labels": numbers})
    return datasets.Dataset(table, fingerprint=f"rows-{id(examples):x}").with_transform(read)


class Trainer(trl.SFTTrainer):
    """Measures cross entropy and nothing else, whatever a method adds to the loss that it trains on."""

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Every measurement of Transformers comes through here."""
        with without_penalty(self.model):
            return super().evaluation_loop(*args, **kwargs)


def build_trainer(
    plan: Plan, loaded: Loaded, run: RunFolder, data: PreparedData, watcher: Watcher, *, checkpoint: Path | None
) -> Trainer:
    """The trainer of the plan: its SFTConfig and the one thing only this machine knows, the output folder.

    ``checkpoint`` is the one that training will go on from.
    """
    callbacks: list[transformers.TrainerCallback] = [watcher]
    if plan.method == "adalora":
        callbacks.insert(0, RankAllocation(loaded.model, checkpoint))  # before the watcher seals a checkpoint
    if plan.early_stopping_patience is not None:
        callbacks.append(
            transformers.EarlyStoppingCallback(plan.early_stopping_patience, plan.early_stopping_threshold)
        )
    trainer = Trainer(
        model=loaded.model,
        args=trl.SFTConfig(output_dir=str(run.checkpoints), **plan.sft.kwargs),
        train_dataset=as_dataset(data.train),
        eval_dataset=as_dataset(data.held_out) if data.held_out else None,
        processing_class=loaded.tokenizer,
        callbacks=callbacks,
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.remove_callback(transformers.ProgressCallback)
    return trainer


class StopRequest:
    """Whether someone asked the run to end: a signal or a file in ``control/``."""

    def __init__(self) -> None:
        self.by: str | None = None


class Watcher(transformers.TrainerCallback):
    """Writes the journal while Transformers trains, and obeys requests between two optimizer steps."""

    def __init__(self, plan: Plan, run: RunFolder, journal: JournalWriter, stop: StopRequest) -> None:
        self._plan = plan
        self._run = run
        self._journal = journal
        self._stop = stop
        self._step_started = 0.0
        self._step_seconds: deque[float] = deque(maxlen=50)
        self._tokens_before = 0.0
        self._training = False
        self.tokens = 0.0
        self.train_seconds = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """From here on, measurements are ones during training."""
        self._training = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What is measured after this is the executor's to name."""
        self._training = False

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock of one optimizer step."""
        self._step_started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop the clock; obey what was asked since the last step."""
        seconds = time.perf_counter() - self._step_started
        self._step_seconds.append(seconds)
        self.train_seconds += seconds
        for request in take_requests(self._run):
            self._journal.append("request", name=request, step=state.global_step)
            if request == "stop":
                self._stop.by = "request"
            elif request == "checkpoint":
                control.should_save = True
        if self._stop.by is not None:
            control.should_save = True
            control.should_training_stop = True
        if state.global_step >= state.max_steps and self._plan.early_stopping_patience is None:
            control.should_evaluate = False  # the executor measures this very model next

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """One metric event per optimizer step."""
        if not logs or "loss" not in logs:
            return
        seconds = self._step_seconds[-1] if self._step_seconds else math.nan
        tokens = float(logs.get("num_tokens", 0.0))
        if tokens < self._tokens_before:  # a resumed trainer counts from zero again
            self._tokens_before = 0.0
        self.tokens += tokens - self._tokens_before
        rate = (tokens - self._tokens_before) / seconds if seconds > 0 else math.nan
        self._tokens_before = tokens
        left = (state.max_steps - state.global_step) * statistics.median(self._step_seconds or [math.nan])
        self._journal.append(
            "metric",
            step=state.global_step,
            epoch=round(float(state.epoch or 0.0), 4),
            loss=logs["loss"],
            learning_rate=logs.get("learning_rate"),
            grad_norm=logs.get("grad_norm"),
            accuracy=logs.get("mean_token_accuracy"),
            tokens=int(self.tokens),
            step_seconds=round(seconds, 4),
            tokens_per_second=round(rate, 1),
            seconds_left=round(left, 1),
            **memory(),
        )
        if not math.isfinite(float(logs["loss"])):
            raise Refusal(
                Diagnostic(
                    "X008",
                    f"the loss is {logs['loss']} at step {state.global_step}",
                    path=("training", "learning_rate"),
                    help="lower learning_rate or add warmup_steps, then start again",
                )
            )

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Held-out loss in the middle of training; before and after are the executor's to name."""
        if metrics and "eval_loss" in metrics and self._training:
            self._journal.append("eval", phase="during", step=state.global_step, loss=metrics["eval_loss"])

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Seal what was written, tell of it, and delete what is older than wanted."""
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        checkpoints.seal(checkpoint)
        self._journal.append("checkpoint", step=state.global_step, path=f"checkpoints/{checkpoint.name}")
        keep = max(2, self._plan.save_total_limit)  # never fewer than one to fall back on
        checkpoints.prune(Path(args.output_dir), keep=keep, also=state.best_model_checkpoint)


def memory() -> dict[str, int]:
    """Memory now and at most so far, in bytes: of the GPU when one is used, of the process else."""
    if torch.cuda.is_available():
        return {"memory": torch.cuda.memory_reserved(), "peak_memory": torch.cuda.max_memory_reserved()}
    with Path("/proc/self/statm").open(encoding="ascii") as statm:
        resident = int(statm.read().split()[1]) * resource.getpagesize()
    return {"memory": resident, "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def held_out_loss(trainer: Trainer) -> dict[str, float]:
    """Loss on the held-out rows in nats, as Transformers averages it.

    Before the first step this is the base's, with the adapter on: every start leaves the model's function as
    it is, while PiSSA's and OLoRA's leave another base behind when the adapter is taken off.
    """
    started = time.perf_counter()
    loss = float(trainer.evaluate()["eval_loss"])
    perplexity = math.exp(loss) if loss < 700 else math.inf
    return {"loss": loss, "perplexity": perplexity, "seconds": round(time.perf_counter() - started, 2)}
