"""Something that follows a value which was complete, or a number that goes on in a way TOML does not know."""

from __future__ import annotations

import re

from compiler.diagnostics import Span, short
from compiler.mistakes.lookalikes import MEANT
from compiler.mistakes.reader import HEADER, KEY, Mistake, Reader, without_comment
from compiler.mistakes.strings import inner_quote
from compiler.mistakes.values import letters_for_digits, number_meant, price_in_words, unquoted, wrong_letters
from compiler.phrases import phrase


def behind_the_value(reader: Reader) -> Mistake | None:
    """What stands behind the place where the value ended."""
    if not reader.reason.startswith("Expected newline"):
        return None
    match = reader.statement
    if match is None or match.group("sign") != "=":
        return None
    tail = reader.line[reader.column - 1 :]
    bare = without_comment(match.group("value")).rstrip()
    first = match.start("value") + 1
    is_number = bool(bare) and bare[0] not in "\"'[{"
    looks = (_second_setting, _table, _closing, _comment) if not (is_number and reader.takes_text()) else ()
    for look in looks:
        found = look(reader, tail)
        if found is not None:
            return found
    if is_number:
        return _number(reader, bare, first, tail)
    if bare[:1] in {'"', "'"}:
        return _text(reader, bare, first, tail)
    return _something(reader, tail)


def _second_setting(reader: Reader, tail: str) -> Mistake | None:
    """``batch_size = 4; max_length = 512``"""
    if not re.match(rf"\s*(?:[;,]|--|//)?\s*{KEY}\s*[=:](?!=)", tail):
        return None
    return reader.mistake(
        phrase("two values on one line"),
        reader.here(reader.column, reader.column + len(without_comment(tail).rstrip())),
        label=phrase("this begins a second one"),
        help=phrase("put each `key = value` on a line of its own"),
    )


def _table(reader: Reader, tail: str) -> Mistake | None:
    if not HEADER.match(tail):
        return None
    at = reader.column + len(tail) - len(tail.lstrip())
    return reader.mistake(
        phrase("a table header behind a value"),
        reader.here(at, at + len(without_comment(tail).strip())),
        label=phrase("a header stands on a line of its own"),
        help=phrase("begin a new line before {without_comment}", without_comment=short(without_comment(tail).strip())),
    )


def _closing(reader: Reader, tail: str) -> Mistake | None:
    written = without_comment(tail).strip()
    if not re.fullmatch(r"[;,.\])}]+", written):
        return None
    at = reader.column + len(tail) - len(tail.lstrip())
    span = reader.here(at, at + len(written))
    said = (
        phrase("a line ends without a comma or semicolon")
        if set(written) <= set(";,.")
        else phrase("`{written}` closes nothing", written=written)
    )
    return reader.mistake(said, span, fix=(phrase("remove it"), span, ""), label=phrase("remove this"))


def _comment(reader: Reader, tail: str) -> Mistake | None:
    match = re.match(r"\s*(//|;|/\*|<!--)\s*(?=[^\W\d_])|\s*(--|%)\s+(?=[^\W\d_])", tail)
    if match is None:
        return None
    group = 1 if match.group(1) else 2
    span = reader.here(reader.column + match.start(group), reader.column + match.end(group))
    closed = re.search(r"\s*(?:\*/|-->)\s*$", tail)
    whole = None
    if closed:
        whole = reader.here(reader.column + match.start(group), reader.column + len(tail.rstrip()))
        body = tail[match.end() : closed.start()]
        return reader.mistake(
            phrase("comments in TOML begin with #"), span, fix=(phrase("begin the comment with #"), whole, f"# {body}")
        )
    return reader.mistake(
        phrase("comments in TOML begin with #"),
        span,
        fix=(phrase("begin the comment with #"), span, "#"),
        certain=group == 1,
    )


def _number(reader: Reader, bare: str, first: int, tail: str) -> Mistake:
    """The value begins with a digit, a sign, or is true or false."""
    span = reader.here(first, first + len(bare))
    if reader.takes_text():
        return unquoted(reader, bare, span)
    number = number_meant(bare) or _plain_signs(bare)
    if number is not None:
        return reader.mistake(
            phrase("`{bare}` is not how TOML writes a number", bare=short(bare)),
            span,
            label=phrase("write {number}", number=number),
            fix=(phrase("write {number}", number=number), span, number),
        )
    unit = _with_a_unit(reader, bare, span)
    if unit is not None:
        return unit
    if re.match(r"\d{4}-\d\d?-\d\d?", bare):
        return reader.mistake(
            phrase("`{bare}` is not a date that exists", bare=short(bare)),
            span,
            help=phrase("no field of a recipe takes a date; put text in quotes"),
        )
    if re.search(r"\d\s*(\*\*?|/|//|\+|-)\s*\d", bare) and not re.fullmatch(r"[\d.]+[eE][+-]?\d+", bare):
        return reader.mistake(
            phrase("`{bare}` is a calculation; TOML takes numbers only", bare=short(bare)),
            span,
            label=phrase("write the result"),
        )
    if re.match(r"[+-]?[\d.,'_ ]+$", bare):
        return reader.mistake(
            phrase("`{bare}` is not how TOML writes a number", bare=short(bare)),
            span,
            help=phrase("the decimal sign is a point (0.5), thousands are grouped with _ (1_000), lists stand in [ ]"),
        )
    if re.match(r"[+-]?\d", bare):
        return reader.mistake(
            phrase("`{bare}` is neither a number nor text in quotes", bare=short(bare)),
            span,
            label=phrase("not a number"),
            help=phrase('write the plain number without a unit, or put it in "quotes" if it is text'),
        )
    return _something(reader, tail)


