"""Near repeats: what is told is nearly the same, few are missed, and what rows share as a template does not count."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data import near_duplicates
from compiler.data.near_duplicates import LIKENESS, Comparison, NearDuplicates, band_keys, likeness, shingles, words_of

NUMBERS = st.sets(st.integers(0, 2**32 - 1), max_size=40)


def noted(texts: Sequence[str], held_out: Sequence[int] = (), *, first: int = 0) -> NearDuplicates:
    """The first pass; rows are numbered from ``first``."""
    found = NearDuplicates()
    for row, text in enumerate(texts, first):
        found.add(row, words_of(text), shingles([text.encode()]).pop(), held_out=row in held_out)
    return found


def near(texts: Sequence[str], held_out: Sequence[int] = ()) -> dict[int, int]:
    """Both passes."""
    work = Comparison(noted(texts, held_out).candidates(), len(texts))
    for row in sorted(work.wanted):
        work.add(row, words_of(texts[row]))
    return work.nearly_the_same()


def sentences(count: int, words: int, seed: int = 1) -> list[str]:
    """Texts that have nothing in common."""
    drawn = random.Random(seed)
    vocabulary = [f"{drawn.choice('bcdfglmnprst')}{drawn.choice('aeiou')}{n}" for n in range(5000)]
    return [" ".join(drawn.choices(vocabulary, k=words)) for _ in range(count)]


def test_texts_of_their_own_are_not_told() -> None:
    assert near(sentences(300, 40)) == {}


def test_a_text_with_a_word_changed_is_told_with_the_row_it_repeats() -> None:
    texts = sentences(200, 60)
    changed = [f"{text.rpartition(' ')[0]} autrement" for text in texts]
    found = near([*texts, *changed])
    assert all(found[row] == row - 200 for row in found)
    assert len(found) >= 199


def test_nine_in_ten_at_the_border_are_found() -> None:
    drawn = random.Random(2)
    texts = sentences(300, 60)
    changed = []
    for text in texts:
        words = text.split()
        for _ in range(2):
            words[drawn.randrange(60)] = "autrement"
        changed.append(" ".join(words))
    alike = {
        row + 300
        for row, (one, two) in enumerate(zip(texts, changed, strict=True))
        if likeness(shingles(words_of(one)), shingles(words_of(two))) >= LIKENESS
    }
    found = set(near([*texts, *changed]))
    assert found <= alike
    assert len(found) >= 0.9 * len(alike) > 200


def test_exact_copies_are_found_elsewhere() -> None:
    text = sentences(1, 30)[0]
    assert near([text, text, text]) == {}


def test_spaces_and_capitals_make_no_difference() -> None:
    text = sentences(1, 30)[0]
    assert near([text, text.upper().replace(" ", " \u00a0")]) == {1: 0}


def test_rows_that_share_a_template_are_not_alike() -> None:
    template = sentences(1, 250, seed=3)[0]
    rows = [f"{template} {own}" for own in sentences(300, 20)]
    assert likeness(shingles(words_of(rows[0])), shingles(words_of(rows[1]))) > LIKENESS
    assert near(rows) == {}
    again = [f"{row} fin" for row in rows[:10]]
    assert len(near([*rows, *again])) >= 8


def test_held_out_rows_are_told_wherever_they_stand() -> None:
    text = sentences(1, 50)[0]
    assert near([text + " un", text + " deux"], held_out=[0]) == {0: 1}
    assert near([text + " un", text + " deux"], held_out=[1]) == {1: 0}
    assert near([text + " un", text + " deux"], held_out=[0, 1]) == {}


def test_audits_of_two_processes_find_what_one_finds() -> None:
    texts = [text + end for text in sentences(30, 40) for end in (" un", " deux")]
    one = noted(texts)
    two = noted(texts[31:], first=31)
    two.merge(noted(texts[:31]))
    assert two.candidates() == one.candidates() != []


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "MOST_COMPARED", 10)
    monkeypatch.setattr(near_duplicates, "MOST_PAIRS", 10)
    texts = [text + end for text in sentences(100, 40) for end in (" un", " deux")]
    assert len(noted(texts).candidates()) == 10
    assert 0 < len(near(texts)) <= 5


def test_keys_are_the_same_in_any_process() -> None:
    text = "Où est le code, et à qui ? Là."
    code = (
        "from compiler.data.near_duplicates import *; "
        f"print(band_keys(shingles(words_of({text!r}))), sorted(shingles(words_of({text!r}))))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    keys = band_keys(shingles(words_of(text)))
    assert found == {f"{keys} {sorted(shingles(words_of(text)))}\n".encode()}


@given(NUMBERS, NUMBERS)
def test_likeness_is_symmetric_and_a_share(one: set[int], two: set[int]) -> None:
    assert likeness(one, two) == likeness(two, one)
    assert 0.0 <= likeness(one, two) <= 1.0
    assert (likeness(one, two) == 1.0) == (one == two)


@given(NUMBERS, st.randoms())
def test_keys_depend_on_the_set_alone(numbers: set[int], drawn: random.Random) -> None:
    shuffled = list(numbers)
    drawn.shuffle(shuffled)
    assert band_keys(set(shuffled)) == band_keys(numbers)
    assert all(0 <= key < 2**32 for key in band_keys(numbers))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=6))
def test_any_texts_can_be_compared(texts: list[str]) -> None:
    found = near(texts)
    for row, other in found.items():
        assert other < row
        assert likeness(shingles(words_of(texts[row])), shingles(words_of(texts[other]))) >= LIKENESS
    assert near([*texts, *texts]) == found
