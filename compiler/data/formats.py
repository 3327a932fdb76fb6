"""From a row's columns to a conversation: which format the rows have, and each row in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from compiler.data.faults import RowFault
from compiler.data.rows import Row
from compiler.diagnostics import Diagnostic, nearest
from compiler.recipe import ColumnsTable

Message = dict[str, str]

_SURROGATE = re.compile("[\ud800-\udfff]")

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("prompt", "chosen"),
    ("question", "answer"),
    ("question", "reponse"),
    ("question", "réponse"),
    ("question", "response"),
    ("query", "response"),
    ("query", "answer"),
    ("instruction", "response"),
    ("instruction", "answer"),
    ("input", "output"),
    ("frage", "antwort"),
)
"""Names of question and answer that people use; the first pair that the rows have is taken."""

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


@dataclass(frozen=True, slots=True)
class Format:
    """What the rows are, and which column holds what (``prompt``, ``completion``, ``messages``, …)."""

    name: str
    columns: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row as messages whose last one is the assistant's, or as plain ``text`` to continue."""

    messages: tuple[Message, ...] = ()
    text: str = ""

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


def with_columns_of(seen: Row, row: Row) -> Row:
    """Two rows as one, with the first value of each column that says something."""
    return {**seen, **{name: value for name, value in row.items() if not seen.get(name)}}


def find_format(
    row: Row, columns: ColumnsTable, asked: str, *, templated: bool = False
) -> tuple[Format | None, list[Diagnostic]]:
    """The format of the rows, told by the first of them.

    ``asked`` is ``[data] format``; ``templated`` says that a prompt template makes the prompt, so that only
    the answer has to be a column.
    """
    named = {role: name for role, name in columns.model_dump().items() if name}
    missing = [(role, name) for role, name in named.items() if name not in row]
    if missing:
        return None, [_no_column(role, name, row) for role, name in missing]
    chosen = asked if asked != "auto" else _by_named(named, templated=templated)
    if chosen:
        return _complete(chosen, named, row, templated=templated, asked=asked != "auto")
    return _by_looking(row, named)


def _by_named(named: Mapping[str, str], *, templated: bool) -> str | None:
    """The format that the named columns alone decide."""
    if "messages" in named:
        return "messages"
    if "completion" in named or "prompt" in named:
        return "prompt-completion"
    if "text" in named:
        return "text"
    return "prompt-completion" if templated else None


def _by_looking(row: Row, named: Mapping[str, str]) -> tuple[Format | None, list[Diagnostic]]:
    looks: tuple[tuple[str, Callable[[Row], dict[str, str] | None]], ...] = (
        ("messages", lambda r: _list_column(r, ("messages", "conversation", "conversations"), "role")),
        ("sharegpt", lambda r: _list_column(r, ("conversations", "conversation", "messages"), "from")),
        ("alpaca", lambda r: _both(r, "instruction", "output")),
        ("prompt-completion", _pair),
        ("text", lambda r: {"text": "text"} if isinstance(r.get("text"), str) else None),
    )
    for name, look in looks:
        found = look(row)
        if found is not None:
            where = " and ".join(f"`{column}`" for column in found.values())
            if name == "alpaca" and "input" in row:
                found["input"] = "input"
            return Format(name, {**found, **named}, f"the first row has {where}"), []
    return None, [
        Diagnostic(
            "D027",
            f"the rows are of no known format; their columns are {_names(row)}",
            help='name the columns of question and answer: columns = { prompt = "…", completion = "…" } in [data]',
        )
    ]


def _complete(
    chosen: str, named: Mapping[str, str], row: Row, *, templated: bool, asked: bool
) -> tuple[Format | None, list[Diagnostic]]:
    """The columns that a format needs, under the names given or the usual ones."""
    formats: dict[str, dict[str, tuple[str, ...]]] = {
        "alpaca": {"prompt": ("instruction",), "completion": ("output", "response")},
        "prompt-completion": {
            "prompt": () if templated else tuple(dict.fromkeys(p for p, _ in PAIRS)),
            "completion": tuple(dict.fromkeys([*(c for _, c in PAIRS), "output"])),
        },
        "messages": {"messages": ("messages", "conversation", "conversations")},
        "sharegpt": {"messages": ("conversations", "conversation", "messages")},
        "text": {"text": ("text",)},
    }
    found = dict(named)
    for role, usual in formats[chosen].items():
        if role in found or not usual:
            continue
        name = next((n for n in usual if n in row), None)
        if name is None:
            return None, [_not_told(role, chosen, row)]
        found[role] = name
    if chosen == "alpaca" and "input" not in found and "input" in row:
        found["input"] = "input"
    reason = "format of the recipe" if asked else "the recipe names " + " and ".join(f"`{n}`" for n in named.values())
    return Format(chosen, found, reason if named or asked else "the prompt template makes the prompt"), []


def _pair(row: Row) -> dict[str, str] | None:
    for prompt, completion in PAIRS:
        if prompt in row and completion in row:
            return {"prompt": prompt, "completion": completion}
    return None


def _both(row: Row, prompt: str, completion: str) -> dict[str, str] | None:
    return {"prompt": prompt, "completion": completion} if prompt in row and completion in row else None


def _list_column(row: Row, names: tuple[str, ...], key: str) -> dict[str, str] | None:
    for name in names:
        value = row.get(name)
        if isinstance(value, list) and value and isinstance(value[0], dict) and key in value[0]:
            return {"messages": name}
    return None


