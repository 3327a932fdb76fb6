"""Plays the UI: opens it without a terminal, presses keys, reads the screen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from runtime.run_folder import Launch, RunFolder, new_run
from tests.runtime.plans import make_plan
from tui.app import RecipeApp, Setup
from tui.screens.run import RunScreen, Watched
from tui.settings import Settings

Play = Pilot[str]
Script = Callable[[Play], Awaitable[None]]

PATIENCE = 10.0
"""Seconds in which a screen shows what it is going to show, on the busiest machine."""

BEGAN = 1_795_000_000.0
"""The unix time at which the runs of tests begin."""


def make_app(runs: Path, run: RunFolder | None = None, **setup: Any) -> RecipeApp:
    settings = setup.pop("settings", Settings())
    app = RecipeApp(
        Setup(runs_dir=runs, settings=settings, settings_path=Path("ui.toml"), **setup),
        watched=Watched(run) if run is not None else None,
    )
    app.animation_level = "none"
    return app


def play(app: RecipeApp, script: Script, size: tuple[int, int] = (80, 24)) -> RecipeApp:
    """Run the script in the app; gives the app once it has closed."""

    async def session() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await script(pilot)

    asyncio.run(session())
    return app


async def until(pilot: Play, holds: Callable[[], object]) -> None:
    """Wait until it holds: no sleep that is long enough on one machine is on another."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, f"never came about; the screen:\n{text_of(pilot.app)}"
        await pilot.pause(0.02)
    await pilot.pause()


async def read(pilot: Play) -> RunScreen:
    """Wait until the Run screen has read its journal and drawn it."""
    await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen) and pilot.app.screen.snapshot.last is not None)
    screen = pilot.app.screen
    assert isinstance(screen, RunScreen)
    await until(pilot, lambda: screen.plan is not None)
    return screen


def text_of(app: Any) -> str:
    """What stands on the screen, without colours."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line).rstrip() for line in lines) + "\n"


class Written:
    """Writes a run's journal with times that are the same every time."""

    def __init__(self, runs: Path, **plan: Any) -> None:
        self.run = new_run(runs, make_plan(**plan), Launch(runs))
        self.seq = 0
        self.clock: Callable[[], float] = lambda: BEGAN + self.seq

    def say(self, kind: str, **fields: Any) -> Written:
        line = {"v": 1, "seq": self.seq, "t": self.clock(), "k": kind, **fields}
        with self.run.events.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        self.seq += 1
        return self

    def train(self, steps: int, *, first: int = 1, of: int | None = None) -> Written:
        """``steps`` steps whose loss falls from 3 towards 1, one of them not a number when there are many."""
        for step in range(first, first + steps):
            loss: Any = 1 + 2 / (1 + step / 10) + 0.05 * (step % 3)
            self.say(
                "metric",
                step=step,
                epoch=step / 100,
                loss="NaN" if step == 60 else loss,
                learning_rate=2e-4 * (1 - step / (of or steps) / 2),
                grad_norm=1.0 + 0.1 * (step % 5),
                tokens=100 * step,
                tokens_per_second=400.0 + step % 7,
                step_seconds=1.0,
                seconds_left=float((of or steps) - step),
                memory=3 << 30,
                peak_memory=4 << 30,
            )
        return self

    def begin(self, steps: int, pid: int | None = None) -> Written:
        self.say("start", steps=steps, resume_from=None, pid=pid)
        for stage in ("environment", "data", "model"):
            self.say("stage", name=stage)
        self.say("stage", name="model", trainable_parameters=1000, parameters=8000)
        self.say("stage", name="baseline").say("eval", phase="base", step=0, loss=3.1)
        self.say("sample", phase="base", number=0, question="Is it open?", answer="I do not know.")
        return self.say("stage", name="train")

    def finish(self) -> Written:
        self.say("checkpoint", step=80, path="checkpoints/checkpoint-80").say("stage", name="measure")
        self.say("eval", phase="tuned", step=80, loss=1.25)
        self.say("sample", phase="tuned", number=0, question="Is it open?", answer="Yes, until six.")
        self.say("warning", code="X030", message="a checkpoint was not whole")
        return self.say("stage", name="save").say("end", status="finished")


def finished(runs: Path, **plan: Any) -> RunFolder:
    """A run of eighty steps that has ended well."""
    return Written(runs, **plan).begin(80).train(80).say("eval", phase="during", step=80, loss=1.3).finish().run
