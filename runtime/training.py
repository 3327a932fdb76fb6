"""TRL's SFTTrainer, fed with the audited ids and labels, reporting every step to the journal."""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import torch
import transformers
import trl
from peft.helpers import disable_input_dtype_casting

from compiler.data.prepare import Example, PreparedData
from compiler.diagnostics import Diagnostic, Refusal
from compiler.estimate.planned import stored
from compiler.estimate.stacks import plain_lora
from compiler.estimate.work import BITSANDBYTES
from compiler.packing import Joining
from compiler.phrases import joined, phrase
from compiler.plan import Plan
from runtime import checkpoints, preflight
from runtime.adalora import RankAllocation, without_penalty
from runtime.advice import Adviser
from runtime.backends import Loaded
from runtime.backends.promises import refuse_other_arguments
from runtime.by_row import by_row
from runtime.faults import first_line, is_out_of_memory
from runtime.in_place import adapters_in_place
from runtime.journal import JournalWriter
from runtime.learnt_loss import learnt_loss
from runtime.orders import Orders
from runtime.packing import TOKENS, JoiningCollator, one_sequence, rows_of
from runtime.peak import memory
from runtime.randomness import RandomStates
from runtime.run_folder import RunFolder
from runtime.starts import as_base
from runtime.state import Story

TOLD_EVERY = 2.0
"""Seconds between two words on a measurement under way."""

