"""A signal ends work where it does no harm; every request is answered."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.journal import JournalWriter, read_journal
from runtime.orders import SIGNALS, Orders, Stopped
from runtime.run_folder import RunFolder, post_request


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.fixture
def orders(run: RunFolder) -> Iterator[Orders]:
    """Orders that listen, in a process whose own handlers come back afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    listening = Orders(run, JournalWriter(run.events))
    listening.listen()
    yield listening
    for number, handler in before.items():
        signal.signal(number, handler)


def answers(run: RunFolder) -> list[dict[str, Any]]:
    return [event.fields for event in read_journal(run.events) if event.kind == "request"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_noted_and_ends_nothing_by_itself(orders: Orders, number: signal.Signals, code: int) -> None:
    orders.check()
    assert orders.exit_code() == 0
    signal.raise_signal(number)
    assert (orders.by, orders.exit_code()) == (number.name, code)
    with pytest.raises(Stopped):
        orders.check()
    with pytest.raises(Stopped), orders.at_once():
        pytest.fail("work was begun that nobody wants any more")


def test_work_that_may_be_broken_off_is_and_no_library_takes_it_for_an_error(orders: Orders) -> None:
    def work() -> None:
        with orders.at_once():
            try:
                signal.raise_signal(signal.SIGTERM)
            except Exception:
                pytest.fail("a library caught it")
            pytest.fail("it went on")

    with pytest.raises(Stopped):
        work()


def test_what_must_not_be_broken_off_comes_to_its_end_first(orders: Orders) -> None:
    done = []

    def work() -> None:
        with orders.at_once():
            with orders.unbroken():
                signal.raise_signal(signal.SIGTERM)
                done.append("guarded")
            done.append("the rest")

    with pytest.raises(Stopped):
        work()
    assert done == ["guarded"]


def test_after_work_that_may_be_broken_off_nothing_may(orders: Orders) -> None:
    with orders.at_once():
        pass
    signal.raise_signal(signal.SIGTERM)
    assert orders.by == "SIGTERM"


def test_a_second_signal_is_the_end(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    post_request(orders._run, "stop")
    orders.take(3)
    signal.raise_signal(signal.SIGINT)
    assert (left, orders.by) == ([], "SIGINT")  # a request is no signal
    signal.raise_signal(signal.SIGTERM)
    assert left == [143]


def test_ignored_signals_do_nothing(orders: Orders) -> None:
    orders.ignore()
    for _ in range(2):
        for number in SIGNALS:
            signal.raise_signal(number)
    assert orders.by is None


def test_a_signal_that_came_before_anyone_listened_is_taken(run: RunFolder, orders: Orders) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    signal.raise_signal(signal.SIGTERM)
    assert orders.by is None
    orders.listen()
    assert orders.by == "SIGTERM"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


def test_requests_are_answered_and_obeyed(run: RunFolder, orders: Orders) -> None:
    assert orders.take(1) is False
    post_request(run, "checkpoint")
    assert orders.take(2) is True
    post_request(run, "stop")
    assert orders.take(3) is False
    assert (orders.by, orders.exit_code()) == ("request", 0)
    assert answers(run) == [{"name": "checkpoint", "step": 2}, {"name": "stop", "step": 3}]


def test_what_cannot_be_done_is_declined_with_the_reason(run: RunFolder, orders: Orders) -> None:
    post_request(run, "checkpoint")
    (run.control / "dance.json").write_text("{}")
    assert orders.take(4, no_checkpoint="nothing new") is False
    assert answers(run) == [
        {"name": "checkpoint", "step": 4, "declined": "nothing new"},
        {"name": "dance", "step": 4, "declined": "there is no such request"},
    ]
    assert list(run.control.iterdir()) == []
