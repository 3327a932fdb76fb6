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
from compiler.phrases import counted, phrase
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
    return [
        teller.told(
            "R011",
            phrase("`{name}` cannot be this", name=teller.name),
            label=phrase("it takes {takes}", takes=shape.takes()),
        )
    ]


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
    for kind, name in (
        (int, phrase("a whole number")),
        (float, phrase("a number")),
        (str, phrase("text")),
        (dict, phrase("a table")),
    ):
        if isinstance(value, kind):
            return name
    if isinstance(value, list):
        return phrase("a list")
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
            help_text = (
                phrase("write {name} = {replacement}", name=self.name, replacement=replacement)
                if replacement
                else self.shape.sentence
            )
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
            limit = phrase("at least {few}", few=few) if len(value) < few else phrase("at most {many}", many=many)
            message = phrase(
                "`{name}` has {count}; it takes {limit}",
                name=self.name,
                count=counted("{n:,} item", "{n:,} items", len(value)),
                limit=limit,
            )
            found.append(self.told("R017", message, label=limit))
        return found

    def _item(self, index: int, item: Any) -> Diagnostic | None:
        at = (*self.place, index)
        if not isinstance(item, str):
            message = phrase(
                "item {index} of `{name}` is {kind_of}, not text",
                index=index + 1,
                name=self.name,
                kind_of=kind_of(item),
            )
            quoted = json.dumps(str(item)) if type(item) in {int, float} else None
            return self.told("R011", message, replacement=quoted, at=at, help_text=phrase("put text in quotes"))
        choices = self.shape.item_choices
        if choices and item not in choices:
            return self._choose(
                phrase("item {index} of `{name}` cannot be {item}", index=index + 1, name=self.name, item=shown(item)),
                item,
                choices,
                at,
            )
        if not item.strip():
            return self.told(
                "R018",
                phrase("item {index} of `{name}` is empty", index=index + 1, name=self.name),
                at=at,
                help_text=phrase("fill or remove it"),
            )
        longest = self.shape.item_limits.get("max_length", math.inf)
        if len(item) > longest:
            message = phrase(
                "item {index} of `{name}` has {count:,} characters; at most {longest:,} are taken",
                index=index + 1,
                name=self.name,
                count=len(item),
                longest=longest,
            )
            return self.told("R018", message, at=at, help_text=phrase("shorten it"))
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
            phrase("`path` names one file; several are `sources`"),
            label=phrase("several files"),
            help_text=phrase("write {right}", right=short(right)),
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
        message = phrase(
            "`{name}` is {kind_of}; it takes {takes}", name=self.name, kind_of=kind_of(value), takes=shape.takes()
        )
        if isinstance(value, str) and replacement and "list" in shape.kinds:
            message = phrase("`{name}` is text, not a list", name=self.name)
        elif isinstance(value, str) and replacement:
            message = phrase(
                "`{name}` is text; {replacement} without quotes is meant", name=self.name, replacement=replacement
            )
        elif isinstance(value, bool | int | float):
            message = phrase(
                "`{name}` is {value}; it takes {takes}", name=self.name, value=shown(value), takes=shape.takes()
            )
        written = self.document.value_text(self.place)
        if isinstance(value, float) and replacement and not certain:
            many = written.replace(".", "_")
            help_text = phrase(
                "a point begins the decimals: write {replacement}, or {many} if thousands are meant",
                replacement=replacement,
                many=many,
            )
            return self.told(
                "R011",
                message,
                label=phrase("{replacement} or {many}?", replacement=replacement, many=many),
                help_text=help_text,
            )
        if self.name == "gpu" and type(value) is int:
            help_text = phrase(
                'gpu names the kind, such as gpu = "rtx-4090"; their number is gpu_count = {value}', value=value
            )
            return self.told("R011", message, help_text=help_text)
        return self.told("R011", message, replacement=replacement, certain=certain)

    def choice(self) -> Diagnostic | None:
        """A word that is not one of those the field takes."""
        if not isinstance(self.value, str) or not self.shape.choices or "str" in self.shape.kinds:
            return None
        message = phrase("`{name}` cannot be {value}", name=self.name, value=shown(self.value))
        return self._choose(message, self.value, self.shape.choices, self.place)

    def number(self) -> Diagnostic | None:
        """A number beyond the field's range."""
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            return None
        if isinstance(self.value, float) and not math.isfinite(self.value):
            label = phrase("takes {takes}", takes=self.shape.takes())
            return self.told(
                "R017",
                phrase("`{name}` cannot be {value}", name=self.name, value=self.value),
                label=label,
                help_text=_usual(self.shape),
            )
        for name, broken, says in (
            ("ge", operator.lt, phrase("below the least, {limit}")),
            ("gt", operator.le, phrase("not above {limit}")),
            ("le", operator.gt, phrase("above the most, {limit}")),
            ("lt", operator.ge, phrase("not below {limit}")),
        ):
            limit = self.shape.limits.get(name)
            if limit is not None and broken(self.value, limit):
                return self._beyond(phrase(says, limit=_limit(limit, self.shape.unit)))
        return None

    def _beyond(self, said: str) -> Diagnostic:
        value, shape = self.value, self.shape
        written = self.document.value_text(self.place) or shown(value)
        message = phrase("`{name} = {written}` is {said}", name=self.name, written=short(written), said=said)
        label = phrase("takes {takes}", takes=shape.takes())
        unset = shape.default is None and not shape.required
        if unset and value in {0, -1}:
            fix = edits.comment_out(self.document, self.place)
            help_text = phrase("leave the line out: without it there is no `{name}`", name=self.name)
            return self.told("R017", message, label=label, help_text=help_text, fix=fix)
        share = self.name.endswith(("share", "dropout"))
        if share and 1 <= value <= 100 and value / 100 <= shape.limits.get("le", 1.0):
            return self.told(
                "R017",
                message,
                label=label,
                help_text=phrase("{value:g} % is written {value2:g}", value=value, value2=value / 100),
            )
        return self.told("R017", message, label=label, help_text=_usual(shape))

    def text(self) -> Diagnostic | None:
        """Text that is too short, too long or of the wrong form."""
        value, limits = self.value, self.shape.limits
        if not isinstance(value, str):
            return None
        if len(value) < limits.get("min_length", 0):
            return self.told("R018", phrase("`{name}` is empty", name=self.name), help_text=self.shape.sentence)
        if len(value) > limits.get("max_length", math.inf):
            message = phrase(
                "`{name}` has {count:,} characters; at most {max_length:,} are taken",
                name=self.name,
                count=len(value),
                max_length=limits["max_length"],
            )
            return self.told("R018", message, help_text=phrase("shorten it"))
        if "pattern" in limits:
            return self._form()
        return None

    def _form(self) -> Diagnostic:
        value, pattern = self.value, self.shape.limits["pattern"]
        example = phrase(", such as {dumps}", dumps=json.dumps(self.shape.examples[0])) if self.shape.examples else ""
        good, certain, form = (
            "",
            False,
            phrase("letters, digits, `.`, `_` and `-`, at most 64, beginning with a letter or digit"),
        )
        if self.name == "language":
            form = phrase("an ISO 639 code of two or three small letters")
            region = re.fullmatch(r"([A-Za-z]{2,3})(?:[-_][A-Za-z]{2,4})?", value)
            good = region.group(1).lower() if region else LANGUAGES.get(value.strip().lower(), "")
            certain = bool(good)
        else:
            good = re.sub(r"[^A-Za-z0-9._-]+", "-", value).strip("-._")[:64]
        fits = bool(good) and re.fullmatch(pattern, good) is not None
        many = phrase(" ({count} characters)", count=len(value)) if len(value) > 60 else ""
        return self.told(
            "R018",
            phrase("`{name}` cannot be {value}{many}", name=self.name, value=shown(value), many=many),
            label=self.shape.sentence,
            help_text=phrase("write {form}{example}", form=form, example=example),
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
        takes = (
            phrase("it takes {takes}", takes=self.shape.takes())
            if at == self.place
            else phrase("known are {listed}", listed=listed)
        )
        other = NOT_HERE.get(self.name, {}).get(plain(word))
        if other is not None:
            return self.told(
                "R016",
                message,
                label=phrase("recipes do not have it"),
                help_text=phrase("{other}; {takes}", other=other, takes=takes),
                at=at,
            )
        meant, certain = word_meant(word, choices)
        return self.told(
            "R016",
            message,
            label=phrase('did you mean "{meant}"?', meant=meant) if meant else phrase("not one of its words"),
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
        return phrase(
            "{sentence} Leave the line out to get {default}.", sentence=shape.sentence, default=shown(default)
        )
    example = phrase("; {examples} is usual", examples=shown(shape.examples[0])) if shape.examples else ""
    if default == "auto":
        return phrase(
            "{sentence} Leave the line out and the compiler chooses{example}.", sentence=shape.sentence, example=example
        )
    return phrase("{sentence} Leave the line out for none{example}.", sentence=shape.sentence, example=example)


def _limit(limit: float, unit: str | None) -> str:
    """``1 step``, ``4,294,967,295``, ``0``."""
    number = f"{int(limit):,}" if float(limit).is_integer() else f"{limit:g}"
    if not unit or " " in unit or unit.startswith("per"):
        return number
    return f"{number} {unit.removesuffix('s') if limit == 1 else unit}"
