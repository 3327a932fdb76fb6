"""What is wrong with one value, in words: its kind, its range, its spelling, and what to write instead.

A replacement is certain when it says the same thing in the way the field wants it; a guess at what was meant
is offered, never certain.
"""

from __future__ import annotations

import datetime
import json
import math
import operator
import re
from typing import Any

from compiler.diagnostics import Diagnostic, Fix, KeyPath, nearest, short
from compiler.language.shapes import Shape, shape_at
from compiler.language.toml_source import TomlDocument
from compiler.mending import edits
from compiler.words.other_words import EMPTY, LANGUAGES, NO, NOT_HERE, VALUES, WORDS, YES
from compiler.words.spelling import distance, misspelt, plain


def wrong_values(document: TomlDocument, place: KeyPath, path: KeyPath, value: Any) -> list[Diagnostic]:
    """What there is to say of a value at ``place`` of the document that the field at ``path`` does not take."""
    shape = shape_at(path)
    assert shape is not None
    teller = _Teller(document, place, path, shape, value)
    items = teller.items()
    if items:
        return items
    for look in (teller.kind, teller.choice, teller.number, teller.text):
        found = look()
        if found is not None:
            return [found]
    return [teller.told("R011", f"`{teller.name}` cannot be this", label=f"it takes {shape.takes()}")]


def converted(shape: Shape, value: Any, written: str) -> Any:
    """The value that a certain replacement stands for, so that the rules can go on with it; else None."""
    text, certain = _replacement(shape, value, written)
    if text is None or not certain:
        return None
    import tomli

    return tomli.loads(f"x = {text}")["x"]


def shown(value: Any) -> str:
    """A value as TOML would write it, cut when long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(short(value), ensure_ascii=False)
    if isinstance(value, list):
        return short(f"[{', '.join(map(shown, value[:5]))}{', …' if len(value) > 5 else ''}]")
    return short(str(value))


def kind_of(value: Any) -> str:
    """What a value is, as people say it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    for kind, name in ((int, "a whole number"), (float, "a number"), (str, "text"), (dict, "a table")):
        if isinstance(value, kind):
            return name
    if isinstance(value, list):
        return "a list"
    if isinstance(value, datetime.date | datetime.time):
        return "a date" if isinstance(value, datetime.date) else "a time"
    return type(value).__name__


