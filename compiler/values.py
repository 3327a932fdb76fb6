"""What is wrong with one value, in words: its kind, its range, its spelling, and what to write instead."""

from __future__ import annotations

import datetime
import json
import math
import operator
import re
from typing import Any

from compiler import edits
from compiler.diagnostics import Diagnostic, Fix, KeyPath, nearest
from compiler.shapes import Shape, header
from compiler.toml_source import TomlDocument
from compiler.unknown_keys import distance, plain, short


def wrong_value(document: TomlDocument, place: KeyPath, path: KeyPath, shape: Shape, value: Any) -> Diagnostic:
    """The diagnostic for a value at ``place`` of the document that the field at ``path`` does not take."""
    teller = _Teller(document, place, path, shape, value)
    for look in (teller.nested, teller.item, teller.kind, teller.choice, teller.number, teller.text):
        found = look()
        if found is not None:
            return found
    return teller.told("R011", f"`{teller.name}` cannot be this", label=f"it takes {shape.takes()}")


def shown(value: Any) -> str:
    """A value as TOML would write it, cut when long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(short(value) + ("…" if len(value) > 60 else ""), ensure_ascii=False)
    return short(str(value))


def kind_of(value: Any) -> str:
    """What a value is, as people say it."""
    if isinstance(value, bool):
        return "true or false"
    for kind, name in ((int, "a whole number"), (float, "a number"), (str, "text"), (dict, "a table")):
        if isinstance(value, kind):
            return name
    if isinstance(value, list):
        return "a list"
    if isinstance(value, datetime.date | datetime.time):
        return "a date" if isinstance(value, datetime.date) else "a time"
    return type(value).__name__


class _Teller:
    def __init__(self, document: TomlDocument, place: KeyPath, path: KeyPath, shape: Shape, value: Any) -> None:
        self.document = document
        self.place = place
        self.path = path
        self.shape = shape
        self.value = value
        self.name = str(path[-1])

    def told(
        self,
        code: str,
        message: str,
        *,
        label: str | None = None,
        help_text: str | None = None,
        replacement: str | None = None,
        certain: bool = False,
        at: KeyPath | None = None,
    ) -> Diagnostic:
        place = at or self.place
        fix = edits.replace_value(self.document, place, replacement, certain=certain) if replacement else None
        fixes: tuple[Fix, ...] = (fix,) if fix else ()
        if help_text is None:
            help_text = f"write {self.name} = {replacement}" if replacement else f"it takes {self.shape.takes()}"
        span = self.document.value_span(place) or self.document.key_span(place)
        return Diagnostic(
            code, message, file=self.document.file, path=self.path, span=span, label=label, help=help_text, fixes=fixes
        )

    # --- looks, in order ------------------------------------------------------------------------

    def nested(self) -> Diagnostic | None:
        """A plain value where a table belongs."""
        if self.shape.table is None or isinstance(self.value, dict):
            return None
        if "tables" in self.shape.kinds:
            advice = f"write {header(self.path)} and its keys below it"
            return self.told("R011", f"`{self.name}` is a list of tables, not {kind_of(self.value)}", help_text=advice)
        required = next((n for n, s in _fields(self.shape).items() if s.required), None)
        advice = f"write {header(self.path)} on a line of its own and its keys below it"
        if required and isinstance(self.value, str):
            advice = f"write {header(self.path)} on a line of its own and {required} = {shown(self.value)} below it"
        return self.told("R011", f"`{self.name}` is a table, not {kind_of(self.value)}", help_text=advice)

    def item(self) -> Diagnostic | None:
        """One item of a list that is not as it should be."""
        if not isinstance(self.value, list) or "list" not in self.shape.kinds:
            return None
        for index, item in enumerate(self.value):
            at = (*self.place, index)
            if not isinstance(item, str):
                message = f"item {index + 1} of `{self.name}` is {kind_of(item)}, not text"
                quoted = json.dumps(str(item)) if isinstance(item, int | float) else None
                return self.told("R011", message, replacement=quoted, at=at, help_text="put text in quotes")
            choices = self.shape.item_choices
            if choices and item not in choices:
                message = f"item {index + 1} of `{self.name}` is {shown(item)}, which is not one of its words"
                return self._choose(message, item, choices, at)
        few, many = self.shape.limits.get("min_length", 0), self.shape.limits.get("max_length")
        count = len(self.value)
        if count < few or (many is not None and count > many):
            limit = f"at least {few}" if count < few else f"at most {many}"
            return self.told("R017", f"`{self.name}` has {count} items; it takes {limit}", label=f"{limit} items")
        empty = next((i for i, item in enumerate(self.value) if not item), None)
        at = (*self.place, empty or 0)
        message = f"an item of `{self.name}` is empty or too long"
        return self.told("R018", message, at=at, help_text="shorten or fill it")

    def kind(self) -> Diagnostic | None:
        """A value of the wrong kind: a number in quotes, text for a number, a date."""
        if self._kind_fits():
            return None
        value, kinds = self.value, self.shape.kinds
        replacement, certain = self._converted()
        words = self.shape.choices
        if isinstance(value, str) and replacement is None and words and (words != ["auto"] or _close(value, words)):
            return None  # a misspelt word: told by choice()
        message = f"`{self.name}` is {kind_of(value)}, not {self.shape.takes()}"
        if isinstance(value, str) and replacement and "list" not in kinds:
            message = f"`{self.name}` is text; {replacement} without quotes is meant"
        return self.told("R011", message, label=f"takes {self.shape.takes()}", replacement=replacement, certain=certain)

    def choice(self) -> Diagnostic | None:
        """A word that is not one of those the field takes."""
        if not isinstance(self.value, str) or not self.shape.choices or "str" in self.shape.kinds:
            return None
        message = f"`{self.name}` cannot be {shown(self.value)}"
        return self._choose(message, self.value, self.shape.choices, self.place)

    def number(self) -> Diagnostic | None:
        """A number beyond the field's range."""
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            return None
        takes = self.shape.takes()
        if isinstance(self.value, float) and not math.isfinite(self.value):
            return self.told("R017", f"`{self.name}` cannot be {self.value}", label=f"takes {takes}")
        limits = self.shape.limits
        unit = f" {self.shape.unit}" if self.shape.unit else ""
        for name, broken, says in (
            ("ge", operator.lt, "below the least, {:g}"),
            ("gt", operator.le, "not above {:g}"),
            ("le", operator.gt, "above the most, {:g}"),
            ("lt", operator.ge, "not below {:g}"),
        ):
            limit = limits.get(name)
            if limit is None or not broken(self.value, limit):
                continue
            written = self.document.value_text(self.place) or shown(self.value)
            message = f"`{self.name} = {short(written)}` is {says.format(limit)}{unit}"
            return self.told("R017", message, label=f"takes {takes}", help_text=_range_help(self))
        return None

    def text(self) -> Diagnostic | None:
        """Text that is too short, too long or of the wrong form."""
        if not isinstance(self.value, str):
            return None
        limits = self.shape.limits
        if len(self.value) < limits.get("min_length", 0):
            return self.told("R018", f"`{self.name}` is empty", help_text=self.shape.sentence)
        if len(self.value) > limits.get("max_length", math.inf):
            message = f"`{self.name}` has {len(self.value):,} characters; at most {limits['max_length']:,} are taken"
            return self.told("R018", message, help_text="shorten it")
        if "pattern" in limits:
            good = re.sub(r"[^A-Za-z0-9._-]+", "-", self.value).strip("-._")[:64]
            example = f", such as {json.dumps(self.shape.examples[0])}" if self.shape.examples else ""
            fits = re.fullmatch(limits["pattern"], good) is not None
            return self.told(
                "R018",
                f"`{self.name}` cannot be {shown(self.value)}",
                label=f"{self.shape.sentence}",
                help_text=f"write {_form(self.name)}{example}",
                replacement=json.dumps(good) if good and fits else None,
            )
        return None

    # --- parts ----------------------------------------------------------------------------------

    def _converted(self) -> tuple[str | None, bool]:
        """The value as TOML of the right kind, where one is meant; and whether that is certain."""
        value, kinds = self.value, self.shape.kinds
        if isinstance(value, bool):
            return None, False
        if isinstance(value, str):
            number = _unquoted(value, kinds)
            if number is None and "list" in kinds and not self.shape.choices:
                return f"[{shown(value)}]", True
            return number, number is not None
        if isinstance(value, float) and "int" in kinds and value.is_integer() and abs(value) < 1e15:
            return str(int(value)), True
        if isinstance(value, int) and "bool" in kinds and value in {0, 1}:
            return ("true" if value else "false"), True
        if isinstance(value, int | float) and "str" in kinds:
            return json.dumps(self.document.value_text(self.place)), True
        if isinstance(value, list) and len(value) == 1 and _scalar_fits(value[0], kinds):
            return shown(value[0]), False
        return None, False

    def _kind_fits(self) -> bool:
        kinds, value = self.shape.kinds, self.value
        if isinstance(value, str) and self.shape.choices and not kinds:
            return True
        return _scalar_fits(value, kinds) or (isinstance(value, dict) and bool({"dict", "table"} & set(kinds)))

    def _choose(self, message: str, word: str, choices: list[str], at: KeyPath) -> Diagnostic:
        same = next((c for c in choices if plain(str(c)) == plain(word)), None)
        other = OTHER_WORDS.get(plain(word))
        meant = same or (other if other in choices else None) or _close(word, choices)
        listed = ", ".join(f'"{choice}"' for choice in choices)
        return self.told(
            "R016",
            message,
            label=f'did you mean "{meant}"?' if meant else "not one of its words",
            help_text=f"it takes {self.shape.takes()}" if at == self.place else f"known are {listed}",
            replacement=json.dumps(meant) if meant else None,
            certain=meant is not None and (meant in {same, other} or distance(plain(word), plain(meant), 2) <= 2),
            at=at,
        )


