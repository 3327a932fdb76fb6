"""Pieces are the example: joined they are its text and its ids, and what is learnt is marked as in its labels."""

from __future__ import annotations

from array import array

from hypothesis import given

from compiler.data.examples import IGNORED, Example
from compiler.data.pieces import pieces
from compiler.data.row import Place
from compiler.data.tokenizer import ChatTokenizer
from tests.compiler.data.conftest import encode_chat, said, tiny


def example_of(tokenizer: ChatTokenizer, question: str, answer: str) -> Example:
    chat = encode_chat(tokenizer, [{"role": "user", "content": question}, {"role": "assistant", "content": answer}])
    return Example(0, Place(1), array("i", chat.ids), chat.learnt)


@given(question=said, answer=said)
def test_pieces_are_the_text_the_ids_and_the_labels(question: str, answer: str) -> None:
    tokenizer = tiny()
    example = example_of(tokenizer, question, answer)
    found = pieces(example, tokenizer)
    assert [token for piece in found for token in piece.ids] == list(example.ids)
    assert "".join(piece.text for piece in found) == tokenizer.decode(list(example.ids), skip_special_tokens=False)
    marked = [piece.learnt for piece in found for _ in piece.ids]
    assert marked == [label != IGNORED for label in example.labels]


def test_a_character_of_several_tokens_is_one_piece(smollm: ChatTokenizer) -> None:
    found = pieces(example_of(smollm, "🦜 ?", "Voilà 鸚鵡 🦜."), smollm)
    learnt = [piece for piece in found if piece.learnt]
    assert "".join(piece.text for piece in learnt) == "Voilà 鸚鵡 🦜.<|im_end|>\n"
    assert "\ufffd" not in "".join(piece.text for piece in found)
    assert any(len(piece.ids) > 1 for piece in learnt)


def test_bytes_that_make_no_character_stand_each_for_itself(smollm: ChatTokenizer) -> None:
    whole = smollm.encode("鸚")
    assert len(whole) > 1
    cut = Example(0, Place(1), array("i", [*whole[:-1], *smollm.encode(" a")]), ())
    found = pieces(cut, smollm)
    assert [token for piece in found for token in piece.ids] == list(cut.ids)
    assert found[-1].text == " a"
