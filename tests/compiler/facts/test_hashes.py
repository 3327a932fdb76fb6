"""Hashes are those of the content, also from the cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.facts import hashes


@given(st.binary(max_size=1000))
def test_small_files(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("hash") / "file"
    path.write_bytes(data)
    assert hashes.sha256_file(path) == hashlib.sha256(data).hexdigest()


def test_a_large_file_is_remembered_and_a_changed_one_read_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"a" * (hashes.LARGE + 1))
    first = hashes.sha256_file(path)
    assert first == hashlib.sha256(path.read_bytes()).hexdigest()
    with monkeypatch.context() as patched:
        patched.setattr(hashlib, "file_digest", lambda *_: pytest.fail("was read again"))
        assert hashes.sha256_file(path) == first
    path.write_bytes(b"b" * (hashes.LARGE + 1))
    os.utime(path, ns=(1, 1))
    assert hashes.sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest() != first


@pytest.mark.parametrize("content", ["", "[", "[1,2]", '{"x": 3}', "\0\0"])
def test_a_broken_cache_is_no_error(tmp_path: Path, cache: Path, content: str) -> None:
    cache.mkdir()
    (cache / "hashes.json").write_text(content)
    path = tmp_path / "weights"
    path.write_bytes(b"a" * (hashes.LARGE + 1))
    assert hashes.sha256_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
