"""A value that TOML does not know: a boolean, a number, nothing, a list or a text written in another way."""

from __future__ import annotations

import re

from compiler.diagnostics import Span, short
from compiler.mistakes.reader import CURLY_QUOTES, Mistake, Reader, is_simple
from compiler.mistakes.strings import bad_escape
from compiler.phrases import phrase
from compiler.words.other_words import NO, YES

NOTHING = frozenset({"none", "null", "nil", "~", "undefined", "default", "n/a"})
INFINITE = frozenset({"infinity", "+infinity", "-infinity", "infinite", "∞"})


def value(reader: Reader) -> Mistake | None:
    """The value at which tomli stopped."""
    if reader.reason.startswith("Unescaped") or "hex" in reader.reason or "Unicode scalar" in reader.reason:
        return bad_escape(reader)
    if not reader.reason.startswith("Invalid value"):
        return None
    rest = reader.line[reader.column - 1 :]
    in_brackets = bool(reader.brackets[0])
    written = _written(rest, in_brackets=in_brackets)
    if not written:
        if in_brackets and rest[:1] == ",":
            span = reader.here(reader.column, reader.column + 1)
            return reader.mistake(
                phrase("two commas with nothing between them"), span, fix=(phrase("remove the second comma"), span, "")
            )
        return None
    span = reader.here(reader.column, reader.column + len(written))
    if written.startswith("//") and in_brackets:
        sign = reader.here(reader.column, reader.column + 2)
        return reader.mistake(
            phrase("comments in TOML begin with #"), sign, fix=(phrase("begin the comment with #"), sign, "#")
        )
    return misspelt(reader, written, span) or unquoted(reader, written, span)


def _written(rest: str, *, in_brackets: bool) -> str:
    """What was written as a value, without a comment behind it."""
    if rest[:1] and rest[0] in CURLY_QUOTES:
        closed = _curly_end(rest, in_brackets=in_brackets)
        if closed is not None:
            return rest[:closed]
    written = re.match(r"\([^\n#]*\)|[^,\]}#]*" if in_brackets else r"(?:[^#\n]|(?<![ \t])#)*", rest)
    return written.group().rstrip() if written else ""


_CLOSING = {"“": '”“"', "„": '“”"', "‟": '”"', "«": '»"', "»": '«"', "‘": "’'", "‚": "‘’'"}
"""What a typographic quote is closed with; others are closed with themselves."""


def _curly_end(rest: str, *, in_brackets: bool) -> int | None:
    """Where a text in typographic quotes ends: at a closing quote behind which the value can end."""
    signs = _CLOSING.get(rest[0], rest[0] + "\"'")
    ends = r"[ \t]*(?:[,\]}#]|$)" if in_brackets else r"[ \t]*(?:[ \t]#.*)?$"
    for at in range(1, len(rest)):
        if rest[at] in signs and re.match(ends, rest[at + 1 :].rstrip("\r")):
            return at + 1
    return None


def misspelt(reader: Reader, written: str, span: Span) -> Mistake | None:
    """A value that is nearly one."""
    lower = written.lower()
    if re.fullmatch(r"(?:\.{2,}|…|etc\b\.?)[.… ]*", lower):
        return reader.mistake(
            phrase("an ellipsis is not a value"),
            span,
            label=phrase("something was left out here"),
            help=phrase("write what belongs here, or remove it"),
        )
    if lower in YES | NO:
        return _boolean(reader, written, span)
    if lower in NOTHING:
        return _nothing(reader, written, span)
    if lower in INFINITE:
        return reader.mistake(
            phrase("`{written}` is not a TOML value", written=written),
            span,
            help=phrase("no field of a recipe is without limit; leave the line out"),
        )
    number = number_meant(written)
    if number is not None and not reader.takes_text():
        return reader.mistake(
            phrase("`{written}` is not how TOML writes a number", written=short(written)),
            span,
            label=phrase("write {number}", number=number),
            fix=(phrase("write {number}", number=number), span, number),
        )
    if written[0] in CURLY_QUOTES:
        return _curly(reader, written, span)
    if written.startswith("(") and written.endswith(")"):
        return _parentheses(reader, written, span)
    prefixed = re.fullmatch(r"[A-Za-z]{1,2}(\"[^\"\\]*\"|'[^']*')", written)
    if prefixed:
        return reader.mistake(
            phrase("TOML texts have no letter before the quote"),
            span,
            fix=(phrase("drop the letter"), span, prefixed.group(1)),
        )
    if written in {"|", ">", "|-", ">-", "|+", ">+"}:
        return _yaml_block(reader, span)
    price = re.fullmatch(r"(?:[$€£]|USD|EUR)\s*(\d+(?:[.,]\d+)?)|(\d+(?:[.,]\d+)?)\s*(?:[$€£]|USD|EUR)", written)
    if price:
        return price_in_words(reader, written, span, (price.group(1) or price.group(2)).replace(",", "."))
    letters = letters_for_digits(written)
    if letters is not None and not reader.takes_text():
        return wrong_letters(reader, written, span, letters)
    if "$" in written or re.search(r"\b(os\.environ|getenv|env\()", written):
        return reader.mistake(
            phrase("TOML has no variables"),
            span,
            label=phrase("write the value itself"),
            help=phrase("a recipe says everything itself; give secrets to the command through the environment"),
        )
    return None


