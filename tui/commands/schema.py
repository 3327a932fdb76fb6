"""``recipe schema``: the JSON Schema of recipes."""

from __future__ import annotations

import json

import click


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of recipes, which TOML editors use for completion and help.

    Save it beside a recipe and name it in the recipe's first line:  #:schema ./recipe.schema.json
    """
    from compiler.language.reference import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