_GROUPED = re.compile(r"[1-9]\d{0,2}\.000")
"""A point that may group thousands, as many countries write them."""


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
        fix: Fix | None = None,
    ) -> Diagnostic:
        place = at or self.place
        if fix is None and replacement is not None:
            fix = edits.replace_value(self.document, place, replacement, certain=certain)
        if help_text is None:
            help_text = f"write {self.name} = {replacement}" if replacement else self.shape.sentence
        span = self.document.value_span(place) or self.document.key_span(place)
        return Diagnostic(
            code,
            message,
            file=self.document.file,
            path=self.path,
            span=span,
            label=label,
            help=help_text,
            fixes=(fix,) if fix else (),
        )

    # --- looks, in order ------------------------------------------------------------------------

    def items(self) -> list[Diagnostic]:
        """Every item of a list that is not as it should be, or a list of the wrong length."""
        value, limits = self.value, self.shape.limits
        if not isinstance(value, list) or "list" not in self.shape.kinds:
            return []
        found = [problem for index, item in enumerate(value[:100]) if (problem := self._item(index, item))]
        few, many = limits.get("min_length", 0), limits.get("max_length")
        if not found and (len(value) < few or (many is not None and len(value) > many)):
            limit = f"at least {few}" if len(value) < few else f"at most {many}"
            message = f"`{self.name}` has {_count(len(value), 'item')}; it takes {limit}"
            found.append(self.told("R017", message, label=f"{limit}"))
        return found

    def _item(self, index: int, item: Any) -> Diagnostic | None:
        at = (*self.place, index)
        if not isinstance(item, str):
            message = f"item {index + 1} of `{self.name}` is {kind_of(item)}, not text"
            quoted = json.dumps(str(item)) if type(item) in {int, float} else None
            return self.told("R011", message, replacement=quoted, at=at, help_text="put text in quotes")
        choices = self.shape.item_choices
        if choices and item not in choices:
            return self._choose(f"item {index + 1} of `{self.name}` cannot be {shown(item)}", item, choices, at)
        if not item.strip():
            return self.told(
                "R018", f"item {index + 1} of `{self.name}` is empty", at=at, help_text="fill or remove it"
            )
        longest = self.shape.item_limits.get("max_length", math.inf)
        if len(item) > longest:
            message = f"item {index + 1} of `{self.name}` has {len(item):,} characters; at most {longest:,} are taken"
            return self.told("R018", message, at=at, help_text="shorten it")
        return None

    def _several_paths(self) -> Diagnostic | None:
        """``path = ["a.jsonl", "b.jsonl"]``: several files are sources."""
        value = self.value
        if self.path != ("data", "path") or not isinstance(value, list) or len(value) < 2:
            return None
        if not all(isinstance(item, str) and item for item in value):
            return None
        right = f"sources = [{', '.join(f'{{ path = {json.dumps(item, ensure_ascii=False)} }}' for item in value)}]"
        taken = self.document.key_span((*self.place[:-1], "sources")) is not None
        return self.told(
            "R011",
            "`path` names one file; several are `sources`",
            label="several files",
            help_text=f"write {short(right)}",
            fix=None if taken else edits.rewrite(self.document, self.place, right),
        )

    def kind(self) -> Diagnostic | None:
        """A value of the wrong kind: a number in quotes, text for a number, a date."""
        value, shape = self.value, self.shape
        if self._kind_fits():
            return None
        several = self._several_paths()
        if several is not None:
            return several
        replacement, certain = _replacement(shape, value, self.document.value_text(self.place))
        words = [choice for choice in shape.choices if choice != "auto"]
        if isinstance(value, str) and replacement is None and (words or _near(value, shape.choices)):
            return None  # a misspelt word: told by choice()
        message = f"`{self.name}` is {kind_of(value)}; it takes {shape.takes()}"
        if isinstance(value, str) and replacement and "list" in shape.kinds:
            message = f"`{self.name}` is text, not a list"
        elif isinstance(value, str) and replacement:
            message = f"`{self.name}` is text; {replacement} without quotes is meant"
        elif isinstance(value, bool | int | float):
            message = f"`{self.name}` is {shown(value)}; it takes {shape.takes()}"
        written = self.document.value_text(self.place)
        if isinstance(value, float) and replacement and not certain:
            many = written.replace(".", "_")
            help_text = f"a point begins the decimals: write {replacement}, or {many} if thousands are meant"
            return self.told("R011", message, label=f"{replacement} or {many}?", help_text=help_text)
        if self.name == "gpu" and type(value) is int:
            help_text = f'gpu names the kind, such as gpu = "rtx-4090"; their number is gpu_count = {value}'
            return self.told("R011", message, help_text=help_text)
        return self.told("R011", message, replacement=replacement, certain=certain)

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
        if isinstance(self.value, float) and not math.isfinite(self.value):
            label = f"takes {self.shape.takes()}"
            return self.told("R017", f"`{self.name}` cannot be {self.value}", label=label, help_text=_usual(self.shape))
        for name, broken, says in (
            ("ge", operator.lt, "below the least, {}"),
            ("gt", operator.le, "not above {}"),
            ("le", operator.gt, "above the most, {}"),
            ("lt", operator.ge, "not below {}"),
        ):
            limit = self.shape.limits.get(name)
            if limit is not None and broken(self.value, limit):
                return self._beyond(says.format(_limit(limit, self.shape.unit)))
        return None

    def _beyond(self, said: str) -> Diagnostic:
        value, shape = self.value, self.shape
        written = self.document.value_text(self.place) or shown(value)
        message = f"`{self.name} = {short(written)}` is {said}"
        label = f"takes {shape.takes()}"
        unset = shape.default is None and not shape.required
        if unset and value in {0, -1}:
            fix = edits.comment_out(self.document, self.place)
            help_text = f"leave the line out: without it there is no `{self.name}`"
            return self.told("R017", message, label=label, help_text=help_text, fix=fix)
        share = self.name.endswith(("share", "dropout"))
        if share and 1 <= value <= 100 and value / 100 <= shape.limits.get("le", 1.0):
            return self.told("R017", message, label=label, help_text=f"{value:g} % is written {value / 100:g}")
        return self.told("R017", message, label=label, help_text=_usual(shape))

    def text(self) -> Diagnostic | None:
        """Text that is too short, too long or of the wrong form."""
        value, limits = self.value, self.shape.limits
        if not isinstance(value, str):
            return None
        if len(value) < limits.get("min_length", 0):
            return self.told("R018", f"`{self.name}` is empty", help_text=self.shape.sentence)
        if len(value) > limits.get("max_length", math.inf):
            message = f"`{self.name}` has {len(value):,} characters; at most {limits['max_length']:,} are taken"
            return self.told("R018", message, help_text="shorten it")
        if "pattern" in limits:
            return self._form()
        return None

    def _form(self) -> Diagnostic:
        value, pattern = self.value, self.shape.limits["pattern"]
        example = f", such as {json.dumps(self.shape.examples[0])}" if self.shape.examples else ""
        good, certain, form = (
            "",
            False,
            "letters, digits, `.`, `_` and `-`, at most 64, beginning with a letter or digit",
        )
        if self.name == "language":
            form = "an ISO 639 code of two or three small letters"
            region = re.fullmatch(r"([A-Za-z]{2,3})(?:[-_][A-Za-z]{2,4})?", value)
            good = region.group(1).lower() if region else LANGUAGES.get(value.strip().lower(), "")
            certain = bool(good)
        else:
            good = re.sub(r"[^A-Za-z0-9._-]+", "-", value).strip("-._")[:64]
        fits = bool(good) and re.fullmatch(pattern, good) is not None
        many = f" ({len(value)} characters)" if len(value) > 60 else ""
        return self.told(
            "R018",
            f"`{self.name}` cannot be {shown(value)}{many}",
            label=self.shape.sentence,
            help_text=f"write {form}{example}",
            replacement=json.dumps(good) if fits else None,
            certain=certain and fits,
        )

    # --- parts ----------------------------------------------------------------------------------

    def _kind_fits(self) -> bool:
        kinds, value = self.shape.kinds, self.value
        if isinstance(value, str) and self.shape.choices and not kinds:
            return True
        return scalar_fits(value, kinds) or (isinstance(value, dict) and bool({"dict", "table"} & set(kinds)))

    def _choose(self, message: str, word: str, choices: list[str], at: KeyPath) -> Diagnostic:
        listed = ", ".join(f'"{choice}"' for choice in choices)
        takes = f"it takes {self.shape.takes()}" if at == self.place else f"known are {listed}"
        other = NOT_HERE.get(self.name, {}).get(plain(word))
        if other is not None:
            return self.told("R016", message, label="recipes do not have it", help_text=f"{other}; {takes}", at=at)
        meant, certain = word_meant(word, choices)
        return self.told(
            "R016",
            message,
            label=f'did you mean "{meant}"?' if meant else "not one of its words",
            help_text=takes,
            replacement=json.dumps(meant) if meant else None,
            certain=certain,
            at=at,
        )


