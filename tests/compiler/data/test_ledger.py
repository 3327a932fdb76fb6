"""The ledger: it adds up exactly when every row is somewhere, and its ranges can be read back."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from compiler.data.ledger import Ledger, ranges

fates = st.sampled_from(["trained", "held out", "empty answer", "too long", "not JSON"])


def ledger_of(rows: dict[tuple[str, int], str], repeated: int = 0) -> Ledger:
    """A ledger in which each row (source, number) has met its fate."""
    sources = sorted({source for source, _ in rows})
    ledger = Ledger([(source, sum(s == source for s, _ in rows)) for source in sources], repeated=repeated)
    for (source, number), fate in rows.items():
        if fate == "trained":
            ledger.trained += 1
        elif fate == "held out":
            ledger.held_out += 1
        else:
            ledger.drop(fate, source, number)
    ledger.trained += repeated
    return ledger


def read_ranges(text: str) -> set[int]:
    numbers: set[int] = set()
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        numbers |= set(range(int(low), int(high or low) + 1))
    return numbers


rows_with_fates = st.dictionaries(st.tuples(st.sampled_from(["a.jsonl", "b.csv"]), st.integers(1, 50)), fates)


@given(rows=rows_with_fates, repeated=st.integers(0, 5))
def test_it_adds_up_and_one_row_more_or_less_does_not(rows: dict[tuple[str, int], str], repeated: int) -> None:
    ledger = ledger_of(rows, repeated)
    assert ledger.rows == len(rows)
    assert ledger.adds_up()
    ledger.trained += 1
    assert not ledger.adds_up()
    ledger.trained -= 1
    ledger.drop("lost", "a.jsonl", 51)
    assert not ledger.adds_up()


@given(rows=rows_with_fates)
def test_every_dropped_row_can_be_found_again(rows: dict[tuple[str, int], str]) -> None:
    plain = ledger_of(rows).as_json()
    found = {
        (source, number): reason
        for reason, places in plain["dropped_rows"].items()
        for source, numbers in places.items()
        for number in read_ranges(numbers)
    }
    assert found == {place: fate for place, fate in rows.items() if fate not in {"trained", "held out"}}
    assert sum(plain["dropped"].values()) == len(found)
    assert plain["rows"] == plain["trained"] + plain["held_out"] + len(found)
    assert list(plain["dropped"]) == sorted(plain["dropped"])


@given(st.lists(st.integers(0, 200)))
def test_ranges_read_back(numbers: list[int]) -> None:
    text = ranges(numbers)
    assert read_ranges(text) == set(numbers)
    parts = [part.split("-") for part in filter(None, text.split(","))]
    borders = [int(number) for part in parts for number in part]
    assert borders == sorted(set(borders))  # ascending, and no range of one
    assert all(int(after[0]) - int(before[-1]) > 1 for before, after in pairwise(parts))


def test_ranges_as_a_person_writes_them() -> None:
    assert ranges([]) == ""
    assert ranges([7]) == "7"
    assert ranges([3, 1, 2, 7, 9, 8, 7]) == "1-3,7-9"


def test_a_million_bad_rows_are_one_range() -> None:
    ledger = Ledger([("a.jsonl", 1_000_000)])
    for row in range(1, 1_000_001):
        ledger.drop("not JSON", "a.jsonl", row)
    assert ledger.adds_up()
    assert ledger.as_json()["dropped_rows"] == {"not JSON": {"a.jsonl": "1-1000000"}}
    assert ledger.dropped["not JSON"].as_json() == {"a.jsonl": [1, 1_000_000]}
