"""``recipe docs``: the reference of the recipe language."""

from __future__ import annotations

import sys

import click

from tui.text import _, say


@click.command(name="docs")
@click.argument("name", required=False, metavar="[TABLE[.FIELD]]")
def command(name: str | None) -> None:
    """Print the reference: of everything, of a table (training), or of a field (training.optim, or optim)."""
    from compiler.language.reference import (
        field_markdown,
        find_entries,
        reference_markdown,
        table_markdown,
        table_title,
    )
    from compiler.language.shapes import shape_at, tables

    if name is None:
        click.echo(reference_markdown(say).rstrip())
        return
    texts = []
    for path in find_entries(name):
        if path in tables():
            texts.append(table_markdown(path, say))
            continue
        shape = shape_at(path)
        assert shape is not None
        texts.append(f"## {say(table_title(path[:-1]))}\n\n{field_markdown(shape.name, shape, say)}")
    if not texts:
        _refuse(name)
    click.echo("\n".join(texts).rstrip())


def _refuse(name: str) -> None:
    """Exit with 2, and with what was probably meant."""
    from compiler.diagnostics import nearest
    from compiler.language.reference import all_names
    from compiler.render.concise import visible

    close = nearest(name[:64].strip("[] "), all_names())
    hint = _("did you mean {close}?", close=close[0]) if close else _("`recipe docs` prints everything")
    click.echo(_('the language has no "{name}"; {hint}', name=visible(name[:64]), hint=hint), err=True)
    sys.exit(2)
