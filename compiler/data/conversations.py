"""A row in its format as a conversation, or what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from compiler.data.columns import did_you_mean, written_as
from compiler.data.formats import Format, is_talk
from compiler.data.row import Row, RowFault
from compiler.diagnostics import Diagnostic, Severity

Message = dict[str, str]

LONGEST_CONVERSATION = 2_000_000
"""Characters of a row's messages: half of what the sandbox lets a template write."""

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
}

_NOTHING = (
    r"[\s\u00ad\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0]*"
)
"""White space, and characters that have no width or no ink."""

_FILL = "fill it in, or leave the row out"
_MESSAGES = 'write [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]'


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row as messages whose last one is the assistant's, or as plain ``text`` to continue.

    Of the messages before ``learnt_from`` nothing is learnt, whoever says them.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    learnt_from: int = 0

    @property
    def prompt(self) -> tuple[Message, ...]:
        """All but the last answer."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        """The last answer."""
        return self.messages[-1]["content"] if self.messages else ""

    def key(self) -> str:
        """What makes two rows the same question: what the user says before the last answer, folded."""
        said = [m["content"] for m in self.prompt if m["role"] == "user"] or [self.text]
        return " ".join("\n".join(said).casefold().split())


def read_conversation(
    row: Row, form: Format, system: str, prompt_of: Callable[[Row], str] | None = None
) -> Conversation:
    """One row in its format. ``prompt_of`` renders the prompt from a template. Raises RowFault."""
    if form.name == "text":
        return Conversation(text=_plain_text(row, form.columns["text"]))
    learnt_from = 0
    if form.name in {"messages", "sharegpt"}:
        messages = _messages(row, form.columns["messages"])
    else:
        messages, learnt_from = _question_and_answer(row, form, prompt_of)
    before = _optional_text(row, form, "system") or system
    if before and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": before})
        learnt_from += learnt_from > 0
    length = sum(len(message["content"]) for message in messages)
    if length > LONGEST_CONVERSATION:
        raise too_many_characters(length)
    return Conversation(tuple(messages), learnt_from=learnt_from)


def too_many_characters(length: int) -> RowFault:
    """The fault of a row that is longer than any model's context."""
    message = f"the row has {length:,} characters, more than {LONGEST_CONVERSATION:,}"
    return RowFault("D013", message, "row too long", help_text="cut it into several rows, or leave it out")


def one_prompt_for_all(conversations: Iterable[Conversation]) -> list[Diagnostic]:
    """A prompt template that writes the same for every row (the conversations are looked at as far as needed)."""
    rows = iter(conversations)
    keys = [one.key() for one in islice(rows, 2)]
    if len(keys) < 2 or keys[0] != keys[1] or any(one.key() != keys[0] for one in rows):
        return []
    message = "the prompt template writes the same prompt for every row"
    help_text = "write a column into it, such as {{ question }}"
    path = ("data", "prompt_template")
    return [Diagnostic("D034", message, severity=Severity.WARNING, path=path, help=help_text)]


def is_blank(text: str) -> bool:
    """Whether there is nothing to see in a text."""
    if text[:1].isalnum() and text[0] < "\u1100":  # most texts, told at once
        return False
    return re.fullmatch(_NOTHING, text) is not None


