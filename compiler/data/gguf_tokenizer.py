"""A tokenizer from a GGUF file's metadata: byte-level BPE, as llama.cpp's ``tokenizer.ggml.pre`` names it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.data.tokenizer import TokenizerFault
from compiler.facts.gguf import GgufFault, read_header
from compiler.phrases import phrase

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.pre_tokenizers import PreTokenizer

CONTROL, USER_DEFINED = 3, 4  # tokenizer.ggml.token_type, as in llama.cpp's llama_token_type

# The published tokenizer.json of each family: how a text is cut before the merges (llama.cpp names in the keys).
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_SPLIT = {"llama-bpe": _LLAMA3, "llama3": _LLAMA3, "llama-v3": _LLAMA3, "qwen2": _QWEN2}
_DIGITS = {"smollm"}
_PLAIN = {"gpt-2", "gpt2"}


def from_gguf(path: Path) -> tuple[Tokenizer, dict[str, str], str | None]:
    """Tokenizer, special tokens by role, and chat template. Raises TokenizerFault."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    try:
        metadata = read_header(path, arrays=True).metadata
    except (OSError, GgufFault) as error:
        raise TokenizerFault(
            "M012", phrase("{name} cannot be read: {error}", name=path.name, error=error), phrase("download it again")
        ) from error
    kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "default")
    tokens = _list_of(str, metadata.get("tokenizer.ggml.tokens"))
    merges = _list_of(str, metadata.get("tokenizer.ggml.merges"))
    if kind != "gpt2" or not tokens or not merges:
        message = phrase(
            "its GGUF holds a tokenizer of the kind {kind!r}; byte-level BPE (gpt2) can be read", kind=str(kind)[:40]
        )
        raise TokenizerFault("M022", message, phrase("use the model's safetensors folder, which has a tokenizer.json"))
    types = _list_of(int, metadata.get("tokenizer.ggml.token_type"))
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    try:
        vocabulary = {token: number for number, token in enumerate(tokens)}
        tokenizer = Tokenizer(models.BPE(vocabulary, pairs))
    except Exception as error:  # the library raises a bare Exception for merges that do not fit
        raise TokenizerFault("M021", phrase("its vocabulary does not fit its merges: {error}", error=error)) from error
    tokenizer.pre_tokenizer = _pre_tokenizer(str(pre))
    tokenizer.decoder = decoders.ByteLevel()
    marked = [(t, kind) for t, kind in zip(tokens, types, strict=False) if kind in {CONTROL, USER_DEFINED}]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in marked if k == CONTROL])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t, k in marked if k == USER_DEFINED])
    return tokenizer, _special(metadata, tokens), _template(metadata)


def _list_of(kind: type, value: Any) -> list[Any]:
    """The value if it is a list of that kind, else an empty one: a file may hold anything under any key."""
    return value if isinstance(value, list) and all(isinstance(item, kind) for item in value) else []


def _pre_tokenizer(name: str) -> PreTokenizer:
    from tokenizers import Regex, pre_tokenizers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name in _DIGITS:
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, byte_level])
    if name in _PLAIN:
        return byte_level
    if name in _SPLIT:
        split = pre_tokenizers.Split(Regex(_SPLIT[name]), "isolated", invert=False)
        return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    known = ", ".join(sorted(_DIGITS | _PLAIN | set(_SPLIT)))
    message = phrase(
        "its GGUF cuts text in a way this version does not know ({name!r}; known: {known})", name=name, known=known
    )
    raise TokenizerFault("M022", message, phrase("use the model's safetensors folder, which has a tokenizer.json"))


def _special(metadata: dict[str, Any], tokens: list[str]) -> dict[str, str]:
    keys = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
    found = {}
    for role, key in keys.items():
        number = metadata.get(f"tokenizer.ggml.{key}_token_id")
        if isinstance(number, int) and 0 <= number < len(tokens):
            found[role] = tokens[number]
    return found


def _template(metadata: dict[str, Any]) -> str | None:
    template = metadata.get("tokenizer.chat_template")
    return template if isinstance(template, str) else None
