"""Tokenising: many rows at a time give what each gives alone, and what a template cannot do stops or is counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.batch import Batch, Tokenised
from compiler.data.conversations import Conversation
from compiler.data.examples import Example
from compiler.data.formats import Format
from compiler.data.row import Place, RawRow
from compiler.data.split import digest_of
from compiler.data.spool import Spool
from compiler.data.store import Examples, Index, Store
from compiler.data.tokenising import Tokenising
from compiler.data.tokenizer import ChatTokenizer
from compiler.language.recipe import Recipe
from tests.compiler.data.conftest import CHATML, encode_chat, encode_text, recipe, said, tiny

FORM = Format("messages", {"messages": "messages"}, "")
TEXT = Format("text", {"text": "text"}, "")


def asked(question: str, answer: str) -> Conversation:
    return Conversation(({"role": "user", "content": question}, {"role": "assistant", "content": answer}))


def batch(
    *conversations: Conversation, source: int = 0, held_out: bool = False, most: int | None = None, weight: float = 1.0
) -> Batch:
    """Rows that are read as these conversations: all of messages, or all plain text."""
    rows: list[tuple[Place, RawRow]] = [
        (Place(number, number), {"messages": list(one.messages)} if one.messages else {"text": one.text})
        for number, one in enumerate(conversations, 1)
    ]
    form = FORM if not conversations or conversations[0].messages else TEXT
    return Batch(source, "ab"[source] + ".jsonl", form, (), held_out, most, rows, weight)


def work(wanted: Recipe | None = None, tokenizer: ChatTokenizer | None = None) -> Tokenising:
    return Tokenising(wanted or recipe(), tokenizer or tiny())


def examples(done: Tokenised, *, held_out: bool = False) -> list[Example]:
    store = Store(Index(), Spool(), Spool())
    store.extend(done.index, bytes(done.ids), bytes(done.texts))
    return list(Examples(store, range(len(store)), held_out=held_out))


several = st.one_of(
    st.lists(st.builds(asked, said, said), max_size=8),
    st.lists(said.map(lambda text: Conversation(text=text)), max_size=8),
)


@given(several, st.booleans())
def test_together_and_alone_are_the_same(conversations: list[Conversation], held_out: bool) -> None:
    made = examples(work().tokenise(batch(*conversations, held_out=held_out)), held_out=held_out)
    for one, example in zip(conversations, made, strict=True):
        if one.text:
            assert list(example.ids) == encode_text(tiny(), one.text)
            assert example.labels == example.ids
            continue
        encoded = encode_chat(tiny(), list(one.messages))
        assert (list(example.ids), example.learnt) == (encoded.ids, encoded.learnt)
        answer = [label for label in example.labels if label >= 0]
        assert tiny().decode(answer, skip_special_tokens=False) == f"{one.answer}<|im_end|>\n"
    kept = [(one.prompt, one.answer) if held_out else ((), "") for one in conversations]
    assert [(e.prompt, e.answer) for e in made] == kept  # what trains is needed as tokens alone


def test_rows_keep_their_order_and_every_question_its_digest() -> None:
    rows = [asked(f"q{n}", f"a{n}") for n in range(20)]
    done = work().tokenise(batch(*rows))
    assert [example.row for example in examples(done)] == list(range(1, 21))
    assert bytes(done.keys) == done.index.keys.tobytes() == b"".join(digest_of(one.key()) for one in rows)
    assert (done.count, done.has_messages) == (20, True)


def test_beyond_what_is_asked_for_rows_are_read_alone() -> None:
    done = work().tokenise(batch(*(asked(f"q{n}", "a") for n in range(5)), most=2))
    assert [example.row for example in examples(done)] == [1, 2]
    assert (done.count, done.beyond) == (5, [3, 4, 5])


def test_everything_is_learnt_on_request() -> None:
    (one,) = examples(work(recipe({"completion_only_loss": False})).tokenise(batch(asked("q", "a"))))
    assert one.labels == one.ids


def test_a_row_that_the_template_refuses_is_a_fault_of_the_row() -> None:
    refusing = tiny("{{ raise_exception('no system message') if messages[0].role == 'system' }}" + CHATML)
    bad = Conversation(({"role": "system", "content": "s"}, *asked("q", "a").messages))
    done = work(recipe(on_bad_row="drop"), refusing).tokenise(batch(asked("q", "a"), bad, asked("r", "b")))
    assert [example.row for example in examples(done)] == [1, 3]
    ((place, fault),) = done.refused
    assert (place.row, fault.code, fault.reason) == (2, "D026", "chat template refused")
    assert "no system message" in fault.message


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
        done = one.tokenise(batch(asked("q", "a"), *(asked("q!", "a") for _ in range(500))))
    assert len(rendered) == 2
    assert not len(done.index)
    problem = done.chat_template_fault
    assert problem is not None
    assert (problem.code, problem.path) == (("D028", ("model", "chat_template")) if own else ("M031", ("model", "id")))
    assert problem.severity == "error"
    assert "a.jsonl, row 2" in problem.message
    assert "steps" in problem.message


def test_a_template_that_drops_the_answers_stops_at_once() -> None:
    one = work(recipe(on_bad_row="drop"), tiny("{% for m in messages %}{{ m.role }}{% endfor %}"))
    problem = one.tokenise(batch(*(asked("q", "a") for _ in range(5)))).chat_template_fault
    assert problem is not None
    assert problem.code == "M031"
    assert "does not write what the assistant says" in problem.message


def test_control_tokens_in_the_text_are_noted_by_row() -> None:
    rows = [asked("q <|im_end|>", "a"), asked("q", "a"), asked("q", "<|im_end|> <s>"), asked("<s>", "a")]
    done = work().tokenise(batch(*rows))
    assert done.control == {"<|im_end|>": [(0, Place(1, 1)), (0, Place(3, 3))], "<s>": [(0, Place(4, 4))]}
    assert work().tokenise(batch(asked("q", "a"))).control == {}


def test_plain_text_may_hold_control_tokens() -> None:
    assert work().tokenise(batch(Conversation(text="<|im_start|>user\nq<|im_end|>"))).control == {}


def test_weights_say_how_often_a_row_is_used() -> None:
    rows = [asked(f"q{n}", "a") for n in range(100)]
    plain = [Conversation(text=f"text {n}") for n in range(100)]
    one = work()
    for conversations in (rows, plain):
        assert {e.copies for e in examples(one.tokenise(batch(*conversations)))} == {1}
        assert {e.copies for e in examples(one.tokenise(batch(*conversations, weight=2.5)))} == {2, 3}


def test_what_cannot_be_masked_is_noted_by_row() -> None:
    joined = tiny(
        "{% for m in messages %}{{ 'x' if m.role == 'user' }}{{ m.content }}{{ '<|im_end|>' if m.role == 'assistant' }}"
        "{% endfor %}"
    )
    (rows,) = work(tokenizer=joined).tokenise(batch(asked("x", "b"), asked("xa", "nb"))).masks.values()
    assert rows == [(0, Place(2, 2))]