SKIPS_IN_A_ROW = 3
"""Updates that may be left out one after the other (or, where that is more, a hundredth of the steps in all)."""


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
    """TRL's trainer, which can also take a step back and measure with less memory.

    It measures cross entropy and nothing else, whatever a method adds to the loss that it trains on.
    """

    watcher: Watcher
    data_collator: Any
    joining: JoiningCollator | None = None
    """Joins the rows of training under a mask; held-out rows are measured each on its own there."""
    plain_lora = False
    """``compiler.estimate.stacks.plain_lora`` of the plan."""

    @contextlib.contextmanager
    def on_its_stack(self) -> Iterator[None]:
        """Around training and measuring: what ``compiler.estimate.stacks`` says of this run, and no other."""
        with contextlib.ExitStack() as stack:
            if self.args.use_cpu:
                stack.enter_context(learnt_loss())
            autocast = self.args.bf16 or self.args.fp16
            stack.enter_context(disable_input_dtype_casting(self.model, active=self.plain_lora and autocast))
            stack.enter_context(adapters_in_place(self.model, active=self.plain_lora and self.args.use_cpu))
            yield

    def get_train_dataloader(self) -> Any:
        """Transformers' own, with the rows joined where the plan says so."""
        usual, self.data_collator = self.data_collator, self.joining or self.data_collator
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = usual

    def training_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Transformers' own, on rows that attention may see each by itself."""
        with by_row(model, rows_of(inputs)):
            return super().training_step(model, inputs, *args, **kwargs)

    def prediction_step(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Likewise. Transformers weights each batch by the rows that it was made of, joined or not."""
        with by_row(model, rows_of(inputs)):
            return super().prediction_step(model, inputs, *args, **kwargs)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's; of joined rows it would count the positions of one sequence for the tokens of all."""
        tokens = inputs.pop(TOKENS, None)
        before = getattr(self, "_total_train_tokens", 0)
        result = super().compute_loss(model, inputs, *args, **kwargs)
        metrics = self._metrics["train" if self.model.training else "eval"]
        if any(math.isnan(value) for value in metrics.get("entropy", ())):  # not computed (runtime.learnt_loss)
            del metrics["entropy"]
        if tokens is not None and self.model.training:
            self._total_train_tokens = before + int(tokens.sum())
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return result

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        """Where a step is over, checkpoint and all: what a checkpoint of it would hold of the generators."""
        super()._maybe_log_save_evaluate(*args, **kwargs)
        self._after_step = RandomStates.now()

    def keep_last_step(self) -> None:
        """Write the checkpoint of the last whole step when the one after it has failed before its update.

        Weights, optimizer and schedule are still that step's; only the generators have moved on. Raises OSError.
        """
        if self.state.global_step == self.watcher.saved_step:
            return
        self._after_step.restore()
        self.model.zero_grad()
        self.control.should_save = True
        self._save_checkpoint(self.model, None)
        self.callback_handler.on_save(self.args, self.state, self.control)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Where the norm is known and nothing has been updated yet."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        self.watcher.grad_norm = float(norm)
        return norm

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Measure; out of memory, again with half as many rows at once. Training keeps its batch."""
        while True:
            states = RandomStates.now()
            try:
                return super().evaluate(*args, **kwargs)
            except Exception as error:
                rows = self.args.per_device_eval_batch_size
                if not is_out_of_memory(error) or rows == 1:
                    raise
                why = first_line(error)
                traceback.clear_frames(error.__traceback__)  # they hold the tensors that did not fit
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            states.restore()
            self.args.per_device_eval_batch_size = rows // 2
            self.watcher.measuring_fewer(rows, rows // 2, why)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Every measurement of Transformers comes through here."""
        with without_penalty(self.model), self.on_its_stack():
            return super().evaluation_loop(*args, **kwargs)


def build_trainer(
    plan: Plan, loaded: Loaded, run: RunFolder, data: PreparedData, watcher: Watcher, *, checkpoint: Path | None
) -> Trainer:
    """The trainer of the plan: its SFTConfig and the one thing only this machine knows, the output folder.

    ``checkpoint`` is the one that training will go on from.
    """
    callbacks: list[transformers.TrainerCallback] = [watcher]
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(run.path / "tensorboard"))  # else beside the checkpoints
    if plan.method == "adalora":
        callbacks.insert(0, RankAllocation(loaded.model, checkpoint))  # before the watcher seals a checkpoint
    if plan.early_stopping_patience is not None:
        callbacks.append(
            transformers.EarlyStoppingCallback(plan.early_stopping_patience, plan.early_stopping_threshold)
        )
    arguments = trl.SFTConfig(output_dir=str(run.checkpoints), **plan.sft.kwargs)
    refuse_other_arguments(plan, arguments)
    apart = plan.packing is not None and plan.packing.by_row  # attention sees each row by itself
    trainer = Trainer(
        model=loaded.model,
        args=arguments,
        data_collator=one_sequence if apart else None,
        train_dataset=as_dataset(data.train),
        eval_dataset=as_dataset(data.held_out) if data.held_out else None,
        processing_class=loaded.tokenizer,
        callbacks=callbacks,
    )
    if plan.packing is not None and not apart:
        how = Joining(plan.packing.pair, whole=plan.packing.whole)
        trainer.joining = JoiningCollator(how, loaded.tokenizer.pad_token_id)
    trainer.plain_lora = plain_lora(plan.backend, plan.method, packed=stored(plan) in BITSANDBYTES)
    trainer.watcher, watcher.scaled = watcher, trainer.accelerator.scaler is not None
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.remove_callback(transformers.ProgressCallback)
    return trainer


def train(trainer: Trainer, plan: Plan, checkpoint: Path | None) -> None:
    """Train to the end, from the checkpoint if there is one.

    A checkpoint with which training was over is only loaded: Transformers would train one step more.
    """
    transformers.set_seed(plan.seed)  # whatever was measured before draws from the same generators, or did not
    state = None if checkpoint is None else _state_when_over(plan, checkpoint)
    if state is None or checkpoint is None:
        with trainer.on_its_stack():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        return
    best = checkpoint.with_name(Path(state.best_model_checkpoint).name) if state.best_model_checkpoint else checkpoint
    trainer.state = state
    trainer._load_from_checkpoint(str(best if checkpoints.is_whole(best) else checkpoint))
    for tell in (trainer.callback_handler.on_train_begin, trainer.callback_handler.on_train_end):
        tell(trainer.args, trainer.state, trainer.control)  # AdaLoRA's ranks are taken up and handed over there


def _state_when_over(plan: Plan, checkpoint: Path) -> Any:
    """The trainer's state in a checkpoint if there is nothing left to train after it, else None."""
    state = transformers.TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    over = state.global_step >= plan.schedule.steps
    if plan.early_stopping_patience is not None:
        told = state.stateful_callbacks["EarlyStoppingCallback"]["attributes"]
        over = over or told["early_stopping_patience_counter"] >= plan.early_stopping_patience
    return state if over else None


