"""A run's curves from its journal: which there are, and what a resume or a hostile line does to them."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from runtime.journal import JournalWriter
from runtime.run_folder import Launch, RunFolder, new_run
from tests.runtime.plans import make_plan
from tui.cli import recipe
from tui.curves import MOST_CURVES, read_curves


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run of eight steps in which one loss is no number."""
    made = new_run(tmp_path / "runs", make_plan(), Launch(tmp_path))
    journal = JournalWriter(made.events)
    journal.append("start", steps=8, resume_from=None)
    journal.append("eval", phase="base", step=0, loss=3.0)
    for step in range(1, 9):
        loss = math.nan if step == 3 else 4.0 / step
        journal.append("metric", step=step, loss=loss, grad_norm=1.0, epoch=step / 8, tokens=step * 100)
    journal.append("eval", phase="during", step=8, loss=1.0)
    journal.append("eval", phase="tuned", step=8, loss=0.9)
    journal.close()
    return made


def curve(run: RunFolder, *arguments: object) -> Result:
    return CliRunner().invoke(recipe, ["curve", "--runs-dir", str(run.path.parents[1]), *map(str, arguments)])


def test_each_number_of_a_step_is_a_curve_and_counters_are_none(run: RunFolder) -> None:
    curves = read_curves(run)
    assert curves.names() == ["loss", "eval_loss", "grad_norm"]
    assert list(curves.get("loss").bad_xs) == [3]
    assert list(zip(curves.get("eval_loss").xs, curves.get("eval_loss").ys, strict=True)) == [(0, 3.0), (8, 0.9)]
    assert len(curves.get("none")) == 0


def test_a_resume_takes_the_curves_back(run: RunFolder) -> None:
    journal = JournalWriter(run.events)
    journal.append("start", steps=8, resume_from=4)
    curves = read_curves(run)
    assert list(curves.get("loss").xs) == [1, 2, 4]
    assert list(curves.get("eval_loss").xs) == [0]
    journal.append("metric", step=5, loss=0.5)
    journal.append("start", steps=8, resume_from=None)
    journal.close()
    assert read_curves(run).names() == ["eval_loss"]


def test_a_journal_that_reports_too_much_is_held_in_bounds(run: RunFolder) -> None:
    journal = JournalWriter(run.events)
    for step in range(9, 12):
        journal.append("metric", step=step, **{f"m{step}_{n}": 1.0 for n in range(50)})
    journal.append("metric", loss=1.0)
    journal.append("eval", phase="during", loss="much")
    journal.close()
    assert len(read_curves(run).names()) == MOST_CURVES


def test_the_curve_in_the_terminal(run: RunFolder) -> None:
    told = curve(run)
    assert told.exit_code == 0
    assert told.output.splitlines()[0].startswith("loss  a train 0.5  b held-out 0.9  1 × NaN/Inf, first at 3")
    assert curve(run, "--list").output.split() == ["loss", "eval_loss", "grad_norm"]


def test_the_curve_as_a_picture_and_as_a_table(run: RunFolder, tmp_path: Path) -> None:
    picture, table = tmp_path / "loss.svg", tmp_path / "loss.csv"
    assert curve(run, "--svg", picture, "--csv", table).exit_code == 0
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")
    assert table.read_text().splitlines()[:5] == [
        "step,loss,eval_loss,grad_norm",
        "0,,3,",
        "1,4,,1",
        "2,2,,1",
        "3,NaN,,1",
    ]
    assert curve(run, "--csv", "-").output == table.read_text()


def test_several_runs_are_drawn_over_each_other_but_not_into_one_table(run: RunFolder) -> None:
    told = curve(run, run.id, "latest", "--log")
    assert f"a {run.id}" in told.output.splitlines()[0]
    assert curve(run, run.id, "latest", "--csv", "-").exit_code == 2


@pytest.mark.parametrize(("metric", "said"), [("los", "did you mean loss?"), ("xyz", "there are: loss, eval_loss")])
def test_an_unknown_metric_is_told(run: RunFolder, metric: str, said: str) -> None:
    told = curve(run, "--metric", metric)
    assert told.exit_code == 2
    assert said in told.output


def test_a_run_without_numbers_says_so(tmp_path: Path) -> None:
    made = new_run(tmp_path / "runs", make_plan(), Launch(tmp_path))
    told = curve(made)
    assert (told.exit_code, told.output) == (1, "the journal has no numbers yet\n")