def word_meant(word: str, choices: list[str]) -> tuple[str | None, bool]:
    """The choice that a word means, and whether nothing else can be meant."""
    same = next((c for c in choices if plain(c) == plain(word)), None)
    if same is not None:
        return same, True
    other = WORDS.get(plain(word))
    if other in choices:
        return other, True
    if plain(word) in {name for names in NOT_HERE.values() for name in names}:
        return None, False
    guess = misspelt(word, choices)
    if guess.name:
        return guess.name, guess.sure and len(word) >= 4
    near = _near(word, choices)
    return near, False


def _near(word: str, choices: list[str]) -> str | None:
    """The choice that looks most like a word, for a hint."""
    if len(word) > 64:
        return None
    same_numbers = [c for c in choices if re.findall(r"\d+", c) == re.findall(r"\d+", word)]
    found = nearest(word, same_numbers)
    if found:
        return found[0]
    close = [c for c in same_numbers if distance(plain(word), plain(c), 1) <= 1]
    return close[0] if len(close) == 1 else None


def scalar_fits(value: Any, kinds: list[str]) -> bool:
    """Whether a value is of one of the kinds."""
    if isinstance(value, bool):
        return "bool" in kinds
    if isinstance(value, int):
        return "int" in kinds or "float" in kinds
    if isinstance(value, float):
        return "float" in kinds
    if isinstance(value, str):
        return "str" in kinds
    return isinstance(value, list) and "list" in kinds


