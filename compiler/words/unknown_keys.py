"""Keys that the recipe language does not have: what was meant, and where it belongs.

A fix is certain only when the name is one of the language's (spelt otherwise, or in another table) or an exact
name of another program, nothing else has been given for that field, and the value is of its kind.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import tomli

from compiler.diagnostics import Diagnostic, Fix, KeyPath, Label, nearest, short
from compiler.language.shapes import Shape, header, homes, names_of, shape_at, shapes_of, tables
from compiler.language.toml_source import UNREADABLE, TomlDocument
from compiler.mending import edits
from compiler.words.effective_batch import batch_meant
from compiler.words.spelling import LONGEST_NAME, distance, misspelt, plain
from compiler.words.table_names import without_accents

ELSEWHERE = frozenset({"evaluation", "export", "budget"})
"""Tables whose keys may be meant for themselves: a batch_size in [evaluation] is hardly the training's."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """What an unknown key was probably meant to be.

    ``meant`` is the field (or table) of the language; when ``certain`` the rest of the check goes on as
    if it had been written there, with ``value`` in place of the written one if it changes.
    """

    diagnostic: Diagnostic
    meant: KeyPath | None = None
    certain: bool = False
    value: Any = None
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Key:
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
        return Label(span, "given here") if span else None

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


def unknown_key(document: TomlDocument, path: KeyPath, table: KeyPath, value: Any) -> Unknown:
    """Explain the key at ``path`` of the document, which the language's ``table`` does not have."""
    key = Key(document, path, table, value)
    looks = (
        _other_spelling,
        _swapped_column,
        _foreign_here,
        _misplaced,
        _foreign,
        _argument,
        _typo,
        _typo_elsewhere,
        _typo_of_foreign,
    )
    for look in looks:
        found = look(key)
        if found is not None:
            return found
    told = key.told(
        "R012",
        f"unknown key `{short(key.name)}` {_in(table)}",
        label="no such key",
        help=f"allowed here: {', '.join(key.own)}",
    )
    return Unknown(told)


def _in(table: KeyPath) -> str:
    return f"in {header(table)}" if table else "above the first table"


# --- names of the language ------------------------------------------------------------------------------


def _other_spelling(key: Key) -> Unknown | None:
    """Case, dashes, spaces and accents: ``Learning-Rate``."""
    for name, shape in key.own.items():
        if plain(name) == key.folded and (key.table or shape.table is None):
            return _renamed(key, name, sure=True)
    return None


def _typo(key: Key) -> Unknown | None:
    shapes = key.own
    if not key.table:  # a plain key above the tables is no misspelt table
        shapes = {name: shape for name, shape in shapes.items() if shape.table is None}
    guess = misspelt(key.folded, shapes)
    if guess.name is None:
        close = nearest(key.folded, shapes) if 4 <= len(key.folded) <= LONGEST_NAME else []
        likely = [name for name in close if misspelt(key.folded, [name]).name]
        return _renamed(key, likely[0], sure=False) if likely else None
    return _renamed(key, guess.name, sure=guess.sure and not key.is_decorated)


def _renamed(key: Key, name: str, *, sure: bool) -> Unknown:
    field = (*key.table, name)
    taken = key.given((*key.path[:-1], name))
    certain = sure and taken is None and key.fits(field)
    told = key.told(
        "R012",
        f"unknown key `{short(key.name)}` {_in(key.table)}",
        label=f"did you mean `{name}`?",
        help=f"`{name}` is already given; keep one of the two" if taken else f"write `{name}`",
        fixes=[edits.rename_key(key.document, key.path, name, certain=certain)],
        secondary=(taken,) if taken else (),
    )
    return Unknown(told, field, certain)


