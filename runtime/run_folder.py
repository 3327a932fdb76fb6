"""The run folder: the contract between the executor that writes it and everyone who watches.

::

    runs/<name>/<id>/
      plan.json        what runs, byte for byte as compiled
      launch.json      what only this machine knows, and what its person allowed (Launch)
      events.jsonl     the journal (journal.py)
      output.log       everything the process and its libraries print
      amendments.json  what a recovery has changed of the plan's batch (recovery.py); missing when nothing
      control/         requests, one file each, created atomically (stop.json, checkpoint.json, pause.json …)
      executor.lock    held as long as an executor lives (lock.py)
      checkpoints/     checkpoint-<step>/, whole when it has a seal.json (checkpoints.py)
      adapter/         the trained adapter (or model/ after full fine-tuning)
      report.json      the outcome, for programs (report.py)
      report.html      the outcome, for people: one page without network (page.py)
      evaluation/      questions.jsonl, and what `recipe eval` made of them (evaluation/, docs/evaluation.md)
"""

from __future__ import annotations

import errno
import json
import secrets
import shutil
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from compiler.diagnostics import Diagnostic, Refusal
from compiler.files import write_atomically
from compiler.phrases import phrase
from compiler.plan import Plan, read_plan

Request = Literal["stop", "checkpoint", "pause", "continue"]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Names the places inside one run's folder."""

    path: Path

    @property
    def id(self) -> str:
        """The run's id, unique on this machine: time and four random characters."""
        return self.path.name

    @property
    def plan(self) -> Path:
        """The plan, byte for byte."""
        return self.path / "plan.json"

    @property
    def launch(self) -> Path:
        """Facts of this machine."""
        return self.path / "launch.json"

    @property
    def amendments(self) -> Path:
        """What recoveries have changed of the plan."""
        return self.path / "amendments.json"

    @property
    def events(self) -> Path:
        """The journal."""
        return self.path / "events.jsonl"

    @property
    def output(self) -> Path:
        """Everything the executor and its libraries print."""
        return self.path / "output.log"

    @property
    def control(self) -> Path:
        """Requests to the executor."""
        return self.path / "control"

    @property
    def lock(self) -> Path:
        """The executor's lock."""
        return self.path / "executor.lock"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints by step."""
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """The trained adapter."""
        return self.path / "adapter"

    @property
    def model(self) -> Path:
        """The tuned model, after full fine-tuning or a merge."""
        return self.path / "model"

    @property
    def report(self) -> Path:
        """The outcome, for programs."""
        return self.path / "report.json"

    @property
    def page(self) -> Path:
        """The outcome, for people."""
        return self.path / "report.html"

    @property
    def evaluation(self) -> Path:
        """What base and tuned model answered, and how they compare."""
        return self.path / "evaluation"


@dataclass(frozen=True, slots=True)
class Launch:
    """What only this machine knows of a run, and what its person allowed.

    ``offline`` asks nothing of the hub. ``any_packages`` takes other package versions than the plan's, ``any_data``
    other rows, ``any_split`` another batch split than the checkpoint's. ``grace`` are the seconds that a signal
    leaves before the process has to be gone. ``max_hours`` and ``max_cost`` replace the recipe's budget.
    """

    root: Path
    any_packages: bool = False
    offline: bool = False
    any_data: bool = False
    any_split: bool = False
    grace: float | None = None
    max_hours: float | None = None
    max_cost: float | None = None


def plan_of(run: RunFolder) -> Plan:
    """The plan that a run was started with. Raises Refusal when it cannot be read."""
    plan, problems = read_plan(run.plan)
    if plan is None:
        raise Refusal(*problems)
    return plan


def run_name(plan: Plan, root: Path) -> str:
    """The folder that holds the runs of a plan: its name, or that of the recipe's folder, which no plan holds."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in root.resolve().name)
    return plan.name or name.strip(".-_")[:64] or "recipe"


