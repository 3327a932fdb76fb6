"""A full disk: nothing half-written is left, and what is said names the place, what it takes, and the way on."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.checkpoints import seal
from runtime.journal import JournalWriter, read_journal
from runtime.run_folder import RunFolder
from runtime.space import no_room

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "20260101-120000-abcd")
    made.checkpoints.mkdir(parents=True)
    return made


def checkpoint(run: RunFolder, step: int, *, weights: int, whole: bool = True) -> None:
    folder = run.checkpoints / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "adapter_config.json").write_bytes(b"{}")
    (folder / "adapter_model.safetensors").write_bytes(bytes(weights))
    (folder / "optimizer.pt").write_bytes(bytes(2 * weights))
    if whole:
        seal(folder)


def told(run: RunFolder, error: OSError = FULL, *, stage: str = "train", model_bytes: int = 0) -> tuple[str, str, str]:
    problem = no_room(run, error, stage=stage, number=error.errno or 0, model_bytes=model_bytes)
    assert problem.code == "E004"
    return str(problem.file), problem.message, problem.help or ""


@pytest.fixture(autouse=True)
def _four_mebibytes_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.space._free", lambda folder: 4 << 20)


def test_a_checkpoint_takes_what_the_last_one_took(run: RunFolder) -> None:
    checkpoint(run, 3, weights=8 << 20)
    checkpoint(run, 6, weights=1 << 20, whole=False)
    file, message, help_text = told(run)
    assert file.endswith("checkpoints/checkpoint-6")
    assert "it takes 25 MiB, and 7.0 MiB are free" in message  # with what the unfinished one gives back
    assert help_text.startswith("free 19 MiB on the disk of ")
    assert "`recipe resume 20260101-120000-abcd`" in help_text


def test_an_adapter_takes_what_a_checkpoint_has_of_it_and_a_whole_model_its_weights(run: RunFolder) -> None:
    checkpoint(run, 3, weights=8 << 20)
    file, message, _ = told(run, stage="save")
    assert file == str(run.adapter)
    assert "it takes 8.0 MiB" in message
    run.adapter.mkdir()  # whole, and then the merged model
    file, message, _ = told(run, stage="save", model_bytes=270 << 20)
    assert file == str(run.model)
    assert "it takes 270 MiB" in message


def test_before_the_first_checkpoint_only_what_is_free_is_known(run: RunFolder) -> None:
    file, message, help_text = told(run, OSError(errno.EDQUOT, "quota", str(run.events)))
    assert file == str(run.events)
    assert message == f"writing {run.events}: {os.strerror(errno.EDQUOT)}; 4.0 MiB are free"
    assert "free some space" in help_text


def test_a_limit_on_files_is_no_full_disk(run: RunFolder) -> None:
    assert "ulimit -f" in told(run, OSError(errno.EFBIG, "too big"))[2]


# --- real file systems ------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=False)


def test_a_line_that_a_full_disk_took_in_part_does_not_spoil_the_next_one(small_disk: Path) -> None:
    journal = JournalWriter(small_disk / "events.jsonl")
    journal.append("start", steps=3)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(16 << 10))
    long = "x" * 5000
    taken = 0
    with suppress(OSError):
        for taken in range(100):  # noqa: B007 - how many it came to
            journal.append("warning", code="X030", message=long)
    assert 5 < taken < 15
    with pytest.raises(OSError, match=r"No space left on device: '.*events.jsonl'"):  # and there is still none
        journal.append("warning", code="X030", message=long)
    before = [event.seq for event in read_journal(small_disk / "events.jsonl")]
    ballast.unlink()
    journal.append("end", status="failed", code="E004")
    events = list(read_journal(small_disk / "events.jsonl"))
    assert [event.seq for event in events] == [*before, before[-1] + 1] == list(range(len(events)))
    assert events[-1].kind == "end"
    again = JournalWriter(small_disk / "events.jsonl")  # and another writer goes on with the numbers
    assert again.append("start", steps=3).seq == len(events)