class Watcher(transformers.TrainerCallback):
    """Writes the journal while Transformers trains, and obeys orders between two optimizer steps.

    ``tokens`` are those that earlier executors have trained on, up to the checkpoint.
    """

    def __init__(
        self,
        plan: Plan,
        journal: JournalWriter,
        orders: Orders,
        *,
        tokens: int = 0,
        story: Story | None = None,
        every_step: Callable[[], None] = lambda: None,
    ) -> None:
        self._plan = plan
        self._every_step = every_step
        self._advice = Adviser(plan, {event.text("code") for event in story.advice} if story is not None else set())
        self.grad_norm = 0.0
        """Norm of the gradient that is about to be applied."""
        self.updating = False
        """Whether the weights are those of no whole step: between the beginning of an update and its end."""
        self.scaled = False
        """Whether PyTorch scales the gradients of float16, and leaves out updates as it finds the scale."""
        self._skipped = 0
        self._skipped_in_a_row = 0
        self._journal = journal
        self._orders = orders
        self._step_started = 0.0
        self._step_seconds: deque[float] = deque(maxlen=50)
        self._seconds = story.train_seconds if story is not None else 0.0  # in the steps of all executors
        self.steps, self.timed, self.timed_seconds = 0, 0, 0.0
        """Steps of this executor, and all but the first, which warms up, with their seconds."""
        self._tokens_at_start = tokens
        self._tokens_before = 0.0
        self._training = False
        self._measured_rows = 0
        self._measuring_told = 0.0
        self.saved_step = 0
        """The last step that a checkpoint keeps."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """From here on, measurements are ones during training."""
        self._training = True
        self.saved_step = state.global_step

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What is measured after this is the executor's to name."""
        self._training = False

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock of one optimizer step."""
        self._step_started = time.perf_counter()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Let nothing that is no number into the weights: without gradients, the update changes nothing."""
        self.updating = True
        if math.isfinite(self.grad_norm) or self.scaled:
            self._skipped_in_a_row = 0
        elif self._plan.method != "adalora":  # which needs the gradients of every step
            kwargs["optimizer"].zero_grad(set_to_none=True)
            self._skipped += 1
            self._skipped_in_a_row += 1

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop the clock; obey what was asked since the last step."""
        self.updating = False
        self._step_seconds.append(time.perf_counter() - self._step_started)
        self._seconds += self._step_seconds[-1]
        self.steps += 1
        if self.steps > 1:
            self.timed, self.timed_seconds = self.timed + 1, self.timed_seconds + self._step_seconds[-1]
        self._every_step()
        self._obey(state, control)
        if state.global_step >= state.max_steps and self._plan.early_stopping_patience is None:
            control.should_evaluate = False  # the executor measures this very model next

    def _obey(self, state: Any, control: Any) -> None:
        if self._orders.take(state.global_step) or (self._orders.pausing and state.global_step > self.saved_step):
            control.should_save = True
        elif self._orders.pausing:
            self._rest(state, control)
        if self._orders.by is not None:
            control.should_save = True
            control.should_training_stop = True

    def _rest(self, state: Any, control: Any) -> None:
        """Pause where the last step is kept. The device's memory that no tensor lives in is given back meanwhile."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self._orders.rest(state.global_step, self._every_step)
        if self._orders.by is not None:
            control.should_training_stop = True

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """However training ends, its last step is kept: it must not be lost with a stop while it is measured."""
        if control.should_training_stop and state.global_step > self.saved_step:
            control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """One metric event per optimizer step."""
        if not logs or "loss" not in logs:
            return
        seconds = self._step_seconds[-1] if self._step_seconds else math.nan
        tokens = float(logs.get("num_tokens", 0.0))  # of this executor
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
            tokens=self._tokens_at_start + int(tokens),
            step_seconds=round(seconds, 4),
            train_seconds=round(self._seconds, 4),
            tokens_per_second=round(rate, 1),
            seconds_left=round(left, 1),
            **memory(),
        )
        self._judge(state.global_step, float(logs["loss"]))
        for advice in self._advice.step(state.global_step, float(logs["loss"]), logs.get("grad_norm")):
            self._journal.append("advice", step=state.global_step, **advice.as_json())
        if control.should_evaluate and self._training:  # long, perhaps, and silent: not to be taken for a stall
            self._journal.append("stage", name="evaluate", step=state.global_step)

    def _judge(self, step: int, loss: float) -> None:
        """Tell of an update that was left out; stop when it is not the odd one any more. Raises Refusal (X008)."""
        if math.isfinite(loss) and not self._skipped_in_a_row:
            return
        what = (
            phrase("the loss is {loss}", loss=loss)
            if not math.isfinite(loss)
            else phrase("the gradient's norm is {grad_norm}", grad_norm=self.grad_norm)
        )
        changes = joined(phrase("; "), [change.words() for change in self._advice.lower_rate()])
        most = max(SKIPS_IN_A_ROW, self._plan.schedule.steps // 100)
        if not self._skipped_in_a_row or self._skipped_in_a_row >= SKIPS_IN_A_ROW or self._skipped > most:
            times = phrase(" for the {skipped}th time", skipped=self._skipped) if self._skipped > 1 else ""
            help_text = changes or phrase("lower learning_rate or add warmup_steps, then start again")
            message = phrase("{what} at step {step}{times}", what=what, step=step, times=times)
            raise Refusal(Diagnostic("X008", message, path=("training", "learning_rate"), help=help_text))
        message = phrase(
            "{what} at step {step}; its update was left out, and the weights are as before", what=what, step=step
        )
        self._journal.append("warning", code="X031", message=message, help=changes)

    def measuring_fewer(self, before: int, now: int, why: str) -> None:
        """Tell that rows are measured in smaller groups from here on."""
        message = phrase(
            "{why}; held-out rows are measured {now} at once instead of {before} from here on",
            why=why,
            now=now,
            before=before,
        )
        self._journal.append("warning", code="X033", message=message)
        self._measured_rows = 0

    def on_prediction_step(
        self, args: Any, state: Any, control: Any, eval_dataloader: Any = None, **kwargs: Any
    ) -> None:
        """How many held-out rows are measured, every few seconds."""
        now = time.monotonic()
        if not self._measured_rows:
            self._measuring_told = now
        total = len(eval_dataloader.dataset)
        self._measured_rows = min(total, self._measured_rows + args.per_device_eval_batch_size)
        if now - self._measuring_told >= TOLD_EVERY:
            self._measuring_told = now
            with self._orders.unbroken():
                self._journal.append("progress", done=self._measured_rows, total=total)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Held-out loss in the middle of training; before and after are the executor's to name."""
        self._measured_rows = 0
        if not self._training:
            return
        if metrics and "eval_loss" in metrics:
            self._journal.append("eval", phase="during", step=state.global_step, loss=metrics["eval_loss"])
            for advice in self._advice.measured(state.global_step, float(metrics["eval_loss"])):
                self._journal.append("advice", step=state.global_step, **advice.as_json())
        self._every_step()
        self._obey(state, control)  # whoever asked meanwhile need not wait for another step

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Seal what was written, tell of it, and delete what is older than wanted."""
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        preflight.write_stamp(checkpoint, self._plan)
        checkpoints.seal(checkpoint)
        self.saved_step = state.global_step
        self._journal.append("checkpoint", step=state.global_step, path=f"checkpoints/{checkpoint.name}")
        keep = max(2, self._plan.save_total_limit)  # never fewer than one to fall back on
        checkpoints.prune(Path(args.output_dir), keep=keep, also=state.best_model_checkpoint)
        if self._orders.pausing:
            self._rest(state, control)


def held_out_loss(trainer: Trainer, *, base: bool) -> dict[str, float]:
    """Loss on the held-out rows in nats, as Transformers averages it; of the ``base`` before the first step."""
    started = time.perf_counter()
    with as_base(trainer.model) if base else contextlib.nullcontext():
        loss = float(trainer.evaluate()["eval_loss"])
    perplexity = math.exp(loss) if loss < 700 else math.inf
    return {"loss": loss, "perplexity": perplexity, "seconds": round(time.perf_counter() - started, 2)}
