"""The file of measured runs: what was written is read, and what nobody wrote is passed over."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from compiler.learned.store import FILE, LARGEST, Measured, data_folder, forget, keep, measured_runs
from tests.compiler.estimate.works import work
from tests.compiler.learned.lines import line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_runs_are_read_as_they_were_kept_oldest_first(tmp_path: Path) -> None:
    runs = [line(work(), run=f"run-{number}", peak=number + 1) for number in range(3)]
    for run in runs:
        keep(run, tmp_path)
    assert measured_runs(tmp_path) == runs
    assert forget(tmp_path) == 3
    assert measured_runs(tmp_path) == []
    assert forget(tmp_path) == 0


def test_there_is_nothing_where_there_is_no_file(tmp_path: Path) -> None:
    assert measured_runs(tmp_path / "nowhere") == []
    assert forget(tmp_path / "nowhere") == 0


def test_the_folder_is_the_one_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECIPE_DATA_DIR", str(tmp_path / "own"))
    keep(line(work()))
    assert data_folder() == tmp_path / "own"
    assert (tmp_path / "own" / FILE).is_file()


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    keep(line(work(), run="first"), tmp_path)
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes() + file.read_bytes()[:40])  # a writer that was killed
    keep(line(work(), run="second"), tmp_path)
    assert [run.run for run in measured_runs(tmp_path)] == ["first", "second"]


def test_the_file_stays_small_and_keeps_the_newest(tmp_path: Path) -> None:
    one = line(work())
    keep(one, tmp_path)
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes() * (LARGEST // file.stat().st_size))
    for number in range(3):
        keep(replace(one, run=f"new-{number}"), tmp_path)
    assert file.stat().st_size <= LARGEST
    runs = measured_runs(tmp_path)
    assert [run.run for run in runs[-3:]] == ["new-0", "new-1", "new-2"]
    assert len(runs) > 100
    assert [path.name for path in tmp_path.iterdir() if path.suffix not in {".jsonl", ".lock"}] == []


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    runs = [line(work(), run=f"run-{number}") for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda run: keep(run, tmp_path), runs))
    assert {run.run for run in measured_runs(tmp_path)} == {run.run for run in runs}


@given(st.lists(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), max_size=6))
def test_whatever_lies_between_lines_is_passed_over(
    tmp_path_factory: pytest.TempPathFactory, junk: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    real = json.dumps({"v": 1, **asdict(line(work()))}).encode()
    (folder / FILE).write_bytes(b"\n".join([*junk, real, *junk, real, b""]))
    assert measured_runs(folder) == [line(work())] * 2


@given(st.sampled_from([*asdict(line(work())), "v"]), JSON)
def test_a_line_with_a_value_that_makes_no_sense_is_none_or_a_sane_one(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: object
) -> None:
    folder = tmp_path_factory.mktemp("store")
    told = {"v": 1, **asdict(line(work())), name: value}
    (folder / FILE).write_text(json.dumps(told) + "\n", encoding="utf-8")
    for run in measured_runs(folder):
        assert isinstance(run, Measured)
        assert run.peak > 0
        assert run.steps > 0
        assert 0 <= run.step_seconds < 1e8
        assert run.padded > 0
        assert isinstance(run.work, dict)


@pytest.mark.parametrize(
    "changed",
    [
        {"peak": 0},
        {"peak": True},
        {"peak": 1 << 60},
        {"step_seconds": -1.0},
        {"step_seconds": float("inf")},
        {"padded": 0.0},
        {"day": "yesterday"},
        {"run": "\x1b[2J"},
        {"work": {}},
        {"work": {"r": {"deep": 1}}},
        {"v": 2},
    ],
)
def test_no_such_line_is_taken(tmp_path: Path, changed: dict[str, object]) -> None:
    told = {"v": 1, **asdict(line(work())), **changed}
    (tmp_path / FILE).write_text(json.dumps(told) + "\n", encoding="utf-8")
    assert measured_runs(tmp_path) == []


def test_lines_that_nest_without_end_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"[" * 15_000 + b"\n" + b"1" * 10_000 + b"\n")
    assert measured_runs(tmp_path) == []
