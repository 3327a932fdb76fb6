"""A checkpoint counts when its seal fits every file; the latest such one is found and the rest pruned."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.checkpoints import SEAL, is_whole, latest_whole, newest_first, prune, seal, step_of


def make(folder: Path, step: int, *, sealed: bool = True) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    (checkpoint / "nested").mkdir(parents=True)
    (checkpoint / "weights.bin").write_bytes(bytes(range(256)) * 40)
    (checkpoint / "nested" / "state.json").write_text('{"step": 1}')
    if sealed:
        seal(checkpoint)
    return checkpoint


def test_a_sealed_checkpoint_is_whole(tmp_path: Path) -> None:
    assert is_whole(make(tmp_path, 5))
    assert not is_whole(make(tmp_path, 6, sealed=False))
    assert not is_whole(tmp_path / "checkpoint-7")


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "seal-cut", "seal-foreign"])
def test_any_damage_is_seen(tmp_path: Path, damage: str) -> None:
    checkpoint = make(tmp_path, 5)
    file = checkpoint / "weights.bin"
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[1234] ^= 1
        file.write_bytes(data)
    elif damage == "cut":
        file.write_bytes(data[:-1])
    elif damage == "delete":
        file.unlink()
    elif damage == "seal-cut":
        (checkpoint / SEAL).write_text((checkpoint / SEAL).read_text()[:-20])
    else:
        (checkpoint / SEAL).write_text("[]")
    assert not is_whole(checkpoint)


def test_the_latest_whole_one_is_found_past_broken_ones(tmp_path: Path) -> None:
    make(tmp_path, 10)
    make(tmp_path, 20)
    newest = make(tmp_path, 100, sealed=False)
    (tmp_path / "checkpoint-x").mkdir()
    (tmp_path / "notes.txt").write_text("")
    whole, broken = latest_whole(tmp_path)
    assert whole == tmp_path / "checkpoint-20"
    assert broken == [newest]
    assert [step_of(path) for path in newest_first(tmp_path)] == [100, 20, 10]
    assert latest_whole(tmp_path / "nothing") == (None, [])


def test_pruning_keeps_the_latest_the_best_and_what_is_being_written(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40):
        make(tmp_path, step)
    make(tmp_path, 50, sealed=False)
    prune(tmp_path, keep=2, also=str(tmp_path / "checkpoint-10"))
    assert sorted(step_of(path) for path in tmp_path.iterdir()) == [10, 30, 40, 50]
