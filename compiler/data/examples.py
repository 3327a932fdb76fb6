"""Conversations to training examples: token ids with a label for each, -100 where nothing is learnt."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from compiler.data.audit import IGNORED
from compiler.data.faults import RowFault
from compiler.data.formats import Conversation, Message
from compiler.data.tokenizer import ChatTokenizer, TemplateFault


@dataclass(frozen=True, slots=True)
class Example:
    """One row, ready to train on.

    ``ids`` and ``labels`` are int32 arrays of the same length [tokens]; ``row`` is the row's number in the
    source with the number ``source``. ``prompt`` and ``answer`` are what it was made from.
    """

    source: int
    row: int
    ids: array[int]
    labels: array[int]
    prompt: tuple[Message, ...]
    answer: str


def make_example(
    tokenizer: ChatTokenizer, conversation: Conversation, *, source: int, row: int, answers_only: bool
) -> tuple[Example, tuple[str, ...]]:
    """The example, and in words what could not be masked as asked. Raises RowFault."""
    faults: tuple[str, ...] = ()
    if not conversation.messages:
        ids = tokenizer.encode_text(conversation.text)
        labels = ids
    else:
        try:
            encoded = tokenizer.encode_chat(list(conversation.messages))
        except TemplateFault as fault:
            raise RowFault(
                "D026",
                f"the model's chat template refuses it: {fault}",
                "chat template refused",
                help_text="bring the conversation into the order the template wants, or name another template",
            ) from fault
        ids = encoded.ids
        labels = ids
        if answers_only:
            faults = encoded.faults
            labels = [i if said else IGNORED for i, said in zip(encoded.ids, encoded.mask, strict=True)]
    example = Example(source, row, array("i", ids), array("i", labels), conversation.prompt, conversation.answer)
    return example, faults


def shortened(example: Example, max_length: int) -> Example:
    """The example's first ``max_length`` tokens."""
    ids, labels = example.ids[:max_length], example.labels[:max_length]
    return Example(example.source, example.row, ids, labels, example.prompt, example.answer)


def learns_something(example: Example) -> bool:
    """Whether any token of the example is learnt."""
    return any(label != IGNORED for label in example.labels)


def fingerprint(*parts: Iterable[Example]) -> str:
    """One SHA-256 over all ids and labels, part after part."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"part")
        for example in part:
            digest.update(len(example.ids).to_bytes(8, "big"))
            digest.update(example.ids.tobytes())
            digest.update(example.labels.tobytes())
    return digest.hexdigest()
