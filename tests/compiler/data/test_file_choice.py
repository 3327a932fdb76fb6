"""Files of rows among others: by kind, by split, whole; what is not certain is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.file_choice import KIND_BY_ENDING, NoChoice, chosen, files_of_rows

SHARDS = [f"data/train-{i:05}-of-00003.parquet" for i in range(3)]
WITH_SPLITS = ["README.md", ".gitattributes", *SHARDS, "data/test-00000-of-00001.parquet"]


@pytest.mark.parametrize(
    ("names", "trained", "measured"),
    [
        (WITH_SPLITS, SHARDS, ["data/test-00000-of-00001.parquet"]),
        (["train.jsonl", "validation.jsonl", "test.jsonl"], ["train.jsonl"], ["validation.jsonl"]),
        (["a.csv", "b.csv", "held_out.csv"], ["a.csv", "b.csv"], ["held_out.csv"]),
        (["en/train.json", "dataset_info.json", "en/dev.json"], ["en/train.json"], ["en/dev.json"]),
        (["rows.jsonl", "notes.txt", "eval.jsonl"], ["rows.jsonl"], ["eval.jsonl"]),
        (["train.parquet", "train.csv", "test.csv", "test.parquet"], ["train.parquet"], ["test.parquet"]),
    ],
)
def test_names_tell_what_is_trained_on_and_what_is_measured_with(
    names: list[str], trained: list[str], measured: list[str]
) -> None:
    assert chosen(names, held_out=False) == trained
    assert chosen(names, held_out=True) == measured


@pytest.mark.parametrize(
    ("names", "held_out", "told"),
    [
        (["README.md", "pictures.zip"], False, "no file of rows"),
        ([], False, "no file of rows"),
        (["train.jsonl"], True, "to measure with"),
        (["test.jsonl", "dev.jsonl"], False, "to train on"),
        (["fr/train.jsonl", "en/train.jsonl"], False, "several folders: en, fr"),
        (SHARDS[:1] + SHARDS[2:], False, "1 of the 3 parts of data/train is not there (number 1"),
        ([".hidden/train.jsonl"], False, "no file of rows"),
    ],
)
def test_what_is_not_certain_is_refused(names: list[str], held_out: bool, told: str) -> None:
    with pytest.raises(NoChoice) as why:
        chosen(names, held_out=held_out)
    assert told in str(why.value)
    assert why.value.remedy


words = st.sampled_from(["train", "test", "validation", "latest", "contest", "data", "fr", "x"])
names = st.builds(
    lambda folder, one, two, ending: f"{folder}/{one}-{two}{ending}",
    st.sampled_from(["a", "b"]),
    words,
    words,
    st.sampled_from([*KIND_BY_ENDING, ".md", ".bin"]),
)


@given(st.lists(names, unique=True), st.booleans())
def test_a_choice_is_of_one_kind_in_one_folder_and_never_of_both_sides(found: list[str], held_out: bool) -> None:
    try:
        some = chosen(found, held_out=held_out)
    except NoChoice:
        return
    assert set(some) <= set(files_of_rows(found))
    assert len({KIND_BY_ENDING["." + name.rsplit(".", 1)[1]] for name in some}) == 1
    assert len({name.split("/")[0] for name in some}) == 1
    try:
        others = chosen(found, held_out=not held_out)
    except NoChoice:
        return
    assert not set(some) & set(others) or any("train" in name for name in some)