OTHER_WORDS = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "half": "float16",
    "fp32": "float32",
    "float": "float32",
    "4bit": "nf4",
    "4_bit": "nf4",
    "int4": "nf4",
    "8bit": "int8",
    "8_bit": "int8",
    "2bit": "hqq-2bit",
    "2_bit": "hqq-2bit",
    "flash": "flash_attention_2",
    "flash_attn": "flash_attention_2",
    "flash_attention": "flash_attention_2",
    "fa2": "flash_attention_2",
    "gpu": "cuda",
    "nvidia": "cuda",
    "sft_full": "full",
    "fft": "full",
    "full_finetune": "full",
    "full_fine_tuning": "full",
    "attn": "attention",
    "all": "all-linear",
    "all_linear_layers": "all-linear",
    "sharegpt_v3": "sharegpt",
    "chat": "messages",
    "conversations": "sharegpt",
    "chatml": "messages",
    "easy": "simple",
    "low": "simple",
    "hard": "complex",
    "high": "complex",
    "moyen": "medium",
    "complexe": "complex",
    "euro": "EUR",
    "euros": "EUR",
    "dollar": "USD",
    "dollars": "USD",
    "skip": "drop",
    "error": "fail",
    "raise": "fail",
    "cut": "truncate",
    "truncation": "truncate",
}
"""What people write for the words of the language."""


