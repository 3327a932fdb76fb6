"""A row in its format as a conversation, or what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from msgspec import Struct

from compiler.data.columns import did_you_mean, written_as
from compiler.data.formats import Format, is_talk
from compiler.data.row import Place, Row, RowFault, value_kind
from compiler.diagnostics import Diagnostic, Severity
from compiler.phrases import phrase

Message = dict[str, str]
PromptOf = Callable[[Row], str | RowFault]

MOST_CHARACTERS = 2_000_000
"""Characters of a row's text: beyond any context, and half of what the sandbox lets a template write.

The tokenizer takes some 100 bytes for each of them while it works.
"""

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

_FILL = phrase("fill it in, or leave the row out")
_MESSAGES = phrase('write [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]')


class Conversation(Struct, frozen=True):
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


def conversations_in(
    rows: Iterable[tuple[Place, Row | RowFault]],
    form: Format | None,
    system: str,
    prompt_of: PromptOf | None = None,
) -> Iterator[tuple[Place, Conversation | RowFault]]:
    """The rows of a source, each as a conversation or as what is wrong with it.

    Without a format, which is told of the source, the faults alone; rows without a column tell nothing of theirs.
    """
    for place, row in rows:
        if isinstance(row, RowFault):
            yield place, row
        elif form is not None:
            yield place, read_conversation(row, form, system, prompt_of)
        elif not row:
            yield place, RowFault("D021", phrase("the row has no columns"), phrase("no columns"), help_text=_FILL)


def read_conversation(
    row: Row, form: Format, system: str, prompt_of: PromptOf | None = None
) -> Conversation | RowFault:
    """One row in its format, or what is wrong with it. ``prompt_of`` renders the prompt from a template."""
    if form.name == "text":
        text = _plain_text(row, form.columns["text"])
        if isinstance(text, RowFault):
            return text
        return Conversation(text=text) if len(text) <= MOST_CHARACTERS else too_many_characters(len(text))
    if form.name in {"messages", "sharegpt"}:
        read = _messages(row, form.columns["messages"])
    else:
        read = _question_and_answer(row, form, prompt_of)
    if isinstance(read, RowFault):
        return read
    own_system = _optional_text(row, form, "system")
    if isinstance(own_system, RowFault):
        return own_system
    messages, learnt_from = read
    before = own_system or system
    if before and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": before})
        learnt_from += learnt_from > 0
    length = sum(len(message["content"]) for message in messages)
    if length > MOST_CHARACTERS:
        return too_many_characters(length)
    return Conversation(tuple(messages), learnt_from=learnt_from)


def too_many_characters(length: int) -> RowFault:
    """The fault of a row that is longer than any model's context."""
    message = phrase(
        "the row has {length:,} characters, more than {most_characters:,}",
        length=length,
        most_characters=MOST_CHARACTERS,
    )
    return RowFault(
        "D013", message, phrase("row too long"), help_text=phrase("cut it into several rows, or leave it out")
    )


def one_prompt_for_all(keys: Iterable[str | bytes]) -> list[Diagnostic]:
    """A prompt template that writes the same for every row, told by the rows' keys (as far as needed)."""
    rows = iter(keys)
    first = list(islice(rows, 2))
    if len(first) < 2 or first[0] != first[1] or any(key != first[0] for key in rows):
        return []
    message = phrase("the prompt template writes the same prompt for every row")
    help_text = phrase("write a column into it, such as {{ question }}")
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


def _plain_text(row: Row, column: str) -> str | RowFault:
    text = row.get(column)
    if isinstance(text, str) and is_blank(text):
        return RowFault(
            "D023",
            phrase("the text is empty"),
            phrase("empty text"),
            help_text=phrase("put text there, or take it away"),
        )
    return _text(row, column, "D023", "text")


# --- a question and its answer --------------------------------------------------------------------------------

Read = tuple[list[Message], int]
"""The messages of a row, and the number of those before the first that may be learnt."""


def _question_and_answer(row: Row, form: Format, prompt_of: PromptOf | None) -> Read | RowFault:
    """Prompt and completion may each be a text or a list of messages."""
    asked = _asked(row, form) if prompt_of is None else _rendered(row, prompt_of)
    if isinstance(asked, RowFault):
        return asked
    column = form.columns["completion"]
    value = row.get(column)
    if not is_talk(value):
        answer = _text(row, column, "D024", "answer")
        if isinstance(answer, RowFault):
            return answer
        return [*asked, {"role": "assistant", "content": answer}], len(asked) if len(asked) > 1 else 0
    answers = _talk(value, column)
    if isinstance(answers, RowFault):
        return answers
    if answers[0]["role"] != "assistant" or answers[-1]["role"] != "assistant":
        message = phrase("`{column}` begins or ends with a message that is not the assistant's", column=column)
        return RowFault("D025", message, phrase("no answer"), help_text=_MESSAGES)
    return [*asked, *answers], len(asked)


def _rendered(row: Row, prompt_of: PromptOf) -> list[Message] | RowFault:
    text = prompt_of(row)
    if isinstance(text, RowFault):
        return text
    if is_blank(text):
        help_text = phrase("let the template write something for each row, or leave the row out")
        return RowFault(
            "D023", phrase("the prompt template renders nothing"), phrase("empty prompt"), help_text=help_text
        )
    return [{"role": "user", "content": text}]


def _asked(row: Row, form: Format) -> list[Message] | RowFault:
    column = form.columns["prompt"]
    value = row.get(column)
    if is_talk(value):
        asked = _talk(value, column)
        if not isinstance(asked, RowFault) and not any(message["role"] == "user" for message in asked):
            return RowFault(
                "D025",
                phrase("`{column}` holds no question", column=column),
                phrase("no question"),
                help_text=_MESSAGES,
            )
        return asked
    prompt = _text(row, column, "D023", "prompt")
    if isinstance(prompt, RowFault):
        return prompt
    extra = _optional_text(row, form, "input")
    if isinstance(extra, RowFault):
        return extra
    return [{"role": "user", "content": f"{prompt}\n\n{extra}" if extra else prompt}]


