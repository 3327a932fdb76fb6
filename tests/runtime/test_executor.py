"""The executor around its stages: where a stop finds it, what is told, what is answered, how it exits."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from compiler.diagnostics import Diagnostic, Refusal
from runtime.budget import Budget, Limits
from runtime.checkpoints import seal
from runtime.executor import Executor
from runtime.journal import JournalWriter, read_journal
from runtime.orders import SIGNALS
from runtime.run_folder import Launch, RunFolder, new_run, post_request
from runtime.state import Story
from tests.runtime.plans import foretold, make_plan

Do = Callable[[RunFolder], object]


def sent(number: signal.Signals) -> Do:
    return lambda run: signal.raise_signal(number)


class Staged(Executor):
    """Every stage is a stand-in that takes no time; ``doing`` happens in the middle of the one it names."""

    def __init__(self, run: RunFolder, **doing: Do) -> None:
        super().__init__(run)
        self.doing = doing
        model = SimpleNamespace(named_parameters=list, modules=list)
        self.trainer = SimpleNamespace(state=SimpleNamespace(global_step=0), model=model)

    def do(self, what: str) -> None:
        if what in self.doing:
            self.doing[what](self.run)

    def _inputs(self, plan: Any, launch: Launch) -> Any:
        self.do("data")
        data = SimpleNamespace(held_out=["row"], train=["row"])
        return SimpleNamespace(data=data, tokenizer=None, recipe=None)

    def _model(self, plan: Any, inputs: Any) -> Any:
        self.do("model")
        return SimpleNamespace(model=self.trainer.model, folder=None)

    def library(self) -> dict[str, ModuleType]:
        """The modules that load torch, with these stand-ins in them."""
        modules = {name: ModuleType(name) for name in ("training", "prompts", "answers", "saving", "starts")}
        training, prompts, answers, saving, starts = modules.values()
        training.__dict__.update(
            Watcher=lambda *arguments, **options: SimpleNamespace(saved_step=0, updating=False),
            build_trainer=lambda *arguments, **options: self.trainer,
            held_out_loss=self._held_out_loss,
            train=self._train_steps,
        )
        prompts.__dict__["prompts"] = lambda *arguments: [([{"content": f"q{n}"}], "e") for n in range(2)]
        answers.__dict__["answer"] = self._answer
        saving.__dict__["save_tuned"] = self._save_tuned
        starts.__dict__.update(as_base=nullcontext, remember_start=lambda model: None)
        return {f"runtime.{name}": module for name, module in modules.items()}

    def _held_out_loss(self, trainer: Any, *, base: bool) -> dict[str, float]:
        self.do("base" if base else "tuned")
        return {"loss": 2.0 if base else 1.0}

    def _answer(self, *arguments: Any, **options: Any) -> str:
        self.do("answer")
        return "a"

    def _train_steps(self, trainer: Any, plan: Any, checkpoint: Path | None) -> None:
        self.do("train")
        self.trainer.state.global_step = 6  # two fewer than planned: stopped early
        self.journal.append("metric", step=6, loss=1.0, tokens=10, step_seconds=0.5)
        made = self.run.checkpoints / "checkpoint-6"
        if not made.exists():
            made.mkdir()
            (made / "weights").write_bytes(b"w")
            seal(made)

    def _save_tuned(self, plan: Any, run: RunFolder, *rest: Any, **options: Any) -> list[Path]:
        self.do("save")
        return [run.adapter]


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return new_run(tmp_path, make_plan(), Launch(tmp_path))


@pytest.fixture
def execute(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, list[dict[str, Any]]]]:
    """Runs an executor to its end; gives its exit code and what this executor has told."""

    def to_end(executor: type[Staged] = Staged, **doing: Do) -> tuple[int, list[dict[str, Any]]]:
        before = sum(1 for _ in read_journal(run.events))
        staged = executor(run, **doing)
        for name, module in staged.library().items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr("runtime.executor.write_questions", lambda *arguments: None)
        code = staged.run_to_end()
        return code, [{"k": event.kind, **event.fields} for event in read_journal(run.events)][before:]

    return to_end


Execute = Callable[..., tuple[int, list[dict[str, Any]]]]


def told(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["k"] == kind]


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["name"] for event in told(events, "stage") if "message" not in event and "parameters" not in event]


STAGES = ["environment", "data", "model", "baseline", "train", "measure", "save"]


def test_a_run_to_its_end_tells_the_steps_that_were_trained(run: RunFolder, execute: Execute) -> None:
    code, events = execute()
    assert code == 0
    assert names(events) == STAGES
    end = events[-1]
    assert (end["k"], end["status"], end["step"], end["held_out"]["better"]) == ("end", "finished", 6, True)
    assert '"steps": 6' in run.report.read_text()
    assert not (run.path / ".ballast").exists()


def test_the_predicted_peak_of_the_memory_is_told_beside_the_actual_one(run: RunFolder, execute: Execute) -> None:
    foreseen = foretold(process=(10.0, 8.0, 13.0), reserved=(5.0, 4.0, 6.0))
    run.plan.write_bytes(make_plan(estimate=foreseen).as_bytes())
    _, events = execute()
    bytes_of = {"predicted_memory": 10, "predicted_memory_low": 8, "predicted_memory_high": 13}
    assert told(events, "start")[0].items() >= bytes_of.items()
    assert events[-1].items() >= bytes_of.items()
    assert events[-1]["peak_memory"] > 1 << 20
    assert all(
        sample["predicted_memory"] == 10 and sample["peak_memory"] > 1 << 20 for sample in told(events, "telemetry")
    )


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("where", "stage", "step"),
    [
        ("data", "data", 0),
        ("model", "model", 0),
        ("base", "baseline", 0),
        ("answer", "baseline", 0),
        ("train", "train", 6),
        ("tuned", "measure", 6),
        ("save", "save", 6),
    ],
)
def test_a_signal_ends_the_run_where_it_is_and_tells_it(
    execute: Execute, where: str, stage: str, step: int, number: signal.Signals
) -> None:
    left, events = execute(**{where: sent(number)})
    assert left == {"SIGTERM": 143, "SIGINT": 130}[number.name]
    end = events[-1]
    assert (end["k"], end["status"], end["step"], end["stage"]) == ("end", "stopped", step, stage)
    assert end["by"] == number.name
    assert names(events)[-1] == stage
    assert end["message"].startswith(f"stopped by {number.name} in the stage {stage}, ")
    assert ("at step 6, with a checkpoint" in end["message"]) is (step == 6)
    assert ("before the first step" in end["message"]) is (step == 0)


@pytest.mark.parametrize("where", ["train", "tuned", "save"])
def test_a_run_stopped_after_its_last_step_is_finished_by_the_next_executor(execute: Execute, where: str) -> None:
    execute(**{where: sent(signal.SIGTERM)})
    code, events = execute()
    assert (code, events[-1]["status"], events[-1]["step"]) == (0, "finished", 6)
    assert events[0]["resume_from"] == 6
    assert names(events) == ["environment", "data", "model", "train", "measure", "save"]


def test_a_signal_while_the_end_is_told_changes_nothing(execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(folder: Path) -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("runtime.executor.discard_unsealed", twice)
    code, events = execute()
    assert (code, events[-1]["k"], events[-1]["status"]) == (0, "end", "finished")


def test_a_signal_after_the_adapter_is_saved_comes_too_late(execute: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    def report(*arguments: Any, **options: Any) -> dict[str, Any]:
        signal.raise_signal(signal.SIGTERM)
        return {"held_out": None}

    monkeypatch.setattr("runtime.executor.write_report", report)
    code, events = execute()
    assert (code, events[-1]["status"]) == (0, "finished")


@pytest.mark.parametrize(
    ("where", "stage", "step"), [("data", "data", 0), ("answer", "baseline", 0), ("tuned", "measure", 6)]
)
def test_a_request_to_stop_is_obeyed_at_the_next_border(
    run: RunFolder, execute: Execute, where: str, stage: str, step: int
) -> None:
    code, events = execute(**{where: lambda run: post_request(run, "stop")})
    assert code == 0
    assert (events[-1]["status"], events[-1]["by"], events[-1]["stage"]) == ("stopped", "request", stage)
    assert told(events, "request") == [{"k": "request", "name": "stop", "step": step}]
    assert list(run.control.iterdir()) == []


def test_a_request_when_all_is_done_is_declined(execute: Execute) -> None:
    code, events = execute(save=lambda run: post_request(run, "stop"))
    assert (code, events[-1]["status"]) == (0, "finished")
    assert told(events, "request") == [{"k": "request", "name": "stop", "step": 6, "declined": "the run is ending"}]


def test_a_request_is_seen_between_two_answers(execute: Execute) -> None:
    _, events = execute(answer=lambda run: post_request(run, "stop"))
    assert len(told(events, "sample")) == 1


@pytest.mark.parametrize(("where", "since"), [("base", "the start"), ("tuned", "the checkpoint at step 6")])
def test_a_request_for_a_checkpoint_outside_of_training_is_declined_with_the_reason(
    execute: Execute, where: str, since: str
) -> None:
    code, events = execute(**{where: lambda run: post_request(run, "checkpoint")})
    assert code == 0
    (answer,) = told(events, "request")
    assert (answer["name"], answer["declined"]) == ("checkpoint", f"nothing has been trained since {since}")


def test_a_request_that_nobody_took_does_not_stop_the_next_executor(run: RunFolder, execute: Execute) -> None:
    JournalWriter(run.events).append("start", steps=8)  # an executor that was killed
    post_request(run, "stop")
    code, events = execute()
    assert (code, events[-1]["status"]) == (0, "finished")
    answer = {"k": "request", "name": "stop", "step": 0, "declined": "it was meant for an earlier executor"}
    assert told(events, "request") == [answer]


def test_a_request_before_the_first_executor_has_started_is_meant_for_it(run: RunFolder, execute: Execute) -> None:
    post_request(run, "stop")
    _, events = execute()
    assert (events[-1]["status"], events[-1]["step"]) == ("stopped", 0)
    assert told(events, "request") == [{"k": "request", "name": "stop", "step": 0}]


def test_a_folder_that_takes_nothing_is_named_with_the_way_on(run: RunFolder, execute: Execute) -> None:
    def refuse(run: RunFolder) -> None:
        raise PermissionError(1, "Operation not permitted", str(run.checkpoints))

    code, events = execute(train=refuse)
    assert (code, events[-1]["code"]) == (2, "E003")
    assert str(run.checkpoints) in events[-1]["message"]
    assert f"`recipe resume {run.id}` goes on" in events[-1]["help"]


def test_a_failure_tells_its_stage_its_step_and_every_problem(execute: Execute) -> None:
    def refuse(run: RunFolder) -> None:
        raise Refusal(Diagnostic("X009", "one", help="mend it"), Diagnostic("X006", "two"))

    code, events = execute(tuned=refuse)
    assert code == 1
    assert {k: v for k, v in events[-1].items() if k not in {"seconds", "peak_memory"}} == {
        "k": "end",
        "status": "failed",
        "step": 6,
        "stage": "measure",
        "code": "X009",
        "message": "one",
        "help": "mend it",
        "problems": [
            {"code": "X009", "message": "one", "help": "mend it"},
            {"code": "X006", "message": "two", "help": None},
        ],
    }


def test_a_library_that_exits_is_a_failure_with_an_end(execute: Execute) -> None:
    def leave(run: RunFolder) -> None:
        sys.exit(7)

    code, events = execute(model=leave)
    assert (code, events[-1]["status"], events[-1]["code"]) == (1, "failed", "X005")


def test_a_budget_warns_and_then_stops_the_run_before_the_next_step(execute: Execute, run: RunFolder) -> None:
    clock = SimpleNamespace(now=0.0)

    class Rushed(Staged):
        """Hours pass in the middle of training."""

        def _train_steps(self, trainer: Any, plan: Any, checkpoint: Path | None) -> None:
            super()._train_steps(trainer, plan, checkpoint)
            limits = Limits(10.0, None, "EUR", None, None)
            self.budget = Budget(limits, Story(), clock=lambda: clock.now)
            for hours in (1.0, 8.5, 9.0, 10.5):
                clock.now = hours * 3600
                self._between_steps()

    code, events = execute(executor=Rushed)
    assert code == 0
    assert [event["code"] for event in told(events, "warning")] == ["X063", "X064"]
    end = events[-1]
    assert (end["status"], end["by"], end["step"]) == ("stopped", "budget", 6)
    assert "stopped by budget in the stage train, at step 6, with a checkpoint" in end["message"]


def test_memory_that_is_short_in_training_is_told_and_the_executor_begins_anew(
    execute: Execute, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[Any] = []
    monkeypatch.setattr("os.execv", lambda program, arguments: replaced.append(arguments))

    def short(run: RunFolder) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    _, events = execute(train=short)
    assert replaced == [[sys.executable, "-m", "runtime.executor", str(run.path)]]
    (recovery,) = told(events, "recovery")
    assert (recovery["step"], recovery["micro_batch"], recovery["accumulation"]) == (0, 1, 8)
    assert told(events, "end") == []
    _, events = execute(train=short)  # one row at a time is too much as well
    assert (events[-1]["status"], events[-1]["code"]) == ("failed", "X006")
    assert "with 1 row at a time" in events[-1]["message"]