def _boolean(reader: Reader, written: str, span: Span) -> Mistake:
    field = reader.field
    if field is not None and "bool" not in field.kinds:
        if reader.takes_text() or "str" in field.kinds:
            return unquoted(reader, written, span)
        return reader.mistake(
            phrase("`{written}` is not a TOML value", written=written),
            span,
            label=phrase("`{name}` takes {takes}", name=field.name, takes=field.takes()),
        )
    right = "true" if written.lower() in YES else "false"
    return reader.mistake(
        phrase("`{written}` is not a TOML value; it is written `{right}`", written=written, right=right),
        span,
        label=phrase("write {right}", right=right),
        fix=(phrase("write {right}", right=right), span, right),
        certain=field is not None or written.lower() == right,
    )


def _nothing(reader: Reader, written: str, span: Span) -> Mistake:
    field = reader.field
    if field is not None and "none" in field.choices and written.lower() in {"none", "null", "nil"}:
        return reader.mistake(
            phrase("text must stand in quotes: `{written}`", written=written),
            span,
            label=phrase('write "none"'),
            fix=(phrase('write "none"'), span, '"none"'),
            certain=written.lower() == "none",
        )
    unset = field is not None and field.default is None and not field.required
    start = len(reader.line) - len(reader.line.lstrip()) + 1
    comment = Span(reader.line_number, start, reader.line_number, start)
    return reader.mistake(
        phrase("TOML has no `{written}`", written=written),
        span,
        label=phrase("leave the whole line out to get the default"),
        help=phrase('leave the line out; "" is an empty text, [] an empty list'),
        fix=(phrase("make the line a comment, which leaves the field unset"), comment, "# ") if unset else None,
    )


def _curly(reader: Reader, written: str, span: Span) -> Mistake:
    closed = len(written) > 1 and written[-1] in _CLOSING.get(written[0], written[0] + "\"'")
    inner = written[1 : -1 if closed else None].strip("\u00a0\u202f ")
    plain = "\\" not in inner and ('"' not in inner or "'" not in inner)
    quote = "'" if '"' in inner else '"'
    return reader.mistake(
        phrase("typographic quotes; TOML needs straight ones"),
        span,
        label=phrase("write {wanted}", wanted=f"{quote}…{quote}"),
        fix=(phrase("use straight quotes"), span, f"{quote}{inner}{quote}") if plain and closed else None,
    )


def _parentheses(reader: Reader, written: str, span: Span) -> Mistake:
    inner = written[1:-1].strip().rstrip(",")
    alone = re.fullmatch(r"[+-]?\d[\d_.eE+-]*", inner)
    right = inner if alone else f"[{inner}]"
    texts = re.fullmatch(r"(?:\"[^\"\\]*\"|'[^']*')(?:\s*,\s*(?:\"[^\"\\]*\"|'[^']*'))*", inner)
    return reader.mistake(
        phrase("TOML has no parentheses") if alone else phrase("TOML writes lists in square brackets"),
        span,
        label=phrase("write {right}", right=short(right)),
        fix=(phrase("write {right}", right=short(right)), span, right),
        certain=bool(alone) or (bool(texts) and reader.takes("list")),
    )


def _yaml_block(reader: Reader, span: Span) -> Mistake:
    last = reader.line_number
    while last < len(reader.starts) and (
        reader.line_at(last + 1).startswith((" ", "\t")) or not reader.line_at(last + 1).strip()
    ):
        last += 1
    return reader.mistake(
        phrase("a text over several lines as YAML writes it"),
        span,
        label=phrase('TOML writes """…"""'),
        help=phrase('put the lines between """ and """'),
        lines=(reader.line_number, last),
    )


