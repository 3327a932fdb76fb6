"""``recipe init``: a commented recipe with data beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from compiler.phrases import phrase
from tui.text import _


@click.command(name="init")
@click.argument("domain", required=False)
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
def command(domain: str | None, folder: Path | None) -> None:
    """Write the recipe of DOMAIN with its data into FOLDER (named like the domain when left out).

    Without a domain: the list of all.
    """
    from compiler.domains import domains, write_domain
    from tui.edge import edge

    known = domains()
    if domain is None:
        wide = max(map(len, known))
        for name, sentence in known.items():
            click.echo(f"{name:<{wide}}  {sentence}")
        return
    if domain not in known:
        from compiler.diagnostics import nearest
        from compiler.render.concise import visible

        close = nearest(domain[:64], known)
        hint = (
            _("; did you mean {close}?", close=close[0]) if close else _("; there are: {known}", known=", ".join(known))
        )
        click.echo(_("there is no domain {domain}{hint}", domain=visible(domain[:64]), hint=hint), err=True)
        sys.exit(2)
    target = folder or Path(domain)
    with edge(phrase("writing the recipe")):
        _refuse_to_overwrite(target)
        written = write_domain(domain, target, schema=_schema())
    for path in written:
        click.echo(path)
    click.echo(_("next: recipe check {target}", target=target), err=True)


def _refuse_to_overwrite(target: Path) -> None:
    from compiler.diagnostics import Diagnostic, Refusal

    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        message = phrase("{target} exists and is not empty; nothing was written", target=target)
        raise Refusal(Diagnostic("E007", message, help=phrase("name another folder: recipe init DOMAIN FOLDER")))


def _schema() -> str:
    import json

    from compiler.language.reference import json_schema

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