def _swapped_column(key: Key) -> Unknown | None:
    """``columns = { question = "prompt" }``: perhaps the wrong way round, perhaps the data's column of that name."""
    value = key.value
    if key.table != ("data", "columns") or not isinstance(value, str) or value not in key.own:
        return None
    right = f'{value} = "{key.name}"'
    simple = all(c.isalnum() or c in "_- " for c in key.name)
    fix = edits.rewrite(key.document, key.path, right, certain=False) if simple else None
    told = key.told(
        "R012",
        f"`{short(key.name)}` is not one of recipec's columns",
        label="the left side is recipec's name, the right side the data's",
        help=f'write {right} if the data calls it {short(key.name)}, or {value} = "{value}" if it calls it {value}',
        fixes=[fix],
    )
    return Unknown(told, (*key.table, value))


def _misplaced(key: Key) -> Unknown | None:
    """A known key in the wrong table."""
    matches: list[KeyPath] = []
    for candidate, schema in tables().items():
        for name, shape in shapes_of(schema).items():
            if plain(name) == key.folded and shape.table is None and candidate != key.table:
                matches.append((*candidate, name))
    if not matches:
        return None
    fewest = min(len(match) for match in matches)
    shallow = [match for match in matches if len(match) == fewest and key.fits(match)]
    if not shallow:
        return None
    certain = len(shallow) == 1 and not set(key.table) & ELSEWHERE
    return _belongs(key, shallow[0], "R013", certain=certain)


def _typo_elsewhere(key: Key) -> Unknown | None:
    """A misspelt key of another table."""
    everywhere = {name for schema in tables().values() for name, s in shapes_of(schema).items() if s.table is None}
    guess = misspelt(key.folded, everywhere)
    if guess.name is None or not guess.sure:
        return None
    places = [place for home in homes(guess.name) if key.fits(place := (*home, guess.name))]
    if not places:
        return None
    field = min(places, key=len)
    unique = sum(len(place) == len(field) for place in places) == 1
    certain = unique and not set(key.table) & ELSEWHERE and not key.is_decorated
    return _belongs(key, field, "R013", certain=certain)


# --- names of other programs ----------------------------------------------------------------------------


@cache
def _foreign_names() -> dict[str, dict[str, Any]]:
    text = resources.files("compiler.words").joinpath("foreign_names.toml").read_text(encoding="utf-8")
    return tomli.loads(text)


def is_known(name: str) -> bool:
    """Whether another program, or a person who writes French, calls something by this name."""
    return plain(name) in _foreign_names()


def advice_on(name: str) -> str:
    """What to do instead of something that another program has and recipes do not; empty when nothing is known."""
    entry = _foreign_names().get(plain(name), {})
    return "" if "key" in entry else str(entry.get("say", ""))


def _foreign_here(key: Key) -> Unknown | None:
    """Another program's name that has this meaning only in this table."""
    names = names_of(key.table)
    entry = _foreign_names().get(f"{names[-1]}.{key.folded}") if names else None
    return _translated(key, entry) if entry else None


def _foreign(key: Key) -> Unknown | None:
    entry = _foreign_names().get(key.folded)
    return _translated(key, entry) if entry else None


def _typo_of_foreign(key: Key) -> Unknown | None:
    """A near miss of another program's name: a hint, never certain."""
    if len(key.folded) < 6:
        return None
    near = [n for n in _foreign_names() if "." not in n and len(n) >= 6 and distance(key.folded, n, 1) == 1]
    guess = misspelt(key.folded, near)
    if guess.name is None:
        return None
    found = _translated(key, _foreign_names()[guess.name])
    if found is None:
        return None
    told = found.diagnostic
    message = f"unknown key `{short(key.name)}` {_in(key.table)}; `{guess.name}` is another program's name"
    fixes = tuple(dataclasses.replace(fix, certain=False) for fix in told.fixes)
    return Unknown(dataclasses.replace(told, message=message, fixes=fixes), found.meant)


