"""Formats: each shape is found by looking, and each row is a conversation with an answer or a coded fault."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.codes import all_codes
from compiler.data.faults import RowFault
from compiler.data.formats import PAIRS, Conversation, Format, find_format, read_conversation, with_columns_of
from compiler.data.rows import Row
from compiler.recipe import ColumnsTable
from tests.compiler.data.conftest import json_values, said

USER, ASSISTANT, SYSTEM = ({"role": role, "content": role[0]} for role in ("user", "assistant", "system"))
SHARED = [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]


def found(row: Row, asked: str = "auto", *, templated: bool = False, **columns: str) -> Format:
    form, problems = find_format(row, ColumnsTable(**columns), asked, templated=templated)
    assert form is not None, problems
    assert not problems
    return form


def read(row: Row, recipes_system: str = "", /, **columns: str) -> Conversation:
    return read_conversation(row, found(row, **columns), recipes_system)


# --- the format ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "name", "columns"),
    [
        ({"messages": [USER, ASSISTANT], "id": 1}, "messages", {"messages": "messages"}),
        ({"conversation": [USER, ASSISTANT]}, "messages", {"messages": "conversation"}),
        ({"conversations": SHARED}, "sharegpt", {"messages": "conversations"}),
        ({"messages": SHARED}, "sharegpt", {"messages": "messages"}),
        ({"instruction": "i", "output": "o"}, "alpaca", {"prompt": "instruction", "completion": "output"}),
        (
            {"instruction": "i", "input": "x", "output": "o"},
            "alpaca",
            {"prompt": "instruction", "completion": "output", "input": "input"},
        ),
        *(({p: "p", c: "c", "id": 3}, "prompt-completion", {"prompt": p, "completion": c}) for p, c in PAIRS),
        ({"text": "t"}, "text", {"text": "text"}),
        ({"text": "t", "input": "i", "output": "o"}, "prompt-completion", {"prompt": "input", "completion": "output"}),
    ],
)
def test_each_shape_is_found_by_looking(row: Row, name: str, columns: dict[str, str]) -> None:
    form = found(row)
    assert (form.name, form.columns) == (name, columns)
    assert all(f"`{columns[role]}`" in form.reason for role in columns if role != "input")


@pytest.mark.parametrize(
    ("asked", "named", "templated", "name", "columns"),
    [
        ("auto", {"prompt": "q", "completion": "a"}, False, "prompt-completion", {"prompt": "q", "completion": "a"}),
        ("auto", {"completion": "a"}, True, "prompt-completion", {"completion": "a"}),
        ("auto", {}, True, "prompt-completion", {"completion": "output"}),
        ("auto", {"messages": "talk"}, False, "messages", {"messages": "talk"}),
        ("auto", {"text": "q"}, False, "text", {"text": "q"}),
        ("auto", {"system": "s"}, False, "alpaca", {"prompt": "instruction", "completion": "output", "system": "s"}),
        ("alpaca", {}, False, "alpaca", {"prompt": "instruction", "completion": "output"}),
        ("prompt-completion", {}, False, "prompt-completion", {"prompt": "instruction", "completion": "output"}),
        ("sharegpt", {"messages": "talk"}, False, "sharegpt", {"messages": "talk"}),
    ],
)
def test_what_the_recipe_says_comes_first(
    asked: str, named: dict[str, str], templated: bool, name: str, columns: dict[str, str]
) -> None:
    row: Row = {"instruction": "i", "output": "o", "q": "q", "a": "a", "s": "s", "talk": [USER, ASSISTANT]}
    form = found(row, asked, templated=templated, **named)
    assert (form.name, form.columns) == (name, columns)


@pytest.mark.parametrize(
    ("row", "asked", "named", "code", "helped"),
    [
        ({"question": "q", "answer": "a"}, "auto", {"prompt": "qestion"}, "D020", "did you mean `question`?"),
        ({"question": "q", "answer": "a"}, "auto", {"prompt": "x"}, "D020", "`question`, `answer`"),
        ({"question": "q", "x": "a"}, "auto", {"prompt": "question"}, "D020", 'completion = "…"'),
        ({"x": "q"}, "messages", {}, "D020", 'messages = "…"'),
        ({"x": "q", "y": "a"}, "auto", {}, "D027", "columns = {"),
        ({"text": 3}, "auto", {}, "D027", "columns = {"),
        ({"messages": []}, "auto", {}, "D027", "columns = {"),
        ({}, "auto", {}, "D027", "columns = {"),
    ],
)
def test_what_is_no_format_is_told(row: Row, asked: str, named: dict[str, str], code: str, helped: str) -> None:
    form, (problem,) = find_format(row, ColumnsTable(**named), asked)
    assert form is None
    assert problem.code == code
    assert helped in (problem.help or "")


def test_several_rows_together_tell_more_than_the_first() -> None:
    rows: list[Row] = [
        {"messages": None},
        {"messages": []},
        {"messages": [USER, ASSISTANT], "id": 1},
        {"messages": SHARED},
    ]
    seen: Row = {}
    for row in rows:
        seen = with_columns_of(seen, row)
    assert seen == {"messages": [USER, ASSISTANT], "id": 1}


# --- one row ---------------------------------------------------------------------------------------------


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
        ({"question": "q", "answer": "a", "system": "not named"}, {}, "recipe's"),
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
    form = found(row, templated=True, completion="answer")
    assert read_conversation(row, form, "", lambda r: f"About {r['title']}").prompt[0]["content"] == "About T"
    with pytest.raises(RowFault, match="renders nothing"):
        read_conversation(row, form, "", lambda _: " \n")


HALF = "half \ud83d"


@pytest.mark.parametrize(
    ("row", "columns", "code"),
    [
        ({"question": "", "answer": "a"}, {}, "D023"),
        ({"question": None, "answer": "a"}, {}, "D023"),
        ({"question": "q", "answer": " \n"}, {}, "D024"),
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
    with pytest.raises(RowFault) as told:
        read(row, **columns)
    assert told.value.code == code
    assert told.value.reason


def test_a_row_that_lacks_a_column_is_told_its_own() -> None:
    form = found({"question": "q", "answer": "a"})
    with pytest.raises(RowFault) as told:
        read_conversation({"question": "q", "answr": "a"}, form, "")
    assert told.value.code == "D021"
    assert "`answr`" in (told.value.help or "")


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
    try:
        conversation = read_conversation(row, form, "")
    except RowFault as fault:
        told: Any = fault
        assert told.code in all_codes()
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