def _close(word: str, choices: list[str]) -> str | None:
    if len(word) > 64:
        return None
    found = nearest(word, [str(choice) for choice in choices])
    if found:
        return found[0]
    near = [c for c in choices if distance(plain(word), plain(str(c)), 1) <= 1]
    return str(near[0]) if len(near) == 1 else None


def _scalar_fits(value: Any, kinds: list[str]) -> bool:
    if isinstance(value, bool):
        return "bool" in kinds
    if isinstance(value, int):
        return "int" in kinds or "float" in kinds
    if isinstance(value, float):
        return "float" in kinds
    if isinstance(value, str):
        return "str" in kinds
    return isinstance(value, list) and "list" in kinds


def _unquoted(text: str, kinds: list[str]) -> str | None:
    """The number or boolean that stands in quotes, if the field takes one."""
    body = text.strip().replace(",", ".") if re.fullmatch(r"\s*\d+,\d+\s*", text) else text.strip()
    if "bool" in kinds and body.lower() in {"true", "false", "yes", "no", "on", "off"}:
        return "true" if body.lower() in {"true", "yes", "on"} else "false"
    if "int" in kinds and re.fullmatch(r"[+-]?\d{1,15}", body):
        return str(int(body))
    if "float" in kinds and re.fullmatch(r"[+-]?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d{1,3})?", body, re.I):
        return body
    if "float" in kinds and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", body, re.I):
        return repr(float(body))
    return None


def _range_help(teller: _Teller) -> str:
    default = teller.shape.default
    usual = f" The default is {shown(default)}." if isinstance(default, int | float | str) and default != "" else ""
    return f"{teller.shape.sentence}{usual}"


def _form(name: str) -> str:
    if name == "language":
        return "an ISO 639 code of two or three small letters"
    return "letters, digits, `.`, `_` and `-`, beginning with a letter or digit"


def _fields(shape: Shape) -> dict[str, Shape]:
    from compiler.shapes import shapes_of

    return shapes_of(shape.table) if shape.table else {}