# --- texts ----------------------------------------------------------------------------------------------------


def _text(row: Row, column: str, code: str, what: str) -> str | RowFault:
    if column not in row:
        same = written_as(column, row)
        if same is None:
            message = phrase("there is no column `{column}`", column=column)
            help_text = phrase("{did_you_mean}; or {fill}", did_you_mean=did_you_mean(column, row), fill=_FILL)
            return RowFault("D021", message, phrase("no column {column}", column=column), help_text=help_text)
        column = same
    value = row[column]
    if value is None or (isinstance(value, str) and is_blank(value)):
        return RowFault(
            code, phrase("`{column}` is empty", column=column), phrase("empty {what}", what=what), help_text=_FILL
        )
    if not isinstance(value, str):
        kind = value_kind(value)
        return RowFault(
            "D022",
            phrase("`{column}` is {kind}, not text", column=column, kind=kind),
            phrase("{what} is {kind}", what=what, kind=kind),
            help_text=_as_text(value),
        )
    if _is_broken(value):
        message = phrase("`{column}` holds half a character (a lone surrogate)", column=column)
        return RowFault(
            "D022", message, phrase("{what} is not text", what=what), help_text=phrase("write the character again")
        )
    return value


def _optional_text(row: Row, form: Format, role: str) -> str | RowFault:
    """The text of a column that need not be there, or not in every row; empty when it is not."""
    column = form.columns.get(role)
    if column is None or row.get(column) is None or is_blank(str(row[column])):
        return ""
    return _text(row, column, "D022", role)


def _as_text(value: Any) -> str:
    """How a value becomes text."""
    if isinstance(value, list):
        return phrase("join its items into one text, or write a row for each")
    if isinstance(value, dict):
        return phrase("name a column with text, or write one of its fields with a prompt_template: {{ row['…']['…'] }}")
    if isinstance(value, bytes):
        return phrase("write the column as text (UTF-8), not as binary")
    if isinstance(value, int | float):
        return phrase("put the value in quotes; in Parquet, write the column as text")
    return phrase("write the column as text")


# --- messages -------------------------------------------------------------------------------------------------


def _messages(row: Row, column: str) -> Read | RowFault:
    value = row.get(column)
    if not isinstance(value, list) or not value:
        said, help_text = phrase("is {value_kind}, not a list", value_kind=value_kind(value)), _MESSAGES
        if column not in row:
            said = phrase("is missing")
        elif not value:
            said = phrase("is empty")
        elif isinstance(value, str) and value.lstrip().startswith("["):
            said = phrase("is a list written as text, not a list")
            help_text = phrase("write the list itself, without quotes around it; JSON lines hold lists, CSV cannot")
        return RowFault(
            "D025", phrase("`{column}` {said}", column=column, said=said), phrase("no messages"), help_text=help_text
        )
    messages = _talk(value)
    if isinstance(messages, RowFault):
        return messages
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()  # a question that nobody answered teaches nothing
    if len(messages) < 2 or not any(m["role"] == "user" for m in messages):
        return RowFault(
            "D025", phrase("the conversation has no question with an answer"), phrase("no answer"), help_text=_MESSAGES
        )
    if all(is_blank(m["content"]) for m in messages if m["role"] == "user"):
        return RowFault(
            "D023",
            phrase("the questions of `{column}` are empty", column=column),
            phrase("empty prompt"),
            help_text=_FILL,
        )
    return messages, 0


def _talk(items: list[Any], column: str = "") -> list[Message] | RowFault:
    """A list of messages, or the fault of the first that is none; ``column`` is named where there are several."""
    messages: list[Message] = []
    for number, item in enumerate(items, 1):
        message = _message(
            item,
            phrase("message {number} of `{column}`", number=number, column=column)
            if column
            else phrase("message {number}", number=number),
        )
        if isinstance(message, RowFault):
            return message
        messages.append(message)
    return messages


def _message(item: Any, who: str) -> Message | RowFault:
    if not isinstance(item, dict):
        return RowFault(
            "D025",
            phrase("{who} is {value_kind}, not an object", who=who, value_kind=value_kind(item)),
            phrase("bad message"),
            help_text=_MESSAGES,
        )
    role, content = item.get("role", item.get("from")), item.get("content", item.get("value"))
    if not isinstance(role, str) or role.lower() not in ROLES:
        message = phrase(
            "{who} has the role {role!r}; known are {roles}", who=who, role=str(role)[:30], roles=", ".join(ROLES)
        )
        return RowFault(
            "D025", message, phrase("unknown role"), help_text=phrase("rename the role, or leave the row out")
        )
    if isinstance(content, list):  # parts, as multimodal data writes them
        parts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type", "text") == "text"]
        content = "".join(p for p in parts if isinstance(p, str)) if len(parts) == len(content) else None
    if not isinstance(content, str):
        return RowFault(
            "D025", phrase("{who} has no text", who=who), phrase("message without text"), help_text=_MESSAGES
        )
    role = ROLES[role.lower()]
    if role == "assistant" and is_blank(content):
        return RowFault("D024", phrase("{who}, an answer, is empty", who=who), phrase("empty answer"), help_text=_FILL)
    if _is_broken(content):
        help_text = phrase("write the character again")
        return RowFault(
            "D022", phrase("{who} holds half a character", who=who), phrase("answer is not text"), help_text=help_text
        )
    return {"role": role, "content": content}
