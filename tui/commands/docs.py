"""``recipe docs``: the reference of the recipe language."""

from __future__ import annotations

import sys

import click


@click.command(name="docs")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Print the reference: of everything, of a table (training), or of a field (training.optim, or optim)."""
    from compiler.reference import all_names, field_markdown, find_entries, reference_markdown, table_markdown
    from compiler.shapes import header, shape_at, tables

    if name is None:
        click.echo(reference_markdown().rstrip())
        return
    found = list(find_entries(name))
    if not found:
        from compiler.diagnostics import nearest

        close = nearest(name, all_names())
        hint = f"; did you mean {close[0]}?" if close else "; `recipe docs` prints everything"
        click.echo(f"the language has no {name}{hint}", err=True)
        sys.exit(2)
    for path in found:
        if path in tables():
            click.echo(table_markdown(path).rstrip())
            continue
        shape = shape_at(path)
        assert shape is not None
        click.echo(f"{header(path[:-1]) if path[:-1] else 'above the first table'}")
        click.echo(field_markdown(str(path[-1]), shape).rstrip())