def _translated(key: Key, entry: dict[str, Any]) -> Unknown | None:
    say = str(entry.get("say", ""))
    if entry.get("batch"):
        return _accumulation(key)
    if "key" not in entry:
        return _not_needed(key, say)
    field = tuple(entry["key"].split("."))
    if "beside" in entry and key.value is False:
        other = key.document.value_text((*key.path[:-1], entry["beside"]))
        if other == "true":
            return _holds_anyway(key, field)
    if "else" in entry and key.given((*key.path[:-1], field[-1])):
        field = tuple(entry["else"].split("."))
        return _belongs(key, field, "R013", certain=key.fits(field))
    if field[:2] == ("data", "sources"):
        field = (*key.path[:-1], field[-1])
    values = entry.get("values")
    if values is None:
        sure = not entry.get("ask") and not (entry.get("share") and not _is_share(key.value))
        if not key.fits(field):
            return _belongs(key, field, "R014", certain=False, say=say or _takes(field), offer=False)
        if entry.get("share") and not sure:
            say = "below 1 it is a share of the run, from 1 on it counts steps"
        return _belongs(key, field, "R014", certain=sure and not say, say=say)
    text = values.get(re.sub(r"^'([^'\"\\]*)'$", r'"\1"', key.document.value_text(key.path)))
    if text in {None, "?"}:
        return _belongs(key, field, "R014", certain=False, say=say or _takes(field), offer=key.fits(field))
    if text == "=":
        return _belongs(key, field, "R014", certain=True, say=say)
    if text == "":
        return _holds_anyway(key, field)
    return _belongs(key, field, "R014", certain=True, text=text, value=tomli.loads(f"x = {text}")["x"], say=say)


def _takes(field: KeyPath) -> str:
    shape = shape_at(field)
    return f"it takes {shape.takes()}" if shape else ""


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def _not_needed(key: Key, say: str) -> Unknown:
    told = key.told(
        "R014",
        f"`{short(key.name)}` is another program's setting; recipes do not have it",
        label="not needed here",
        help=say,
        fixes=[edits.remove_line(key.document, key.path)],
    )
    return Unknown(told)


def _holds_anyway(key: Key, field: KeyPath) -> Unknown:
    """``use_dora = false``: what holds when nothing is said."""
    told = key.told(
        "R014",
        f"recipes have no `{short(key.name)}`; it is a matter of `{field[-1]}` in {header(field[:-1])}",
        label="says what holds anyway",
        help="leave the line out",
        fixes=[edits.comment_out(key.document, key.path)],
    )
    return Unknown(told)


def _accumulation(key: Key) -> Unknown:
    """gradient_accumulation_steps: recipes name the product."""
    product, how = batch_meant(key.document, key.path, key.value)
    field = ("training", "batch_size")
    if product is not None:
        return _belongs(key, field, "R014", certain=True, text=str(product), value=product, say=how)
    taken = key.given(field)
    told = key.told(
        "R014",
        f"recipes have no `{short(key.name)}`",
        label="it is part of `batch_size` in [training]",
        help=how,
        fixes=[edits.remove_line(key.document, key.path)],
        secondary=(taken,) if taken else (),
    )
    return Unknown(told)


def _argument(key: Key) -> Unknown | None:
    """An argument of TRL's or PEFT's config that a recipe passes through its own table."""
    from compiler.facts.signatures import ConfigName, signature
    from compiler.language.managed import advice_for

    homes_of: tuple[tuple[ConfigName, KeyPath], ...] = (
        ("SFTConfig", ("training", "sft")),
        ("LoraConfig", ("adapter", "peft")),
        ("AdaLoraConfig", ("adapter", "peft")),
    )
    for config, home in homes_of:
        if home == key.table:
            continue
        if key.name not in signature(config):
            continue
        advice = advice_for(config, key.name)
        if advice:
            told = key.told("R111", f"`{short(key.name)}` of {config} is set by recipec itself", help=advice)
            return Unknown(told)
        adalora = key.document.value_text(("adapter", "method")) in {'"adalora"', "'adalora'"}
        only_adalora = config == "AdaLoraConfig" and not adalora
        say = 'it is an argument of AdaLoRA: write method = "adalora" too' if only_adalora else ""
        certain = key.table == home[:1] and not only_adalora
        return _belongs(key, (*home, key.name), "R013", certain=certain, say=say)
    return None


