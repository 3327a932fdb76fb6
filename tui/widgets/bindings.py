"""Keys of the table as Textual's bindings."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from tui.keys import TABLES


def bindings(table: str) -> list[BindingType]:
    """The bindings of a table; descriptions stay untranslated until they are shown."""
    return [Binding(key.keys, key.action, key.words, show=key.footer, id=key.id) for key in TABLES[table]]
