"""What each stretch of a recipe's text is, for its colours: told by Pygments, line by line."""

from __future__ import annotations

Stretch = tuple[int, int, str]
"""Columns from and to (exclusive), and what stands there: ``header``, ``key``, ``text``, ``number``, ``comment``."""


def stretches(text: str) -> list[list[Stretch]]:
    """The stretches of each line that have a colour of their own."""
    from pygments.lexers.configs import TOMLLexer
    from pygments.token import Comment, Keyword, Name, Number, String, Token

    names = ((Comment, "comment"), (String, "text"), (Number, "number"), (Keyword, "header"), (Name, "key"))
    lines: list[list[Stretch]] = [[] for _ in range(text.count("\n") + 1)]
    line = column = 0
    for kind, value in TOMLLexer(stripnl=False, ensurenl=False).get_tokens(text):
        what = next((name for token, name in names if kind in token), "")
        if kind in Keyword.Constant or kind in Token.Literal.Date:
            what = "number"
        for number, part in enumerate(value.split("\n")):
            if number:
                line, column = line + 1, 0
            if part and what and line < len(lines):
                lines[line].append((column, column + len(part), what))
            column += len(part)
    return lines
