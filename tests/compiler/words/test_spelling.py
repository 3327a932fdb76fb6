"""Near names: a slip of the pen is found, an opposite or another number never taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.language.recipe import TrainingTable
from compiler.words.spelling import distance, misspelt, plain

KEYS = list(TrainingTable.model_fields)
names = st.text("abcdefgh_", max_size=9)


@given(names, names)
def test_distance_is_symmetric_and_nothing_only_for_equals(one: str, other: str) -> None:
    assert distance(one, other, 9) == distance(other, one, 9)
    assert (distance(one, other, 9) == 0) == (one == other)


@given(names, st.integers(0, 8), st.sampled_from("xyz"))
def test_one_slip_is_one_away(name: str, at: int, sign: str) -> None:
    assert distance(name, name[:at] + sign + name[at:], 3) == 1
    if at < len(name):
        assert distance(name, name[:at] + name[at + 1 :], 3) == 1
        assert distance(name, name[:at] + sign + name[at + 1 :], 3) == 1
    if at + 1 < len(name) and name[at] != name[at + 1]:
        assert distance(name, name[:at] + name[at + 1] + name[at] + name[at + 2 :], 3) == 1


@pytest.mark.parametrize("key", [key for key in KEYS if len(key) >= 5])
def test_every_key_is_found_through_a_slip(key: str) -> None:
    swapped = key[:2] + key[3] + key[2] + key[4:]
    for slip in {key[:-1], key[:2] + key[3:], swapped if swapped != key else key[:-1]}:
        assert misspelt(slip, KEYS).name == key, slip


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("min_length", "max_length"),
        ("min_steps", "max_steps"),
        ("cpu_count", "gpu_count"),
        ("tpu_count", "gpu_count"),
        ("bnb_8bit_use_double_quant", "bnb_4bit_use_double_quant"),
        ("pissa_niter_8", "pissa_niter_4"),
        ("padding", "packing"),
        ("max_cols", "max_rows"),
        ("int2", "int8"),
        ("eval_path", "train_path"),
    ],
)
def test_what_says_something_else_is_no_slip(name: str, near: str) -> None:
    assert misspelt(name, [near]).name is None


@pytest.mark.parametrize("name", ["", "r", "lr", "id", "x" * 65, "x" * 100_000])
def test_too_short_and_too_long_names_are_not_guessed_at(name: str) -> None:
    assert misspelt(name, [*KEYS, "r1", "lr_"]).name is None


def test_of_two_that_are_equally_near_none_is_sure() -> None:
    assert not misspelt("max_stepz", ["max_steps", "max_stepx"]).sure


@pytest.mark.parametrize("written", ["Learning-Rate", " learning rate ", "LEARNING_RATE", "learning.rate"])
def test_case_dashes_and_spaces_do_not_count(written: str) -> None:
    assert plain(written) == "learning_rate"
