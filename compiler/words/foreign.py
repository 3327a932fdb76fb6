"""Names of other programs, and of people who write French: which field of a recipe says the same, and how.

``foreign_names.toml`` holds them. A fix is certain only for an exact name whose value means the same here.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

import tomli
from msgspec import structs

from compiler.diagnostics import KeyPath, short
from compiler.language.shapes import header, names_of, shape_at
from compiler.mending import edits
from compiler.phrases import phrase
from compiler.words.effective_batch import batch_meant
from compiler.words.keys import Home, Key, Unknown, elsewhere, in_table
from compiler.words.spelling import distance, misspelt, plain


@cache
def _foreign_names() -> dict[str, dict[str, Any]]:
    text = resources.files("compiler.words").joinpath("foreign_names.toml").read_text(encoding="utf-8")
    return tomli.loads(text)


def is_known(name: str) -> bool:
    """Whether another program, or a person who writes French, calls something by this name."""
    return plain(name) in _foreign_names()


def sayings() -> list[str]:
    """Every remedy in words, for the catalogue of texts."""
    return list(dict.fromkeys(str(entry["say"]) for entry in _foreign_names().values() if entry.get("say")))


def advice_on(name: str) -> str:
    """What to do instead of something that another program has and recipes do not; empty when nothing is known."""
    entry = _foreign_names().get(plain(name), {})
    return "" if "key" in entry else str(entry.get("say", ""))


def foreign_here(key: Key) -> Unknown | None:
    """Another program's name that has this meaning only in this table."""
    names = names_of(key.table)
    entry = _foreign_names().get(f"{names[-1]}.{key.folded}") if names else None
    return _translated(key, entry) if entry else None


def foreign(key: Key) -> Unknown | None:
    entry = _foreign_names().get(key.folded)
    return _translated(key, entry) if entry else None


def typo_of_foreign(key: Key) -> Unknown | None:
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
    message = phrase(
        "unknown key `{name}` {table}; `{name2}` is another program's name",
        name=short(key.name),
        table=in_table(key.table),
        name2=guess.name,
    )
    fixes = tuple(structs.replace(fix, certain=False) for fix in told.fixes)
    return Unknown(structs.replace(told, message=message, fixes=fixes), found.meant)


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
        return elsewhere(key, field, certain=key.fits(field))
    if field[:2] == ("data", "sources"):
        field = (*key.path[:-1], field[-1])
    values = entry.get("values")
    if values is None:
        sure = not entry.get("ask") and not (entry.get("share") and not _is_share(key.value))
        if not key.fits(field):
            return _unfit(key, field, say or _takes(field))
        if entry.get("share") and not sure:
            say = phrase("below 1 it is a share of the run, from 1 on it counts steps")
        return _called(key, field, certain=sure and not say, say=say)
    text = values.get(re.sub(r"^'([^'\"\\]*)'$", r'"\1"', key.document.value_text(key.path)))
    if text in {None, "?"}:
        say = say or _takes(field)
        return _called(key, field, certain=False, say=say) if key.fits(field) else _unfit(key, field, say)
    if text == "=":
        return _called(key, field, certain=True, say=say)
    if text == "":
        return _holds_anyway(key, field)
    return _written_as(key, field, text, tomli.loads(f"x = {text}")["x"], say)


def _takes(field: KeyPath) -> str:
    shape = shape_at(field)
    return phrase("it takes {takes}", takes=shape.takes()) if shape else ""


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


def _not_needed(key: Key, say: str) -> Unknown:
    told = key.told(
        "R014",
        phrase("`{name}` is another program's setting; recipes do not have it", name=short(key.name)),
        label=phrase("not needed here"),
        help=say,
        fixes=[edits.remove_line(key.document, key.path)],
    )
    return Unknown(told)


def _holds_anyway(key: Key, field: KeyPath) -> Unknown:
    """``use_dora = false``: what holds when nothing is said."""
    told = key.told(
        "R014",
        phrase(
            "recipes have no `{name}`; it is a matter of `{field}` in {field2}",
            name=short(key.name),
            field=field[-1],
            field2=header(field[:-1]),
        ),
        label=phrase("says what holds anyway"),
        help=phrase("leave the line out"),
        fixes=[edits.comment_out(key.document, key.path)],
    )
    return Unknown(told)


def _accumulation(key: Key) -> Unknown:
    """gradient_accumulation_steps: recipes name the product."""
    product, how = batch_meant(key.document, key.path, key.value)
    field = ("training", "batch_size")
    if product is not None:
        return _written_as(key, field, str(product), product, how)
    taken = key.given(field)
    told = key.told(
        "R014",
        phrase("recipes have no `{name}`", name=short(key.name)),
        label=phrase("it is part of `batch_size` in [training]"),
        help=how,
        fixes=[edits.remove_line(key.document, key.path)],
        secondary=(taken,) if taken else (),
    )
    return Unknown(told)


def _called(key: Key, field: KeyPath, *, certain: bool, say: str) -> Unknown:
    """Another program's name for a field, whose value means the same there."""
    home = Home(key, field)
    fix = home.fix(certain=certain)
    told = home.told(*home.called(), home.advice_with(fix), fix, say)
    return Unknown(told, field, home.is_sure(certain=certain))


def _unfit(key: Key, field: KeyPath, say: str) -> Unknown:
    """Another program's name for a field, with a value that the field does not take: nothing is offered."""
    home = Home(key, field)
    return Unknown(home.told(*home.called(), home.advice(), None, say), field)


def _written_as(key: Key, field: KeyPath, text: str, value: Any, say: str) -> Unknown:
    """Another program's name for a field, whose value is written as the TOML ``text`` in recipes."""
    home = Home(key, field)
    fix = home.fix(text, certain=True)
    written = f"{key.name} = {key.document.value_text(key.path)}"
    message = phrase(
        "`{written}` is written `{name} = {text}` in recipes", written=short(written), name=home.name, text=text
    )
    told = home.told("R014", message, home.advice_with(fix, text), fix, say)
    return Unknown(told, field, home.is_sure(certain=True), value, changed=True)
