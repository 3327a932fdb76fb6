"""An evaluation at the command line: its progress while it lasts, then its results for people."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import click

from compiler.codes import exit_code
from compiler.diagnostics import Diagnostic
from compiler.phrases import phrase
from compiler.plan import Plan
from compiler.render.concise import visible
from runtime.evaluation.launching import read_results, start_evaluation
from runtime.evaluation.settings import EvaluationSettings, usual_settings
from runtime.journal import Event, JournalTail
from runtime.launcher import Launched
from runtime.run_folder import RunFolder
from tui.compiling import ProgressLine
from tui.report import print_diagnostics
from tui.text import N_, _, say

STAGES = {
    "model": N_("loading the model"),
    "loss of base": N_("measuring the base"),
    "loss of tuned": N_("measuring the tuned model"),
    "answers of base": N_("the base answers"),
    "answers of tuned": N_("the tuned model answers"),
    "compare": "comparing",
    "task of base": N_("benchmark of the base"),
    "task of tuned": N_("benchmark of the tuned model"),
}

SHOWN = 2
"""Failed answers that are shown for each test."""


def evaluate(run: RunFolder, plan: Plan, settings: EvaluationSettings, *, fresh: bool) -> int:
    """Evaluate to the end and tell how it goes on standard error; the exit code of the process.

    Raises Refusal or OSError when it cannot be started.
    """
    launched = start_evaluation(run, plan, settings, fresh=fresh)
    asked = False
    watcher = _Watcher(launched)
    while True:
        try:
            return watcher.follow()
        except KeyboardInterrupt:
            if asked:
                return 130
            asked = True
            launched.process.send_signal(signal.SIGINT)
            click.echo(_("\nstopping after this batch; every answer is kept"), err=True)


class _Watcher:
    """Says what an evaluation's journal says."""

    def __init__(self, launched: Launched) -> None:
        self._launched = launched
        self._tail = JournalTail(launched.run.events)
        self._line = ProgressLine()
        self._stage = ""
        self._end: Event | None = None

    def follow(self) -> int:
        """Until the process has ended; its exit code. Interrupted, it can be called again."""
        process = self._launched.process
        while True:
            ended = process.poll() is not None
            events = self._tail.poll()
            for event in events:
                if event.seq > self._launched.before:
                    self._tell(event)
            if ended and not events:
                break
            if not events:
                time.sleep(0.05)
        self._line.clear()
        return self._tell_end(process.returncode)

    def _tell(self, event: Event) -> None:
        match event.kind:
            case "start" if event.get("refused"):
                names = event.get("refused")
                self._say(
                    _(
                        "refused, as they were trained on: {map}{more}",
                        map=", ".join(map(str, names[:8])),
                        more=_more(names, 8),
                    )
                )
            case "stage":
                self._stage = say(STAGES.get(event.text("name"), event.text("name")))
                if event.get("task"):
                    self._say(_("{name}: {message}", name=self._stage, message=event.text("task")))
                if event.get("message"):
                    self._say(event.text("message"))
                self._line(self._stage, 0, event.whole("total"))
            case "progress":
                self._line(self._stage, event.whole("done") or 0, event.whole("total"))
            case "end":
                self._end = event

    def _say(self, text: str) -> None:
        self._line.clear()
        click.echo(visible(text), err=True)

    def _tell_end(self, code: int) -> int:
        end = self._end
        if end is None:
            message = phrase("the evaluation died (exit code {code}); what was answered is kept", code=code)
            help_text = phrase(
                "see {output}; the same command goes on where it ended", output=self._launched.run.output
            )
            print_diagnostics([Diagnostic("X004", message, help=help_text)], sources={})
            return exit_code(["X004"])
        if end.get("status") == "stopped":
            self._say(_("{text}; the same command goes on", text=say(end.text("message"))))
        elif end.get("status") == "failed":
            told = Diagnostic(end.text("code", "X005"), end.text("message"), help=end.text("help") or None)
            print_diagnostics([told], sources={})
        return code


def _more(names: list[Any], shown: int) -> str:
    return _(" and {count} more", count=len(names) - shown) if len(names) > shown else ""


def evaluate_after(run: RunFolder, plan: Plan) -> int:
    """Evaluate a run that has just finished, where its recipe says what answers have to hold; the exit code.

    Raises Refusal or OSError when it cannot be started.
    """
    if not plan.evaluation.acceptance or not run.report.is_file():
        return 0
    click.echo(_("evaluating, as the recipe has acceptance tests; Ctrl-C leaves it to `recipe eval`"), err=True)
    return evaluate(run, plan, usual_settings(plan), fresh=False) or tell_results(run)


# --- the results --------------------------------------------------------------------------------------------


def tell_results(run: RunFolder, *, as_json: bool = False) -> int:
    """The results on standard output, for people or as JSON; the exit code of their verdict."""
    results = read_results(run)
    assert results is not None  # the process has just written it
    if as_json:
        click.echo(json.dumps(results, indent=2, ensure_ascii=False))
    else:
        for line in result_lines(run, results):
            click.echo(line)
    return 0 if results["ship"]["ship"] else exit_code(["X054"])


def result_lines(run: RunFolder, results: dict[str, Any]) -> Iterator[str]:
    """The outcome for people: the sentences, a table of every measure, the conditions for shipping."""
    for sentence in results["sentences"]:
        yield say(visible(sentence))
    for remark in results["remarks"]:
        yield _("note: {remark}", remark=visible(remark))
    yield ""
    yield from _table(results["scores"])
    yield from _tasks(results.get("tasks"))
    ship = results["ship"]
    yield _("SHIP:") if ship["ship"] else _("DO NOT SHIP:")
    for condition in ship["conditions"]:
        yield f"  {'✓' if condition['holds'] else '✗'} {say(visible(condition['text']))}"
    yield ""
    yield _("results: {evaluation}", evaluation=run.evaluation / "results.json")


def _table(scores: list[dict[str, Any]]) -> Iterator[str]:
    if not scores:
        return
    width = max(len(say(one["label"])) for one in scores)
    heads = _("difference (95 % interval)  better, worse of")
    yield f"{'':<{width}}  {_('base'):>6}  {_('tuned'):>6}  {heads}"
    for one in scores:
        interval = _(
            "{difference:+4.0f} ({low:+.0f} to {high:+.0f})",
            difference=100 * one["difference"],
            low=100 * one["low"],
            high=100 * one["high"],
        )
        mark = {"better": _(" better"), "worse": _(" WORSE")}.get(one["sure"], "")
        counts = _(
            "{better}, {worse} of {questions}", better=one["better"], worse=one["worse"], questions=one["questions"]
        )
        yield (
            f"{say(visible(one['label'])):<{width}}  {100 * one['base']:>4.0f} %  {100 * one['tuned']:>4.0f} %"
            f"  {interval:<26}  {counts}{mark}"
        )
    yield ""


def _tasks(tasks: dict[str, Any] | None) -> Iterator[str]:
    if not tasks:
        return
    yield _("benchmarks (lm-evaluation-harness)")
    for one in tasks["tasks"]:
        yield (
            _(
                "  {task} {metric}: {base:.1f} % → {tuned:.1f} % (standard error {stderr:.1f})",
                task=visible(one["task"]),
                metric=visible(one["metric"]),
                base=100 * one["base"],
                tuned=100 * one["tuned"],
                stderr=100 * one["stderr"],
            )
        )
    yield ""
