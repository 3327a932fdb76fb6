"""Several runs in one table: shares of full fine-tuning, and advice that follows from the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from compiler.diagnostics import Refusal
from compiler.plan import InputFile, Origin, Setting
from runtime.across import Across, across, as_json, numbers_of
from runtime.evaluation.comparing import as_json as results_of
from runtime.evaluation.comparing import compare
from runtime.evaluation.launching import results_file
from runtime.journal import writable
from runtime.run_folder import RunFolder
from tests.runtime.evaluation.sides import measured, plan_with
from tui.cli import recipe
from tui.comparing import table_lines

CITES = {"name": "cites", "must_cite": ["article \\d+"]}
YES, NO = "Article 3.", "La loi."


def a_run(
    folder: Path,
    name: str,
    passed: int,
    *,
    seconds: float,
    method: str = "lora",
    price: float | None = None,
    asked: int = 40,
    held_out: str = "",
) -> RunFolder:
    """A finished run whose base passes no question and whose tuned model passes ``passed`` of ``asked``."""
    plan = plan_with(acceptance=[CITES])
    values: list[tuple[str, Any]] = [("hardware.price_per_hour", price), ("hardware.currency", "EUR")] if price else []
    paid = [Setting(path=p, value=v, origin=Origin(kind="recipe"), reason="said") for p, v in values]
    rows = [InputFile(role="held-out", path="held_out.jsonl", sha256=held_out, bytes=1)] if held_out else []
    changed = {"method": method, "settings": [*plan.settings, *paid], "inputs": [*plan.inputs, *rows]}
    plan = plan.model_copy(update=changed)
    run = RunFolder(folder / "tiny" / name)
    run.evaluation.mkdir(parents=True)
    run.plan.write_bytes(plan.as_bytes())
    run.launch.write_text(json.dumps({"root": str(folder), "any_packages": False, "offline": True}), encoding="utf-8")
    report = {
        "train_seconds": seconds,
        "peak_memory_bytes": 2**30,
        "trainable_parameters": 1,
        "parameters": 50,
        "held_out": {"tuned_loss": 2.0, "better_by": 0.5},
    }
    run.report.write_text(json.dumps(report), encoding="utf-8")
    pairs = [(NO, YES)] * passed + [(NO, NO)] * (asked - passed)
    results = {"version": 1, **results_of(compare(plan, measured(plan, pairs)))}
    results_file(run).write_text(json.dumps(writable(results)), encoding="utf-8")
    return run


def compared(*runs: RunFolder) -> Across:
    return across([numbers for run in runs if (numbers := numbers_of(run)) is not None])


def advice(found: Across) -> dict[str, str]:
    return {one.need: one.run for one in found.advice}


def test_shares_of_full_fine_tuning_and_what_to_take(tmp_path: Path) -> None:
    full = a_run(tmp_path, "full", 38, seconds=1000, method="full", price=3.6)
    lora = a_run(tmp_path, "lora", 36, seconds=100, price=3.6)
    poor = a_run(tmp_path, "poor", 12, seconds=50, price=3.6)
    found = compared(poor, lora, full)
    assert [one.run.id for one in found.runs] == ["full", "lora", "poor"]
    gain, price = found.share_of_full(found.runs[1])
    assert gain == pytest.approx(36 / 38)
    assert price == pytest.approx(0.1)
    assert found.runs[0].cost == pytest.approx(1.0)
    assert advice(found) == {"critical need": "full", "small budget": "poor", "research": "lora"}
    assert "not to be told from lora r=16" in found.advice[0].reason
    text = "\n".join(table_lines(found))
    assert "95 %" in text
    assert "1.00 EUR" in text
    assert as_json(found)["runs"][1]["share_of_full_price"] == pytest.approx(0.1)


def test_where_nothing_has_helped_nothing_is_recommended(tmp_path: Path) -> None:
    found = compared(a_run(tmp_path, "a", 1, seconds=9), a_run(tmp_path, "b", 0, seconds=5))
    assert advice(found)["small budget"] == ""
    assert found.full is None
    assert "of full" not in "\n".join(table_lines(found))


def test_runs_that_were_not_evaluated_are_compared_by_their_loss(tmp_path: Path) -> None:
    runs = [a_run(tmp_path, name, 3, seconds=5) for name in ("a", "b")]
    for run in runs:
        results_file(run).unlink()
    found = compared(*runs)
    assert found.runs[0].measure == "loss"
    assert any("recipe eval" in remark for remark in found.remarks)


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    first, second = a_run(tmp_path, "a", 9, seconds=5), a_run(tmp_path, "b", 9, seconds=5, asked=20)
    assert "20 questions are common" in compared(first, second).remarks[0]
    results_file(second).unlink()
    found = compared(first, second)
    assert "no common measure" in found.remarks[0]
    assert found.advice == []
    second.report.unlink()
    with pytest.raises(Refusal, match="X091"):
        compared(first, second)


def test_runs_of_two_domains_are_not_held_against_each_other(tmp_path: Path) -> None:
    """Row 1 of one held-out file is not row 1 of another, though both are called so."""
    law = a_run(tmp_path, "law", 30, seconds=5, held_out="1" * 64)
    shop, again = (a_run(tmp_path, name, 10, seconds=5, held_out="2" * 64) for name in ("shop", "again"))
    found = compared(law, shop)
    assert "different held-out rows" in found.remarks[0]
    assert found.advice == []
    assert [one.run for one in found.runs] == [law, shop]
    same = compared(shop, again)
    assert same.remarks == []
    assert same.advice


def test_the_command(tmp_path: Path) -> None:
    for name, passed in (("20260101-000000-aaaa", 30), ("20260102-000000-bbbb", 10)):
        a_run(tmp_path, name, passed, seconds=60)
    by_name = CliRunner().invoke(recipe, ["compare", "tiny", "--runs-dir", str(tmp_path)])
    assert by_name.exit_code == 0, by_name.output
    assert by_name.stdout.index("aaaa") < by_name.stdout.index("bbbb")
    told = CliRunner().invoke(recipe, ["compare", "--runs-dir", str(tmp_path), "--json"])
    assert [run["quality"] for run in json.loads(told.stdout)["runs"]] == [0.75, 0.25]
    none = CliRunner().invoke(recipe, ["compare", "tiny", "--runs-dir", str(tmp_path / "none")])
    assert none.exit_code == 2
