"""The command ``recipe``: a table of verbs, each loaded only when it is used."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from pathlib import Path

import click

from compiler.phrases import LANGUAGES, phrase
from tui.text import _, choose, language, say

VERBS = {
    "check": "Say whether a recipe is right, without a GPU and without torch.",
    "compile": "Turn a recipe into a plan: every setting resolved, every row accounted for.",
    "data": "Show the rows as the model will see them, and where every row went.",
    "run": "Compile and train, or execute a compiled plan.",
    "runs": "List runs with their state.",
    "eval": "Compare the tuned model of a run with its base, question by question.",
    "compare": "Compare runs: quality, time, cost, memory, and what to take for which need.",
    "sweep": "Train every combination of a recipe's [sweep], and compare them.",
    "chat": "Talk to the tuned model of a run, and to its base.",
    "generate": "Answer questions with a run's model, for scripts.",
    "report": "Write the page of a run again, and say where it is.",
    "curve": "Draw the curves of runs; as SVG or CSV too.",
    "tui": "Open the text UI; so does `recipe` alone on a terminal.",
    "attach": "Follow a run from its journal, live or after it has ended.",
    "logs": "Print the journal of a run, as lines or as JSON; -f follows it.",
    "resume": "Let a paused run go on, or continue a stopped or killed one from its last checkpoint.",
    "pause": "Ask a run to make a checkpoint and to rest until it is resumed.",
    "checkpoint": "Ask a run to make a checkpoint now and to go on.",
    "stop": "Ask a run to make a checkpoint and end.",
    "doctor": "Say whether this machine can train, and what to type where it cannot.",
    "guide": "Compare full fine-tuning, LoRA and QLoRA on a 7B model, and say where guides are off.",
    "learned": "Show what runs on this machine took, as later checks use it; --clear forgets it.",
    "init": "Write a commented recipe with data beside it.",
    "explain": "Tell the long story of a diagnostic's code, or of a rule named in a plan.",
    "schema": "Print the JSON Schema of recipes, for editors.",
    "docs": "Print the reference of the recipe language.",
    "spec": "Print the whole command line as JSON.",
    "completion": "Print the shell completion script.",
}
"""Each verb with its one-line help, so that ``--help`` imports no command."""

GC_THRESHOLD = 200_000
"""Objects between two collections, 700 by default: imports alone make so many that a tenth of a check was theirs."""


class Verbs(click.Group):
    """A group that imports ``tui.commands.<verb>`` on use and shows help without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = import_module(f"tui.commands.{name}")
        from tui.help_texts import with_language

        return with_language(module.command)

    def get_help(self, ctx: click.Context) -> str:
        from tui.help_texts import translated

        return click.Group.get_help(translated(self), ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS and not name.startswith("-") and not ctx.resilient_parsing:
            from compiler.diagnostics import nearest

            close = nearest(name, VERBS)
            hint = " " + _("Did you mean {possibility}?", possibility=repr(close[0])) if close else ""
            ctx.fail(_("No such command {name!r}.", name=name) + hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(say("Commands", "tui:help")):
            formatter.write_dl([(verb, say(text, "tui:help")) for verb, text in VERBS.items()])


def _speak(language: str | None) -> None:
    if language is not None:
        from tui.help_texts import speak

        speak(language)


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    is_eager=True,
    expose_value=False,
    callback=lambda _context, _option, value: _speak(value),
    help="Language of what is said to people.",
)
@click.version_option(package_name="recipec", prog_name="recipe")
@click.pass_context
def recipe(context: click.Context) -> None:
    """The compiler for fine-tuning runs: one TOML recipe in, a trained and measured model out.

    \b
      recipe check recipe.toml      is it right?
      recipe compile recipe.toml    the plan, with the reason of every value
      recipe run recipe.toml        train, measure, compare with the base
    """
    if context.invoked_subcommand is not None:
        return
    from tui.terminal import opens_screen

    verb = recipe.get_command(context, "tui") if opens_screen(plain=False) else None
    if verb is not None:
        context.invoke(verb, runs_dir=Path(os.environ.get("RECIPE_RUNS_DIR", "runs")))
    click.echo(context.get_help(), err=True)
    context.exit(2)


def main() -> None:
    """Entry point of the ``recipe`` command."""
    gc.set_threshold(GC_THRESHOLD)
    choose(None)
    if language() != "en":
        from tui.help_texts import speak

        speak()
    try:
        sys.exit(recipe(prog_name="recipe"))
    except OSError as error:  # each verb tells of its own files; what is left is a full disk under the output
        from compiler.diagnostics import describe_os_error
        from tui.report import exit_with

        exit_with(
            [describe_os_error(error, error.filename or phrase("standard output"), doing=phrase("reading or writing"))]
        )
