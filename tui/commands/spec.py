"""``recipe spec``: the whole command line as JSON."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import click

EXIT_CODES = {
    "0": "all is well",
    "1": "the recipe or the run is at fault",
    "2": "wrong usage, or a file that cannot be read",
    "3": "the machine or its environment refuses",
    "4": "worth retrying",
    "5": "the plan differs or is stale",
    "130": "the run was stopped, or the command interrupted (SIGINT)",
    "143": "the same by SIGTERM",
}


@click.command(name="spec")
@click.pass_context
def command(context: click.Context) -> None:
    """Print the whole command line as one JSON document: verbs, arguments, options, exit codes."""
    from tui.cli import recipe as group  # what a program reads is in English, whatever is spoken
    from tui.text import choose

    choose("en")
    root = context.find_root()
    verbs = {}
    for name in group.list_commands(root):
        verb = group.get_command(root, name)
        assert verb is not None
        verbs[name] = _describe(verb, click.Context(verb, info_name=name, parent=root))
    document = {
        "version": 1,
        "name": root.info_name,
        **_describe(group, root),
        "verbs": verbs,
        "exit_codes": EXIT_CODES,
    }
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _describe(command: click.Command, context: click.Context) -> dict[str, Any]:
    """What a command says of itself, its own --help among its options."""
    return {
        "help": inspect.cleandoc(command.help or "").replace("\b\n", ""),  # \b is click's mark: do not rewrap
        "usage": " ".join([context.command_path, *command.collect_usage_pieces(context)]),
        "parameters": [_parameter(parameter) for parameter in command.get_params(context)],
    }


def _parameter(parameter: click.Parameter) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": (parameter.name or "").removeprefix("_click_default_"),
        "kind": parameter.param_type_name,
        "type": parameter.type.name,
        "required": parameter.required,
        "multiple": parameter.nargs == -1 or parameter.multiple,
        "default": _plain(parameter.default),
    }
    if isinstance(parameter, click.Option):
        found |= {
            "options": [*parameter.opts, *parameter.secondary_opts],
            "flag": parameter.is_flag,
            "help": parameter.help,
            "environment": parameter.envvar,
        }
        if parameter.is_flag and not parameter.is_bool_flag:
            found["value"] = _plain(parameter.flag_value)
    if isinstance(parameter.type, click.Choice):
        found["choices"] = list(parameter.type.choices)
    if isinstance(parameter.type, click.IntRange | click.FloatRange):
        found |= {"min": parameter.type.min, "max": parameter.type.max}
    return found


def _plain(value: Any) -> Any:
    """A default as JSON has it; None for what is computed or not set."""
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, bool | int | float | str) else None
