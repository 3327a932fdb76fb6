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

from compiler.diagnostics import Refusal
from runtime.journal import (
    FOREIGN,
    LARGEST,
    Event,
    JournalTail,
    JournalWriter,
    Steps,
    parse_line,
    read_journal,
    read_number,
    writable,
)

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


@pytest.mark.parametrize(
    ("own", "read"),
    [
        ('"v":1,"seq":3,"t":1.5,"k":"metric"', Event(3, 1.5, "metric")),
        ('"v":1,"seq":3,"t":1,"k":"metric","v2":2', Event(3, 1.0, "metric", {"v2": 2})),
        ('"v":2,"seq":3,"t":1,"k":"metric","step":4', Event(3, 1.0, FOREIGN, {"v": 2})),
        ('"seq":3,"t":1,"k":"metric"', None),
        ('"v":"1","seq":3,"t":1,"k":"metric"', None),
        ('"v":true,"seq":3,"t":1,"k":"metric"', None),
        ('"v":1,"seq":-1,"t":1,"k":"metric"', None),
        ('"v":1,"seq":3.0,"t":1,"k":"metric"', None),
        (f'"v":1,"seq":3,"t":1{"0" * 400},"k":"metric"', None),
        ('"v":1,"seq":3,"t":NaN,"k":"metric"', None),
        ('"v":1,"seq":3,"t":1,"k":["metric"]', None),
    ],
)
def test_a_line_is_an_event_when_its_own_four_fields_are_ours(own: str, read: Event | None) -> None:
    assert parse_line(b"{" + own.encode() + b"}") == read


def test_fields_are_read_as_what_they_should_be_or_not_at_all() -> None:
    huge = 10**400
    event = Event(
        0, 0.0, "x", {"a": [1], "b": huge, "c": True, "d": -1, "e": LARGEST, "f": "\ud800x", "g": None, "h": 7}
    )
    assert [event.number(name) for name in "abcdfgi"] == [None, None, None, -1.0, None, None, None]
    assert [event.whole(name) for name in "abcdefgi"] == [None, None, None, None, LARGEST, None, None, None]
    assert [event.text(name, "-") for name in "afghi"] == ["-", "?x", "-", "7", "-"]
    assert event.text("b") == str(huge)


def test_a_journal_of_another_version_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text('{"v":1,"seq":0,"t":1,"k":"start"}\n{"v":2,"seq":1,"t":1,"k":"start"}\n')
    before = path.read_bytes()
    with pytest.raises(Refusal, match="of journal version 2") as refused:
        JournalWriter(path)
    assert refused.value.diagnostics[0].help
    assert path.read_bytes() == before


def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text('{"v":1,"seq":9,"t":1,"k":"metric"}\n{"v":1,"seq":2,"t":1,"k":"metric"}\n')
    assert JournalWriter(path).append("stage").seq == 10


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
            seen += [event.get("step") for event in batch]
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
    assert [event.seq for event in events] == list(range(len(events)))


def step_line(seq: int, **fields: object) -> bytes:
    head = {"v": 1, "seq": seq, "t": 1.5, "k": "metric", "up": 2.5, "step": seq}
    return json.dumps(head | fields, separators=(",", ":")).encode()


odd_lines = st.sampled_from(
    [
        b"",
        b'{"v":1,"seq":3,"t":1,"k":"stage","name":"train"}',
        b'{"v":1,"seq":3,"t":1,"k":"metric","step":"three"}',
        b'{"v":1,"seq":3,"t":1,"k":"metric","step":3',
        b'{"v":1,"seq":3,"t":1,"k":"metric","step":3}]',
        b'{"v":1,"seq":3,"t":1,"k":"metric"},{"v":1,"seq":4,"t":1,"k":"metric"}',
        b'{"v":1,"seq":3,"t":1,"k":"metric","k":"end"}',
        b'{"v":1,"seq":3,"t":1,"k":"metric","loss":NaN}',
        b"\xff\xfe",
    ]
)


@given(st.lists(st.integers(1, 40) | odd_lines, max_size=12))
def test_steps_together_are_the_events_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, parts: list[int | bytes]
) -> None:
    lines: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            lines.append(part)
        else:
            lines += [step_line(len(lines) + n, loss=0.5 * n) for n in range(part)]
    path = tmp_path_factory.mktemp("run") / "events.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    tail, found = JournalTail(path, chunk=997), []
    while batch := tail.stretches():
        for told in batch:
            found += told.events() if isinstance(told, Steps) else [told]
    assert repr(found) == repr(list(read_journal(path)))  # as NaN is not itself


def test_many_steps_are_understood_together(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(step_line(seq) + b"\n" for seq in range(1000)))
    told = JournalTail(path).stretches()
    assert [len(some.documents) for some in told if isinstance(some, Steps)] == [256, 256, 256, 232]
