"""What TRL, PEFT and Transformers take (arguments, model types), as generated data: checking needs none of them.

``docs/generate.py`` writes ``signatures.json`` from the pinned packages; a test compares.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, Literal

from msgspec import Struct

from compiler.phrases import joined, phrase

ConfigName = Literal["SFTConfig", "LoraConfig", "AdaLoraConfig"]


class Argument(Struct, frozen=True):
    """One keyword argument of a config class.

    ``annotation`` is its type as the package writes it. ``default`` is None when there is none or when it is
    an object that JSON cannot write.
    """

    name: str
    annotation: str
    default: Any


@cache
def _data() -> dict[str, Any]:
    text = resources.files("compiler.facts").joinpath("signatures.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@cache
def signature(name: str) -> dict[str, Argument]:
    """The arguments of a config class (one of ``ConfigName``) by name. KeyError for any other class."""
    return {
        argument: Argument(argument, entry["annotation"], entry.get("default"))
        for argument, entry in _data()["configs"][name].items()
    }


def optimizers() -> list[str]:
    """Names that ``optim`` takes (transformers.training_args.OptimizerNames)."""
    return list(_data()["enums"]["OptimizerNames"])


def scheduler_arguments(shape: str) -> list[str]:
    """What ``lr_scheduler_kwargs`` may hold for a shape of the learning rate; empty for one that takes nothing."""
    return list(_data()["schedulers"].get(shape, []))


def causal_lm_types() -> dict[str, dict[str, int]]:
    """The model types that ``AutoModelForCausalLM`` builds, each with the sizes that its text_config may leave out."""
    found: dict[str, dict[str, int]] = _data()["causal_lm_types"]
    return found


def family_defaults() -> dict[str, dict[str, Any]]:
    """What the config class of each family in ``families.py`` says of its weights where config.json does not."""
    found: dict[str, dict[str, Any]] = _data()["family_defaults"]
    return found


def versions() -> dict[str, str]:
    """The packages that the data was read from."""
    return dict(_data()["versions"])


def accepts(argument: Argument, value: Any) -> bool:
    """Whether a TOML value can be meant for the argument; True where the annotation does not tell."""
    return any(_fits(kind, value) for kind in _alternatives(argument.annotation))


def describe(argument: Argument) -> str:
    """What the argument takes, in words: ``a whole number or a list of whole numbers``."""
    words = [word for kind in _alternatives(argument.annotation) for word in _words(kind)]
    return joined(phrase(" or "), dict.fromkeys(words)) or phrase("another kind of value")


# --- annotations --------------------------------------------------------------------------------------

_SCALARS: dict[str, tuple[type[Any] | tuple[type[Any], ...], str, str]] = {
    "bool": (bool, phrase("true or false"), phrase("booleans")),
    "int": (int, phrase("a whole number"), phrase("whole numbers")),
    "float": ((int, float), phrase("a number"), phrase("numbers")),
    "str": (str, phrase("text"), phrase("texts")),
    "Path": (str, phrase("text"), phrase("texts")),
}
"""Type name -> what TOML gives for it, one in words, several in words."""

_LISTS = ("list", "List", "tuple", "Tuple", "set", "Set", "Sequence", "Iterable")
_TABLES = ("dict", "Dict", "Mapping")


@cache
def _alternatives(annotation: str) -> tuple[ast.expr, ...]:
    """The members of a (nested) union without None; of an annotation that is no expression, what accepts all."""
    try:
        members = tuple(_members(ast.parse(annotation, mode="eval").body))
    except SyntaxError:
        return (ast.Name("Any"),)
    names = {_name(member) for member in members}
    # `HubStrategy | str`: text too, but only the words of the enum; `dict | str`: the table as JSON on a command line
    if names & {*_data()["enums"], *_TABLES}:
        members = tuple(member for member in members if _name(member) != "str")
    return members


def _members(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _members(node.left)
        yield from _members(node.right)
    elif isinstance(node, ast.Subscript) and _name(node) in {"Optional", "Union"}:
        for item in _items(node):
            yield from _members(item)
    elif not (_name(node) == "NoneType" or (isinstance(node, ast.Constant) and node.value is None)):
        yield node


def _name(node: ast.expr) -> str:
    """The last part of a type's name: ``Any`` of ``typing.Any``, ``list`` of ``list[int]``."""
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _items(node: ast.expr) -> list[ast.expr]:
    """What stands between a type's brackets."""
    if not isinstance(node, ast.Subscript):
        return []
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _choices(node: ast.expr) -> list[Any] | None:
    """The values of a Literal or an enum; None for another type."""
    if _name(node) == "Literal":
        return [item.value for item in _items(node) if isinstance(item, ast.Constant)]
    found: list[Any] | None = _data()["enums"].get(_name(node))
    return found


def _fits(node: ast.expr, value: Any) -> bool:
    name, items = _name(node), _items(node)
    choices = _choices(node)
    if choices is not None:
        return any(_is_choice(choice, value) for choice in choices)
    if name in _SCALARS:
        return isinstance(value, _SCALARS[name][0]) and (name == "bool" or not isinstance(value, bool))
    if name in _LISTS:
        return isinstance(value, list) and _all_fit(items, value, fixed=name.lower() == "tuple")
    if name in _TABLES:
        return isinstance(value, dict) and all(_fits_any(items[1:], item) for item in value.values())
    if name.endswith("Config"):  # PEFT's sub-configs; some are built from a table, none from anything else
        return isinstance(value, dict)
    return True


def _is_choice(choice: Any, value: Any) -> bool:
    if isinstance(choice, str) and isinstance(value, str) and "[" in choice:
        # PEFT writes a family of names as 'pissa_niter_[number of iters]'.
        return re.fullmatch(".+".join(map(re.escape, re.split(r"\[[^\]]*\]", choice))), value) is not None
    return type(choice) is type(value) and bool(choice == value)


def _all_fit(items: list[ast.expr], values: list[Any], *, fixed: bool) -> bool:
    if not fixed or any(isinstance(item, ast.Constant) for item in items):  # list[int], tuple[int, ...]
        return all(_fits_any(items[:1], value) for value in values)
    same_length = not items or len(items) == len(values)
    return same_length and all(_fits_any([item], value) for item, value in zip(items, values, strict=False))


def _fits_any(items: list[ast.expr], value: Any) -> bool:
    """Whether the value fits the type of an item; any value does when the items have no type."""
    return not items or any(_fits(member, value) for member in _members(items[0]))


def _words(node: ast.expr) -> list[str]:
    name = _name(node)
    choices = _choices(node)
    if choices is not None:
        words = [json.dumps(choice) for choice in choices]
        return words if len(words) == 1 else [phrase("one of {words}", words=", ".join(words))]
    if name in _SCALARS:
        return [_SCALARS[name][1]]
    if name in _LISTS:
        return [phrase("a list") + _of(_items(node))]
    if name in _TABLES or name.endswith("Config"):
        return [phrase("a table") + _of(_items(node)[1:])]
    return []


def _of(items: list[ast.expr]) -> str:
    kinds = [_name(member) for item in items[:1] for member in _members(item)]
    if not kinds or any(kind not in _SCALARS and kind not in _LISTS for kind in kinds):
        return ""
    return phrase(" of ") + joined(
        phrase(" or "), [_SCALARS[kind][2] if kind in _SCALARS else phrase("lists") for kind in kinds]
    )
