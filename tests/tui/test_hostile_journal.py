"""Whatever stands in a journal, as long as it is JSON: every reader takes it in, says something, and ends."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from runtime.lock import Holder
from runtime.outcome import exit_code_of
from runtime.report import write_report
from runtime.run_folder import RunFolder
from runtime.state import judge, read_story
from tests.runtime.plans import make_plan
from tui.cli import recipe
from tui.follow import Follower
from tui.following import tell_end

KINDS = ["start", "stage", "metric", "eval", "sample", "checkpoint", "request", "warning", "end", "foreign", "x"]
FIELDS = [
    "accuracy",
    "answer",
    "by",
    "code",
    "declined",
    "epoch",
    "expected",
    "grad_norm",
    "held_out",
    "help",
    "learning_rate",
    "loss",
    "memory",
    "message",
    "name",
    "number",
    "parameters",
    "path",
    "peak_memory",
    "perplexity",
    "phase",
    "pid",
    "plan",
    "problems",
    "question",
    "resume_from",
    "seconds",
    "seconds_left",
    "status",
    "step",
    "steps",
    "step_seconds",
    "tokens",
    "tokens_per_second",
    "trainable_parameters",
]
WORDS = ["base", "during", "tuned", "train", "finished", "stopped", "failed", "NaN", "-Infinity", "SIGTERM", "X006"]

numbers = st.integers(0, 9) | st.integers() | st.floats() | st.sampled_from([10**400, -(10**30), 2**53, 1e308, 0.0])
texts = st.sampled_from(WORDS) | st.text(st.characters(), max_size=4) | st.sampled_from(["\ud800", "\x1b[2J\n"])
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2))
own = {
    "v": st.sampled_from([1] * 30 + [2, "1"]),
    "seq": st.integers(0, 20) | leaves,
    "t": st.floats(0, 2e9) | leaves,
    "k": st.sampled_from(KINDS) | leaves,
}
events = st.builds(
    lambda fields, own: fields | own,
    st.dictionaries(st.sampled_from(FIELDS) | texts, values, max_size=8),
    st.fixed_dictionaries(own),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run = RunFolder(folder / "short" / "20260101-000000-aaaa")
    run.path.mkdir(parents=True)
    run.plan.write_bytes(make_plan().as_bytes())
    os.utime(run.plan, (0, 0))  # long enough ago that an empty journal is no run that is starting
    return folder


@given(st.lists(events, max_size=12))
@example([{"v": 1, "seq": 3, "t": 1, "k": "metric"}])
@example([{"v": 1, "seq": 0, "t": 1, "k": "end", "status": "finished", "held_out": {"x": 1}}])
@example([{"v": 1, "seq": 0, "t": 1, "k": "sample", "phase": "base"}])
@example([{"v": 1, "seq": 0, "t": 1, "k": "stage", "trainable_parameters": 0, "parameters": 0}])
@example([{"v": 1, "seq": 0, "t": 1, "k": "end", "status": "failed", "code": [], "message": "\ud800"}])
@example([{"v": 1, "seq": 0, "t": 10**400, "k": "start", "steps": "8", "resume_from": [3]}])
@example([{"v": 1, "seq": n, "t": 1, "k": "eval", "phase": p, "loss": "NaN"} for n, p in enumerate(["base", "tuned"])])
def test_every_reader_takes_it_in(runs: Path, journal: list[dict[str, Any]]) -> None:
    run = RunFolder(runs / "short" / "20260101-000000-aaaa")
    run.events.write_text("".join(json.dumps(event) + "\n" for event in journal), encoding="ascii")

    story = read_story(run)
    for holder in (None, Holder(None), Holder(7)):
        verdict = judge(run, story, holder)
        (verdict.why + story.stage).encode()
        assert 0 <= exit_code_of(verdict.state, story) < 256
    write_report(run, make_plan(), steps=1, trainable=1, total=1)
    json.loads(run.report.read_text(encoding="utf-8"), parse_constant=pytest.fail)

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    follower = Follower(run, out=out)
    tell_end(run, follower.follow(), follower.story)
    out.seek(0)
    assert "\x1b" not in out.read()

    for options in (["--json"], []):
        told = CliRunner().invoke(recipe, ["runs", "--runs-dir", str(runs), *options])
        assert (told.exception, told.exit_code) == (None, 0)
        if options:
            (row,) = json.loads(told.stdout, parse_constant=pytest.fail)["runs"]
            assert row["id"] == run.id
            assert isinstance(row["step"], int)
