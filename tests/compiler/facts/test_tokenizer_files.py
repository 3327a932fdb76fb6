"""A folder's tokenizer: found, or told with the remedy that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.facts.tokenizer_files import find_tokenizer
from compiler.facts.weight_files import ModelFault
from tests.compiler.facts.test_weight_files import LFS_POINTER


def test_the_files_that_are_read_are_found(tmp_path: Path) -> None:
    for name in ("tokenizer.json", "chat_template.jinja", "tokenizer.model", "vocab.json"):
        (tmp_path / name).touch()
    found = [file.name for file in find_tokenizer("model", tmp_path)]
    assert found == ["tokenizer.json", "chat_template.jinja", "tokenizer.model"]


@pytest.mark.parametrize(
    ("file", "message", "remedy"),
    [
        (None, "model has no tokenizer", "put tokenizer.json (and tokenizer_config.json, with the chat template)"),
        ("tokenizer_config.json", "model has no tokenizer", "put tokenizer.json"),
        ("tokenizer.model", "only tokenizer.model", "save_pretrained(FOLDER)"),
        ("vocab.json", "only vocab.json", "save_pretrained(FOLDER)"),
    ],
)
def test_what_is_missing_is_told_with_its_remedy(tmp_path: Path, file: str | None, message: str, remedy: str) -> None:
    if file:
        (tmp_path / file).touch()
    with pytest.raises(ModelFault, match=message) as fault:
        find_tokenizer("model", tmp_path)
    assert fault.value.code == "M020"
    assert remedy in str(fault.value.help)


def test_what_is_no_file_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").symlink_to("../blobs/1")
    with pytest.raises(ModelFault, match=r"symbolic link to \.\./blobs/1") as fault:
        find_tokenizer("model", tmp_path)
    assert fault.value.code == "M020"
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.json").write_bytes(LFS_POINTER)
    with pytest.raises(ModelFault, match=r"tokenizer\.json is a Git LFS pointer") as fault:
        find_tokenizer("model", tmp_path)
    assert fault.value.code == "M021"