def _is_broken(text: str) -> bool:
    """Whether a text holds half a character (a lone surrogate), which UTF-8 cannot write."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _plain_text(row: Row, column: str) -> str:
    text = row.get(column)
    if isinstance(text, str) and is_blank(text):
        raise RowFault("D023", "the text is empty", "empty text", help_text="put text there, or take it away")
    return _text(row, column, "D023", "text")


# --- a question and its answer --------------------------------------------------------------------------------


def _question_and_answer(row: Row, form: Format, prompt_of: Callable[[Row], str] | None) -> tuple[list[Message], int]:
    """The messages, and the first that may be learnt: prompt and completion may each be a list of messages."""
    if prompt_of is not None:
        text = prompt_of(row)
        if is_blank(text):
            help_text = "let the template write something for each row, or leave the row out"
            raise RowFault("D023", "the prompt template renders nothing", "empty prompt", help_text=help_text)
        asked = [{"role": "user", "content": text}]
    else:
        asked = _asked(row, form)
    column = form.columns["completion"]
    value = row.get(column)
    if not is_talk(value):
        answer = _text(row, column, "D024", "answer")
        return [*asked, {"role": "assistant", "content": answer}], len(asked) if len(asked) > 1 else 0
    answers = [_message(item, number, column) for number, item in enumerate(value, 1)]
    if answers[0]["role"] != "assistant" or answers[-1]["role"] != "assistant":
        message = f"`{column}` begins or ends with a message that is not the assistant's"
        raise RowFault("D025", message, "no answer", help_text=_MESSAGES)
    return [*asked, *answers], len(asked)


def _asked(row: Row, form: Format) -> list[Message]:
    column = form.columns["prompt"]
    value = row.get(column)
    if is_talk(value):
        asked = [_message(item, number, column) for number, item in enumerate(value, 1)]
        if not any(message["role"] == "user" for message in asked):
            raise RowFault("D025", f"`{column}` holds no question", "no question", help_text=_MESSAGES)
        return asked
    prompt = _text(row, column, "D023", "prompt")
    extra = _optional_text(row, form, "input")
    return [{"role": "user", "content": f"{prompt}\n\n{extra}" if extra else prompt}]


# --- texts ----------------------------------------------------------------------------------------------------


def _text(row: Row, column: str, code: str, what: str) -> str:
    if column not in row:
        same = written_as(column, row)
        if same is None:
            message = f"there is no column `{column}`"
            raise RowFault("D021", message, f"no column {column}", help_text=f"{did_you_mean(column, row)}; or {_FILL}")
        column = same
    value = row[column]
    if isinstance(value, str):
        if is_blank(value):
            raise RowFault(code, f"`{column}` is empty", f"empty {what}", help_text=_FILL)
        if _is_broken(value):
            message = f"`{column}` holds half a character (a lone surrogate)"
            raise RowFault("D022", message, f"{what} is not text", help_text="write the character again")
        return value
    if value is None:
        raise RowFault(code, f"`{column}` is empty", f"empty {what}", help_text=_FILL)
    kind = kind_of(value)
    raise RowFault("D022", f"`{column}` is {kind}, not text", f"{what} is {kind}", help_text=_as_text(value))


def _optional_text(row: Row, form: Format, role: str) -> str:
    """The text of a column that need not be there, or not in every row; empty when it is not."""
    column = form.columns.get(role)
    if column is None or row.get(column) is None or is_blank(str(row[column])):
        return ""
    return _text(row, column, "D022", role)


def kind_of(value: Any) -> str:
    """What a value is, for people."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    kinds = {int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    if type(value) in kinds:
        return kinds[type(value)]
    if isinstance(value, bytes):
        return "a run of bytes"
    named = type(value).__name__
    return {"date": "a date", "datetime": "a date", "time": "a time", "Decimal": "a number"}.get(named, f"a {named}")


def _as_text(value: Any) -> str:
    """How a value becomes text."""
    if isinstance(value, list):
        return "join its items into one text, or write a row for each"
    if isinstance(value, dict):
        return "name a column with text, or write one of its fields with a prompt_template: {{ row['…']['…'] }}"
    if isinstance(value, bytes):
        return "write the column as text (UTF-8), not as binary"
    if isinstance(value, int | float):
        return "put the value in quotes; in Parquet, write the column as text"
    return "write the column as text"


# --- messages -------------------------------------------------------------------------------------------------


def _messages(row: Row, column: str) -> list[Message]:
    value = row.get(column)
    if not isinstance(value, list) or not value:
        said, help_text = f"is {kind_of(value)}, not a list", _MESSAGES
        if column not in row:
            said = "is missing"
        elif not value:
            said = "is empty"
        elif isinstance(value, str) and value.lstrip().startswith("["):
            said = "is a list written as text, not a list"
            help_text = "write the list itself, without quotes around it; JSON lines hold lists, CSV cannot"
        raise RowFault("D025", f"`{column}` {said}", "no messages", help_text=help_text)
    messages = [_message(item, number) for number, item in enumerate(value, 1)]
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()  # a question that nobody answered teaches nothing
    if len(messages) < 2 or not any(m["role"] == "user" for m in messages):
        raise RowFault("D025", "the conversation has no question with an answer", "no answer", help_text=_MESSAGES)
    if all(is_blank(m["content"]) for m in messages if m["role"] == "user"):
        raise RowFault("D023", f"the questions of `{column}` are empty", "empty prompt", help_text=_FILL)
    return messages


def _message(item: Any, number: int, column: str = "") -> Message:
    who = f"message {number} of `{column}`" if column else f"message {number}"
    if not isinstance(item, dict):
        raise RowFault("D025", f"{who} is {kind_of(item)}, not an object", "bad message", help_text=_MESSAGES)
    role, content = item.get("role", item.get("from")), item.get("content", item.get("value"))
    if not isinstance(role, str) or role.lower() not in ROLES:
        message = f"{who} has the role {str(role)[:30]!r}; known are {', '.join(ROLES)}"
        raise RowFault("D025", message, "unknown role", help_text="rename the role, or leave the row out")
    if isinstance(content, list):  # parts, as multimodal data writes them
        parts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type", "text") == "text"]
        content = "".join(p for p in parts if isinstance(p, str)) if len(parts) == len(content) else None
    if not isinstance(content, str):
        raise RowFault("D025", f"{who} has no text", "message without text", help_text=_MESSAGES)
    role = ROLES[role.lower()]
    if role == "assistant" and is_blank(content):
        raise RowFault("D024", f"{who}, an answer, is empty", "empty answer", help_text=_FILL)
    if _is_broken(content):
        help_text = "write the character again"
        raise RowFault("D022", f"{who} holds half a character", "answer is not text", help_text=help_text)
    return {"role": role, "content": content}
