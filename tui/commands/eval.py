"""``recipe eval``: base against tuned on held-out rows and the recipe's own questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from compiler.phrases import phrase
from tui.options import runs_dir

if TYPE_CHECKING:
    from compiler.plan import Plan
    from runtime.evaluation.settings import EvaluationSettings
    from runtime.run_folder import RunFolder


@click.command(name="eval")
@click.argument("run", default="latest")
@runs_dir
@click.option("--rows", type=click.IntRange(1, 2000), help="Held-out rows to ask at most (200 unless given).")
@click.option("--max-new-tokens", type=click.IntRange(1, 8192), help="Longest answer; the recipe's unless given.")
@click.option("--batch-size", type=click.IntRange(1, 1024), help="Answers that are made at once (8 unless given).")
@click.option("--tasks", help="Benchmarks of lm-evaluation-harness, by comma: mmlu,hellaswag,gsm8k.")
@click.option("--tasks-path", type=click.Path(exists=True, file_okay=False), help="Folder with task files of your own.")
@click.option("--limit", type=click.IntRange(1), help="Examples of each benchmark; all unless given.")
@click.option("--fresh", is_flag=True, help="Ask everything again instead of going on.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(
    run: str,
    runs_dir: Path,
    *,
    rows: int | None,
    max_new_tokens: int | None,
    batch_size: int | None,
    tasks: str | None,
    tasks_path: str | None,
    limit: int | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Ask base and tuned model of RUN the same questions, and say how sure the difference is.

    Answers are kept as they come: stopped with Ctrl-C, or killed, the next call goes on. The exit code is 1 when the
    tuned model is not to be shipped by [evaluation] of the recipe.
    """
    from tui.edge import edge
    from tui.evaluating import evaluate, tell_results

    with edge(phrase("evaluating the run")):
        given: dict[str, Any] = {
            "rows": rows,
            "max_new_tokens": max_new_tokens,
            "batch_size": batch_size,
            "limit": limit,
        }
        given |= {"tasks": tuple(part.strip() for part in tasks.split(",") if part.strip()) if tasks else None}
        given |= {"tasks_path": str(Path(tasks_path).resolve()) if tasks_path else None}
        found, plan, settings = _settings(run, runs_dir, given)
        code = evaluate(found, plan, settings, fresh=fresh)
    sys.exit(code or tell_results(found, as_json=as_json))


def _settings(run: str, runs_dir: Path, given: dict[str, Any]) -> tuple[RunFolder, Plan, EvaluationSettings]:
    import dataclasses

    from compiler.diagnostics import Refusal
    from compiler.plan import read_plan
    from runtime.evaluation.settings import usual_settings
    from runtime.run_folder import find_run

    found = find_run(runs_dir, run)
    plan, problems = read_plan(found.plan)
    if plan is None:
        raise Refusal(*problems)
    changes = {name: value for name, value in given.items() if value is not None}
    return found, plan, dataclasses.replace(usual_settings(plan), **changes)