def new_run(runs: Path, plan: Plan, launch: Launch) -> RunFolder:
    """Create a run's folder with its plan. Raises OSError and leaves nothing when it cannot be made."""
    run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    parent = runs / run_name(plan, launch.root)
    parent.mkdir(parents=True, exist_ok=True)
    # Readers must never meet half a run, so it is made under a hidden name and renamed when whole.
    draft = RunFolder(parent / f".{run_id}")
    try:
        draft.path.mkdir()
        draft.control.mkdir()
        draft.checkpoints.mkdir()
        write_atomically(draft.plan, plan.as_bytes())
        write_launch(draft, launch)
        draft.path.rename(parent / run_id)
    except OSError:
        shutil.rmtree(draft.path, ignore_errors=True)
        raise
    return RunFolder(parent / run_id)


def write_launch(run: RunFolder, launch: Launch) -> None:
    """Say how a run is to be started from here on. Raises OSError."""
    document = {**asdict(launch), "root": str(launch.root.resolve())}
    write_atomically(run.launch, json.dumps(document, indent=2).encode() + b"\n")


def read_launch(run: RunFolder) -> Launch:
    """What the launcher wrote. Raises Refusal (X021) when it cannot be read."""
    try:
        document = json.loads(run.launch.read_text(encoding="utf-8"))
        known = {field.name: document[field.name] for field in fields(Launch) if field.name in document}
        return Launch(**{**known, "root": Path(document["root"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refusal(
            Diagnostic(
                "X021",
                phrase("{launch} cannot be read ({error})", launch=run.launch, error=error),
                help=phrase("start a new run with `recipe run`"),
            )
        ) from error


def all_runs(runs: Path) -> list[RunFolder]:
    """Every run under ``runs``, newest first."""
    found = [RunFolder(plan.parent) for plan in runs.glob("*/[!.]*/plan.json")]
    return sorted(found, key=lambda run: run.id, reverse=True)


def runs_of(run: RunFolder) -> Path:
    """The folder that a run lies in with all others."""
    return run.path.resolve().parents[1]


def find_run(runs: Path, wanted: str) -> RunFolder:
    """The run meant by an id, the beginning of one, ``RECIPE/ID``, ``latest``, or a path. Raises Refusal (X001)."""
    for as_path in (Path(wanted), runs / wanted):
        if (as_path / "plan.json").is_file():
            return RunFolder(as_path)
    known = all_runs(runs)
    if wanted == "latest":
        if known:
            return known[0]
        raise Refusal(
            Diagnostic(
                "X001",
                phrase("there is no run in {runs} yet", runs=runs),
                help=phrase("start one with `recipe run RECIPE`"),
            )
        )
    hits = [run for run in known if run.id.startswith(wanted) or run.path.parent.name == wanted]
    named = [run for run in hits if wanted in {run.id, run.path.parent.name}]
    if named:
        return named[0]
    if len(hits) == 1:
        return hits[0]
    if hits:
        names = ", ".join(run.id for run in hits[:5])
        raise Refusal(
            Diagnostic(
                "X001",
                phrase("{wanted!r} fits several runs: {names}", wanted=wanted, names=names),
                help=phrase("type more of the id"),
            )
        )
    raise Refusal(
        Diagnostic(
            "X001",
            phrase("no run {wanted!r} in {runs}", wanted=wanted, runs=runs),
            help=phrase("`recipe runs` lists them; --runs-dir names another"),
        )
    )


def post_request(run: RunFolder, request: Request) -> None:
    """Ask the executor for something; it answers with a ``request`` event. Raises OSError."""
    run.control.mkdir(exist_ok=True)
    write_atomically(run.control / f"{request}.json", json.dumps({"asked": time.time()}).encode())


def take_requests(run: RunFolder) -> list[str]:
    """The requests that stand in ``control/``, which are removed by reading them.

    Raises OSError where the disk takes no writes any more: a run that rests would never hear that it may go on.
    """
    taken: list[str] = []
    for file in sorted(run.control.glob("[!.]*.json")):
        try:
            file.unlink()
        except OSError as error:
            if error.errno in {errno.EROFS, errno.EIO}:
                raise
            continue
        taken.append(file.stem)
    return taken
