"""The journal: what is written is read, what is torn is passed over, what is followed is bounded."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.journal import JournalTail, JournalWriter, gaps, parse_line, read_journal, read_number, writable

numbers = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=True, allow_infinity=True))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=10,
)
names = st.text("abcdefghij_", min_size=2, max_size=12)


@given(st.lists(st.dictionaries(names, values, max_size=4), max_size=8))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, fields: list[dict[str, object]]) -> None:
    path = tmp_path_factory.mktemp("journal") / "events.jsonl"
    writer = JournalWriter(path)
    for one in fields:
        writer.append("metric", **one)
    writer.close()
    read = list(read_journal(path))
    assert [event.seq for event in read] == list(range(len(fields)))
    for event, one in zip(read, fields, strict=True):
        plain = json.loads(json.dumps(writable(one), ensure_ascii=False).encode("utf-8", errors="replace"))
        assert event.fields == plain


@given(st.binary(max_size=200))
def test_no_line_breaks_the_reader(line: bytes) -> None:
    parse_line(line)


def test_a_torn_last_line_is_passed_over_and_closed_off(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer = JournalWriter(path)
    writer.append("stage", name="train")
    writer.append("metric", step=1, loss=2.5)
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert [event.kind for event in read_journal(path)] == ["stage"]
    again = JournalWriter(path)
    again.append("metric", step=1, loss=2.5)
    again.close()
    assert [(event.seq, event.kind) for event in read_journal(path)] == [(0, "stage"), (1, "metric")]


def test_nan_and_infinity_survive(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "e.jsonl")
    writer.append("metric", loss=math.nan, grad_norm=math.inf, other=-math.inf)
    for line in (tmp_path / "e.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    (event,) = read_journal(tmp_path / "e.jsonl")
    assert math.isnan(event.number("loss") or 0.0)
    assert event.number("grad_norm") == math.inf
    assert event.number("other") == -math.inf
    assert read_number("loss") is None
    assert read_number(True) is None


def test_the_tail_sees_each_event_once_however_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    writer = JournalWriter(path)
    tail = JournalTail(path, chunk=17)
    seen: list[int] = []
    for step in range(30):
        writer.append("metric", step=step, text="é" * step)
        while batch := tail.poll():
            seen += [event["step"] for event in batch]
    assert seen == list(range(30))
    assert tail.poll() == []


def test_the_tail_starts_over_when_the_file_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    writer = JournalWriter(path)
    for step in range(5):
        writer.append("metric", step=step)
    tail = JournalTail(path)
    assert len(tail.poll()) == 5
    path.write_text('{"v":1,"seq":0,"t":1,"k":"end"}\n')
    assert [event.kind for event in tail.poll()] == ["end"]


def test_a_line_without_end_is_not_kept_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"x" * (6 << 20) + b"\n" + b'{"v":1,"seq":7,"t":1,"k":"end"}\n')
    assert [event.seq for event in read_journal(path)] == [7]


def test_gaps_are_found(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text("".join(f'{{"v":1,"seq":{n},"t":1,"k":"metric"}}\n' for n in (0, 1, 4, 5, 9)))
    assert gaps(read_journal(path)) == [(2, 3), (6, 8)]


def test_a_killed_writer_leaves_whole_lines_and_the_next_one_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from runtime.journal import JournalWriter
        writer = JournalWriter(Path(sys.argv[1]))
        while True:
            writer.append("metric", loss=1.0, text="x" * 500)
        """
    )
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", program, str(path)])
        size = path.stat().st_size if path.exists() else 0
        while not path.exists() or path.stat().st_size < size + 50_000:
            time.sleep(0.005)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    events = list(read_journal(path))
    assert len(events) > 100
    assert gaps(events) == []
