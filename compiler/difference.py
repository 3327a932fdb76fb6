"""What differs between two plans by meaning: inputs, values, calls, what the data came to. The order says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from compiler.plan import Plan


class Difference(Struct, frozen=True):
    """One value that is not the same; None for one that only the other plan has. ``reason`` is the second plan's."""

    path: str
    before: Any
    after: Any
    reason: str = ""


APART = frozenset({"settings", "inputs", "choices", "format_version"})
"""Parts of a plan that are compared in a way of their own, or follow from others."""


def differences(before: Plan, after: Plan) -> list[Difference]:
    """Every difference: settings and inputs first, then all that came of them."""
    found = [*_settings(before, after), *_inputs(before, after)]
    told = {one.path for one in found}
    one, other = (plan.model_dump(mode="json", exclude=set(APART)) for plan in (before, after))
    rest = _leaves("", one, other)
    return [*found, *(each for each in rest if each.path not in told)]


def _settings(before: Plan, after: Plan) -> Iterator[Difference]:
    one = {setting.path: setting for setting in before.settings}
    other = {setting.path: setting for setting in after.settings}
    for path in dict.fromkeys([*one, *other]):
        old, new = one.get(path), other.get(path)
        if (old.value if old else None) != (new.value if new else None):
            yield Difference(path, old.value if old else None, new.value if new else None, new.reason if new else "")


def _inputs(before: Plan, after: Plan) -> Iterator[Difference]:
    one, other = ({(i.role, i.path): i.sha256[:12] for i in plan.inputs} for plan in (before, after))
    for key in dict.fromkeys([*one, *other]):
        if one.get(key) != other.get(key):
            role, path = key
            yield Difference(f"inputs.{role}.{path}", one.get(key), other.get(key))


def _leaves(path: str, before: Any, after: Any) -> Iterator[Difference]:
    """Every value below ``path`` that is not the same; lists are compared whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            yield from _leaves(f"{path}.{name}" if path else name, before.get(name), after.get(name))
    elif before != after:
        yield Difference(path, before, after)
