"""What a run is measured on is written down when it starts, with what it was trained on told apart."""

from __future__ import annotations

import json

import pytest

from compiler.diagnostics import Refusal
from runtime.evaluation.questions import Question, questions_file, read_questions
from runtime.run_folder import RunFolder

pytestmark = pytest.mark.slow


def test_every_question_stands_there_with_where_it_is_from(run: RunFolder) -> None:
    questions = {one.name: one for one in read_questions(run)}
    assert list(questions) == [
        *(f"held_out.jsonl, row {n}" for n in range(1, 11)),
        "questions_path 1",
        "own 1",
    ]
    row = questions["held_out.jsonl, row 2"]
    assert (row.text, row.expected, row.tags, row.seen) == ("Autre 1 ?", "Autre réponse 1.", ("law",), False)
    assert row.ids[: len(row.prompt_ids)] == tuple(row.prompt_ids)
    assert row.learnt == ((len(row.prompt_ids), len(row.ids)),)
    assert questions["own 1"].tests == ("own",)
    assert questions["questions_path 1"].tags == ("law",)
    assert [one.name for one in questions.values() if one.seen] == ["held_out.jsonl, row 1"]


def test_a_question_comes_back_as_it_was_written(run: RunFolder) -> None:
    for line in questions_file(run).read_text(encoding="utf-8").splitlines():
        assert set(json.loads(line)) == set(Question("", [], []).as_json())
    first = read_questions(run)[0]
    assert json.loads(questions_file(run).read_text(encoding="utf-8").splitlines()[0]) == first.as_json()


@pytest.mark.parametrize("content", ["{", '{"name": 1}', "[]", None])
def test_a_run_without_questions_says_so(run: RunFolder, content: str | None) -> None:
    if content is None:
        questions_file(run).unlink()
    else:
        questions_file(run).write_text(content, encoding="utf-8")
    with pytest.raises(Refusal, match="X050"):
        read_questions(run)
