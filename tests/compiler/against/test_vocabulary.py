"""Every token of the rows has to be a row of the embedding."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from compiler.against.vocabulary import beyond_vocabulary
from compiler.data.prepare import prepare
from compiler.facts.models import ModelFacts
from tests.compiler.against.test_against import LLAMA
from tests.compiler.data.conftest import json_lines, pairs, recipe, tiny


@pytest.mark.parametrize("spare", [0, 1, 200])
def test_a_token_beyond_the_embedding_is_told_before_training(tmp_path: Path, spare: int) -> None:
    (tmp_path / "rows.jsonl").write_bytes(json_lines(pairs(20)))
    data, problems = prepare(recipe(), tiny(), root=tmp_path, context_length=0, allow_outside=False)
    assert data is not None, problems
    highest = max(max(example.ids) for example in [*data.train, *data.held_out])
    architecture = structs.replace(LLAMA, vocab_size=highest + spare)
    told = beyond_vocabulary(data, ModelFacts("m", "folder", None, Path(), architecture, (), ()))
    assert [problem.code for problem in told] == ([] if spare else ["M095"])
    if told:
        assert f"token {highest} in 20 of 20 rows" in told[0].message
        assert f"0 to {highest - 1}" in told[0].message


def test_nothing_is_said_of_a_model_whose_sizes_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(json_lines(pairs(20)))
    data, _ = prepare(recipe(), tiny(), root=tmp_path, context_length=0, allow_outside=False)
    assert data is not None
    assert beyond_vocabulary(data, ModelFacts("m", "folder", None, Path(), None, (), ())) == []
