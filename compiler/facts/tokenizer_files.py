"""The tokenizer's files in a model's folder: which there are, and what to do where the one that is read is missing."""

from __future__ import annotations

from pathlib import Path

from compiler.facts.odd_files import LFS_HELP, instead_of_a_file, is_lfs_pointer
from compiler.facts.weight_files import ModelFault

FAST = "tokenizer.json"

TOKENIZER_FILES = (
    FAST,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "tokenizer.model",
)

SLOW = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt")
"""What Transformers makes a tokenizer.json from."""


def find_tokenizer(name: str, folder: Path) -> tuple[Path, ...]:
    """The tokenizer's files that are there. Raises ModelFault: M020 without tokenizer.json, M021 when it is none."""
    fast = folder / FAST
    if not fast.is_file():
        raise _without(name, folder, instead_of_a_file(fast))
    files = tuple(folder / file for file in TOKENIZER_FILES if (folder / file).is_file())
    for file in files:
        if is_lfs_pointer(file):
            raise ModelFault("M021", f"{name}: {file.name} is a Git LFS pointer, not the file", LFS_HELP)
    return files


def _without(name: str, folder: Path, there: str | None) -> ModelFault:
    if there:
        return ModelFault("M020", f"{name}: {FAST} is {there}", f"put the {FAST} of the model's publisher in its place")
    slow = next((file for file in SLOW if (folder / file).is_file()), None)
    if slow:
        return ModelFault(
            "M020",
            f"{name} has no {FAST}, only {slow}",
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of Transformers writes one from it",
        )
    return ModelFault(
        "M020",
        f"{name} has no tokenizer",
        f"put {FAST} (and tokenizer_config.json, with the chat template) of the model's publisher beside its weights",
    )
