"""A key that the language does not have, and the field that it was meant for, seen from where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from compiler.diagnostics import Diagnostic, Fix, KeyPath, Label, short
from compiler.language.shapes import Shape, header, in_list, names_of, shape_at, shapes_of, tables
from compiler.language.toml_source import UNREADABLE, TomlDocument
from compiler.mending import edits
from compiler.phrases import phrase
from compiler.words.spelling import plain
from compiler.words.table_names import without_accents


class Unknown(Struct, frozen=True):
    """What an unknown key was probably meant to be.

    ``meant`` is the field (or table) of the language; when ``certain`` the rest of the check goes on as
    if it had been written there, with ``value`` in place of the written one if it changes.
    """

    diagnostic: Diagnostic
    meant: KeyPath | None = None
    certain: bool = False
    value: Any = None
    changed: bool = False


class Key(Struct, frozen=True):
    """An unknown key: its place in the document, the language's table it is read in, its name and value."""

    document: TomlDocument
    path: KeyPath
    table: KeyPath
    value: Any

    @property
    def name(self) -> str:
        """The name as written."""
        return str(self.path[-1])

    @property
    def folded(self) -> str:
        """The name as it is compared."""
        return without_accents(plain(self.name))

    @property
    def is_decorated(self) -> bool:
        """Whether the name begins or ends with a dash: a mark of a diff, or an option of a command line."""
        return self.name.strip() != self.name.strip("-+ ")

    @property
    def own(self) -> dict[str, Shape]:
        """The fields of the table; none for one whose keys are passed on, such as [training.sft]."""
        return shapes_of(tables()[self.table]) if self.table in tables() else {}

    def fits(self, field: KeyPath) -> bool:
        """Whether the field can be meant to take the value."""
        shape = shape_at(field)
        return shape is None or self.value == UNREADABLE or shape.could_take(self.value)

    def given(self, field: KeyPath) -> Label | None:
        """A label at the field, when the document has it already."""
        span = self.document.key_span(field)
        return Label(span, phrase("given here")) if span else None

    def told(
        self,
        code: str,
        message: str,
        *,
        label: str | None = None,
        help: str | None = None,  # noqa: A002 - the field's own name
        fixes: Iterable[Fix | None] = (),
        secondary: tuple[Label, ...] = (),
    ) -> Diagnostic:
        """A diagnostic at the key."""
        return Diagnostic(
            code,
            message,
            file=self.document.file,
            path=self.path,
            span=self.document.key_span(self.path),
            label=label,
            help=help,
            secondary=secondary,
            fixes=tuple(fix for fix in fixes if fix is not None),
        )


def in_table(table: KeyPath) -> str:
    """Where a key stands, in words: ``in [training]``."""
    return phrase("in {table}", table=header(table)) if table else phrase("above the first table")