def _names(row: Row) -> str:
    names = [f"`{_printable(name)}`" for name in row]
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "") if names else "none"


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in name[:40])


def _no_column(role: str, name: str, row: Row) -> Diagnostic:
    close = nearest(name, row)
    hint = f"did you mean `{_printable(close[0])}`?" if close else f"its columns are {_names(row)}"
    return Diagnostic(
        "D020",
        f"the data has no column `{name}` (named as {role})",
        path=("data", "columns", role),
        help=hint,
    )


def _not_told(role: str, chosen: str, row: Row) -> Diagnostic:
    return Diagnostic(
        "D020",
        f"which column holds the {role}? The format {chosen} needs one; there are {_names(row)}",
        path=("data", "columns"),
        help=f'name it: columns = {{ {role} = "…" }} in [data]',
    )


def read_conversation(
    row: Row, form: Format, system: str, prompt_of: Callable[[Row], str] | None = None
) -> Conversation:
    """One row in its format. ``prompt_of`` renders the prompt from a template. Raises RowFault."""
    if form.name == "text":
        text = _text(row, form.columns["text"], "D023", "text")
        return Conversation(text=text)
    if form.name in {"messages", "sharegpt"}:
        messages = _messages(row, form.columns["messages"])
    else:
        messages = _question_and_answer(row, form, prompt_of)
    before = _optional_text(row, form, "system") or system
    if before and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": before})
    return Conversation(tuple(messages))


def _question_and_answer(row: Row, form: Format, prompt_of: Callable[[Row], str] | None) -> list[Message]:
    if prompt_of is not None:
        prompt = prompt_of(row)
        if not prompt.strip():
            raise RowFault("D023", "the prompt template renders nothing", "empty prompt", help_text=_FILL)
    else:
        prompt = _text(row, form.columns["prompt"], "D023", "prompt")
        extra = _optional_text(row, form, "input")
        prompt = f"{prompt}\n\n{extra}" if extra else prompt
    answer = _text(row, form.columns["completion"], "D024", "answer")
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


_FILL = 'fill it in, or leave the row out; on_bad_row = "drop" in [data] drops and counts such rows'


def _text(row: Row, column: str, code: str, what: str) -> str:
    if column not in row:
        close = nearest(column, row)
        hint = f"it has `{_printable(close[0])}`" if close else f"it has {_names(row)}"
        message = f"there is no column `{column}`"
        raise RowFault("D021", message, f"no column {column}", help_text=f"{hint}; {_FILL}")
    value = row[column]
    if value is None or (isinstance(value, str) and not value.strip()):
        raise RowFault(code, f"`{column}` is empty", f"empty {what}", help_text=_FILL)
    if not isinstance(value, str):
        message = f"`{column}` is {_kind(value)}, not text"
        raise RowFault("D022", message, f"{what} is not text", help_text="put the value in quotes")
    if _SURROGATE.search(value):
        message = f"`{column}` holds half a character (a lone surrogate)"
        raise RowFault("D022", message, f"{what} is not text", help_text="write the character again")
    return value


def _optional_text(row: Row, form: Format, role: str) -> str:
    """The text of a column that need not be there, or not in every row; empty when it is not."""
    column = form.columns.get(role)
    if column is None or row.get(column) is None or not str(row[column]).strip():
        return ""
    return _text(row, column, "D022", role)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return type(value).__name__


def _messages(row: Row, column: str) -> list[Message]:
    value = row.get(column)
    if not isinstance(value, list) or not value:
        said = "is missing" if column not in row else "is empty" if not value else f"is {_kind(value)}, not a list"
        raise RowFault("D025", f"`{column}` {said}", "no messages", help_text=_MESSAGES)
    messages = [_message(item, number) for number, item in enumerate(value, 1)]
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()  # a question that nobody answered teaches nothing
    if len(messages) < 2 or not any(m["role"] == "user" for m in messages):
        raise RowFault("D025", "the conversation has no question with an answer", "no answer", help_text=_MESSAGES)
    return messages


_MESSAGES = 'write [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]'


def _message(item: Any, number: int) -> Message:
    if not isinstance(item, dict):
        raise RowFault("D025", f"message {number} is {_kind(item)}, not an object", "bad message", help_text=_MESSAGES)
    role, content = item.get("role", item.get("from")), item.get("content", item.get("value"))
    if not isinstance(role, str) or role.lower() not in ROLES:
        known = "system, user and assistant"
        message = f"message {number} has the role {str(role)[:30]!r}; known are {known}"
        raise RowFault("D025", message, "unknown role", help_text="rename the role, or leave the row out")
    if isinstance(content, list):  # parts, as multimodal data writes them
        parts = [p.get("text") for p in content if isinstance(p, dict) and p.get("type", "text") == "text"]
        content = "".join(p for p in parts if isinstance(p, str)) if len(parts) == len(content) else None
    if not isinstance(content, str):
        raise RowFault("D025", f"message {number} has no text", "message without text", help_text=_MESSAGES)
    role = ROLES[role.lower()]
    if role == "assistant" and not content.strip():
        raise RowFault("D024", f"message {number}, an answer, is empty", "empty answer", help_text=_FILL)
    if _SURROGATE.search(content):
        raise RowFault("D022", f"message {number} holds half a character", "answer is not text")
    return {"role": role, "content": content}
