"""``recipe explain``: the long story of a diagnostic code."""

from __future__ import annotations

import dataclasses
import json
import sys

import click


@click.command(name="explain")
@click.argument("code", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def command(code: str | None, *, as_json: bool) -> None:
    """Tell what CODE means, how it looks and how it is mended. Without a code: the list of all."""
    from compiler.codes import all_codes, code_info

    if code is None:
        _list(as_json=as_json)
        return
    info = code_info(code.strip("[]"))
    if info is None:
        from compiler.diagnostics import nearest

        close = nearest(code.upper(), all_codes())
        hint = f"; did you mean {close[0]}?" if close else "; `recipe explain` lists them all"
        click.echo(f"there is no code {code}{hint}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(json.dumps({"version": 1, **dataclasses.asdict(info)}, indent=2, ensure_ascii=False))
        return
    from compiler.reference import code_markdown

    click.echo(code_markdown(info).replace("### ", "", 1).replace("**", "").strip())


def _list(*, as_json: bool) -> None:
    from compiler.codes import all_codes

    codes = all_codes()
    if as_json:
        listed = [{"code": info.code, "title": info.title, "exit": info.exit} for info in codes.values()]
        click.echo(json.dumps({"version": 1, "codes": listed}, indent=2, ensure_ascii=False))
        return
    for info in codes.values():
        click.echo(f"{info.code}  {info.title}")
