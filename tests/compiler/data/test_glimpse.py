"""What a quick look makes of rows: how many, about how long, and what all of them begin with."""

from __future__ import annotations

import pytest

from compiler.data.conversations import Conversation, Message
from compiler.data.glimpse import A_MESSAGE, CHARACTERS_A_TOKEN, Glimpse


def row(*said: tuple[str, str]) -> Conversation:
    messages: list[Message] = [{"role": role, "content": content} for role, content in said]
    return Conversation(messages=tuple(messages))


def shared(*rows: Conversation) -> int:
    glimpse = Glimpse()
    for one in rows:  # as sources come, one after the other
        glimpse.add([one], of=None, held_out=False)
    return glimpse.lengths(0.0)[0].shared


SYSTEM = "system", "Vous répondez en deux phrases."


def test_a_system_message_is_shared_with_what_a_template_puts_around_it() -> None:
    rows = [row(SYSTEM, ("user", question), ("assistant", "oui")) for question in ("Qui ?", "Où ?", "Quand ?")]
    assert shared(*rows) == round((len(SYSTEM[1]) + 1) / CHARACTERS_A_TOKEN) + A_MESSAGE


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(("user", "Qui ?"), ("assistant", "moi")), row(("user", "Où ?"), ("assistant", "moi"))],
        [Conversation(text="Il était une fois"), Conversation(text="Il était une fois")],
        [row(("assistant", "Bonjour"), ("user", "oui")), row(("assistant", "Bonjour"), ("user", "oui"))],
    ],
    ids=["no rows", "nothing in common", "text, of which all is learnt", "an answer first"],
)
def test_what_differs_or_is_learnt_is_not(rows: list[Conversation]) -> None:
    assert shared(*rows) == 0


def test_held_out_rows_have_no_say() -> None:
    glimpse = Glimpse()
    glimpse.add([row(SYSTEM, ("user", "Qui ?"), ("assistant", "moi"))] * 2, of=None, held_out=False)
    before = glimpse.lengths(0.0)[0].shared
    glimpse.add([row(("user", "Où ?"), ("assistant", "là"))], of=None, held_out=True)
    assert glimpse.lengths(0.0)[0].shared == before > 0
