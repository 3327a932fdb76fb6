"""``recipe explain``: the long story of a diagnostic code."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from compiler.codes import CodeInfo


@click.command(name="explain")
@click.argument("code", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def command(code: str | None, *, as_json: bool) -> None:
    """Tell what CODE means, how it looks, how it is mended and the exit code. Without a code: the list of all.

    The code may stand in what was copied with it: error[R012].
    """
    if code is None:
        _list(as_json=as_json)
        return
    info = _find(code)
    if as_json:
        click.echo(json.dumps({"version": 1, **dataclasses.asdict(info)}, indent=2, ensure_ascii=False))
    else:
        click.echo(_story(info))


def _find(text: str) -> CodeInfo:
    """The code that was typed; exits with 2, and what was probably meant, when there is none."""
    from compiler.codes import all_codes, code_info

    inside = re.search(r"(?<![A-Za-z0-9])([A-Za-z])(\d{1,3})(?![A-Za-z0-9])", text)
    info = code_info(inside[0] if inside else text)
    if info is not None:
        return info
    from compiler.diagnostics import nearest
    from compiler.render.concise import visible

    padded = f"{inside[1]}{int(inside[2]):03}".upper() if inside else ""
    close = [padded] if padded in all_codes() else nearest(text[:64], all_codes())
    hint = f"did you mean {close[0]}?" if close else "`recipe explain` lists them all"
    click.echo(f'there is no code "{visible(text[:64])}"; {hint}', err=True)
    sys.exit(2)


def _story(info: CodeInfo) -> str:
    parts = [f"{info.code}: {info.title}", info.explanation.strip(), _example("For example:", info.example)]
    if info.fixed:
        parts.append(_example("Mended:", info.fixed))
    parts.append(f"What to do: {info.remedy.strip()}\n{_exits(info)}")
    return "\n\n".join(parts)


def _exits(info: CodeInfo) -> str:
    warns = re.fullmatch(r"[A-Z]2\d\d", info.code) is not None
    return "A warning; `recipe check --strict` exits with 1." if warns else f"Exit code: {info.exit}"


def _example(title: str, text: str) -> str:
    from compiler.render.concise import visible

    lines = [visible(line) for line in text.strip("\n").split("\n")]
    if len(lines) == 1:
        return f"{title} {lines[0]}"
    return "\n".join([title, "", *(f"    {line}".rstrip() for line in lines)])


def _list(*, as_json: bool) -> None:
    from compiler.codes import all_codes

    codes = all_codes()
    if as_json:
        listed = [{"code": info.code, "title": info.title, "exit": info.exit} for info in codes.values()]
        click.echo(json.dumps({"version": 1, "codes": listed}, indent=2, ensure_ascii=False))
        return
    for info in codes.values():
        click.echo(f"{info.code}  {info.title}")
