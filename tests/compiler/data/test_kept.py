"""The cache of examples: what is found is whole and fits, and nothing is ever needed of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.data import identity, kept
from compiler.data.prepare import PreparedData, prepare
from compiler.diagnostics import Diagnostic
from compiler.language.recipe import Recipe
from tests.compiler.data.conftest import json_lines, pairs, recipe, tiny

ROWS = [*pairs(200), {"question": "Leer?", "answer": ""}, {"question": "<|im_end|> ?", "answer": "Oui."}, *pairs(1)]
DROP: dict[str, Any] = {"on_bad_row": "drop", "held_out_share": 0.2}


@pytest.fixture(autouse=True)
def _keep_all(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(kept, "WORTH_BYTES", 0)


def written(folder: Path, rows: list[dict[str, str]] = ROWS) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "rows.jsonl").write_bytes(json_lines(rows))
    return folder


def outcome(folder: Path, wanted: Recipe, **options: Any) -> tuple[PreparedData | None, list[Diagnostic], bool]:
    """What preparing came to, and whether rows were read for it."""
    told: list[str] = []
    tokenizer = options.pop("tokenizer", tiny())
    data, problems = prepare(
        wanted,
        tokenizer,
        root=folder,
        context_length=0,
        allow_outside=False,
        progress=lambda what, *_: told.append(what),
    )
    return data, problems, any(what.startswith("reading") for what in told)


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "data").iterdir()) if (cache / "data").is_dir() else []


# --- hit and miss -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [{}, {"max_length": 50, "on_too_long": "truncate"}])
def test_what_is_found_is_what_was_made(tmp_path: Path, cache: Path, training: dict[str, Any]) -> None:
    wanted, folder = recipe(training, **DROP), written(tmp_path / "r")
    made, problems, was_read = outcome(folder, wanted)
    found, told_again, read_again = outcome(folder, wanted)
    assert made is not None
    assert found == made
    assert told_again == problems
    assert {"D024", "D045", "D047"} <= {problem.code for problem in problems}
    assert (was_read, read_again) == (True, False)
    shutil.rmtree(cache)
    assert outcome(folder, wanted)[:2] == (made, problems)


def test_another_length_needs_no_row_to_be_read(tmp_path: Path) -> None:
    folder = written(tmp_path / "r")
    outcome(folder, recipe(**DROP))
    short = recipe({"max_length": 50, "on_too_long": "drop"}, **DROP)
    found = outcome(folder, short)
    assert not found[2]
    shutil.rmtree(kept._folder())
    assert outcome(folder, short)[:2] == found[:2]


def changed_row(folder: Path) -> dict[str, Any]:
    written(folder, [*ROWS[:-1], {"question": "Question 0 ?", "answer": "Réponse 1."}])
    return {}


def changed_template(folder: Path) -> dict[str, Any]:
    return {"tokenizer": tiny((tiny()._source or "") + "{# another #}")}


def changed_program(folder: Path) -> dict[str, Any]:
    identity._program = lambda: ["another"]  # type: ignore[assignment]  # put back by the test
    return {}


@pytest.mark.parametrize("change", [changed_row, changed_template, changed_program])
def test_what_does_not_match_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    monkeypatch.setattr(identity, "_program", identity._program)  # put back afterwards
    folder = written(tmp_path / "r")
    outcome(folder, recipe(**DROP))
    options = change(folder)
    assert outcome(folder, recipe(**DROP), **options)[2]


@pytest.mark.parametrize(
    "other", [recipe(), recipe(**{**DROP, "held_out_share": 0.3}), recipe({"completion_only_loss": False}, **DROP)]
)
def test_another_recipe_is_not_the_same(tmp_path: Path, other: Recipe) -> None:
    folder = written(tmp_path / "r", pairs(300))
    outcome(folder, recipe(**DROP))
    assert outcome(folder, other)[2]


def test_rows_that_cannot_be_read_are_not_kept(tmp_path: Path, cache: Path) -> None:
    assert outcome(written(tmp_path / "r"), recipe())[0] is None
    assert entries(cache) == []


def test_rows_that_change_meanwhile_are_not_kept(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(tmp_path / "r")
    names = iter(["before", "after"])
    monkeypatch.setattr("compiler.data.obtain.identity", lambda *_: next(names))
    assert outcome(folder, recipe(**DROP))[0] is not None
    assert entries(cache) == []


# --- damage -----------------------------------------------------------------------------------------------

FILES = ["entry.json", "ids", "index", "texts", "audit-300-truncate.json"]
LONG = recipe({"max_length": 300, "on_too_long": "truncate"}, **DROP)


@settings(max_examples=25)
@given(name=st.sampled_from(FILES), at=st.floats(0, 0.999), cut=st.booleans(), by=st.integers(1, 255))
def test_a_damaged_entry_is_never_used(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: float, cut: bool, by: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("kept")
        patch.setenv("RECIPE_CACHE_DIR", str(home / "cache"))
        folder = written(home / "r")
        made = outcome(folder, LONG)
        (entry,) = entries(home / "cache")
        assert sorted(file.name for file in entry.iterdir()) == sorted(FILES)
        data = bytearray((entry / name).read_bytes())
        place = int(at * len(data))
        if cut:
            del data[place:]
        else:
            data[place] ^= by
        (entry / name).write_bytes(data)
        mended = outcome(folder, LONG)
        assert mended[:2] == made[:2]
        assert mended[2] == (not name.startswith("audit"))
        assert outcome(folder, LONG) == (*made[:2], False)  # it was made anew


@pytest.mark.parametrize("content", [b"", b"{}", b"recipec 2 00000000\n{}", b"\xff\xfe", b"[" * 100_000])
def test_a_foreign_entry_is_never_used(tmp_path: Path, cache: Path, content: bytes) -> None:
    folder = written(tmp_path / "r")
    made = outcome(folder, LONG)
    (entry,) = entries(cache)
    (entry / "entry.json").write_bytes(content)
    assert outcome(folder, LONG) == made


def test_an_entry_under_the_name_of_another_is_not_used(tmp_path: Path, cache: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "two", pairs(200))
    outcome(one, LONG)
    (entry,) = entries(cache)
    made = outcome(other, LONG)
    (second,) = set(entries(cache)) - {entry}
    shutil.rmtree(second)
    entry.rename(second)
    assert outcome(other, LONG) == made


def test_sealed_values_of_another_shape_are_damage(tmp_path: Path, cache: Path) -> None:
    folder = written(tmp_path / "r")
    made = outcome(folder, LONG)
    (entry,) = entries(cache)
    others: list[Any] = [None, [], {}, "x", 7]
    whole = kept._opened((entry / "entry.json").read_bytes())
    for name in whole:
        for value in others:
            (entry / "entry.json").write_bytes(kept._sealed({**whole, name: value}))
            assert outcome(folder, LONG)[:2] == made[:2], (name, value)


# --- places ------------------------------------------------------------------------------------------------


def test_without_a_place_to_keep_it_all_goes_on(tmp_path: Path, cache: Path) -> None:
    folder = written(tmp_path / "r")
    cache.write_text("a file where the folder should be")
    made = outcome(folder, LONG)
    assert made[0] is not None
    assert outcome(folder, LONG) == made


def test_a_disk_that_fills_up_at_the_end_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "_write", full)
    assert outcome(written(tmp_path / "r"), LONG)[0] is not None
    assert entries(cache) == []


def test_what_was_used_least_recently_goes(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [written(tmp_path / str(number), pairs(200, start=1000 * number)) for number in range(4)]
    names: list[str] = []
    for folder in folders[:3]:
        outcome(folder, LONG)
        (new,) = {entry.name for entry in entries(cache)} - set(names)
        names.append(new)
        os.utime(cache / "data" / new, (len(names), len(names)))
    outcome(folders[0], LONG)  # used again: now the second is the oldest
    size = max(kept._size(entry) for entry in entries(cache))
    monkeypatch.setattr(kept, "MOST_BYTES", 3 * size + 1000)
    assert outcome(folders[3], LONG)[2]
    left = {entry.name for entry in entries(cache)}
    assert len(left) == 3
    assert names[1] not in left
    monkeypatch.setattr(kept, "MOST_BYTES", size // 2)
    outcome(written(tmp_path / "large", pairs(250)), LONG)
    assert {entry.name for entry in entries(cache)} == left  # what is too large is not kept at all


WRITER = """
import sys, time
from pathlib import Path
from compiler.data import kept
from compiler.data.spool import Spool
writing = kept.begin("k")
spool = Spool(writing.path("ids"))
spool.append(b"x" * 20_000_000)
print("written", flush=True)
time.sleep(60)
"""


def test_a_killed_writer_leaves_nothing_that_is_used_and_is_swept_up(tmp_path: Path, cache: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "written\n"
    (left,) = entries(cache)
    assert kept.find("k") is None
    other = kept.begin("other")
    assert other is not None
    other.discard()
    assert left.exists()  # its writer lives
    child.kill()
    child.wait()
    child.stdout.close()
    assert kept.find("k") is None
    another = kept.begin("other")
    assert another is not None
    another.discard()
    assert entries(cache) == []


def test_a_folder_that_was_never_locked_is_swept_up_late(cache: Path) -> None:
    left = cache / "data" / f"{kept._NEW}x"
    left.mkdir(parents=True)
    for age, stays in ((0, True), (2 * kept._FORGOTTEN, False)):
        os.utime(left, (time.time() - age,) * 2)
        writing = kept.begin("k")
        assert writing is not None
        writing.discard()
        assert left.exists() is stays


def test_of_two_writers_the_first_is_kept(tmp_path: Path, cache: Path) -> None:
    folder = written(tmp_path / "r")
    made = outcome(folder, LONG)
    (entry,) = entries(cache)
    before = (entry / "entry.json").stat().st_ino
    found = kept.find(entry.name)
    second = kept.begin(entry.name)
    assert found is not None
    assert second is not None
    assert second.finish(found.store, found.notes) is None
    assert entries(cache) == [entry]
    assert (entry / "entry.json").stat().st_ino == before
    assert outcome(folder, LONG) == (*made[:2], False)


def test_an_entry_that_goes_while_it_is_read_from_stays_readable(tmp_path: Path, cache: Path) -> None:
    folder = written(tmp_path / "r")
    made, _, _ = outcome(folder, LONG)
    found, _, _ = outcome(folder, LONG)
    shutil.rmtree(cache)
    assert found == made


def test_an_entry_is_plain_data(tmp_path: Path, cache: Path) -> None:
    outcome(written(tmp_path / "r"), LONG)
    (entry,) = entries(cache)
    head, _, body = (entry / "entry.json").read_bytes().partition(b"\n")
    assert head.startswith(b"recipec ")
    assert json.loads(body)["key"] == entry.name