class Home(Struct, frozen=True):
    """The field that a key was meant for, seen from where the key stands."""

    key: Key
    field: KeyPath

    @property
    def name(self) -> str:
        return str(self.field[-1])

    @property
    def table(self) -> KeyPath:
        return self.field[:-1]

    @property
    def title(self) -> str:
        return header(self.table) if self.table else phrase("the top of the file")

    @property
    def is_here(self) -> bool:
        """Whether the field is one of the table that the key stands in."""
        return names_of(self.key.table) == names_of(self.table)

    @property
    def renamed(self) -> bool:
        """Whether the field has another name than the key."""
        return self.key.folded != plain(self.name)

    @property
    def taken(self) -> Label | None:
        """A label at the field, when the document has it already."""
        return self.key.given((*self.key.path[:-1], self.name) if self.is_here else self.field)

    def belongs(self) -> str:
        """That the key, by its own name, has its place elsewhere."""
        return phrase(
            "`{name}` belongs in {title}, not {table}",
            name=short(self.key.name),
            title=self.title,
            table=in_table(self.key.table),
        )

    def called(self) -> tuple[str, str]:
        """Code and message of a key that another program calls so; one that is called the same only has to move."""
        if not self.renamed:
            return "R013", self.belongs()
        return "R014", phrase("`{name}` is called `{name2}` in recipes", name=short(self.key.name), name2=self.name)

    def fix(self, text: str | None = None, *, certain: bool) -> Fix | None:
        """The key in its place, with the TOML ``text`` as its value if given; None where no plain edit does it."""
        key, certain = self.key, certain and self.taken is None
        if self.is_here and text is None:
            return edits.rename_key(key.document, key.path, self.name, certain=certain)
        if self.is_here:
            return edits.rewrite(key.document, key.path, f"{self.name} = {text}", certain=certain)
        if key.given(self.field) is not None:
            return edits.remove_line(key.document, key.path)
        certain = certain and not in_list(self.table)
        return edits.move(key.document, key.path, self.table, self.name, text, certain=certain)

    def advice(self, text: str | None = None) -> str:
        """What to write where."""
        where = "" if self.is_here else phrase(" in {title}", title=self.title)
        if self.taken:
            return phrase("`{name}` is already given{where}; keep one of the two", name=self.name, where=where)
        if text:
            return phrase("write `{line}`{where}", line=f"{self.name} = {text}", where=where)
        if self.renamed:
            return phrase("write `{line}`{where}", line=self.name, where=where)
        return (
            phrase("move it below {title}", title=self.title) if self.table else phrase("move it above the first table")
        )

    def advice_with(self, fix: Fix | None, text: str | None = None) -> str:
        """What to write where; how to do it by hand where no fix does it."""
        by_hand = fix is None and not self.taken and not self.is_here
        return _by_hand(self.key, self.field, text) if by_hand else self.advice(text)

    def told(self, code: str, message: str, advice: str, fix: Fix | None, say: str) -> Diagnostic:
        """The diagnostic at the key."""
        taken = self.taken
        return self.key.told(
            code,
            message,
            label=phrase("here it is `{name}`", name=self.name)
            if self.is_here
            else phrase("belongs in {title}", title=self.title),
            help=phrase("{advice}; {say}", advice=advice, say=say) if say else advice,
            fixes=[fix],
            secondary=(taken,) if taken else (),
        )

    def is_sure(self, *, certain: bool) -> bool:
        """Whether the check can go on as if the key had been written there."""
        known = shape_at(self.field) is not None or self.table in {("training", "sft"), ("adapter", "peft")}
        return certain and self.taken is None and known


def elsewhere(key: Key, field: KeyPath, *, certain: bool, say: str = "") -> Unknown:
    """A key that another table has, perhaps misspelt."""
    home = Home(key, field)
    fix = home.fix(certain=certain)
    message = (
        phrase("unknown key `{name}` {table}", name=short(key.name), table=in_table(key.table))
        if home.renamed
        else home.belongs()
    )
    told = home.told("R013", message, home.advice_with(fix), fix, say)
    return Unknown(told, field, home.is_sure(certain=certain))


def _by_hand(key: Key, field: KeyPath, text: str | None) -> str:
    """How to move a key to a table that is written as an inline table or by dotted keys."""
    line = f"{field[-1]} = {text or key.document.value_text(key.path)}"
    table = field[:-1]
    stretch = key.document.positions.values.get(table)
    inline = stretch is not None and key.document.positions.text[stretch[0] : stretch[0] + 1] == "{"
    if inline:
        return phrase("write `{line}` inside the braces of `{map}`", line=line, map=".".join(map(str, table)))
    if stretch is not None and table not in key.document.positions.headers:
        above = key.path[:-1] if table[: len(key.path) - 1] == key.path[:-1] else ()
        return phrase("write `{line}`", line=".".join([*map(str, table[len(above) :]), line]))
    return (
        phrase("write `{line}` in {table}", line=line, table=header(table))
        if table
        else phrase("write `{line}` above the first table", line=line)
    )
