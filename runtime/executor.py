"""The child process of a run: a run folder with a plan in, a trained and measured adapter out.

``python -m runtime.executor RUN``. Everything it says goes into the journal; its standard output is
the run's output.log. Exit codes: 0 finished or stopped by request, 130/143 stopped by a signal, else the
code of the fault.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from compiler.codes import exit_code
from compiler.diagnostics import Diagnostic, Refusal
from compiler.gather import gather
from compiler.permissions import Permissions
from compiler.phrases import phrase
from compiler.plan import Plan
from compiler.stale import what_moved
from runtime.budget import Budget, limits_of
from runtime.checkpoints import discard_unsealed, latest_whole, step_of
from runtime.child import main_of
from runtime.evaluation.questions import write_questions
from runtime.faults import diagnose, first_line, is_out_of_memory, no_room_error
from runtime.imports import importing
from runtime.journal import JournalWriter, boot_id
from runtime.lock import ExecutorLock
from runtime.orders import BUDGET, SIGNALS, Orders, Stopped
from runtime.packages import package_problems
from runtime.page import write_page
from runtime.peak import memory, predicted
from runtime.preflight import DATA, compare
from runtime.recovery import (
    MOST,
    Amendment,
    Restart,
    add_amendment,
    amended,
    killed_for_memory,
    memory_kills,
    nothing_left,
    read_amendments,
    smaller,
    told,
)
from runtime.report import write_report
from runtime.run_folder import Launch, RunFolder, plan_of, read_launch, runs_of, take_requests
from runtime.space import no_room
from runtime.state import Story, read_story

if TYPE_CHECKING:
    from compiler.gather import Inputs
    from runtime.backends import Loaded
    from runtime.peak import Predicted
    from runtime.telemetry import Telemetry
    from runtime.training import Watcher

BALLAST = 256 * 1024
"""Bytes kept aside in the run folder, given up on a full disk so that the end can still be told."""


class Executor:
    """One run, stage by stage."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.lock = ExecutorLock(run)
        self.story: Story = read_story(run)  # what earlier executors of this run have already done
        # Whoever asked an earlier executor did not mean this one; the first one can only be meant itself.
        self.left_over = take_requests(run) if self.story.last_seq >= 0 else []
        self.journal = JournalWriter(run.events)
        self.orders = Orders(run, self.journal)
        self.ballast = run.path / ".ballast"
        self.stage = "environment"
        self.step = 0  # optimizer steps that a checkpoint keeps
        self.began = time.monotonic()  # a clock that nobody sets
        self.budget: Budget | None = None
        self.telemetry: Telemetry | None = None
        self.predicted: Predicted | None = None
        self.learn: Callable[[bool], None] | None = None  # once there is a trainer
        self.model_bytes = 0  # of all weights as they are computed with

    # --- the stages, in order -------------------------------------------------------------------

    def execute(self) -> dict[str, Any]:
        """Run the plan to its end and return the outcome. Raises Refusal, Stopped or a library's error."""
        compiled = plan_of(self.run)
        amendments = read_amendments(self.run)
        plan = amended(compiled, amendments)
        launch = read_launch(self.run)
        resume, broken = self._checkpoint()
        no_memory = killed_for_memory(self.story)
        self._start(compiled, resume[1] if resume else None)
        for path in broken:
            self.journal.append(
                "warning", code="X030", message=phrase("{name} is not whole and was passed over", name=path.name)
            )
        self._watch_spending(plan, launch)
        with self._stage("environment"):
            if no_memory:
                plan = self._in_smaller_pieces(plan, phrase("the executor was killed for want of memory"))
            if resume is not None:
                self._compare(resume[0], compiled, amendments, launch)
            problems = package_problems(plan)
            if problems and not launch.any_packages:
                raise Refusal(*problems)
            for problem in problems:
                self.journal.append("warning", code=problem.code, message=problem.message)
        with self._stage("data"), self.orders.at_once():
            inputs = self._inputs(plan, launch)
            write_questions(self.run, plan, inputs, launch.root)
        with self._stage("model"), self.orders.at_once():
            loaded = self._model(plan, inputs)
        return self._train(plan, inputs, loaded, resume[0] if resume else None)

    def _start(self, plan: Plan, resume_from: int | None) -> None:
        foreseen = self.predicted = predicted(plan)
        started = self.journal.append(
            "start",
            pid=os.getpid(),
            plan=plan.sha256(),
            steps=plan.schedule.steps,
            resume_from=resume_from,
            boot=boot_id(),
            memory_kills=memory_kills(),
            **(foreseen.as_fields() if foreseen is not None else {}),
        )
        self.story.apply([started])
        self.step = self.story.step
        for request in self.left_over:
            self.orders.decline(request, self.step, phrase("it was meant for an earlier executor"))

    def _compare(self, checkpoint: Path, plan: Plan, amendments: list[Amendment], launch: Launch) -> None:
        """Refuse to go on under other conditions than the checkpoint's, unless they are meant. Raises Refusal."""
        problems, accepted = compare(checkpoint, plan, amendments, launch)
        if problems:
            raise Refusal(*problems)
        for problem in accepted:
            self.journal.append("warning", code=problem.code, message=problem.message)

    def _watch_spending(self, plan: Plan, launch: Launch) -> None:
        """Count time, energy and money from here on, and tell of them every few seconds. Raises Refusal (X064)."""
        from runtime.telemetry import Gpus, Meter, Rapl, Telemetry

        gpus = Gpus() if plan.target.device == "cuda" else Gpus.none()
        self.budget = Budget(limits_of(plan, launch), self.story, joules=Meter(gpus, Rapl()).joules)
        over = self.budget.used_up()
        if over is not None:
            raise Refusal(over)
        self.telemetry = Telemetry(self.journal, self._so_far, gpus=gpus)
        self.telemetry.start()
        if launch.grace is not None:
            self.orders.leave_within(launch.grace, lambda: self._gone(launch.grace))

    def _so_far(self) -> dict[str, Any]:
        """For telemetry: what is spent, and the memory's peak beside the predicted one."""
        spent = {} if self.budget is None else self.budget.spent()
        foreseen = {} if self.predicted is None else {"predicted_memory": self.predicted.expected}
        return {**spent, "peak_memory": memory()["peak_memory"], **foreseen}

    def _between_steps(self) -> None:
        """Warn near a limit of the budget; at it, ask for the end. Called between two steps and while the run rests.

        Raises Refusal (X066) when the run's folder is gone: nobody could see or stop what is trained then.
        """
        if not self.journal.is_in_place():
            message = phrase("{path} was removed or moved away while the run was under way", path=self.run.path)
            raise Refusal(
                Diagnostic("X066", message, help=phrase("put it back, then `recipe resume`; or start a new run"))
            )
        if self.budget is None or self.orders.by is not None:
            return
        for problem in self.budget.warnings():
            self.journal.append("warning", code=problem.code, message=problem.message, help=problem.help)
        over = self.budget.used_up()
        if over is not None:
            self.journal.append("warning", code=over.code, message=over.message, help=over.help)
            self.orders.by = BUDGET

    def _checkpoint(self) -> tuple[tuple[Path, int] | None, list[Path]]:
        whole, broken = latest_whole(self.run.checkpoints)
        for path in broken:  # Transformers would trip over them when it rotates
            shutil.rmtree(path, ignore_errors=True)
        return ((whole, step_of(whole)) if whole else None), broken

    def _inputs(self, plan: Plan, launch: Launch) -> Inputs:
        but, runs = DATA if launch.any_data else (), runs_of(self.run)
        moved = what_moved(plan, launch.root, offline=launch.offline, but=but, runs=runs)
        if moved:
            raise Refusal(*moved)
        allowed = Permissions(plan.allow_outside, plan.trust_remote_code, launch.offline, runs, plan.allow_pickle)
        gathered = gather(launch.root / plan.recipe_file, allowed, model=plan.named_model())
        if gathered.inputs is None:
            raise Refusal(*gathered.diagnostics)
        if gathered.inputs.data.fingerprint != plan.data.tokens_sha256:
            message = phrase("the rows came out as other tokens than in the plan")
            if not launch.any_data:
                raise Refusal(Diagnostic("P012", message, help=phrase("compile the recipe again on this machine")))
            with self.orders.unbroken():
                self.journal.append("warning", code="P012", message=message)
        return gathered.inputs

    def _model(self, plan: Plan, inputs: Inputs) -> Loaded:
        from runtime.backends import loader

        with importing(plan):
            load = loader(plan.backend)  # first of all: a backend may patch the libraries that come next
            import runtime.training  # noqa: F401 - whose libraries look for packages too
        from runtime.weights import weights_folder

        def announce(message: str) -> None:
            with self.orders.unbroken():
                self.journal.append("stage", name="model", message=message)

        folder = weights_folder(plan, inputs.facts, inputs.tokenizer, announce)
        import transformers

        transformers.set_seed(plan.seed)  # before the adapter's random start
        loaded = load(plan, folder)
        if inputs.start is not None:
            from runtime.starts import go_on_from

            go_on_from(loaded.model, inputs.start.weights, name=inputs.start.found.name)
            with self.orders.unbroken():
                message = phrase("going on from the adapter of {name}", name=inputs.start.found.name)
                self.journal.append("stage", name="model", message=message)
        return loaded

    def _train(self, plan: Plan, inputs: Inputs, loaded: Loaded, checkpoint: Path | None) -> dict[str, Any]:
        from runtime.packing import refuse_leaks
        from runtime.saving import save_tuned
        from runtime.starts import remember_start
        from runtime.training import Watcher, build_trainer, train

        data = inputs.data
        watcher = Watcher(
            plan,
            self.journal,
            self.orders,
            tokens=self.story.tokens,
            story=self.story,
            every_step=self._between_steps,
        )
        if plan.packing is not None:
            refuse_leaks(loaded.model, plan.packing)
        trainer = build_trainer(plan, loaded, self.run, data, watcher, checkpoint=checkpoint)
        self.learn = partial(self._learn, plan, inputs, watcher, time.monotonic() - self.began)
        start = remember_start(loaded.model)
        trainable, total = self._parameters(plan, loaded.model)
        self.model_bytes = total * (4 if plan.load.kwargs.get("dtype") == "float32" else 2)

        if not self._has_baseline(plan, inputs):
            with self._stage("baseline"):
                self._measure(inputs, trainer, "base")
                if plan.start is not None:
                    self._measure(inputs, trainer, "start")
                self._answers(plan, inputs, trainer, "base")

        with self._stage("train"):
            no_memory = None
            try:
                train(trainer, plan, checkpoint)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                no_memory = phrase(
                    "out of memory at step {global_step}: {first_line}",
                    global_step=trainer.state.global_step + 1,
                    first_line=first_line(error),
                )
                traceback.print_exc()
                traceback.clear_frames(error.__traceback__)  # they hold the tensors that did not fit
            if no_memory is not None:
                self._recover(plan, trainer, watcher, no_memory)
            self.step = trainer.state.global_step
            self.orders.check()  # asked for in the middle of it: the trainer has made a checkpoint and returned

        with self._stage("measure"):
            self._measure(inputs, trainer, "tuned")
            self._answers(plan, inputs, trainer, "tuned")

        with self._stage("save"):
            with self.orders.at_once():  # save_tuned removes what it has not finished
                places = save_tuned(plan, self.run, trainer.model, inputs.tokenizer, base=loaded.folder, start=start)
            for place in places:
                self.journal.append("stage", name="save", message=phrase("{name}/ written", name=place.name))
        outcome = write_report(self.run, plan, steps=self.step, trainable=trainable, total=total)
        write_page(self.run, plan)
        return {"status": "finished", "step": self.step, **outcome}

    def _learn(self, plan: Plan, inputs: Inputs, watcher: Watcher, start: float, finished: bool) -> None:
        """Keep what this run took for later checks on this machine."""
        from compiler.learned.store import is_ignored, keep
        from runtime.learning import Took, gpu_of, measured, peak_of

        if is_ignored():
            return
        took = Took(watcher.timed, watcher.timed_seconds, watcher.steps, start, finished)
        peak, gpu = peak_of(plan.target.device), gpu_of(plan)
        line = measured(self.run, plan, inputs.facts, inputs.data.train.lengths(), took, peak=peak, gpu=gpu)
        if line is not None:
            keep(line)

    def _measure(self, inputs: Inputs, trainer: Any, phase: str) -> None:
        """The held-out loss of the base, of the adapter that training starts from, or of the tuned model."""
        from runtime.training import held_out_loss

        if not inputs.data.held_out:
            return
        with self.orders.at_once():
            measured = held_out_loss(trainer, base=phase == "base")
        step = self.step if phase == "tuned" else 0
        self.journal.append("eval", phase=phase, step=step, **measured)

    def _parameters(self, plan: Plan, model: Any) -> tuple[int, int]:
        """How many numbers are trained, and how many there are. Raises Refusal (X014) when the plan says otherwise."""
        from runtime.counting import counted, refuse_other_counts

        trainable, total = counted(model)
        self.journal.append("stage", name="model", trainable_parameters=trainable, parameters=total)
        refuse_other_counts(plan, trainable, total)
        return trainable, total

    def _recover(self, plan: Plan, trainer: Any, watcher: Any, why: str) -> None:
        """Keep the last whole step and begin anew from there with smaller pieces. Raises Restart, Stopped or Refusal.

        An update that was broken off has left weights of no step; then the latest checkpoint is gone on from.
        """
        if trainer.state.global_step and not watcher.updating:
            trainer.keep_last_step()
        self.step = watcher.saved_step
        self.orders.check()
        self._in_smaller_pieces(plan, why)
        raise Restart

    def _in_smaller_pieces(self, plan: Plan, why: str) -> Plan:
        """Halve the micro-batch, for good and told. Raises Refusal (X006) when nothing is left to halve."""
        amendment = smaller(plan, self.step, why)
        if amendment is None or len(read_amendments(self.run)) >= MOST:
            raise Refusal(nothing_left(plan, why))
        add_amendment(self.run, amendment)
        self.journal.append("recovery", **told(amendment, plan))
        return amended(plan, [amendment])

    def _has_baseline(self, plan: Plan, inputs: Inputs) -> bool:
        """Whether an earlier executor of this run has measured and asked the base already."""
        from runtime.prompts import prompts

        asked = {sample.whole("number") for sample in self.story.samples if sample.get("phase") == "base"}
        phases = ("base",) if plan.start is None else ("base", "start")
        measured = not inputs.data.held_out or all(self.story.measured(phase) is not None for phase in phases)
        return measured and len(asked) == len(prompts(plan, inputs.data))

    def _answers(self, plan: Plan, inputs: Inputs, trainer: Any, phase: str) -> None:
        from runtime.answers import answer
        from runtime.prompts import prompts
        from runtime.starts import as_base

        with as_base(trainer.model) if phase == "base" else contextlib.nullcontext():
            for number, (prompt, expected) in enumerate(prompts(plan, inputs.data)):
                self._obey()
                with self.orders.at_once():
                    text = answer(
                        trainer.model, inputs.tokenizer, prompt, max_new_tokens=plan.evaluation.max_new_tokens
                    )
                question = prompt[-1]["content"]
                self.journal.append(
                    "sample", phase=phase, number=number, question=question, answer=text, expected=expected
                )

    # --- around the stages ----------------------------------------------------------------------

    @contextlib.contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self._obey()
        self.stage = name
        self.journal.append("stage", name=name)
        yield

    def _obey(self) -> None:
        """Answer requests where no step is being trained, and end when that was asked. Raises Stopped."""
        since = phrase("the checkpoint at step {step}", step=self.step) if self.step else phrase("the start")
        self.orders.take(self.step, no_checkpoint=phrase("nothing has been trained since {since}", since=since))
        self.orders.rest(self.step, self._between_steps)
        self.orders.check()

    def run_to_end(self) -> int:
        """Execute, tell the end whatever happens, and return the process's exit code."""
        self.orders.listen()
        try:
            self.ballast.write_bytes(b"\0" * BALLAST)
            outcome, code = self.execute(), 0
        except Restart:
            return self._begin_anew()
        except Stopped:
            outcome, code = self._stopped(), self.orders.exit_code()
        except Refusal as refusal:
            outcome, code = self._failed(*refusal.diagnostics)
        except BaseException as error:  # the edge: whatever a library raises becomes the journal's end event
            outcome, code = self._failed(self._diagnosed(error))
            with contextlib.suppress(OSError):  # output.log may be on the disk that is full
                traceback.print_exc()
        if self.learn is not None and outcome["status"] in {"finished", "stopped"}:
            try:
                self.learn(outcome["status"] == "finished")
            except Exception:  # it is for other runs: nothing of it may change how this one ends
                traceback.print_exc()
        self._tell_end(outcome)
        return code

    def _diagnosed(self, error: BaseException) -> Diagnostic:
        """What an error of whatever library means for the run."""
        number = no_room_error(error, self.run.path)
        if number is None:
            problem = diagnose(error, self.run.path)
            if not problem.code.startswith("E"):
                return problem
            again = phrase("{help}; then `recipe resume {id}` goes on", help=problem.help or "", id=self.run.id)
            return replace(problem, help=again)
        return no_room(self.run, error, stage=self.stage, number=number, model_bytes=self.model_bytes)

    def _begin_anew(self) -> int:
        """Become a fresh process: the same number, the same lock, no memory of the old one. Does not return.

        Signals wait until the new one listens.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        if self.telemetry is not None:
            self.telemetry.stop()
        self.lock.keep_over_exec()
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "runtime.executor", str(self.run.path)])  # noqa: S606

    def _gone(self, seconds: float | None) -> None:
        """The time that a signal left is over (from the timer's thread): tell it and go, whatever is under way."""
        kept = latest_whole(self.run.checkpoints)[0]
        step = step_of(kept) if kept is not None else 0
        where = (
            phrase("the checkpoint at step {step} is whole", step=step)
            if step
            else phrase("there is no checkpoint yet")
        )
        message = phrase(
            "{by} left {seconds:g} s, which were not enough for the stage {stage}; {where}",
            by=self.orders.by,
            seconds=seconds,
            stage=self.stage,
            where=where,
        )
        with contextlib.suppress(OSError):
            outcome = {"status": "stopped", "step": step, "stage": self.stage, "by": self.orders.by}
            self.journal.append("end", **outcome, message=message, **self._spent())
        os._exit(self.orders.exit_code())

    def _spent(self) -> dict[str, Any]:
        """For the end: seconds of this executor, energy and money of the whole run where they are known, and memory."""
        spent = {} if self.budget is None else self.budget.spent()
        foreseen = {} if self.predicted is None else self.predicted.as_fields()
        peak = memory()["peak_memory"]
        return {**spent, "seconds": round(time.monotonic() - self.began, 1), "peak_memory": peak, **foreseen}

    def _stopped(self) -> dict[str, Any]:
        kept = (
            phrase("at step {step}, with a checkpoint", step=self.step)
            if self.step
            else phrase("before the first step")
        )
        message = phrase("stopped by {by} in the stage {stage}, {kept}", by=self.orders.by, stage=self.stage, kept=kept)
        return {"status": "stopped", "step": self.step, "stage": self.stage, "by": self.orders.by, "message": message}

    def _failed(self, *diagnostics: Diagnostic) -> tuple[dict[str, Any], int]:
        problems = [{"code": d.code, "message": d.message, "help": d.help} for d in diagnostics]
        told = {"status": "failed", "step": read_story(self.run).step, "stage": self.stage, **problems[0]}
        return {**told, "problems": problems}, exit_code([d.code for d in diagnostics])

    def _tell_end(self, outcome: dict[str, Any]) -> None:
        self.orders.ignore()  # from here on all is decided, and nothing may keep it from being told
        with contextlib.suppress(OSError):
            self.ballast.unlink(missing_ok=True)
            discard_unsealed(self.run.checkpoints)
            for request in take_requests(self.run):
                self.orders.decline(request, self.step, phrase("the run is ending"))
            if self.telemetry is not None:
                self.telemetry.stop()
            self.journal.append("end", **outcome, **self._spent())
            self.journal.close()
        self.lock.release()


def main() -> None:
    """Entry point: ``python -m runtime.executor RUN``."""
    main_of(Executor)


if __name__ == "__main__":
    main()
