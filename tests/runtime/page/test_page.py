"""The page says what the run's files say, in one file that asks no network and trusts no text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from compiler.plan import read_plan
from runtime.evaluation.comparing import as_json, compare
from runtime.evaluation.launching import results_file
from runtime.journal import JournalWriter, writable
from runtime.page import render_page, write_page
from runtime.page.charts import MOST_POINTS, Curve, chart, smoothed
from runtime.report import write_report
from runtime.run_folder import RunFolder
from tests.runtime.evaluation.sides import measured, plan_with
from tui.cli import recipe

EVIL = '<script>alert("x")</script>'
CITES = {"name": "cites", "must_cite": ["article \\d+"]}


class Balanced(HTMLParser):
    """Raises unless every tag that is opened is closed in its order."""

    EMPTY = frozenset({"meta", "path", "circle", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def written(folder: Path, *, evaluated: bool = True, steps: int = 40, **evaluation: Any) -> str:
    """The page of a run with a journal of some steps, and an evaluation."""
    run = RunFolder(folder)
    plan = plan_with(acceptance=[CITES], **evaluation)
    run.plan.write_bytes(plan.as_bytes())
    journal = JournalWriter(run.events)
    journal.append("start", pid=1, plan=plan.sha256(), steps=steps, resume_from=None)
    journal.append("eval", phase="base", step=0, loss=3.0, perplexity=20.0)
    for step in range(1, steps + 1):
        used = {"memory": 2**30, "peak_memory": 2**31}
        journal.append("metric", step=step, loss=3.0 / step, step_seconds=2.0, tokens=9, **used)
    journal.append("sample", phase="base", number=0, question=EVIL, answer=EVIL, expected=EVIL)
    journal.append("eval", phase="tuned", step=steps, loss=2.0, perplexity=7.0)
    journal.append("end", status="finished")
    journal.close()
    write_report(run, plan, steps=steps, trainable=10, total=100)
    if evaluated:
        compared = compare(plan, measured(plan, [("Non.", f"Article 3. {EVIL}")] * 20, expected=EVIL))
        document = {"version": 1, "questions": 20, "refused": ["row 7"], "max_new_tokens": 8, **as_json(compared)}
        run.evaluation.mkdir()
        results_file(run).write_text(json.dumps(writable(document)), encoding="utf-8")
    write_page(run, plan)
    page = run.page.read_text(encoding="utf-8")
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    return page


def test_an_evaluated_run_is_told_with_its_intervals(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert 'class="verdict better"' in page
    assert "better on 20 of 20: acceptance tests 0 % → 100 %" in page
    assert "row 7" in page
    assert "nothing is cited" in page
    assert "recipe chat" in page
    assert "2.00 GiB" in page
    assert "80 s" in page
    assert page.count("<polyline") == 5  # loss with its raw values and the held-out rows, memory and its peak


def test_what_is_better_and_not_to_be_shipped_is_told_at_once(tmp_path: Path) -> None:
    """The head is all that many read of a page, and « better » alone reads like a yes."""
    written(tmp_path)
    (file,) = tmp_path.rglob("results.json")
    results = json.loads(file.read_text(encoding="utf-8"))
    results["ship"] = {"ship": False, "conditions": [{"text": "the test terms: 0 %, held to 60 %", "holds": False}]}
    file.write_text(json.dumps(results), encoding="utf-8")
    run = RunFolder(file.parents[1])
    plan, _ = read_plan(run.plan)
    assert plan is not None
    write_page(run, plan)
    head = run.page.read_text(encoding="utf-8").split("</header>")[0]
    assert "better on 20 of 20" in head
    assert "Do not ship" in head


def test_the_page_is_in_the_language_of_whoever_has_it_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECIPE_LANG", "fr")
    page = written(tmp_path)
    assert '<html lang="fr">' in page
    assert "meilleur sur 20 parmi 20" in page
    assert "tests d&#39;acceptation 0\N{NARROW NO-BREAK SPACE}% → 100\N{NARROW NO-BREAK SPACE}%" in page
    assert "rien n&#39;est cité" in page
    assert "2,00 Gio" in page
    words = re.sub(r"<(style|pre)>.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL).lower()
    assert not re.findall(r"\b(?:the|of|and|with|what|how|rows|held-out|steps)\b", words)


def test_no_text_of_a_stranger_becomes_a_tag(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_nothing_is_fetched(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert not re.search(r"""(?:src|href)\s*=|url\(|@import|https?://""", page)
    for media in ("prefers-color-scheme: dark", "@media print", "max-width: 40rem"):
        assert media in page


def test_a_run_without_an_evaluation_says_how_to_get_one(tmp_path: Path) -> None:
    page = written(tmp_path, evaluated=False, steps=3)
    assert "held-out loss 3.0000 → 2.0000 nats: better, +33.3 %" in page
    assert "recipe eval" in page
    assert page.count("<polyline") == 4  # too few steps to smooth


def test_a_run_that_has_only_begun_has_a_page(tmp_path: Path) -> None:
    plan = plan_with()
    (tmp_path / "plan.json").write_bytes(plan.as_bytes())
    assert "have not been compared" in render_page(RunFolder(tmp_path), plan)


def test_the_command_writes_it_again(tmp_path: Path) -> None:
    written(tmp_path)
    run = RunFolder(tmp_path)
    run.page.unlink()
    told = CliRunner().invoke(recipe, ["report", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert told.stdout.strip() == str(run.page)
    assert run.page.is_file()


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats()), max_size=80))
def test_any_curve_is_drawn_in_bounds(points: list[tuple[float, float]]) -> None:
    drawn = str(chart([Curve("a", points, "first")], label="a", unit=lambda value: f"{value:g}"))
    for pairs in re.findall(r'points="([^"]*)"', drawn):
        for pair in pairs.split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 640
            assert 0 <= y <= 260


def test_a_long_curve_keeps_its_spikes() -> None:
    points = [(float(n), 1.0) for n in range(100_000)]
    points[777] = (777.0, 9.0)
    drawn = str(chart([Curve("a", points, "first")], label="a", unit=str))
    (line,) = re.findall(r'points="([^"]*)"', drawn)
    assert len(line.split()) <= MOST_POINTS + 2
    assert len({pair.split(",")[1] for pair in line.split()}) == 2


def test_smoothing_starts_at_the_first_value() -> None:
    assert smoothed([(0.0, 4.0), (1.0, 4.0)]) == [pytest.approx((0.0, 4.0)), pytest.approx((1.0, 4.0))]
