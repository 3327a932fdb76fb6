"""Gather what the program says, and bring the catalogues under ``*/locale`` in line with it.

    python docs/texts.py           write: new texts with an empty translation, texts that are gone taken out
    python docs/texts.py --check   change nothing; exit 1 and name what has no translation or is left over

What is gathered: the first argument of ``phrase``, ``counted`` (two), ``_``, ``N_`` and ``ngettext`` (two) wherever it
is written out, the stories in ``compiler/codes``, and the help of every command. Python's own parser reads the code:
the calls are few and plain, and so neither running nor testing the program asks for an extraction tool. The files are
gettext's own, for any editor of them.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from compiler.translation import LANGUAGES, PARTS, Entry, read_po, write_po  # noqa: E402

MARKS = {"phrase": 1, "_": 1, "N_": 1, "counted": 2, "ngettext": 2}
"""Functions whose first arguments are texts, and how many of them are."""


HEADER = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n > 1);\n"
"""Of a new file; the plural is that of French, to be set for another language."""


def texts() -> dict[str, dict[str, Entry]]:
    """The texts of every part of the catalogue, by their originals."""
    found = {
        room: {entry.one: entry for entry in (*_marked(ROOT / room), *_in_templates(ROOT / room))}
        for room in ("tui", "compiler", "runtime")
    }
    found["compiler:recipe"] = {text: Entry(text, "", ()) for text in _language()}
    found["compiler:codes"] = {text: Entry(text, "", ()) for text in _stories()}
    found["tui:help"] = {entry.one: entry for entry in _help()}
    for part in PARTS[1:]:  # what two rooms say is translated once
        earlier = [found[other] for other in PARTS[: PARTS.index(part)]]
        found[part] = {text: entry for text, entry in found[part].items() if not any(text in e for e in earlier)}
    return found


def _marked(room: Path) -> Iterator[Entry]:
    for file in sorted(room.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKS:
                given = [_written_out(argument) for argument in node.args[: MARKS[node.func.id]]]
                if len(given) == 2 and all(given):
                    yield Entry(given[0][0], given[1][0], ())
                elif len(given) == 1:
                    yield from (Entry(text, "", ()) for text in given[0] if text)


def _in_templates(room: Path) -> Iterator[Entry]:
    """What stands in ``_("…")`` in the templates of pages."""
    for file in sorted(room.rglob("*.html.jinja")):
        for text in re.findall(r'(?<!\w)_\("([^"]*)"', file.read_text(encoding="utf-8")):
            yield Entry(text, "", ())


def _written_out(node: ast.expr) -> list[str]:
    """The texts that an argument can be: one, or two with a condition between them."""
    if isinstance(node, ast.IfExp):
        return [*_written_out(node.body), *_written_out(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _stories() -> Iterator[str]:
    from compiler.codes import all_codes, all_rules

    for code in all_codes().values():
        yield from (code.title, code.explanation, code.remedy)
        if "\n" not in code.example.strip():
            yield code.example
    for rule in all_rules().values():
        yield from (rule.title, rule.explanation, rule.source)


def _language() -> Iterator[str]:
    """What the recipe's language says of its tables and fields, and of names that other programs have for them."""
    from compiler.facts.catalogue import catalogue
    from compiler.language.reference import table_sentence
    from compiler.language.shapes import shapes_of, tables
    from compiler.words.foreign import sayings

    for table in tables().values():
        for shape in shapes_of(table).values():
            yield from filter(None, (shape.sentence, shape.unit))
        yield from filter(None, [table_sentence(table)])
    yield from sayings()
    yield from {entry.source for entry in catalogue().values()}


def _help() -> Iterator[Entry]:
    import click

    from tui.cli import VERBS, recipe
    from tui.help_texts import CLICK, texts_of

    yield from (Entry(one, many, ()) for one, many in CLICK)
    yield from (Entry(text, "", ()) for text in (*VERBS.values(), *texts_of(recipe)))
    context = click.Context(recipe)
    for verb in VERBS:
        command = recipe.get_command(context, verb)
        assert command is not None
        yield from (Entry(text, "", ()) for text in texts_of(command))


def catalogue_file(language: str, part: str) -> Path:
    """Where a part of a language's catalogue is kept."""
    room, _, name = part.partition(":")
    return ROOT / room / "locale" / ".".join(filter(None, (language, name, "po")))


def brought_in_line(language: str, part: str, wanted: dict[str, Entry]) -> tuple[str, list[str], list[str]]:
    """The file as it should be, what has no translation in it, and what is left over."""
    file = catalogue_file(language, part)
    now = {entry.one: entry for entry in read_po(file.read_text(encoding="utf-8"))} if file.exists() else {}
    header = now.pop("", Entry("", "", (f"Language: {language}\n{HEADER}",)))
    entries = []
    for text, entry in sorted(wanted.items()):
        old = now.get(text)
        kept = old.forms if old and bool(old.many) == bool(entry.many) else ("", "") if entry.many else ("",)
        entries.append(entry._replace(forms=kept))
    missing = [entry.one for entry in entries if not all(entry.forms)]
    return write_po([header, *entries]), missing, sorted(set(now) - set(wanted))


def main() -> int:
    """Write the catalogues, or say what is not in line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    wanted = texts()
    amiss = False
    for language in LANGUAGES[1:]:
        for part, entries in wanted.items():
            file = catalogue_file(language, part)
            text, missing, left_over = brought_in_line(language, part, entries)
            for message in missing:
                sys.stdout.write(f"{file.relative_to(ROOT)}: no translation: {message!r}\n")
            for message in left_over if check else ():
                sys.stdout.write(f"{file.relative_to(ROOT)}: no longer said: {message!r}\n")
            amiss = amiss or bool(missing or left_over)
            if not check:
                file.write_text(text, encoding="utf-8")
    return 1 if amiss and check else 0


if __name__ == "__main__":
    sys.exit(main())
