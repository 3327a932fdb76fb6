"""What was tuned is saved whole: the folder that is there before stays until the new one is complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.run_folder import RunFolder
from runtime.saving import save_tuned
from tests.runtime.plans import make_plan

SAVED = {"weights", "tokenizer.json", "recipec.json", "README.md"}


class Model:
    """Writes what a model writes: a file of its own name."""

    def __init__(self, name: str, *, room: bool = True) -> None:
        self.name = name
        self.room = room

    def save_pretrained(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "weights").write_text(self.name)
        if not self.room:
            raise OSError(28, "No space left on device")

    def merge_and_unload(self) -> Model:
        return Model(f"{self.name}, merged")


class Tokenizer:
    """Writes its files into a folder that is there already."""

    def save(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text("{}")


def save(run: RunFolder, model: Model, **changes: object) -> list[Path]:
    return save_tuned(make_plan(**changes), run, model, Tokenizer(), base=run.path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "written"),
    [
        ({}, {"adapter": "tuned"}),
        ({"method": "full"}, {"model": "tuned"}),
        ({"export_merged": True}, {"adapter": "tuned", "model": "tuned, merged"}),
        ({"method": "full", "export_merged": True}, {"model": "tuned"}),
    ],
)
def test_the_plan_says_what_is_written(tmp_path: Path, changes: dict[str, object], written: dict[str, str]) -> None:
    folders = save(RunFolder(tmp_path), Model("tuned"), **changes)
    assert folders == [tmp_path / name for name in written]
    assert {path.name: (path / "weights").read_text() for path in tmp_path.iterdir()} == written
    assert all((folder / "tokenizer.json").is_file() for folder in folders)


def test_a_saved_adapter_is_replaced_whole(tmp_path: Path) -> None:
    for name in ("first", "second"):
        save(RunFolder(tmp_path), Model(name))
        (tmp_path / "adapter" / f"left by the {name}").touch()
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == {*SAVED, "left by the second"}


def test_a_full_disk_leaves_the_adapter_that_was_there(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    save(run, Model("first"))
    with pytest.raises(OSError, match="No space left"):
        save(run, Model("second", room=False))
    assert (run.adapter / "weights").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]  # nothing half-written takes the last of the disk


def test_a_signal_while_saving_leaves_nothing_half_written(tmp_path: Path) -> None:
    class Stopped(BaseException):
        pass

    class Killed(Tokenizer):
        def save(self, folder: Path) -> None:
            raise Stopped

    with pytest.raises(Stopped):
        save_tuned(make_plan(), RunFolder(tmp_path), Model("tuned"), Killed(), base=tmp_path)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_behind_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".adapter").mkdir()
    (tmp_path / ".adapter" / "half").touch()
    save(RunFolder(tmp_path), Model("tuned"))
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == SAVED
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
