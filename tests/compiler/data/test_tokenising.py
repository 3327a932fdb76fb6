"""Tokenising: many rows at a time give what each gives alone, and what a template cannot do stops or is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.conversations import Conversation
from compiler.data.ledger import Ledger
from compiler.data.reading import TOLD_EVERY, Item
from compiler.data.row import Place
from compiler.data.sources import Source
from compiler.data.tokenising import Tokenising
from compiler.data.tokenizer import ChatTokenizer
from compiler.language.recipe import Recipe
from tests.compiler.data.conftest import CHATML, codes, encode_chat, encode_text, recipe, said, texts, tiny

SOURCES = [Source("a.jsonl", Path("a.jsonl"), "jsonl"), Source("b.jsonl", Path("b.jsonl"), "jsonl")]


def asked(question: str, answer: str) -> Conversation:
    return Conversation(({"role": "user", "content": question}, {"role": "assistant", "content": answer}))


def items(*conversations: Conversation, source: int = 0) -> list[Item]:
    return [Item(source, Place(row, row), one) for row, one in enumerate(conversations, 1)]


def work(wanted: Recipe | None = None, tokenizer: ChatTokenizer | None = None) -> Tokenising:
    return Tokenising(wanted or recipe(), tokenizer or tiny(), SOURCES, Ledger(), lambda *_: None)


conversation = st.one_of(
    st.builds(asked, said, said),
    texts.filter(str.strip).map(lambda text: Conversation(text=text)),
)


@given(st.lists(conversation, max_size=8), st.lists(conversation, max_size=3))
def test_together_and_alone_are_the_same(train: list[Conversation], held_out: list[Conversation]) -> None:
    learnt, measured = work().tokenise(items(*train), items(*held_out))
    for one, example in zip([*train, *held_out], [*learnt, *measured], strict=True):
        if one.text:
            assert list(example.ids) == encode_text(tiny(), one.text)
            assert example.labels == example.ids
            continue
        encoded = encode_chat(tiny(), list(one.messages))
        assert (list(example.ids), example.learnt) == (encoded.ids, encoded.learnt)
        answer = [label for label in example.labels if label >= 0]
        assert tiny().decode(answer, skip_special_tokens=False) == f"{one.answer}<|im_end|>"
    assert [(e.prompt, e.answer) for e in measured] == [(one.prompt, one.answer) for one in held_out]
    assert all((e.prompt, e.answer) == ((), "") for e in learnt)  # what trains is needed as tokens alone


def test_rows_keep_their_order_and_the_lists_are_used_up() -> None:
    train = items(*(asked(f"q{n}", f"a{n}") for n in range(2 * TOLD_EVERY + 3)))
    learnt, _ = work().tokenise(train, [])
    assert [example.row for example in learnt] == list(range(1, 2 * TOLD_EVERY + 4))
    assert train == []


def test_everything_is_learnt_on_request() -> None:
    (one,), _ = work(recipe({"completion_only_loss": False})).tokenise(items(asked("q", "a")), [])
    assert one.labels == one.ids


def test_a_row_that_the_template_refuses_is_a_fault_of_the_row() -> None:
    refusing = tiny("{{ raise_exception('no system message') if messages[0].role == 'system' }}" + CHATML)
    bad = Conversation(({"role": "system", "content": "s"}, *asked("q", "a").messages))
    one = work(recipe(on_bad_row="drop"), refusing)
    learnt, _ = one.tokenise(items(asked("q", "a"), bad, asked("r", "b")), [])
    assert [example.row for example in learnt] == [1, 3]
    assert codes(one.problems) == ["D026"]
    assert "no system message" in one.problems[0].message
    assert one.ledger.dropped == {"chat template refused": [("a.jsonl", 2)]}


ENDLESS = "{% for i in range(100000) %}{% for j in range(100) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize("own", ["", "chat.jinja"])
def test_a_template_that_uses_up_its_budget_stops_at_the_first_row(own: str) -> None:
    template = tiny(
        CHATML.replace(
            "{{ message['content'] }}",
            "{{ message['content'] }}" + f"{{% if '!' in message['content'] %}}{ENDLESS}{{% endif %}}",
        )
    )
    rendered = []
    wanted = recipe(on_bad_row="drop")
    wanted = wanted.model_copy(update={"model": wanted.model.model_copy(update={"chat_template": own})})
    one = work(wanted, template)
    render = template.render_chat

    def counted(*arguments: Any, **named: Any) -> Any:
        rendered.append(arguments)
        return render(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(template, "render_chat", counted)
        assert one.tokenise(items(asked("q", "a"), *(asked("q!", "a") for _ in range(500))), []) == ([], [])
    assert len(rendered) == 2
    (problem,) = one.problems
    assert (problem.code, problem.path) == (("D028", ("model", "chat_template")) if own else ("M031", ("model", "id")))
    assert problem.severity == "error"
    assert "a.jsonl, row 2" in problem.message
    assert "steps" in problem.message


def test_a_template_that_drops_the_answers_stops_at_once() -> None:
    one = work(recipe(on_bad_row="drop"), tiny("{% for m in messages %}{{ m.role }}{% endfor %}"))
    assert one.tokenise(items(*(asked("q", "a") for _ in range(5))), []) == ([], [])
    assert codes(one.problems) == ["M031"]
    assert "does not write what the assistant says" in one.problems[0].message


def test_control_tokens_in_the_text_are_noted_by_row() -> None:
    one = work()
    one.tokenise(
        items(asked("q <|im_end|>", "a"), asked("q", "a"), asked("q", "<|im_end|> <s>")), items(asked("<s>", "a"))
    )
    assert one.control == {"<|im_end|>": [(0, Place(1, 1)), (0, Place(3, 3))], "<s>": [(0, Place(1, 1))]}
    assert work().control == {}


def test_plain_text_may_hold_control_tokens() -> None:
    one = work()
    one.tokenise(items(Conversation(text="<|im_start|>user\nq<|im_end|>")), [])
    assert one.control == {}


def test_weights_say_how_often_a_row_is_used() -> None:
    weighted = recipe(sources=[{"path": "a.jsonl", "weight": 1.0}, {"path": "b.jsonl", "weight": 2.5}])
    rows = [asked(f"q{n}", "a") for n in range(100)]
    plain = [Conversation(text=f"text {n}") for n in range(100)]
    for conversations in (rows, plain):
        learnt, measured = work(weighted).tokenise(
            [*items(*conversations), *items(*conversations, source=1)], items(*conversations, source=1)
        )
        assert {example.copies for example in learnt[:100]} == {1}
        assert {example.copies for example in learnt[100:]} == {2, 3}
        assert {example.copies for example in measured} == {1}


def test_what_cannot_be_masked_is_noted_by_row() -> None:
    joined = tiny(
        "{% for m in messages %}{{ 'x' if m.role == 'user' }}{{ m.content }}{{ '<|im_end|>' if m.role == 'assistant' }}"
        "{% endfor %}"
    )
    one = work(tokenizer=joined)
    one.tokenise(items(asked("x", "b"), asked("xa", "nb")), [])
    (rows,) = one.masks.values()
    assert rows == [(0, Place(2, 2))]
