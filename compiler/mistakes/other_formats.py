"""Text that is not TOML at all, or that something else was pasted into."""

from __future__ import annotations

import re

from compiler.diagnostics import short
from compiler.mistakes.reader import HEADER, Mistake, Reader
from compiler.phrases import phrase

_MARKER = re.compile(r"(<{7}|={7}|>{7}|\|{7})( |$)")


def conflict(reader: Reader) -> Mistake | None:
    """A merge conflict: told once, with all that stands between its markers."""
    if not _MARKER.match(reader.line.strip()):
        return None
    last = reader.line_number
    for number in range(reader.line_number, len(reader.starts) + 1):
        if reader.line_at(number).strip().startswith(">" * 7):
            last = number
            break
    return reader.mistake(
        phrase("a marker of a merge conflict"),
        reader.whole_line(),
        help=phrase("choose one of the two sides and remove the lines with <<<<<<<, ======= and >>>>>>>"),
        lines=(reader.line_number, last),
    )


def other_format(reader: Reader) -> Mistake | None:
    """A whole file of another kind, known by its first line."""
    stripped = reader.line.strip()
    if _MARKER.match(stripped):
        return None
    before = reader.text[: reader.starts[reader.line_number - 1]]
    if re.search(r"^[ \t]*[^#\s]", before, re.M):
        return None
    kind = ""
    if stripped.startswith("{\\rtf"):
        kind = phrase("RTF, a word processor's file")
    elif stripped.startswith("{"):
        kind = "JSON"
    elif stripped == "---" or re.fullmatch(r"[\w-]+:(\s+#.*)?", stripped) or stripped.startswith("- "):
        kind = "YAML" if _mostly_yaml(reader.text) else ""
    elif re.match(r"<[?!A-Za-z]", stripped) and not re.fullmatch(r"<[\w.]+>", stripped):
        kind = phrase("XML or HTML")
    elif stripped.startswith("%PDF"):
        kind = "PDF"
    elif stripped.startswith("#!") or re.match(r"(import|from) \w+", stripped):
        kind = "a program"
    if not kind:
        return None
    return reader.mistake(
        phrase("this looks like {kind}, but a recipe is written in TOML", kind=kind),
        reader.whole_line(),
        help=phrase(
            "write tables as [model] on a line of their own and values as `key = value` below them; "
            "`recipe init` writes a recipe to start from"
        ),
        lines=(1, len(reader.starts)),
    )


def _mostly_yaml(text: str) -> bool:
    """Whether more lines are YAML's than TOML's."""
    yaml = len(re.findall(r"^[ \t]*(?:- .*|[\w.-]+:(?:[ \t].*)?)$", text, re.M))
    toml = len(re.findall(r"^[ \t]*(?:\[.*\]|[\w.-]+[ \t]*=.*)[ \t]*$", text, re.M))
    return yaml > toml


def pasted(reader: Reader) -> Mistake | None:
    """What comes along when a recipe is copied from a page or a terminal."""
    stripped = reader.line.strip()
    if stripped.startswith("```") or re.match(r"~~~", stripped):
        return reader.mistake(
            phrase("a fence of Markdown, as around code on a web page"),
            reader.whole_line(),
            help=phrase("remove this line"),
        )
    if re.match(r"[$>] ", stripped) or stripped.startswith("> "):
        return reader.mistake(
            phrase("`{stripped}` is a line of a terminal or of a quotation", stripped=short(stripped)),
            reader.whole_line(),
            help=phrase("remove the line"),
        )
    number = re.match(r"\d+[ \t:|]+(?=\[|[A-Za-z_]\w*[ \t]*=)", stripped)
    if number and _many_lines(reader.text, r"^[ \t]*\d+[ \t:|]+"):
        return reader.mistake(
            phrase("the line numbers of an editor or a web page were copied along"),
            reader.here(1, len(number.group()) + 1),
            help=phrase("copy the recipe again without them"),
            lines=(1, len(reader.starts)),
        )
    if re.match(r"[+-](?=\[|[A-Za-z_])", stripped) and (HEADER.match(stripped[1:]) or "=" in stripped):
        return reader.mistake(
            phrase("`{stripped}` at the beginning of a line is a mark of a diff", stripped=stripped[0]),
            reader.whole_line(),
            help=phrase("remove the sign; of lines marked `-`, the whole line"),
        )
    return None


def _many_lines(text: str, pattern: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return 2 * len(re.findall(pattern, text, re.M)) > len(lines)
