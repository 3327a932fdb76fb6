"""Several processes: the same examples as in one, in the same order, in bounded memory, and none is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compiler.data import kept, workers
from compiler.data.batch import Batch
from compiler.data.prepare import PreparedData, prepare
from compiler.data.tokenising import Tokenising
from compiler.diagnostics import Diagnostic
from compiler.language.recipe import Recipe
from tests.compiler.data.conftest import json_lines, pairs, recipe, tiny


def outcome(folder: Path, wanted: Recipe) -> tuple[PreparedData | None, list[Diagnostic]]:
    return prepare(wanted, tiny(), root=folder, context_length=0, allow_outside=False)


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[int]]]:
    """Any data is worth two workers; the list tells the processes that were started, a list a compile."""
    started: list[list[int]] = []
    enter = workers.Workers.__enter__

    def entered(self: workers.Workers) -> workers.Workers:
        started.append([worker.pid for worker in self._started])
        return enter(self)

    monkeypatch.setattr(workers, "WORTH_BYTES", 0)
    monkeypatch.setattr(workers, "cores", lambda: 2)
    monkeypatch.setattr(workers.Workers, "__enter__", entered)
    yield started
    assert not any(Path(f"/proc/{process}").exists() for of_one in started for process in of_one)


def written(folder: Path) -> None:
    rows: list[Any] = pairs(900)
    rows[100] = {"question": "Leer?", "answer": ""}
    rows[500] = "no object"
    rows[700] = {"question": "<|im_end|> ?", "answer": "Oui."}
    rows[800] = rows[20]
    (folder / "a.jsonl").write_bytes(json_lines(rows))
    table = "".join(f'"Frage {number}?","Antwort, {number}"\n' for number in range(500))
    (folder / "b.csv").write_text("question,answer\n" + table, encoding="utf-8")
    (folder / "h.jsonl").write_bytes(json_lines(pairs(300, start=850)))
    (folder / "prompt.jinja").write_text("F: {{ question }}", encoding="utf-8")


SOURCES: list[dict[str, Any]] = [{"path": "a.jsonl", "weight": 1.5}, {"path": "b.csv", "weight": 0.5}]


@pytest.mark.parametrize(
    "options",
    [
        {"sources": SOURCES, "on_bad_row": "drop", "held_out_share": 0.1},
        {"sources": SOURCES, "on_bad_row": "drop", "held_out_path": "h.jsonl", "prompt_template": "prompt.jinja"},
        {"path": "a.jsonl"},
        {"path": "a.jsonl", "on_bad_row": "drop", "prompt_template": "prompt.jinja", "columns": {"prompt": "answer"}},
    ],
)
def test_in_several_processes_and_in_one_it_is_the_same(
    tmp_path: Path, several: list[list[int]], monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    written(tmp_path)
    wanted = recipe(**options)
    together = outcome(tmp_path, wanted)
    assert [len(processes) for processes in several] == [2]
    monkeypatch.setattr(workers, "cores", lambda: 1)
    assert outcome(tmp_path, wanted) == together
    assert len(several) == 1


def batches(number: int) -> Iterator[Batch]:
    from compiler.data.formats import Format
    from compiler.data.row import Place

    form = Format("prompt-completion", {"prompt": "question", "completion": "answer"}, "")
    for at in range(number):
        rows = [(Place(at * 20 + row), values) for row, values in enumerate(pairs(20, start=at * 20))]
        yield Batch(0, "a.jsonl", form, (), False, None, list(rows))


def test_a_worker_that_is_killed_costs_nothing_but_time() -> None:
    tokenising = Tokenising(recipe(), tiny())
    expected = [tokenising.tokenise(batch).ids for batch in batches(30)]
    with workers.Workers(tokenising, 2) as several:
        made = []
        for number, done in enumerate(several.run(batches(30))):
            made.append(done.ids)
            if number in {3, 12}:
                several._started[number // 12].kill()
    assert made == expected


def test_workers_that_cannot_start_are_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    tokenising = Tokenising(recipe(), tiny())
    with workers.Workers(tokenising, 2) as several:
        assert [done.count for done in several.run(batches(5))] == [20] * 5


COMPILE = """
import sys
from pathlib import Path
from compiler.data import workers
workers.WORTH_BYTES, workers.cores = 0, lambda: 2
from tests.compiler.data.conftest import recipe, tiny
from compiler.data.prepare import prepare
def told(what, number, total):
    if number == 4000:
        print("reading", flush=True)
prepare(recipe(), tiny(), root=Path(sys.argv[1]), context_length=0, allow_outside=False, progress=told)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_do_not_outlive_an_interrupted_compile(tmp_path: Path, cache: Path, number: int) -> None:
    (tmp_path / "rows.jsonl").write_bytes(json_lines(pairs(60_000)))
    command = [sys.executable, "-c", COMPILE, str(tmp_path)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "reading\n"
    children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text(encoding="ascii").split()
    assert len(children) == 2
    if number == signal.SIGINT:
        os.killpg(child.pid, number)  # as a terminal does
    else:
        child.kill()
    child.wait()
    child.stdout.close()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{process}").exists() for process in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{process}").exists() for process in children)
    folder = cache / "data"
    whole = [entry for entry in folder.iterdir() if not entry.name.startswith(kept._NEW)] if folder.exists() else []
    assert whole == []


PEAK = """
import json, resource, sys
from pathlib import Path
from tests.compiler.data.conftest import recipe, tiny
from compiler.data.prepare import prepare
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wanted = recipe(on_bad_row="drop")
data, problems = prepare(wanted, tiny(), root=Path(sys.argv[1]), context_length=0, allow_outside=False)
rows = data.ledger.rows if data is not None else 0
print(json.dumps({"grown": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, "rows": rows}))
"""


def test_memory_is_bounded_when_rows_are_long(tmp_path: Path, cache: Path) -> None:
    with (tmp_path / "rows.jsonl").open("w", encoding="utf-8") as stream:
        for row in pairs(20):
            stream.write(json.dumps({**row, "answer": "Ein langer Text. " * 9_000}) + "\n")
    command = [sys.executable, "-c", PEAK, str(tmp_path)]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert said["rows"] == 20
    assert said["grown"] < 200_000  # kB; 300,000 where 200 rows are tokenised together, whatever their length
