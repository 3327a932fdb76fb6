"""``recipe generate``: answers of a run's model for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from compiler.phrases import phrase
from tui.options import runs_dir

if TYPE_CHECKING:
    from runtime.chat.client import Talk


@click.command(name="generate")
@click.argument("run", default="latest")
@click.argument("question", required=False)
@runs_dir
@click.option("--model", default="tuned", show_default=True, help="tuned, or base.")
@click.option("--max-new-tokens", type=click.IntRange(1, 8192), default=400, show_default=True, help="Longest answer.")
@click.option("--temperature", type=click.FloatRange(0, 5), default=0.0, show_default=True, help="0 answers greedily.")
@click.option("--system", help="System message; the training's unless given.")
@click.option("--batch-size", type=click.IntRange(1, 1024), default=8, show_default=True, help="Answers made at once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object an answer.")
def command(
    run: str,
    question: str | None,
    runs_dir: Path,
    *,
    model: str,
    max_new_tokens: int,
    temperature: float,
    system: str | None,
    batch_size: int,
    as_json: bool,
) -> None:
    """Answer QUESTION, or each line of standard input, with the model of RUN.

    A line is a question, or a JSON object with "question" (or "prompt") or "messages". Answers come in the order of
    the lines: as text, a blank line after each when there are several, or with --json one object a line with
    "question", "answer", "tokens" and "ended" (false when it was cut at --max-new-tokens).
    """
    from tui.asking_models import find_runs, open_models, system_of
    from tui.edge import edge

    with edge(phrase("asking the model")):
        found, plan = find_runs((run,), runs_dir)
        before = system_of(plan, system)
        talks = iter([[*before, {"role": "user", "content": question}]]) if question else _talks(before)
        with open_models(found, plan) as client:
            while batch := list(islice(talks, batch_size)):
                answers = client.batch(model, batch, max_new_tokens=max_new_tokens, temperature=temperature)
                for talk, answer in zip(batch, answers, strict=True):
                    click.echo(_line(talk, answer, as_json=as_json, alone=question is not None))


def _line(talk: Talk, answer: dict[str, Any], *, as_json: bool, alone: bool) -> str:
    if as_json:
        told = {"question": talk[-1]["content"], "answer": answer["text"]}
        return json.dumps({**told, "tokens": answer["tokens"], "ended": answer["ended"]}, ensure_ascii=False)
    return str(answer["text"]) + ("" if alone else "\n")


def _talks(before: Talk) -> Iterator[Talk]:
    """The conversations of standard input. Raises Refusal (X082) at a line that is none."""
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            yield _talk(line.strip(), before, number)


def _talk(line: str, before: Talk, number: int) -> Talk:
    from compiler.diagnostics import Diagnostic, Refusal

    if not line.startswith("{"):
        return [*before, {"role": "user", "content": line}]
    try:
        row = json.loads(line)
        if "messages" in row:
            talk = [{"role": str(m["role"]), "content": str(m["content"])} for m in row["messages"]]
            return talk if talk and talk[0]["role"] == "system" else [*before, *talk]
        return [*before, {"role": "user", "content": str(row["question"] if "question" in row else row["prompt"])}]
    except (ValueError, KeyError, TypeError) as error:
        message = phrase(
            "line {number} of the input is no question ({name}: {error})",
            number=number,
            name=type(error).__name__,
            error=error,
        )
        help_text = phrase(
            'write a question, or {"question": "…"}, or {"messages": [{"role": "user", "content": "…"}]}'
        )
        raise Refusal(Diagnostic("X082", message, help=help_text)) from error
