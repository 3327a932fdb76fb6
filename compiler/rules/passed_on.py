"""[training.sft] and [adapter.peft]: arguments that go to TRL and PEFT as they are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from msgspec import structs

from compiler.diagnostics import Diagnostic, nearest
from compiler.facts.signatures import Argument, ConfigName, accepts, describe, scheduler_arguments, signature
from compiler.language.managed import advice_for
from compiler.language.shapes import shapes_of, tables
from compiler.language.toml_source import UNREADABLE
from compiler.mending import edits
from compiler.phrases import phrase
from compiler.rules.reading import Reading, Rule
from compiler.words.spelling import misspelt

LIMITS: dict[str, tuple[float, float]] = {
    "adam_beta1": (0.0, 0.999_999),
    "adam_beta2": (0.0, 0.999_999),
    "adam_epsilon": (0.0, 1.0),
    "label_smoothing_factor": (0.0, 0.999),
    "dataloader_num_workers": (0, 1024),
    "beta1": (0.0, 0.999_999),
    "beta2": (0.0, 0.999_999),
    "orth_reg_weight": (0.0, 1e6),
    "tinit": (0, 1e9),
    "tfinal": (0, 1e9),
    "deltaT": (1, 1e9),
}
"""Numbers that the libraries themselves refuse later, or that turn training into nonsense."""

WORDS: dict[str, tuple[str, ...]] = {
    "loss_type": ("nll", "chunked_nll", "dft"),
    "train_sampling_strategy": ("random", "sequential", "group_by_length"),
}
"""Texts that TRL and Transformers take (trl.SFTConfig, transformers.TrainingArguments)."""


def passed_arguments(reading: Reading) -> Iterator[Diagnostic]:
    """The arguments are those of the pinned TRL and PEFT, of the right kind, and not set by recipec itself."""
    recipe = reading.recipe
    yield from _arguments(reading, ("training", "sft"), recipe.training.sft, "SFTConfig")
    config: ConfigName = "AdaLoraConfig" if recipe.adapter.method == "adalora" else "LoraConfig"
    yield from _arguments(reading, ("adapter", "peft"), recipe.adapter.peft, config)


def _arguments(
    reading: Reading, table: tuple[str, str], given: dict[str, Any], config: ConfigName
) -> Iterator[Diagnostic]:
    known = signature(config) if given else {}
    for key, value in given.items():
        path = (*table, key)
        if value == UNREADABLE:
            continue
        problem = _own_field(reading, path) or _managed(reading, path, config, value)
        if problem is None and key not in known:
            problem = _unknown(reading, path, config, value)
        elif problem is None:
            problem = _value(reading, path, config, known[key], value)
        if problem is not None:
            yield problem


def _own_field(reading: Reading, path: tuple[str, str, str]) -> Diagnostic | None:
    """An argument that has a field of its own in the recipe."""
    table, _, key = path
    if key not in shapes_of(tables()[table,]):
        return None
    given = reading.says(table, key)
    place = reading.place(path)
    certain = not given and accepts_field(table, key, reading.recipe, path)
    fix = (
        edits.move(reading.document, place, (table,), key, certain=certain) if place is not None and not given else None
    )
    return reading.told(
        "R111",
        path,
        phrase("`{key}` has a field of its own in [{table}]", key=key, table=table),
        phrase("it is given in [{table}] already; keep one of the two", table=table)
        if given
        else phrase("move it to [{table}]", table=table),
        others=((((table, key)), phrase("and it is given here")),) if given else (),
        fixes=(fix,),
        at_key=True,
    )


def accepts_field(table: str, key: str, recipe: Any, path: tuple[str, str, str]) -> bool:
    """Whether the field takes the value that stands in the table of arguments."""
    value = getattr(getattr(recipe, table), path[1]).get(key)
    return shapes_of(tables()[table,])[key].could_take(value)


def _managed(reading: Reading, path: tuple[str, str, str], config: ConfigName, value: Any) -> Diagnostic | None:
    """An argument that recipec sets; where a field of the recipe decides it, the value is not lost."""
    advice = advice_for(config, path[2])
    if not advice:
        return None
    message = phrase("`{path}` is set by recipec itself", path=path[2])
    place = reading.place(path)
    assert place is not None
    from compiler.words.unknown_keys import unknown_key

    elsewhere = unknown_key(reading.document, place, path[:2], value)
    if elsewhere.meant is not None and path[2] != "trust_remote_code":  # no fix makes a recipe ask for more trust
        return structs.replace(elsewhere.diagnostic, code="R111", message=message)
    return reading.told(
        "R111",
        path,
        message,
        phrase("remove it: {advice}", advice=advice),
        at_key=True,
        fixes=(reading.removal(*path),),
    )


def _unknown(reading: Reading, path: tuple[str, str, str], config: ConfigName, value: Any) -> Diagnostic:
    """No argument of that name: a slip, one of the recipe's own fields, or another program's name."""
    from compiler.words.unknown_keys import unknown_key

    key = path[2]
    place = reading.place(path)
    assert place is not None
    if config == "LoraConfig" and key in signature("AdaLoraConfig"):
        message = phrase(
            '`{key}` is an argument of AdaLoRA, and the method is "{method}"',
            key=key,
            method=reading.recipe.adapter.method,
        )
        help_text = phrase('write method = "adalora" in [adapter], or remove it')
        return reading.told("R112", path, message, help_text, at_key=True, others=((("adapter", "method"), "method"),))
    guess = misspelt(key, signature(config))
    if not guess.sure:
        elsewhere = unknown_key(reading.document, place, path[:2], value)
        if elsewhere.meant is not None or elsewhere.diagnostic.code in {"R111", "R014"}:
            return elsewhere.diagnostic
    close = guess.name or next(iter(nearest(key[:64], signature(config))), None)
    fix = edits.rename_key(reading.document, place, close, certain=guess.sure) if close and guess.name else None
    return reading.told(
        "R112",
        path,
        phrase("{config} of the pinned version has no argument `{key}`", config=config, key=key[:60]),
        phrase("write `{name}`", name=close)
        if guess.name
        else phrase("did you mean `{close}`?", close=close)
        if close
        else phrase("see the documentation of {config}", config=config),
        label=phrase("did you mean `{close}`?", close=close) if close else phrase("no such argument"),
        fixes=(fix,),
        at_key=True,
    )


def _value(
    reading: Reading, path: tuple[str, str, str], config: ConfigName, argument: Argument, value: Any
) -> Diagnostic | None:
    key = path[2]
    if not accepts(argument, value):
        return _wrong_kind(reading, path, config, argument, value)
    if key in WORDS and isinstance(value, str) and value not in WORDS[key]:
        words = ", ".join(f'"{word}"' for word in WORDS[key])
        close = misspelt(value, WORDS[key]).name
        fix = reading.value_fix(f'"{close}"', *path) if close else None
        return reading.told(
            "R113",
            path,
            phrase('`{key}` cannot be "{value}"', key=key, value=value[:60]),
            phrase("it takes {words}", words=words),
            fixes=(fix,),
        )
    if key in LIMITS and isinstance(value, int | float) and not isinstance(value, bool):
        low, high = LIMITS[key]
        if not (low <= value <= high) or math.isnan(value):
            below = (
                phrase("below {ceil}", ceil=math.ceil(high)) if 0 < high < 1 else phrase("at most {high:g}", high=high)
            )
            message = phrase("`{key} = {written}` is out of range", key=key, written=reading.written(*path)[:40])
            return reading.told(
                "R113", path, message, phrase("it takes a number from {low:g} and {below}", low=low, below=below)
            )
    if key in {"rank_pattern", "alpha_pattern"} and isinstance(value, dict):
        wrong = next((name for name, rank in value.items() if type(rank) is not int or rank < 1), None)
        if wrong is not None:
            message = phrase("`{key}` gives `{wrong}` no whole number above 0", key=key, wrong=wrong[:40])
            return reading.told("R113", (*path, wrong), message, phrase("write { q_proj = 32 }, a rank for each name"))
    return None


def _wrong_kind(
    reading: Reading, path: tuple[str, str, str], config: ConfigName, argument: Argument, value: Any
) -> Diagnostic:
    from compiler.words.values import kind_of, shown

    wanted = describe(argument)
    replacement = _unquoted(argument, value)
    same = wanted.startswith(kind_of(value))
    said = (
        phrase("not {value}", value=shown(value))
        if same or isinstance(value, str | int | float)
        else phrase("not {kind_of}", kind_of=kind_of(value))
    )
    return reading.told(
        "R113",
        path,
        phrase("`{path}` of {config} takes {wanted}, {said}", path=path[2], config=config, wanted=wanted, said=said),
        phrase("write {path} = {replacement}", path=path[2], replacement=replacement or "{ name = value }")
        if replacement or wanted.startswith("a table")
        else phrase("write {wanted}", wanted=wanted),
        fixes=(reading.value_fix(replacement, *path, certain=True),) if replacement else (),
    )


def _unquoted(argument: Argument, value: Any) -> str | None:
    """A number or boolean that stands in quotes, where the argument takes one."""
    if not isinstance(value, str):
        return None
    body = value.strip().lower()
    if body in {"true", "false"} and accepts(argument, body == "true"):
        return body
    if re.fullmatch(r"[+-]?\d{1,15}", body) and accepts(argument, int(body)):
        return str(int(body))
    if re.fullmatch(r"[+-]?(0|[1-9]\d*)\.\d+(e[+-]?\d{1,3})?|[+-]?\d+e[+-]?\d{1,3}", body) and accepts(argument, 0.5):
        return body
    return None


def scheduler_kwargs(reading: Reading) -> Iterator[Diagnostic]:
    """The arguments of the learning rate's shape are those that this shape has."""
    training = reading.recipe.training
    given = training.sft.get("lr_scheduler_kwargs")
    if not isinstance(given, dict) or not reading.known(("training", "lr_scheduler_type")):
        return
    taken = scheduler_arguments(training.lr_scheduler_type)
    for name, value in given.items():
        path = ("training", "sft", "lr_scheduler_kwargs", name)
        if name not in taken:
            listed = ", ".join(f"`{one}`" for one in taken) if taken else "none"
            yield reading.told(
                "R112",
                path,
                phrase(
                    "the shape {lr_scheduler_type} has no argument `{name}`",
                    lr_scheduler_type=training.lr_scheduler_type,
                    name=name[:40],
                ),
                phrase("it takes {listed}", listed=listed),
                others=((("training", "lr_scheduler_type"), phrase("shape set here")),),
                at_key=True,
            )
        elif isinstance(value, str) and not name.endswith("_type"):
            yield reading.told(
                "R113", path, phrase("`{name}` is a number, not text", name=name), phrase("write it without quotes")
            )


RULES: tuple[Rule, ...] = (passed_arguments, scheduler_kwargs)
