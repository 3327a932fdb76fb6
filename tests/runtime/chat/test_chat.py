"""Base, tuned model and a second adapter answer in one process; scripts get lines; no fault ends the talk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from compiler.diagnostics import Refusal
from compiler.plan import Plan, read_plan
from runtime.chat.client import Client
from runtime.run_folder import RunFolder
from tests.runtime.finished import finished_run, save_tiny_chat_model, write_recipe
from tui.cli import recipe

pytestmark = pytest.mark.slow

ASK = [{"role": "user", "content": "Bonjour ?"}]


def plan_of(run: RunFolder) -> Plan:
    plan, _ = read_plan(run.plan)
    assert plan is not None
    return plan


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunFolder]]:
    """A finished run, and another one on the same base whose adapter does nothing (its B is zero)."""
    folder = tmp_path_factory.mktemp("chat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECIPE_CACHE_DIR", str(folder / "cache"))
        written = write_recipe(folder / "recipe")
        save_tiny_chat_model(written.parent / "model")
        first = finished_run(folder / "runs", written)
        second = RunFolder(Path(shutil.copytree(first.path, first.path.with_name("20260101-000000-zero"))))
        _zero(second.adapter / "adapter_model.safetensors")
        yield [first, second]


def _zero(file: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(file)
    save_file({name: weight * ("lora_B" not in name) for name, weight in weights.items()}, file)


@pytest.fixture(scope="module")
def client(runs: list[RunFolder]) -> Iterator[Client]:
    with Client(runs, plan_of(runs[0]), note=lambda _: None) as client:
        yield client


def said(client: Client, model: str, talk: Any = ASK) -> str:
    return "".join(client.ask(model, talk, max_new_tokens=8)).strip()


def test_models_are_switched_between_answers(client: Client, runs: list[RunFolder]) -> None:
    assert client.models == ["base", "tuned", runs[0].id, runs[1].id]
    base, tuned = said(client, "base"), said(client, "tuned")
    assert base != tuned
    assert said(client, runs[1].id) == base  # an adapter that does nothing
    assert said(client, runs[0].id) == tuned
    assert said(client, "base") == base


def test_a_batch_gives_what_each_would_get_alone(client: Client) -> None:
    talks = [ASK, [{"role": "user", "content": "Une question bien plus longue que la première ?"}]]
    answers = client.batch("tuned", talks, max_new_tokens=8)
    assert [answer["text"] for answer in answers] == [said(client, "tuned", talk) for talk in talks]
    assert all(answer["tokens"] <= 8 for answer in answers)


@pytest.mark.parametrize(
    ("model", "talk", "most", "code"),
    [("teacher", ASK, 8, "X081"), ("tuned", [{"x": 1}], 8, "X082"), ("tuned", ASK, 10**6, "X083")],
)
def test_a_fault_ends_no_talk(client: Client, model: str, talk: Any, most: int, code: str) -> None:
    with pytest.raises(Refusal, match=code):
        list(client.ask(model, talk, max_new_tokens=most))
    assert said(client, "tuned") == said(client, "tuned")


def test_runs_of_different_bases_are_refused(runs: list[RunFolder], tmp_path: Path) -> None:
    other = RunFolder(Path(shutil.copytree(runs[0].path, tmp_path / "other")))
    plan = json.loads(other.plan.read_text(encoding="utf-8"))
    plan["load"]["kwargs"]["dtype"] = "bfloat16"
    other.plan.write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(Refusal, match="X080"):
        Client([runs[0], other], plan_of(runs[0]), note=lambda _: None)


def test_scripts_and_people(runs: list[RunFolder], client: Client) -> None:
    lines = 'Bonjour ?\n\n{"question": "Bonjour ?"}\n{"messages": [{"role": "user", "content": "Bonjour ?"}]}\n'
    told = CliRunner().invoke(recipe, ["generate", str(runs[0].path), "--json", "--max-new-tokens", "8"], input=lines)
    assert told.exit_code == 0, told.output
    answers = [json.loads(line) for line in told.stdout.splitlines()]
    assert [answer["answer"] for answer in answers] == [said(client, "tuned")] * 3
    assert set(answers[0]) == {"question", "answer", "tokens", "ended"}
    typed = "/models\n/base\nBonjour ?\n/use 2026\n/tuned\n/again\n/nonsense\n/reset\n/again\n/quit\n"
    told = CliRunner().invoke(recipe, ["chat", str(runs[0].path), "--max-new-tokens", "8"], input=typed)
    assert told.exit_code == 0, told.output
    assert [line.strip() for line in told.stdout.splitlines()] == [said(client, "base"), said(client, "tuned")]
    assert "there is no /nonsense" in told.stderr
    assert "nothing has been asked yet" in told.stderr


def test_a_line_that_is_no_question(runs: list[RunFolder]) -> None:
    told = CliRunner().invoke(recipe, ["generate", str(runs[0].path)], input='{"q": 1}\n')
    assert told.exit_code == 2
    assert "line 1 of the input is no question" in told.stderr
