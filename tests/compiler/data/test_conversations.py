"""Conversations: each row in its format has an answer, or a coded fault that says what to write instead."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.codes import all_codes
from compiler.data import conversations as module
from compiler.data.conversations import ROLES, Conversation, is_blank, read_conversation
from compiler.data.formats import Format, find_format
from compiler.data.row import Row, RowFault
from compiler.language.recipe import ColumnsTable
from tests.compiler.data.conftest import json_values, said

USER, ASSISTANT, SYSTEM = ({"role": role, "content": role[0]} for role in ("user", "assistant", "system"))
SHARED = [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]
INVISIBLE = "\u200b\ufeff \u2060\u00ad"


def form_of(row: Row, columns: dict[str, str] | None = None, *, templated: bool = False) -> Format:
    form, problems = find_format(row, ColumnsTable.model_validate(columns or {}), "auto", templated=templated)
    assert form is not None, problems
    return form


def read(row: Row, recipes_system: str = "", /, **columns: str) -> Conversation:
    found = read_conversation(row, form_of(row, columns), recipes_system)
    assert isinstance(found, Conversation)
    return found


def fault_of(row: Row, form: Format | None = None, /, **columns: str) -> RowFault:
    found = read_conversation(row, form or form_of(row, columns), "")
    assert isinstance(found, RowFault)
    return found


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"instruction": "i", "input": "x", "output": "o"}, [("user", "i\n\nx"), ("assistant", "o")]),
        ({"instruction": "i", "input": " ", "output": "o"}, [("user", "i"), ("assistant", "o")]),
        ({"instruction": "i", "input": None, "output": "o"}, [("user", "i"), ("assistant", "o")]),
        ({"conversations": SHARED}, [("user", "u"), ("assistant", "a")]),
        ({"messages": [USER, ASSISTANT, USER]}, [("user", "u"), ("assistant", "a")]),
        ({"messages": [SYSTEM, USER, ASSISTANT]}, [("system", "s"), ("user", "u"), ("assistant", "a")]),
        ({"messages": [USER | {"role": "Human"}, ASSISTANT | {"role": "BOT"}]}, [("user", "u"), ("assistant", "a")]),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "u"}, {"text": "v"}]}, ASSISTANT]},
            [("user", "uv"), ("assistant", "a")],
        ),
    ],
)
def test_rows_become_conversations(row: Row, messages: list[tuple[str, str]]) -> None:
    conversation = read(row)
    assert [(m["role"], m["content"]) for m in conversation.messages] == messages
    assert conversation.answer == messages[-1][1]
    assert len(conversation.prompt) == len(messages) - 1


@pytest.mark.parametrize(
    ("row", "columns", "system"),
    [
        ({"question": "q", "answer": "a"}, {}, "recipe's"),
        ({"question": "q", "answer": "a", "s": "row's"}, {"system": "s"}, "row's"),
        ({"question": "q", "answer": "a", "s": " "}, {"system": "s"}, "recipe's"),
        ({"question": "q", "answer": "a", "system": "row's"}, {}, "row's"),
        ({"conversations": SHARED, "system": "row's"}, {}, "row's"),
        ({"instruction": "q", "output": "a", "System": "row's"}, {}, "row's"),
        ({"prompt": [USER], "completion": [ASSISTANT], "system": "row's"}, {}, "row's"),
        ({"question": "q", "answer": "a", "system": INVISIBLE}, {}, "recipe's"),
        ({"messages": [SYSTEM, USER, ASSISTANT]}, {}, "s"),
        ({"messages": [{"role": "system", "content": ""}, USER, ASSISTANT]}, {}, ""),
    ],
)
def test_there_is_one_system_message(row: Row, columns: dict[str, str], system: str) -> None:
    messages = read(row, "recipe's", **columns).messages
    assert [m["content"] for m in messages if m["role"] == "system"] == [system]
    assert messages[0]["role"] == "system"


def test_a_column_without_a_name_is_neither_input_nor_system() -> None:
    """As pandas writes the index of a table into CSV."""
    assert read({"": "17", "question": "q", "answer": "a"}).messages == (
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
    )


def test_a_template_makes_the_prompt() -> None:
    row: Row = {"title": "T", "answer": "a"}
    form = form_of(row, {"completion": "answer"}, templated=True)
    found = read_conversation(row, form, "", lambda r: f"About {r['title']}")
    assert isinstance(found, Conversation)
    assert found.prompt[0]["content"] == "About T"
    empty = read_conversation(row, form, "", lambda _: " \n")
    assert isinstance(empty, RowFault)
    assert "renders nothing" in empty.message
    failed = RowFault("D026", "the prompt template fails", "prompt template failed")
    assert read_conversation(row, form, "", lambda _: failed) is failed


HALF = "half \ud83d"


@pytest.mark.parametrize(
    ("row", "columns", "code"),
    [
        ({"question": "", "answer": "a"}, {}, "D023"),
        ({"question": None, "answer": "a"}, {}, "D023"),
        ({"question": "q", "answer": " \n"}, {}, "D024"),
        ({"question": "q", "answer": INVISIBLE}, {}, "D024"),
        ({"question": INVISIBLE, "answer": "a"}, {}, "D023"),
        ({"messages": [USER, {"role": "assistant", "content": INVISIBLE}]}, {}, "D024"),
        ({"messages": [USER | {"content": INVISIBLE}, ASSISTANT]}, {}, "D023"),
        ({"prompt": [USER], "completion": [USER, ASSISTANT]}, {}, "D025"),
        ({"prompt": [USER], "completion": [ASSISTANT, USER]}, {}, "D025"),
        ({"prompt": [SYSTEM], "completion": [ASSISTANT]}, {}, "D025"),
        ({"prompt": [USER], "completion": "  "}, {}, "D024"),
        ({"question": 3, "answer": "a"}, {}, "D022"),
        ({"question": "q", "answer": True}, {}, "D022"),
        ({"question": HALF, "answer": "a"}, {}, "D022"),
        ({"question": "q", "answer": "a", "s": HALF}, {"system": "s"}, "D022"),
        ({"question": "q", "answer": "a", "s": 3}, {"system": "s"}, "D022"),
        ({"instruction": "i", "output": "o", "input": HALF}, {}, "D022"),
        ({"instruction": "i", "output": "o", "input": ["x"]}, {}, "D022"),
        ({"text": " "}, {}, "D023"),
        ({"text": HALF}, {}, "D022"),
        ({"messages": [USER]}, {}, "D025"),
        ({"messages": [ASSISTANT]}, {}, "D025"),
        ({"messages": [SYSTEM, ASSISTANT]}, {}, "D025"),
        ({"messages": [USER, "a"]}, {"messages": "messages"}, "D025"),
        ({"messages": [USER, {"role": "tool", "content": "x"}, ASSISTANT]}, {}, "D025"),
        ({"messages": [USER, {"role": "assistant", "content": " "}]}, {}, "D024"),
        ({"messages": [USER, {"role": "assistant", "content": HALF}]}, {}, "D022"),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, {}, "D025"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}, ASSISTANT]}, {}, "D025"),
        ({"messages": "text"}, {"messages": "messages"}, "D025"),
        ({"messages": []}, {"messages": "messages"}, "D025"),
    ],
)
def test_bad_rows_have_their_codes(row: Row, columns: dict[str, str], code: str) -> None:
    fault = fault_of(row, **columns)
    assert fault.code == code
    assert fault.reason
    assert fault.help_text


def test_a_row_that_lacks_a_column_is_told_its_own() -> None:
    form = form_of({"question": "q", "answer": "a"})
    fault = fault_of({"question": "q", "answr": "a"}, form)
    assert fault.code == "D021"
    assert "`answr`" in (fault.help_text or "")


@pytest.mark.parametrize(
    ("value", "said", "helped"),
    [
        (3, "a number", "in quotes"),
        (True, "true or false", "in quotes"),
        (["a", "b"], "a list", "join its items"),
        ({"a": 1}, "an object", "prompt_template"),
        (b"x", "a run of bytes", "as text (UTF-8)"),
        (date(2024, 7, 26), "a date", "write the column as text"),
    ],
)
def test_what_is_no_text_is_told_by_what_it_is(value: Any, said: str, helped: str) -> None:
    fault = fault_of({"question": "q", "answer": value})
    assert fault.code == "D022"
    assert fault.message == f"`answer` is {said}, not text"
    assert helped in (fault.help_text or "")


def test_messages_written_as_text_are_said_to_be() -> None:
    fault = fault_of({"messages": '[{"role": "user"}]'}, messages="messages")
    assert "a list written as text" in fault.message
    assert "without quotes" in (fault.help_text or "")


def test_a_message_that_is_null_is_called_null() -> None:
    assert fault_of({"messages": [USER, None]}, messages="messages").message == "message 2 is null, not an object"


def test_all_roles_that_are_known_are_named() -> None:
    fault = fault_of({"messages": [USER, {"role": "tool", "content": "x"}, ASSISTANT]})
    assert all(role in fault.message for role in ROLES)


@pytest.mark.parametrize(
    ("row", "roles", "learnt_from"),
    [
        ({"prompt": [USER], "completion": [ASSISTANT]}, ["user", "assistant"], 1),
        ({"prompt": [SYSTEM, USER], "completion": [ASSISTANT]}, ["system", "user", "assistant"], 2),
        ({"prompt": [USER, ASSISTANT, USER], "completion": "a"}, ["user", "assistant", "user", "assistant"], 3),
        ({"prompt": "q", "completion": [ASSISTANT]}, ["user", "assistant"], 1),
        ({"prompt": "q", "completion": [ASSISTANT, USER, ASSISTANT]}, ["user", *["assistant", "user", "assistant"]], 1),
        ({"prompt": "q", "chosen": "a"}, ["user", "assistant"], 0),
    ],
)
def test_prompt_and_completion_may_be_lists_of_messages(row: Row, roles: list[str], learnt_from: int) -> None:
    """As TRL has them; of the prompt nothing is learnt, whoever says it."""
    conversation = read(row)
    assert [m["role"] for m in conversation.messages] == roles
    assert conversation.learnt_from == learnt_from
    if learnt_from and roles[0] != "system":
        with_system = read(row, "recipe's")
        assert with_system.learnt_from == learnt_from + 1
        assert with_system.messages[1:] == conversation.messages


def test_a_conversation_longer_than_any_context_is_a_fault_of_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CHARACTERS", 10)
    for row in (
        {"question": "q", "answer": "x" * 10},
        {"messages": [USER, ASSISTANT | {"content": "x" * 10}]},
        {"text": "x" * 11},
    ):
        fault = fault_of(row)
        assert (fault.code, fault.reason) == ("D013", "row too long")
        assert "11 characters" in fault.message
    assert read({"question": "q", "answer": "x" * 9}).answer
    assert read({"text": "x" * 10}).text


@given(st.text(max_size=5))
def test_nothing_to_see_is_nothing(text: str) -> None:
    assert is_blank(text + INVISIBLE) == is_blank(text)
    assert not is_blank(f"{INVISIBLE}{text}x")
    assert is_blank(text) or text.strip()


def test_the_same_column_in_other_unicode_is_the_same() -> None:
    form = form_of({"question": "q", "r\u00e9ponse": "a"})
    found = read_conversation({"question": "q", "re\u0301ponse": "b"}, form, "")
    assert isinstance(found, Conversation)
    assert found.answer == "b"


likely = st.sampled_from(["messages", "conversations", "instruction", "input", "output", "question", "answer", "text"])
talk = st.lists(st.dictionaries(st.sampled_from(["role", "from", "content", "value"]), json_values))
roles = st.sampled_from(["user", "assistant", "system", "gpt", "tool"])
near_talk = st.lists(st.fixed_dictionaries({"role": roles, "content": st.one_of(st.text(max_size=3), json_values)}))


@given(st.dictionaries(likely, st.one_of(st.text(max_size=5), json_values, talk, near_talk)))
def test_any_row_is_a_conversation_or_a_coded_fault(row: Row) -> None:
    form, problems = find_format(row, ColumnsTable(), "auto")
    if form is None:
        assert [problem.code for problem in problems] == ["D027"]
        return
    conversation = read_conversation(row, form, "")
    if isinstance(conversation, RowFault):
        assert conversation.code in all_codes()
        return
    for text in (conversation.text, *(m["content"] for m in conversation.messages)):
        text.encode()  # raises for half a character, which no tokenizer takes
    if form.name == "text":
        assert conversation.text.strip()
    else:
        assert conversation.messages[-1]["role"] == "assistant"
        assert conversation.answer.strip()
        assert any(m["role"] == "user" for m in conversation.prompt)


@given(question=said, answer=said, other=said)
def test_the_same_question_is_the_same_key(question: str, answer: str, other: str) -> None:
    key = read({"question": question, "answer": answer}).key()
    assert read({"question": f"  {question}\n", "answer": other}, "a system message").key() == key
    assert read({"question": question.replace(" ", "\n "), "answer": answer}).key() == key
    assert read({"question": f"{question} x", "answer": answer}).key() != key
    assert read({"text": question}).key() == key


def test_case_and_the_turns_before_count_in_the_key() -> None:
    long = read({"messages": [USER, ASSISTANT, {"role": "user", "content": "Und ß?"}, ASSISTANT]})
    assert long.key() == read({"messages": [USER, ASSISTANT, {"role": "user", "content": "und SS?"}, ASSISTANT]}).key()
    assert long.key() != read({"messages": [{"role": "user", "content": "Und ß?"}, ASSISTANT]}).key()
