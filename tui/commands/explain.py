"""``recipe explain``: the long story of a diagnostic's code, or of a rule by which the compiler decides."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import click
from msgspec import structs

from tui.text import _, say

if TYPE_CHECKING:
    from compiler.codes import CodeInfo, RuleInfo


@click.command(name="explain")
@click.argument("code", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def command(code: str | None, *, as_json: bool) -> None:
    """Tell what CODE means, how it looks, how it is mended and the exit code. Without a code: the list of all.

    The code may stand in what was copied with it: error[R012]. Rules, such as T07, are named in plans.
    """
    if code is None:
        _list(as_json=as_json)
        return
    info = _find(code)
    if as_json:
        click.echo(json.dumps({"version": 1, **structs.asdict(info)}, indent=2, ensure_ascii=False))
    else:
        click.echo(_story(info))


def _find(text: str) -> CodeInfo | RuleInfo:
    """The code that was typed; exits with 2, and what was probably meant, when there is none."""
    from compiler.codes import all_codes, all_rules, code_info, rule_info

    inside = re.search(r"(?<![A-Za-z0-9])([A-Za-z])(\d{1,3})(?![A-Za-z0-9])", text)
    code = inside[0] if inside else text
    info = code_info(code) or rule_info(code)
    if info is not None:
        return info
    from compiler.diagnostics import nearest
    from compiler.render.concise import visible

    known = [*all_codes(), *all_rules()]
    padded = [f"{inside[1]}{int(inside[2]):0{digits}}".upper() for digits in (2, 3)] if inside else []
    close = [code for code in padded if code in known] or nearest(text[:64], known)
    hint = _("did you mean {close}?", close=close[0]) if close else _("`recipe explain` lists them all")
    click.echo(_('there is no code "{text}"; {hint}', text=visible(text[:64]), hint=hint), err=True)
    sys.exit(2)


def _story(info: CodeInfo | RuleInfo) -> str:
    from compiler.codes import RuleInfo

    if isinstance(info, RuleInfo):
        return _(
            "{code}: {title}\n\n{explanation}\n\nSource: {source}",
            code=info.code,
            title=say(info.title, "compiler:codes"),
            explanation=say(info.explanation, "compiler:codes"),
            source=say(info.source, "compiler:codes"),
        )
    title = _("{code}: {title}", code=info.code, title=say(info.title, "compiler:codes"))
    parts = [
        title,
        say(info.explanation, "compiler:codes").strip(),
        _example(_("For example:"), say(info.example, "compiler:codes")),
    ]
    if info.fixed:
        parts.append(_example(_("Mended:"), info.fixed))
    parts.append(
        _("What to do: {remedy}\n{exits}", remedy=say(info.remedy, "compiler:codes").strip(), exits=_exits(info))
    )
    return "\n\n".join(parts)


def _exits(info: CodeInfo) -> str:
    warns = re.fullmatch(r"[A-Z]2\d\d", info.code) is not None
    return _("A warning; `recipe check --strict` exits with 1.") if warns else _("Exit code: {exit}", exit=info.exit)


def _example(title: str, text: str) -> str:
    from compiler.render.concise import visible

    lines = [visible(line) for line in text.strip("\n").split("\n")]
    if len(lines) == 1:
        return f"{title} {lines[0]}"
    return "\n".join([title, "", *(f"    {line}".rstrip() for line in lines)])


def _list(*, as_json: bool) -> None:
    from compiler.codes import all_codes, all_rules

    codes, rules = all_codes(), all_rules()
    if as_json:
        listed = [{"code": info.code, "title": info.title, "exit": info.exit} for info in codes.values()]
        decided = [{"code": info.code, "title": info.title} for info in rules.values()]
        click.echo(json.dumps({"version": 1, "codes": listed, "rules": decided}, indent=2, ensure_ascii=False))
        return
    titles = [(info.code, info.title) for info in codes.values()] + [(rule.code, rule.title) for rule in rules.values()]
    for code, title in titles:
        click.echo(f"{code}  {say(title, 'compiler:codes')}")
