"""Turn the labour ministry's public fact sheets into rows for ``recipes/legal_assistant``.

    npm pack @socialgouv/fiches-travail-data
    python docs/grow_legal_assistant.py socialgouv-fiches-travail-data-*.tgz rows.jsonl

The package (Apache-2.0) holds the sheets of https://travail-emploi.gouv.fr as JSON. Each section becomes one row,
longer ones several, cut between paragraphs; the answer ends with the articles that the sheet names. Links, videos,
forms and paragraphs with a telephone number are left out. A script of its own rather than a verb: it serves one
domain, and recipes hold no code.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

SHEETS = "package/data/fiches-travail.json"
LABOUR_CODE = "LEGITEXT000006072050"

LONGEST = 1_600
"""Characters of an answer; some 400 tokens of French."""

SHORTEST = 120
"""Characters below which a section says nothing by itself."""

SAME = 80
"""Letters of its beginning by which a text is known to stand in an earlier sheet as well."""

_NO_TEXT = re.compile(
    r"textes? de référence|services? en ligne|à lire|qui contacter|modèles? de document|vidéo|web ?série|formulaires?"
    r"|pour aller plus loin|en savoir plus|chiffres|publications?|retranscription|podcast|liens? utiles?",
    re.IGNORECASE,
)
_TELEPHONE = re.compile(r"\b0[1-9](?:[ .]?\d\d){4}\b")
"""A number that the audit of the recipe would stop at; the paragraph is left out, since numbers change."""

_BLOCKS = frozenset({"p", "li", "tr", "div", "h2", "h3", "h4", "h5", "h6", "br", "table", "ul", "ol", "dd", "dt"})
_HEADINGS = frozenset({"h2", "h3", "h4", "h5", "h6"})


class _Paragraphs(HTMLParser):
    """The paragraphs of a section; a heading is one whose text begins with ``#``."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._text = ""
        self._mark = ""
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in {"script", "style", "iframe", "svg"}:
            self._hidden += 1
        if tag in _BLOCKS:
            self.end_paragraph()
            self._mark = "#" if tag in _HEADINGS else "- " if tag == "li" else ""

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style", "iframe", "svg"}:
            self._hidden = max(0, self._hidden - 1)
        if tag in _BLOCKS:
            self.end_paragraph()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._text += data

    def end_paragraph(self) -> None:
        """Close the paragraph that is open."""
        text = re.sub(r"\s+", " ", self._text).strip(" ;")
        if text:
            self.found.append(self._mark + text)
        self._text = self._mark = ""


def paragraphs(html: str) -> list[str]:
    """The text of a section, paragraph by paragraph."""
    parser = _Paragraphs()
    parser.feed(html)
    parser.close()
    parser.end_paragraph()
    return parser.found


def parts(html: str) -> Iterator[tuple[str, str]]:
    """A section's text under each of its headings ("" for none), in pieces of at most ``LONGEST`` characters."""
    heading, text = "", ""
    for paragraph in paragraphs(html):
        if paragraph.startswith("#"):
            yield heading, text
            heading, text = paragraph[1:], ""
            continue
        if _TELEPHONE.search(paragraph):
            continue
        if len(text) + len(paragraph) > LONGEST and text:
            yield heading, text
            text = ""
        text += ("\n" if text else "") + paragraph
    yield heading, text


def articles(section: dict[str, Any]) -> list[str]:
    """The articles of the Code du travail that a section names, as people write them."""
    named = section.get("references", {}).get(LABOUR_CODE, {}).get("articles", [])
    found = dict.fromkeys(re.sub(r"^([LRD])\.? ?", r"\1. ", article["fmt"]) for article in named if article.get("fmt"))
    return [number for number in found if re.fullmatch(r"[LRD]\. \d+(-\d+)*", number)]


def rows(sheets: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of all sheets; two with the same question are two halves of one answer, told apart by a number."""
    asked: dict[str, int] = {}
    known: set[str] = set()
    for sheet in sheets:
        for section in sheet["sections"]:
            if _NO_TEXT.search(section["title"]):
                continue
            cited = articles(section)[:4]
            for heading, text in parts(section["html"]):
                opening = re.sub(r"\W+", "", text.lower())[:SAME]
                if not SHORTEST <= len(text) <= LONGEST or _NO_TEXT.search(heading) or opening in known:
                    continue
                known.add(opening)
                question = _question(sheet["title"], section["title"], heading)
                asked[question] = asked.get(question, 0) + 1
                if asked[question] > 1:
                    question = f"{question} (suite, partie {asked[question]})"
                source = f"\nTextes : Code du travail, {', '.join(cited)}." if cited else ""
                yield {
                    "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": text + source}]
                }


def _question(sheet: str, section: str, heading: str) -> str:
    about = " ".join(dict.fromkeys(re.sub(r"\s+", " ", part).strip() for part in (section, heading) if part))
    if sheet.strip().lower() in about.lower():
        return about
    return f"{sheet.strip()} : {about}"


def read_sheets(file: Path) -> list[dict[str, Any]]:
    """The sheets of the package's archive, or of its JSON file. Raises OSError, KeyError or ValueError."""
    if file.suffix == ".json":
        data = file.read_bytes()
    else:
        with tarfile.open(file) as archive:
            member = archive.extractfile(SHEETS)
            if member is None:
                raise KeyError(SHEETS)
            data = member.read()
    found: list[dict[str, Any]] = json.loads(data)
    return found


def main() -> int:
    """Write the rows; the exit code is 2 when the package cannot be read."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("package", type=Path, help="the .tgz that npm pack wrote, or its fiches-travail.json")
    arguments.add_argument("output", type=Path, help="the .jsonl file to write")
    asked = arguments.parse_args()
    try:
        made = list(rows(read_sheets(asked.package)))
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made)
        asked.output.write_text(text, encoding="utf-8")
    except (OSError, KeyError, ValueError, TypeError, tarfile.TarError) as error:
        sys.stderr.write(f"{asked.package} is not the package that is meant: {error}\n")
        return 2
    sys.stderr.write(f"{len(made)} rows in {asked.output}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
