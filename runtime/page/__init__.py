"""``report.html``: a run for people, in one file without network, for a screen, a telephone and paper.

Told from the same files as everything else: the plan, the journal, report.json and the evaluation's results.
"""

from __future__ import annotations

import json
import os
from importlib.resources import files
from typing import Any

from compiler.files import write_atomically
from compiler.phrases import Phrase, Say, phrase
from compiler.plan import Plan
from compiler.translation import Catalogue, catalogue, chosen_language
from runtime.page.content import content_of
from runtime.run_folder import RunFolder

__all__ = ["render_page", "write_page"]


def render_page(run: RunFolder, plan: Plan, spoken: Catalogue | None = None) -> str:
    """The page of a run as it stands now, finished or not; in English unless another language is given."""
    import jinja2

    say: Say = spoken.say if spoken is not None else str

    def told(template: str, /, **values: Any) -> str:
        return say(phrase(template, **values))

    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: say(value) if isinstance(value, Phrase) else value,
    )
    environment.globals |= {
        "_": told,
        "say": say,
        "number": spoken.number if spoken is not None else str,
        "language": spoken.language if spoken is not None else "en",
    }
    source = files("runtime.page").joinpath("page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source).render(content_of(run, plan, _report(run), say))


def write_page(run: RunFolder, plan: Plan) -> None:
    """Write the page beside the report, in the language of whoever has it written. Raises OSError."""
    spoken = catalogue(chosen_language(os.environ))
    write_atomically(run.page, render_page(run, plan, spoken).encode("utf-8", "replace"))


def _report(run: RunFolder) -> dict[str, Any]:
    """report.json; empty before the run has finished."""
    try:
        document = json.loads(run.report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
