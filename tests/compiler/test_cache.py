"""The cache keeps the newest texts, and a cache that is broken or cannot be written is no error."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.cache import cache_folder, remember, remembered


def test_the_oldest_are_forgotten_and_what_is_said_again_is_new(cache: Path) -> None:
    for key in ("a", "b", "c"):
        remember("texts.json", key, key.upper(), most=3)
    remember("texts.json", "a", "again", most=3)
    remember("texts.json", "d", "D", most=3)
    assert remembered("texts.json") == {"c": "C", "a": "again", "d": "D"}
    assert remembered("others.json") == {}


@pytest.mark.parametrize("content", ["", "[", "[1,2]", '{"x": 3}', "\0\0"])
def test_a_broken_file_holds_nothing(cache: Path, content: str) -> None:
    cache.mkdir()
    (cache / "texts.json").write_text(content)
    assert remembered("texts.json") == {}
    remember("texts.json", "a", "A", most=3)
    assert remembered("texts.json") == {"a": "A"}


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path) -> None:
    cache.write_text("a file where the folder belongs")
    remember("texts.json", "a", "A", most=3)
    assert cache_folder() == cache
    assert remembered("texts.json") == {}
