"""What stands beside a recipe's text, in words: pure functions of a forecast."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content

from compiler.diagnostics import Diagnostic, Severity
from compiler.render.concise import visible
from tui.completing import Completion, field_at
from tui.estimates import forecast
from tui.forecast import Forecast
from tui.text import _, say
from tui.what_if import Tried

SIGNS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.NOTE: "·"}
STYLES = {Severity.ERROR: "bold $text-error", Severity.WARNING: "$text-warning", Severity.NOTE: "dim"}
MOST_OFFERED = 8


def verdict(found: Forecast) -> Content:
    """Whether the recipe is right, in one line."""
    if found.errors:
        return Content.styled(
            _("✗ errors: {errors}, warnings: {warnings}", errors=found.errors, warnings=found.warnings),
            "bold $text-error",
        )
    if found.warnings:
        return Content.styled(_("! valid, warnings: {warnings}", warnings=found.warnings), "bold $text-warning")
    return Content.styled(_("✓ valid"), "bold $text-success")


def problem_words(problem: Diagnostic) -> Content:
    """A problem in one line: sign, place, code, message, and what is proposed."""
    place = f"{problem.span.line}:{problem.span.column} " if problem.span else ""
    hint = f" · {say(problem.label)}" if problem.label else f" · {say(problem.help)}" if problem.help else ""
    return Content.assemble(
        (f"{SIGNS[problem.severity]} {place}{problem.code} ", STYLES[problem.severity]),
        visible(say(problem.message)),
        (visible(hint), "dim"),
    )


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where one writes: the text, the line (0 is the first), and what can follow there."""

    text: str
    line: int
    offered: list[Completion]


@dataclass(frozen=True, slots=True)
class Space:
    """What the panel has to be written in: cells a line, and whether they can be more than ASCII."""

    width: int
    unicode: bool = True


def beside(found: Forecast, tried: Tried, at: Cursor, space: Space) -> Content:
    """The panel: help for the line at hand, the verdict, what is tried, what a run takes, what is decided and why."""
    parts = [verdict(found)]
    if tried.values:
        parts.append(Content.styled(_("tried, not written (w writes it):"), "bold $text-warning"))
        parts += [Content(f"  {'.'.join(map(str, path))} = {value}") for path, value in tried.values]
    if found.card_gb:
        parts.append(Content(_("card: {size} GB", size=f"{found.card_gb:g}")))
    if found.takes is not None:
        lines = forecast(found.takes, width=max(24, space.width), unicode=space.unicode, device=found.device)
        parts += [Content(""), Content.styled(_("a run takes:"), "bold"), *map(Content, lines)]
    elif found.unknown:
        parts += [Content(""), Content(found.unknown)]
    if found.decided:
        parts.append(Content(""))
        for each in found.decided:
            parts.append(Content.assemble((f"{each.path} ", "dim"), (each.value, "bold")))
            if each.reason:
                parts.append(Content.styled(f"  {say(each.reason)}", "dim"))
            parts += [
                Content.styled(_("  not {value}: {reason}", value=v, reason=say(why)), "dim")
                for v, why in each.rejected
            ]
    here = help_at(at.offered, at.text, at.line)
    return Content("\n").join([here, Content(""), *parts]) if here.plain else Content("\n").join(parts)


def help_at(offered: list[Completion], text: str, line: int) -> Content:
    """What can follow at the cursor, or what the field on its line takes."""
    if offered:
        rows = [Content.styled(_("can stand here (→ takes it, F2 the next):"), "bold")]
        rows += [Content.assemble(f"  {each.text.strip()} ", (each.about, "dim")) for each in offered[:MOST_OFFERED]]
        if len(offered) > MOST_OFFERED:
            rows.append(Content.styled(_("  and {count} more", count=len(offered) - MOST_OFFERED), "dim"))
        return Content("\n").join(rows)
    field = field_at(text, line)
    if field is None:
        return Content("")
    path, shape = field
    return Content.assemble((".".join(map(str, path)), "bold"), f"\n  {shape.sentence}\n  ", (shape.takes(), "dim"))