# --- telling --------------------------------------------------------------------------------------------


def _belongs(
    key: Key,
    field: KeyPath,
    code: str,
    *,
    certain: bool,
    text: str | None = None,
    value: Any = None,
    say: str = "",
    offer: bool = True,
) -> Unknown:
    """The key belongs to ``field``, perhaps with another value (TOML ``text`` and ``value``)."""
    name, table = str(field[-1]), field[:-1]
    home = header(table) if table else "the top of the file"
    same_table = names_of(key.table) == names_of(table)
    taken = key.given((*key.path[:-1], name) if same_table else field)
    shape = shape_at(field)
    fix = _fix(key, field, text, same_table=same_table, certain=certain and taken is None) if offer else None
    renamed = key.folded != plain(name)
    if not renamed and text is None:
        code = "R013"
    if code == "R013":
        message = f"`{short(key.name)}` belongs in {home}, not {_in(key.table)}"
        if renamed:
            message = f"unknown key `{short(key.name)}` {_in(key.table)}"
    else:
        message = f"`{short(key.name)}` is called `{name}` in recipes"
        if text is not None:
            written = f"{key.name} = {key.document.value_text(key.path)}"
            message = f"`{short(written)}` is written `{name} = {text}` in recipes"
    where = "" if same_table else f" in {home}"
    if taken:
        advice = f"`{name}` is already given{where}; keep one of the two"
    elif text:
        advice = f"write `{name} = {text}`{where}"
    elif renamed:
        advice = f"write `{name}`{where}"
    else:
        advice = f"move it below {home}" if table else "move it above the first table"
    if not taken and not same_table and fix is None and offer:
        advice = _by_hand(key, field, text)
    told = key.told(
        code,
        message,
        label=f"belongs in {home}" if not same_table else f"here it is `{name}`",
        help=f"{advice}; {say}" if say else advice,
        fixes=[fix],
        secondary=(taken,) if taken else (),
    )
    sure = certain and taken is None and (shape is not None or table in {("training", "sft"), ("adapter", "peft")})
    return Unknown(told, field, sure, value, changed=text is not None)


def _fix(key: Key, field: KeyPath, text: str | None, *, same_table: bool, certain: bool) -> Fix | None:
    name = str(field[-1])
    if same_table:
        return _rewritten(key, name, text, certain=certain)
    if key.given(field) is not None:
        return edits.remove_line(key.document, key.path)
    return edits.move(key.document, key.path, field[:-1], name, text, certain=certain and "sources" not in field)


def _by_hand(key: Key, field: KeyPath, text: str | None) -> str:
    """How to move a key to a table that is written as an inline table or by dotted keys."""
    line = f"{field[-1]} = {text or key.document.value_text(key.path)}"
    table = field[:-1]
    stretch = key.document.positions.values.get(table)
    inline = stretch is not None and key.document.positions.text[stretch[0] : stretch[0] + 1] == "{"
    if inline:
        return f"write `{line}` inside the braces of `{'.'.join(map(str, table))}`"
    if stretch is not None and table not in key.document.positions.headers:
        above = key.path[:-1] if table[: len(key.path) - 1] == key.path[:-1] else ()
        return f"write `{'.'.join(map(str, table[len(above) :]))}.{line}`"
    return f"write `{line}` in {header(table)}" if table else f"write `{line}` above the first table"


def _rewritten(key: Key, name: str, text: str | None, *, certain: bool) -> Fix | None:
    if text is None:
        return edits.rename_key(key.document, key.path, name, certain=certain)
    return edits.rewrite(key.document, key.path, f"{name} = {text}", certain=certain)
