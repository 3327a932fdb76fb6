"""``recipe sweep``: what has been trained is not trained again, and at the end there is a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from runtime.journal import JournalWriter
from runtime.launcher import finished_run
from runtime.run_folder import Launch, new_run
from tests.runtime.finished import RECIPE, compiled, save_tiny_chat_model, write_recipe
from tui.cli import recipe

pytestmark = pytest.mark.slow

SWEPT = RECIPE.partition("[evaluation]")[0] + "[sweep]\nr = [2, 8]\n"


@pytest.mark.usefixtures("cache")
def test_combinations_that_have_finished_are_compared_at_once(tmp_path: Path) -> None:
    file = write_recipe(tmp_path / "own", recipe=SWEPT)
    save_tiny_chat_model(file.parent / "model")
    listed = CliRunner().invoke(recipe, ["sweep", str(file.parent), "--dry-run"])
    paths = [Path(line) for line in listed.stdout.split()]
    assert [path.name for path in paths] == ["recipe-r2.toml", "recipe-r8.toml"], listed.output
    runs = tmp_path / "runs"
    for number, path in enumerate(paths):
        plan = compiled(path)
        assert plan.setting("adapter.r").value == (2, 8)[number]
        assert finished_run(runs, plan, path.parent) is None
        run = new_run(runs, plan, Launch(path.parent, offline=True))
        report = {"train_seconds": 10.0 * (number + 1), "held_out": {"tuned_loss": 2.0 - number, "better_by": 1.0}}
        run.report.write_text(json.dumps(report), encoding="utf-8")
        journal = JournalWriter(run.events)
        journal.append("start", pid=1, plan=plan.sha256(), steps=2, resume_from=None)
        journal.append("end", status="finished", step=2)
        journal.close()
        found = finished_run(runs, plan, path.parent)
        assert found is not None
        assert found.id == run.id
    told = CliRunner().invoke(recipe, ["sweep", str(file.parent), "--runs-dir", str(runs), "--no-eval", "--offline"])
    assert told.exit_code == 0, told.output
    assert told.stderr.count("has it already") == 2
    lines = told.stdout.splitlines()
    assert [line.partition("  ")[0] for line in lines[1:3]] == ["lora r=8", "lora r=2"]  # the better loss first
    assert len(list(runs.glob("*/*/plan.json"))) == 2