def _with_a_unit(reader: Reader, bare: str, span: Span) -> Mistake | None:
    """``2k``, ``2h30``, ``90min``, ``0.69€``, ``4O``: what number is meant, offered and never taken for granted."""
    price = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*(?:[$€£]|USD|EUR)(?:\s*/\s*\w+)?", bare)
    if price:
        return price_in_words(reader, bare, span, price.group(1).replace(",", "."))
    letters = letters_for_digits(bare)
    if letters is not None:
        return wrong_letters(reader, bare, span, letters)
    hours = hours_meant(bare)
    thousands = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*([kKmM])", bare)
    sloppy = re.fullmatch(r"(\d+(?:\.\d+)?)([+-])[eE](\d+)", bare)
    if hours is not None and reader.field is not None and reader.field.unit == "hours":
        wanted, advice = hours, phrase("hours with decimals: {hours}", hours=hours)
    elif thousands:
        amount = float(thousands.group(1).replace(",", "."))
        big = thousands.group(2) in "mM"
        wanted = f"{round(amount * (10**6 if big else 1000)):_}"
        advice = phrase(
            "write the number out: {wanted}, or {amount:_} if that is meant",
            wanted=wanted,
            amount=round(amount * (2**20 if big else 1024)),
        )
    elif sloppy:
        wanted = f"{sloppy.group(1)}e{sloppy.group(2).strip('+')}{sloppy.group(3)}"
        advice = phrase("the sign stands behind the e: {wanted}", wanted=wanted)
    else:
        return None
    return reader.mistake(
        phrase("`{bare}` is not how TOML writes a number", bare=short(bare)),
        span,
        label=phrase("{meant}?", meant=wanted),
        help=advice,
        fix=(phrase("write {wanted}", wanted=wanted), span, wanted),
        certain=False,
    )


def hours_meant(written: str) -> str | None:
    """``2h30``, ``1:30``, ``90min``, ``2h`` in hours; None for anything else."""
    clock = re.fullmatch(r"(\d+)\s*(?:h|:)\s*([0-5]?\d)\s*(?:min|m)?", written)
    minutes = re.fullmatch(r"(\d+)\s*(?:min|mins|minutes|mn)", written)
    hours = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:h|hours?|heures?)", written)
    if clock:
        return f"{int(clock.group(1)) + int(clock.group(2)) / 60:.4g}"
    if minutes:
        return f"{int(minutes.group(1)) / 60:.4g}"
    return hours.group(1) if hours else None


def _plain_signs(bare: str) -> str | None:
    """The number that is meant when a dash or space in it only looks like the right one."""
    plain = "".join(MEANT.get(sign, sign) for sign in bare).strip()
    return plain if plain != bare and re.fullmatch(r"[+-]?\d[\d_]*(\.\d+)?([eE][+-]?\d+)?", plain) else None


def _text(reader: Reader, bare: str, first: int, tail: str) -> Mistake:
    if re.match(r"\s*\+\s*[\"']", tail):
        return reader.mistake(
            phrase("TOML does not join texts"),
            reader.here(first, first + len(bare)),
            label=phrase("write the whole text in quotes"),
        )
    quoted = inner_quote(reader, first, bare) if "," not in tail or not re.search(r"[\"']\s*,\s*[\"']", bare) else None
    if quoted is not None:
        return quoted
    if "," in tail:
        span = reader.here(first, first + len(bare))
        items = re.fullmatch(r"(?:\"[^\"\\]*\"|'[^']*')(?:\s*,\s*(?:\"[^\"\\]*\"|'[^']*'))+", bare)
        return reader.mistake(
            phrase("several values for one key need brackets"),
            span,
            label=phrase("write {wanted}", wanted=f"[{short(bare)}]"),
            fix=(phrase("make it a list"), span, f"[{bare}]"),
            certain=bool(items) and reader.field is not None and "list" in reader.field.kinds,
        )
    return _something(reader, tail)


def _something(reader: Reader, tail: str) -> Mistake:
    return reader.mistake(
        phrase("something follows the value"),
        reader.here(reader.column, reader.column + max(1, len(without_comment(tail).rstrip()))),
        label=phrase("the value ended before this"),
        help=phrase("a line holds one `key = value`; a comment begins with #"),
    )
