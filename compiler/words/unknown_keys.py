"""Keys that the recipe language does not have: what was meant, and where it belongs.

A fix is certain only when the name is one of the language's (spelt otherwise, or in another table) or an exact
name of another program, nothing else has been given for that field, and the value is of its kind.
"""

from __future__ import annotations

from typing import Any

from compiler.diagnostics import KeyPath, nearest, short
from compiler.language.shapes import homes, in_list, shapes_of, tables
from compiler.language.toml_source import TomlDocument
from compiler.mending import edits
from compiler.phrases import phrase
from compiler.words.foreign import foreign, foreign_here, typo_of_foreign
from compiler.words.keys import Key, Unknown, elsewhere, in_table
from compiler.words.spelling import LONGEST_NAME, misspelt, plain

ELSEWHERE = frozenset({"evaluation", "export", "budget"})
"""Tables whose keys may be meant for themselves: a batch_size in [evaluation] is hardly the training's."""


def unknown_key(document: TomlDocument, path: KeyPath, table: KeyPath, value: Any) -> Unknown:
    """Explain the key at ``path`` of the document, which the language's ``table`` does not have."""
    key = Key(document, path, table, value)
    looks = (
        _other_spelling,
        _swapped_column,
        foreign_here,
        _misplaced,
        foreign,
        _argument,
        _typo,
        _typo_elsewhere,
        typo_of_foreign,
    )
    for look in looks:
        found = look(key)
        if found is not None:
            return found
    told = key.told(
        "R012",
        phrase("unknown key `{name}` {table}", name=short(key.name), table=in_table(table)),
        label=phrase("no such key"),
        help=phrase("allowed here: {own}", own=", ".join(key.own)),
    )
    return Unknown(told)


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
        phrase("unknown key `{name}` {table}", name=short(key.name), table=in_table(key.table)),
        label=phrase("did you mean `{name}`?", name=name),
        help=phrase("`{name}` is already given; keep one of the two", name=name)
        if taken
        else phrase("write `{name}`", name=name),
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
        phrase("`{name}` is not one of recipec's columns", name=short(key.name)),
        label=phrase("the left side is recipec's name, the right side the data's"),
        help=phrase(
            'write {right} if the data calls it {name}, or {value} = "{value}" if it calls it {value}',
            right=right,
            name=short(key.name),
            value=value,
        ),
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
    return elsewhere(key, shallow[0], certain=certain)


def _typo_elsewhere(key: Key) -> Unknown | None:
    """A misspelt key of another table, of which there is one: no slip makes a new entry of a list."""
    single = {path: schema for path, schema in tables().items() if not in_list(path)}
    everywhere = {name for schema in single.values() for name, s in shapes_of(schema).items() if s.table is None}
    guess = misspelt(key.folded, everywhere)
    if guess.name is None or not guess.sure:
        return None
    places = [place for home in homes(guess.name) if home in single and key.fits(place := (*home, guess.name))]
    if not places:
        return None
    field = min(places, key=len)
    unique = sum(len(place) == len(field) for place in places) == 1
    certain = unique and not set(key.table) & ELSEWHERE and not key.is_decorated
    return elsewhere(key, field, certain=certain)


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
            told = key.told(
                "R111",
                phrase("`{name}` of {config} is set by recipec itself", name=short(key.name), config=config),
                help=advice,
            )
            return Unknown(told)
        adalora = key.document.value_text(("adapter", "method")) in {'"adalora"', "'adalora'"}
        only_adalora = config == "AdaLoraConfig" and not adalora
        say = phrase('it is an argument of AdaLoRA: write method = "adalora" too') if only_adalora else ""
        certain = key.table == home[:1] and not only_adalora
        return elsewhere(key, (*home, key.name), certain=certain, say=say)
    return None
