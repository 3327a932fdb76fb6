"""The child process of ``recipe eval``: base and tuned model answer and are measured, then they are compared.

``python -m runtime.evaluation.evaluator RUN``. Every answer goes into ``evaluation/events.jsonl`` as it comes, so that
a killed process loses at most the batch under way: another one goes on where it ended. Exit codes as the executor's.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from compiler.codes import exit_code
from compiler.diagnostics import Diagnostic, Refusal
from compiler.files import write_atomically
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.child import main_of
from runtime.evaluation.benchmarks import task_results
from runtime.evaluation.comparing import Measured, Side, as_json, compare
from runtime.evaluation.launching import results_file
from runtime.evaluation.questions import Question, as_example, read_questions
from runtime.evaluation.scoring import Answer, Scores, score
from runtime.evaluation.settings import evaluation_folder, read_settings
from runtime.faults import diagnose
from runtime.imports import importing
from runtime.journal import JournalWriter, read_journal, writable
from runtime.lock import ExecutorLock
from runtime.orders import Orders, Stopped
from runtime.page import write_page
from runtime.run_folder import RunFolder, plan_of, read_launch

if TYPE_CHECKING:
    from compiler.data.tokenizer import ChatTokenizer

PHASES = ("base", "tuned")


class Evaluator:
    """One evaluation of one run."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        folder = evaluation_folder(run)
        self.lock = ExecutorLock(folder)
        self.settings = read_settings(run)
        self.answers: dict[tuple[str, str], Answer] = {}
        self.losses: dict[tuple[str, str], tuple[float, int]] = {}
        self._remember(folder)
        self.journal = JournalWriter(folder.events)
        self.orders = Orders(folder, self.journal)

    def _remember(self, folder: RunFolder) -> None:
        """What earlier processes have answered and measured."""
        for event in read_journal(folder.events):
            key = event.text("phase"), event.text("name")
            if event.kind == "answer" and event.get("max_new_tokens") == self.settings.max_new_tokens:
                self.answers[key] = Answer(
                    event.text("answer"), event.whole("tokens") or 0, ended=event.get("ended") is True
                )
            elif event.kind == "loss":
                loss, tokens = event.number("loss"), event.whole("tokens")
                if loss is not None and tokens is not None:
                    self.losses[key] = loss, tokens

    def execute(self) -> dict[str, Any]:
        """Ask, measure, compare; returns what the end event tells. Raises Refusal, Stopped or a library's error."""
        plan = plan_of(self.run)
        asked, refused = self._questions(plan)
        self.journal.append("start", pid=os.getpid(), plan=plan.sha256(), questions=len(asked), refused=refused)
        if self._left(asked, "answer") or self._left(asked, "loss"):
            self._ask(plan, asked)
        if self.settings.tasks:
            self._benchmarks(plan)
        self.journal.append("stage", name="compare")
        return self._compare(plan, asked, refused)

    def _benchmarks(self, plan: Plan) -> None:
        """The tasks that neither phase has been measured on yet, one by one."""
        from runtime.evaluation.benchmarks import measure_tasks, missing_package

        missing = missing_package()
        if missing is not None:
            raise Refusal(missing)
        measure_tasks(plan, self.run, self.settings, self.journal, self.orders)

    def _questions(self, plan: Plan) -> tuple[list[Question], list[str]]:
        """The questions to ask, and the names of those refused because the model was trained on them."""
        every = read_questions(self.run)
        refused = [one.name for one in every if one.seen]
        rows = [one for one in every if one.ids and not one.seen]
        step = max(1.0, len(rows) / self.settings.rows)
        chosen = sorted({int(at * step) for at in range(min(len(rows), self.settings.rows))})
        asked = [*(rows[at] for at in chosen), *(one for one in every if not one.ids and not one.seen)]
        if not asked:
            self._nothing_to_ask(refused)
        return asked, refused

    def _nothing_to_ask(self, refused: Sequence[str]) -> None:
        if refused:
            message = phrase(
                "every question of the evaluation is trained on: {refused}", refused=", ".join(refused[:5])
            )
            message += phrase(" and {count} more", count=len(refused) - 5) if len(refused) > 5 else ""
            raise Refusal(Diagnostic("X052", message, help=phrase("hold out rows with other questions")))
        help_text = phrase("set held_out_share in [data], or write questions in [evaluation], and train again")
        raise Refusal(
            Diagnostic("X053", phrase("the run holds nothing out and asks no questions of its own"), help=help_text)
        )

    def _left(self, asked: Sequence[Question], what: str, phases: Sequence[str] = PHASES) -> list[Question]:
        """Questions that a phase has not answered (or rows whose loss it has not measured) yet."""
        done: dict[tuple[str, str], Any] = self.answers if what == "answer" else self.losses
        due = [one for one in asked if (one.prompt_ids if what == "answer" else one.learnt)]
        return [one for one in due if any((phase, one.name) not in done for phase in phases)]

    # --- the models -------------------------------------------------------------------------------

    def _ask(self, plan: Plan, asked: Sequence[Question]) -> None:
        launch = read_launch(self.run)
        self.journal.append("stage", name="model")
        with self.orders.at_once():
            with importing(plan):
                from runtime.inference import load_base, load_tuned
            from runtime.models import base_folder

            tokenizer, folder = base_folder(plan, launch, self._announce)
            model = load_base(plan, folder)
        if self._left(asked, "answer", ["base"]) or self._left(asked, "loss", ["base"]):
            self._phase("base", model, tokenizer, asked)
        self.journal.append("stage", name="model")
        with self.orders.at_once():
            model = load_tuned(plan, self.run, model)
        self._phase("tuned", model, tokenizer, asked)

    def _announce(self, message: str) -> None:
        with self.orders.unbroken():
            self.journal.append("stage", name="model", message=message)

    def _phase(self, phase: str, model: Any, tokenizer: ChatTokenizer, asked: Sequence[Question]) -> None:
        from runtime.inference import generate, row_losses

        rows = self._left(asked, "loss", [phase])
        self.journal.append("stage", name=phrase("loss of {phase}", phase=phase), total=len(rows))
        for batch in self._batches(rows, lambda one: len(one.ids)):
            found = row_losses(model, [as_example(one) for one in batch])
            for one, (loss, tokens) in zip(batch, found, strict=True):
                self.losses[phase, one.name] = loss, tokens
                self.journal.append("loss", phase=phase, name=one.name, loss=loss, tokens=tokens)
        rows = self._left(asked, "answer", [phase])
        self.journal.append("stage", name=phrase("answers of {phase}", phase=phase), total=len(rows))
        most = self.settings.max_new_tokens
        for batch in self._batches(rows, lambda one: len(one.prompt_ids)):
            said = generate(model, tokenizer, [one.prompt_ids for one in batch], max_new_tokens=most)
            for one, made in zip(batch, said, strict=True):
                answer = Answer(tokenizer.decode(made.ids).strip(), len(made.ids), made.ended)
                self.answers[phase, one.name] = answer
                self.journal.append(
                    "answer",
                    phase=phase,
                    name=one.name,
                    answer=answer.text,
                    tokens=answer.tokens,
                    ended=answer.ended,
                    max_new_tokens=most,
                )

    def _batches(self, rows: Sequence[Question], length: Callable[[Question], int]) -> Iterator[list[Question]]:
        """Rows of like length together, the longest first: what does not fit shows at once. Raises Stopped."""
        ordered = sorted(rows, key=length, reverse=True)
        for start in range(0, len(ordered), self.settings.batch_size):
            self.orders.take(0, no_checkpoint=phrase("an evaluation keeps every answer as it comes"))
            self.orders.check()
            yield ordered[start : start + self.settings.batch_size]
            done = min(len(ordered), start + self.settings.batch_size)
            self.journal.append("progress", done=done, total=len(ordered))

    # --- the outcome ------------------------------------------------------------------------------

    def _compare(self, plan: Plan, asked: Sequence[Question], refused: Sequence[str]) -> dict[str, Any]:
        measured = [Measured(one, self._side(plan, "base", one), self._side(plan, "tuned", one)) for one in asked]
        compared = compare(plan, measured)
        document = {
            "version": 1,
            "run": self.run.id,
            "plan_sha256": plan.sha256(),
            "model": plan.model.id,
            "questions": len(asked),
            "refused": list(refused),
            "max_new_tokens": self.settings.max_new_tokens,
            "seed": plan.seed,
            **as_json(compared),
            "tasks": task_results(evaluation_folder(self.run).events, self.settings.limit),
        }
        text = json.dumps(writable(document), indent=2, ensure_ascii=False)
        write_atomically(results_file(self.run), text.encode("utf-8", "replace") + b"\n")
        write_page(self.run, plan)
        return {"verdict": compared.verdict, "ship": compared.ship}

    def _side(self, plan: Plan, phase: str, one: Question) -> Side:
        answer = self.answers.get((phase, one.name))
        loss, tokens = self.losses.get((phase, one.name), (None, 0))
        return Side(answer, score(plan, one, answer) if answer is not None else Scores(), loss, tokens)

    def run_to_end(self) -> int:
        """Evaluate, tell the end whatever happens, and return the process's exit code."""
        self.orders.listen()
        started = time.time()
        outcome: dict[str, Any]
        try:
            outcome, code = {"status": "finished", **self.execute()}, 0
        except Stopped:
            message = phrase("stopped by {by}; every answer so far is kept", by=self.orders.by)
            outcome, code = {"status": "stopped", "by": self.orders.by, "message": message}, self.orders.exit_code()
        except Refusal as refusal:
            outcome, code = _failed(*refusal.diagnostics)
        except BaseException as error:  # the edge: whatever a library raises becomes the journal's end event
            outcome, code = _failed(diagnose(error, self.run.path))
            with suppress(OSError):
                traceback.print_exc()
        self.orders.ignore()
        with suppress(OSError):
            self.journal.append("end", **outcome, seconds=round(time.time() - started, 1))
            self.journal.close()
        self.lock.release()
        return code


def _failed(*diagnostics: Diagnostic) -> tuple[dict[str, Any], int]:
    problems = [{"code": d.code, "message": d.message, "help": d.help} for d in diagnostics]
    return {"status": "failed", **problems[0], "problems": problems}, exit_code([d.code for d in diagnostics])


def main() -> None:
    """Entry point: ``python -m runtime.evaluation.evaluator RUN``."""
    main_of(Evaluator)


if __name__ == "__main__":
    main()
