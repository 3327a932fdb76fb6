"""Text edits that mend a recipe and leave everything else, comments and layout, as it was."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.diagnostics import Fix
from compiler.language.spans import line_starts, offset_of


def choose(fixes: Iterable[Fix], *, only_certain: bool = True) -> list[Fix]:
    """The fixes that can be applied together, in order; of two that touch, the first one wins."""
    wanted = [fix for fix in fixes if fix.certain or not only_certain]
    chosen: list[Fix] = []
    for fix in sorted(wanted, key=lambda fix: (fix.span, fix.replacement)):
        if chosen:
            last = chosen[-1].span
            if (fix.span.line, fix.span.column) < (last.end_line, last.end_column) or fix.span == last:
                continue
        chosen.append(fix)
    return chosen


def apply_fixes(text: str, fixes: Iterable[Fix], *, only_certain: bool = True) -> str:
    """The text with the fixes applied; fixes that overlap an earlier one are left out."""
    starts = line_starts(text)
    parts: list[str] = []
    done = 0
    for fix in choose(fixes, only_certain=only_certain):
        span = fix.span
        start = offset_of(starts, span.line, span.column, len(text))
        end = offset_of(starts, span.end_line, span.end_column, len(text))
        if span.end_line > len(starts):
            end = len(text)
        parts += [text[done:start], fix.replacement]
        done = max(start, end)
    return "".join([*parts, text[done:]])