def price_in_words(reader: Reader, written: str, span: Span, number: str) -> Mistake:
    """``$0.69``"""
    return reader.mistake(
        phrase("`{written}` has a currency sign; a number stands alone", written=short(written)),
        span,
        label=phrase("write {number}", number=number),
        help=phrase("`currency` in [hardware] says which currency prices are in"),
        fix=(phrase("write {number}", number=number), span, number),
        certain=False,
    )


def letters_for_digits(written: str) -> str | None:
    """The number that is meant where the letter O stands for a zero, or l or I for a one; None for anything else."""
    number = r"[+-]?[\dOolI]+(?:\.[\dOolI]+)?(?:[eE][+-]?[\dOolI]+)?"
    if not re.fullmatch(number, written) or not re.search(r"\d", written) or not re.search(r"[OolI]", written):
        return None
    return re.sub(r"[Oo]", "0", re.sub(r"[lI]", "1", written))


def wrong_letters(reader: Reader, written: str, span: Span, meant: str) -> Mistake:
    """``O.05``"""
    letter = next(sign for sign in written if sign in "OolI")
    return reader.mistake(
        phrase("the letter {letter} stands in this number: `{written}`", letter=letter, written=short(written)),
        span,
        label=phrase("{meant}?", meant=meant),
        help=phrase("write {meant} if that is meant", meant=meant),
        fix=(phrase("write {meant}", meant=meant), span, meant),
        certain=False,
    )


def number_meant(written: str) -> str | None:
    """The TOML spelling of a number that is written in another way, if only one is possible."""
    plain = written.replace(" ", "").replace("\u00a0", "").replace("\u202f", "")
    if re.fullmatch(r"[+-]?\.\d+(e[+-]?\d+)?", plain, re.I):
        return plain.replace(".", "0.")
    if re.fullmatch(r"[+-]?\d+\.", plain):
        return plain + "0"
    if re.fullmatch(r"[+-]?\d+\.e[+-]?\d+", plain, re.I):
        return re.sub(r"\.(e)", r".0\1", plain, flags=re.I)
    if re.fullmatch(r"[+-]?0+\d+(\.\d+)?", plain):
        return re.sub(r"0+(?=\d)", "", plain, count=1)
    if re.fullmatch(r"[+-]?\d+,\d+(e[+-]?\d+)?", plain, re.I) and not re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", plain):
        return plain.replace(",", ".")
    if re.fullmatch(r"\d+([.,]\d+)?%", plain):
        return f"{float(plain[:-1].replace(',', '.')) / 100:g}"
    if re.fullmatch(r"[+-]?\d+(_\d+)*_+", plain):
        return plain.rstrip("_")
    if re.fullmatch(r"[+-]?\d+(\.\d+)?[fFlL]", plain):
        return plain[:-1]
    if re.fullmatch(r"\d{1,3}(\d{3})+", plain) and plain != written:
        return plain
    if re.fullmatch(r"[+-]?\d+(\.\d+)?e[+-]?\d+", plain, re.I) and plain != written:
        return plain
    power = re.fullmatch(r"(?:(\d+(?:\.\d+)?)[*x×·])?10(?:\^|\*\*)\(?([+-]?\d+)\)?", plain)
    if power:
        return f"{power.group(1) or 1}e{int(power.group(2))}"
    if re.fullmatch(r"0[XOB][0-9A-Fa-f]+", plain):
        return plain[:2].lower() + plain[2:]
    return None


def unquoted(reader: Reader, written: str, span: Span) -> Mistake:
    """A text without quotes, or with one of the two."""
    if written[-1] in "\"'" and written.count(written[-1]) == 1:
        first = Span(span.line, span.column, span.line, span.column)
        return reader.mistake(
            phrase("this text has no opening quote"),
            span,
            label=phrase("a {written} belongs before it", written=written[-1]),
            fix=(phrase("open the text with {written}", written=written[-1]), first, written[-1]),
        )
    simple = is_simple(written)
    field = reader.field
    fits = field is None or "str" in field.kinds or bool(field.choices) or "list" in field.kinds
    words = len(written.split())
    return reader.mistake(
        phrase("text must stand in quotes: `{written}`", written=short(written)),
        span,
        label=phrase('write "{written}"', written=short(written))
        if simple and fits
        else phrase("not a value that TOML knows"),
        help=None
        if simple and fits
        else phrase('a value is "text", a number, true or false, a list in [ ] or an inline table in { }'),
        fix=(phrase("put the text in quotes"), span, f'"{written}"') if simple and fits else None,
        certain=words == 1 or (field is not None and "str" in field.kinds),
    )
