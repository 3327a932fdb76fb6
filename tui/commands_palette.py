"""The command palette: every action that works here, every run, every curve of the run at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.command import DiscoveryHit, Hit, Hits, Provider

from runtime.run_folder import all_runs
from tui.keys import TABLES
from tui.screens.room import Room
from tui.text import _

if TYPE_CHECKING:
    from tui.app import RecipeApp

Entry = tuple[str, str, Callable[[], Any]]
"""Words, a remark, and what is done."""

MOST_RUNS = 200
"""Runs that the palette offers; the list of all runs has the others."""


class Commands(Provider):
    """Finds commands by a few letters of their words."""

    async def discover(self) -> Hits:
        for words, remark, do in self._entries():
            yield DiscoveryHit(words, do, help=remark)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for words, remark, do in self._entries():
            score = matcher.match(words)
            if score > 0:
                yield Hit(score, matcher.highlight(words), do, help=remark)

    def _entries(self) -> Iterator[Entry]:
        app: RecipeApp = self.app  # type: ignore[assignment]  # the only app that has this provider
        screen = self.screen
        tables = [screen.TABLE, "app"] if isinstance(screen, Room) else ["app"]
        for table in dict.fromkeys(tables):
            for key in TABLES[table]:
                yield _(key.words), key.id, partial(self._run, key.action)
        for theme in app.available_themes:
            yield _("colours: {theme}", theme=theme), "theme", partial(setattr, app, "theme", theme)
        for name in getattr(getattr(screen, "curves", None), "names", list)():
            yield _("curve: {name}", name=name), "chart", partial(screen.show_metric, name)  # type: ignore[attr-defined]
        for run in all_runs(app.runs_dir)[:MOST_RUNS]:
            words = _("run: {name} {id}", name=run.path.parent.name, id=run.id)
            yield words, str(run.path), partial(app.open_run, run)

    async def _run(self, action: str) -> None:
        await self.app.run_action(action, self.screen)
