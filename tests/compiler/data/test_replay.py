"""Replayed rows are the earlier run's own, as many as asked for, the same ones each time, and never held-out ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from compiler.data.prepare import PreparedData, prepare
from compiler.data.replay import Earlier
from compiler.language.recipe import Recipe
from tests.compiler.data.conftest import json_lines, pairs, recipe, tiny
from tests.compiler.data.test_prepare import questions


def earlier(folder: Path, *, rows: int, start: int = 0, before: Earlier | None = None, **data: Any) -> Earlier:
    folder.mkdir(exist_ok=True)
    (folder / "rows.jsonl").write_bytes(json_lines(pairs(rows, start=start)))
    return Earlier("first", "1" * 64, recipe(**{"held_out_share": 0.0, **data}), folder, False, before)


def prepared(folder: Path, wanted: Recipe, old: Earlier | None) -> PreparedData:
    data, problems = prepare(wanted, tiny(), root=folder, context_length=0, allow_outside=False, earlier=old)
    assert data is not None, problems
    assert data.ledger.adds_up()
    return data


def new_rows(folder: Path, rows: int, start: int) -> None:
    (folder / "rows.jsonl").write_bytes(json_lines(pairs(rows, start=start)))


def old_questions(data: PreparedData) -> list[str]:
    return [q for q, e in zip(questions(data.train), data.train, strict=True) if e.source >= 1]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(share=st.floats(0.01, 1.0), seed=st.integers(0, 3))
def test_as_many_as_asked_for_and_the_same_for_the_same_seed(tmp_path: Path, share: float, seed: int) -> None:
    old = earlier(tmp_path / "old", rows=40)
    new_rows(tmp_path, 10, 100)
    wanted = recipe({"seed": seed}, replay=share, held_out_share=0.0)
    data = prepared(tmp_path, wanted, old)
    count = max(1, round(share * 40))
    assert data.replayed is not None
    assert (data.replayed.rows, data.replayed.of) == (count, 40)
    assert data.ledger.sources == [("rows.jsonl", 10), ("first:rows.jsonl", count)]
    assert len(data.train) == 10 + count
    assert len(set(old_questions(data))) == count
    assert prepared(tmp_path, wanted, old).fingerprint == data.fingerprint


def test_another_seed_takes_others(tmp_path: Path) -> None:
    old = earlier(tmp_path / "old", rows=100)
    new_rows(tmp_path, 10, 200)
    taken = [
        set(old_questions(prepared(tmp_path, recipe({"seed": seed}, replay=0.2, held_out_share=0.0), old)))
        for seed in range(3)
    ]
    assert len({frozenset(some) for some in taken}) == 3


def test_without_a_share_nothing_is_read(tmp_path: Path) -> None:
    new_rows(tmp_path, 10, 0)
    old = replace(earlier(tmp_path / "old", rows=3), root=tmp_path / "gone")
    assert prepared(tmp_path, recipe(held_out_share=0.0), old).replayed is None


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_what_either_run_holds_out_is_never_trained_on(tmp_path: Path, share: float) -> None:
    old = earlier(tmp_path / "old", rows=50, held_out_share=0.3)
    held_out_before = {*questions(prepared(tmp_path / "old", old.recipe, None).held_out)}
    assert held_out_before
    new_rows(tmp_path, 10, 100)
    (tmp_path / "held.jsonl").write_bytes(json_lines(pairs(20)))  # rows that the earlier run has trained on
    measured = {"held_out_path": "held.jsonl"} if not share else {"held_out_share": share}
    data = prepared(tmp_path, recipe(replay=1.0, **measured), old)
    trained = set(questions(data.train))
    assert not trained & held_out_before
    assert not trained & set(questions(data.held_out))
    assert data.replayed is not None
    assert data.replayed.of == 50 - len(held_out_before)
    assert (data.replayed.rows < data.replayed.of) is (not share)  # the same share holds out the same questions
    assert data.audit.held_out_in_train == []


def test_rows_that_were_replayed_before_are_replayed_again(tmp_path: Path) -> None:
    first = replace(earlier(tmp_path / "a", rows=30), name="a")
    second = replace(earlier(tmp_path / "b", rows=10, start=100, before=first, replay=0.5), name="b")
    new_rows(tmp_path, 5, 200)
    data = prepared(tmp_path, recipe(replay=1.0, held_out_share=0.0), second)
    assert data.ledger.sources == [("rows.jsonl", 5), ("b:rows.jsonl", 10), ("b:a:rows.jsonl", 15)]


def test_rows_that_cannot_be_read_any_more_are_told(tmp_path: Path) -> None:
    old = earlier(tmp_path / "old", rows=3)
    (old.root / "rows.jsonl").write_bytes(b"")
    new_rows(tmp_path, 10, 0)
    data, problems = prepare(
        recipe(replay=0.5), tiny(), root=tmp_path, context_length=0, allow_outside=False, earlier=old
    )
    assert data is None
    assert [problem.code for problem in problems] == ["D061"]


def test_a_row_that_is_too_long_here_is_dropped_and_named(tmp_path: Path) -> None:
    old = earlier(tmp_path / "old", rows=3)
    long = {"question": "Combien ?", "answer": "x" * 500}
    (old.root / "rows.jsonl").write_bytes(json_lines([*pairs(3), long]))
    new_rows(tmp_path, 10, 100)
    data = prepared(tmp_path, recipe({"max_length": 200}, replay=1.0, held_out_share=0.0), old)
    assert len(data.train) == 13
    assert list(data.ledger.as_json()["dropped_rows"].values()) == [{"first:rows.jsonl": "4"}]
