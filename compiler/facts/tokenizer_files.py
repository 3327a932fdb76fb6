"""The tokenizer's files in a model's folder: which there are, and what to do where the one that is read is missing."""

from __future__ import annotations

from pathlib import Path

from compiler.facts.odd_files import LFS_HELP, instead_of_a_file, is_lfs_pointer
from compiler.facts.weight_files import ModelFault
from compiler.phrases import phrase

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
            raise ModelFault(
                "M021",
                phrase("{name}: {name2} is a Git LFS pointer, not the file", name=name, name2=file.name),
                LFS_HELP,
            )
    return files


def _without(name: str, folder: Path, there: str | None) -> ModelFault:
    if there:
        return ModelFault(
            "M020",
            phrase("{name}: {fast} is {there}", name=name, fast=FAST, there=there),
            phrase("put the {fast} of the model's publisher in its place", fast=FAST),
        )
    slow = next((file for file in SLOW if (folder / file).is_file()), None)
    if slow:
        return ModelFault(
            "M020",
            phrase("{name} has no {fast}, only {slow}", name=name, fast=FAST, slow=slow),
            phrase("AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of Transformers writes one from it"),
        )
    return ModelFault(
        "M020",
        phrase("{name} has no tokenizer", name=name),
        phrase(
            "put {fast} (and tokenizer_config.json, with the chat template) of the model's publisher "
            "beside its weights",
            fast=FAST,
        ),
    )