def _replacement(shape: Shape, value: Any, written: str) -> tuple[str | None, bool]:
    """The value as TOML of the right kind, where one is meant; and whether that is certain."""
    kinds = shape.kinds
    if not isinstance(value, list | dict) and (shape.name, value) in VALUES:
        return VALUES[shape.name, value], True
    if isinstance(value, bool):
        return None, False
    if isinstance(value, str):
        words = set(shape.choices) - {"auto"}
        looks_like_items = re.search(r"[,\[]", value) or re.fullmatch(r"\w+_\w+", value)
        if "list" in kinds and (not words or (looks_like_items and word_meant(value, shape.choices)[0] is None)):
            return _as_list(value, shape.item_choices)
        number = _unquoted(value, kinds)
        return number, number is not None
    if isinstance(value, float) and "int" in kinds and value.is_integer() and abs(value) < 1e15:
        return str(int(value)), not _GROUPED.fullmatch(written)
    if isinstance(value, int) and "bool" in kinds and value in {0, 1}:
        return ("true" if value else "false"), True
    if isinstance(value, int | float) and "str" in kinds:
        return json.dumps(written or str(value)), False
    if (
        isinstance(value, list)
        and len(value) == 1
        and (scalar_fits(value[0], kinds) or (isinstance(value[0], str) and value[0] in shape.choices))
    ):
        return shown(value[0]), True
    return None, False


def _as_list(text: str, choices: list[str]) -> tuple[str, bool]:
    """``"a, b"`` → ``["a", "b"]``; what stands for nothing becomes an empty list."""
    if plain(text) in EMPTY:
        return "[]", True
    parts = [part.strip(" \t'\"") for part in text.strip("[]() ").split(",")]
    items = [part for part in parts if part]
    known = not choices or all(item in choices for item in items)
    return f"[{', '.join(json.dumps(item, ensure_ascii=False) for item in items)}]", known and bool(items)


def _unquoted(text: str, kinds: list[str]) -> str | None:
    """The number or boolean that stands in quotes, if the field takes one."""
    body = text.strip().replace(",", ".") if re.fullmatch(r"\s*\d+,\d+\s*", text) else text.strip()
    if "bool" in kinds and body.lower() in YES | NO:
        return "true" if body.lower() in YES else "false"
    if "int" in kinds and re.fullmatch(r"[+-]?\d{1,15}", body):
        return str(int(body))
    if "float" in kinds:
        share = re.fullmatch(r"(\d{1,3}(?:[.,]\d+)?)\s*%", body)
        if share:
            return f"{float(share.group(1).replace(',', '.')) / 100:g}"
        if re.fullmatch(r"[+-]?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d{1,3})?", body, re.I):
            return body
        if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", body, re.I):
            return repr(float(body))
    return None


def _usual(shape: Shape) -> str:
    """What the field is for, and what is taken without it."""
    default = shape.default
    if isinstance(default, int | float) and not isinstance(default, bool):
        return f"{shape.sentence} Leave the line out to get {shown(default)}."
    example = f"; {shown(shape.examples[0])} is usual" if shape.examples else ""
    if default == "auto":
        return f"{shape.sentence} Leave the line out and the compiler chooses{example}."
    return f"{shape.sentence} Leave the line out for none{example}."


def _limit(limit: float, unit: str | None) -> str:
    """``1 step``, ``4,294,967,295``, ``0``."""
    number = f"{int(limit):,}" if float(limit).is_integer() else f"{limit:g}"
    if not unit or " " in unit or unit.startswith("per"):
        return number
    return f"{number} {unit.removesuffix('s') if limit == 1 else unit}"


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"
