"""``recipe chat``: talk to the tuned model of a run, and to its base."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compiler.phrases import phrase
from tui.options import runs_dir
from tui.text import N_, _

if TYPE_CHECKING:
    from runtime.chat.client import Client, Talk

HELP = N_(
    "/base, /tuned    ask that model from here on; the conversation goes on with it\n/use "
    "NAME        ask the adapter of another run that was named on the command line\n"
    "/models          who can be asked\n/again           the last question again, to the model "
    "that is asked now\n/reset           begin anew\n/system TEXT     begin anew with another "
    "system message\n/help, /quit"
)


@click.command(name="chat")
@click.argument("runs", nargs=-1)
@runs_dir
@click.option("--max-new-tokens", type=click.IntRange(1, 8192), default=400, show_default=True, help="Longest answer.")
@click.option("--temperature", type=click.FloatRange(0, 5), default=0.0, show_default=True, help="0 answers greedily.")
@click.option("--system", help="System message; the training's unless given.")
def command(
    runs: tuple[str, ...], runs_dir: Path, *, max_new_tokens: int, temperature: float, system: str | None
) -> None:
    """Talk to the tuned model of RUN (latest unless named), or to its base with /base.

    Further RUNS whose adapters are for the same base are loaded beside it; /use NAME switches. Ctrl-C breaks off an
    answer, Ctrl-D ends.
    """
    from tui.asking_models import find_runs, open_models, system_of
    from tui.edge import edge

    with edge(phrase("talking to the model")):
        found, plan = find_runs(runs, runs_dir)
        with open_models(found, plan) as client:
            _Conversation(client, system_of(plan, system), max_new_tokens, temperature).go_on()


class _Conversation:
    """A talk of several turns, in which the one who answers may change."""

    def __init__(self, client: Client, before: Talk, max_new_tokens: int, temperature: float) -> None:
        self._client = client
        self._before = before
        self._talk = list(before)
        self._most = max_new_tokens
        self._temperature = temperature
        self._model = "tuned"

    def go_on(self) -> None:
        """Until the end of the input, or /quit."""
        click.echo(_("models: {models}; /help tells the rest", models=", ".join(self._client.models)), err=True)
        while True:
            line = self._read()
            if line is None or line.strip() in {"/quit", "/exit"}:
                return
            if line.startswith("/"):
                self._command(*line.strip().partition(" ")[::2])
            elif line.strip():
                self._talk.append({"role": "user", "content": line})
                self._answer()

    def _read(self) -> str | None:
        """A line, None at the end. Only a terminal is shown who will answer."""
        if not sys.stdin.isatty():
            line = sys.stdin.readline()
            return line.rstrip("\n") if line else None
        try:
            return input(f"{self._model}> ")
        except (EOFError, KeyboardInterrupt):
            click.echo("", err=True)
            return None

    def _answer(self) -> None:
        from compiler.diagnostics import Refusal
        from compiler.render.concise import visible
        from tui.report import print_diagnostics

        said = ""
        try:
            for piece in self._pieces():
                said += piece
                click.echo("\n".join(visible(line) for line in piece.split("\n")), nl=False)
            click.echo("")
            self._talk.append({"role": "assistant", "content": said.strip()})
        except Refusal as refusal:
            print_diagnostics(refusal.diagnostics, sources={})
            self._talk.pop()

    def _pieces(self) -> Iterator[str]:
        answer = self._client.ask(self._model, self._talk, max_new_tokens=self._most, temperature=self._temperature)
        while True:
            try:
                yield next(answer)
            except StopIteration:
                return
            except KeyboardInterrupt:
                self._client.break_off()

    def _command(self, name: str, rest: str) -> None:
        match name:
            case "/base" | "/tuned":
                self._use(name[1:])
            case "/use":
                self._use(rest.strip())
            case "/models":
                click.echo(", ".join(self._client.models), err=True)
            case "/reset":
                self._talk = list(self._before)
            case "/system":
                self._before = [{"role": "system", "content": rest}] if rest else []
                self._talk = list(self._before)
            case "/again":
                self._again()
            case "/help":
                click.echo(HELP, err=True)
            case _:
                click.echo(_("there is no {name}; /help lists what there is", name=name), err=True)

    def _use(self, name: str) -> None:
        hits = [model for model in self._client.models if model == name or model.startswith(name)] if name else []
        if name in self._client.models:
            hits = [name]
        if len(hits) == 1:
            self._model = hits[0]
            click.echo(_("{model} answers from here on", model=self._model), err=True)
        else:
            click.echo(
                _("no model {name!r}; there are {models}", name=name, models=", ".join(self._client.models)), err=True
            )

    def _again(self) -> None:
        if self._talk and self._talk[-1]["role"] == "assistant":
            self._talk.pop()
        if self._talk and self._talk[-1]["role"] == "user":
            self._answer()
        else:
            click.echo(_("nothing has been asked yet"), err=True)
