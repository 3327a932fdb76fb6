"""Preparing: every row of every source is trained on, held out or dropped for a reason, and the same each time."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.data.examples import Example
from compiler.data.prepare import PreparedData, prepare
from compiler.data.tokenizer import ChatTokenizer
from compiler.diagnostics import Diagnostic, Severity, has_errors
from compiler.language.recipe import Recipe
from tests.compiler.data.conftest import codes, encode_text, json_lines, json_values, pairs, recipe, tiny
from tests.compiler.data.test_ledger import read_ranges


def outcome(
    folder: Path, wanted: Recipe, *, context: int = 0, tokenizer: ChatTokenizer | None = None
) -> tuple[PreparedData | None, list[Diagnostic]]:
    return prepare(wanted, tokenizer or tiny(), root=folder, context_length=context, allow_outside=False)


def prepared(folder: Path, wanted: Recipe, **options: Any) -> PreparedData:
    data, problems = outcome(folder, wanted, **options)
    assert data is not None, problems
    return data


def written(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> None:
    (folder / name).write_bytes(json_lines(rows))


def questions(examples: Iterable[Example]) -> list[str]:
    """The last question of each example, out of its tokens."""
    found = [tiny().decode(list(e.ids), skip_special_tokens=False).split("<|im_start|>user\n")[-1] for e in examples]
    return [text.partition("<|im_end|>")[0] for text in found]


# --- the ledger ---------------------------------------------------------------------------------------------

few = st.sampled_from(["a", "b", "c", "d", "e", "f"])
good = st.fixed_dictionaries({"question": few, "answer": st.text("xyz", min_size=1, max_size=40)})
bad = st.one_of(
    st.fixed_dictionaries({"question": few, "answer": st.sampled_from(["", None, 3, "\ud83d"])}),
    st.fixed_dictionaries({"question": few}),
    json_values,
)
sources = st.lists(st.lists(st.one_of(good, good, bad), min_size=1, max_size=12), min_size=1, max_size=2)


@st.composite
def recipes_with_rows(draw: st.DrawFn) -> tuple[Recipe, dict[str, list[Any]]]:
    """A recipe about one or two sources, held-out rows perhaps, and the rows of each file in reading order."""
    files = {f"{number}.jsonl": rows for number, rows in enumerate(draw(sources))}
    weights = st.sampled_from([0.5, 1.0, 2.5])
    data: dict[str, Any] = {
        "sources": [{"path": name, "weight": draw(weights)} for name in files],
        "columns": {"prompt": "question", "completion": "answer"},
        "max_rows": draw(st.sampled_from([None, 1, 5])),
        "on_bad_row": draw(st.sampled_from(["drop", "drop", "drop", "fail"])),
        "held_out_share": draw(st.sampled_from([0.0, 0.3])),
    }
    if draw(st.booleans()):
        data["held_out_path"] = "held_out.jsonl"
        files["held_out.jsonl"] = draw(st.lists(good, min_size=1, max_size=3))
    training = {
        "max_length": draw(st.sampled_from(["auto", 25, 35])),
        "on_too_long": draw(st.sampled_from(["drop", "truncate", "fail"])),
    }
    return recipe(training, **data), files


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(recipes_with_rows())
def test_every_row_is_accounted_for(tmp_path: Path, drawn: tuple[Recipe, dict[str, list[Any]]]) -> None:
    wanted, files = drawn
    for name, rows in files.items():
        written(tmp_path, rows, name)
    data, problems = outcome(tmp_path, wanted)
    assert (data is None) == has_errors(problems)
    assert "D060" not in codes(problems)
    if data is None:
        return
    ledger, names = data.ledger, list(files)
    assert ledger.adds_up()
    assert ledger.sources == [(name, len(rows)) for name, rows in files.items()]
    assert (ledger.trained, ledger.held_out) == (len(data.train), len(data.held_out))
    fates: Counter[tuple[str, int]] = Counter()
    for side in (data.train, data.held_out):
        fates.update({(names[example.source], example.row) for example in side})
    for by_source in ledger.as_json()["dropped_rows"].values():
        for name, numbers in by_source.items():
            fates.update((name, number) for number in read_ranges(numbers))
    assert fates == {(name, row): 1 for name, rows in files.items() for row in range(1, len(rows) + 1)}
    assert all(len(example.ids) <= data.max_length for example in (*data.train, *data.held_out))
    if not wanted.data.held_out_path:
        assert not set(questions(data.train)) & set(questions(data.held_out))


def test_rows_without_a_column_are_told_and_counted(tmp_path: Path) -> None:
    written(tmp_path, pairs(20), "good.jsonl")
    written(tmp_path, [{}, {}], "empty.jsonl")
    columns = {"prompt": "question", "completion": "answer"}
    sources = [{"path": "good.jsonl"}, {"path": "empty.jsonl"}]
    data, problems = outcome(tmp_path, recipe(sources=sources, columns=columns, on_bad_row="drop"))
    assert data is not None
    assert "D021" in codes(problems)
    assert data.ledger.adds_up()
    assert data.ledger.sources == [("good.jsonl", 20), ("empty.jsonl", 2)]


# --- the split ------------------------------------------------------------------------------------------------


def test_copies_of_a_question_stand_on_one_side(tmp_path: Path) -> None:
    rows = [{"question": f"Was gilt  in Fall {i % 40}?", "answer": f"{i}."} for i in range(200)]
    rows += [{"question": f"was gilt in FALL {i}? ", "answer": "anders"} for i in range(40)]
    written(tmp_path, rows)
    data = prepared(tmp_path, recipe(held_out_share=0.3))
    sides = [{" ".join(q.casefold().split()) for q in questions(side)} for side in (data.train, data.held_out)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 40
    assert data.ledger.trained + data.ledger.held_out == 240


def test_a_row_keeps_its_side_when_rows_are_shuffled_or_added(tmp_path: Path) -> None:
    rows = pairs(100)
    written(tmp_path, rows)
    before = set(questions(prepared(tmp_path, recipe(held_out_share=0.2)).held_out))
    random.Random(1).shuffle(rows)
    written(tmp_path, [*pairs(50, start=100), *rows])
    after = set(questions(prepared(tmp_path, recipe(held_out_share=0.2)).held_out))
    assert before == {question for question in after if int(question.split()[1]) < 100}
    assert before


def test_a_held_out_file_is_taken_whole(tmp_path: Path) -> None:
    written(tmp_path, pairs(10))
    written(tmp_path, [*pairs(4, start=50), pairs(1)[0]], "held.jsonl")
    data, problems = outcome(tmp_path, recipe(held_out_path="held.jsonl", held_out_share=0.5))
    assert data is not None
    assert (len(data.train), len(data.held_out)) == (10, 5)
    assert [file.role for file in data.inputs] == ["data", "held-out"]
    assert codes(problems) == ["D044"]  # one of them is trained on too
    assert problems[0].span is not None
    assert (problems[0].file, problems[0].span.line) == ("held.jsonl", 5)


def test_a_question_that_is_trained_on_with_another_answer_is_told(tmp_path: Path) -> None:
    written(tmp_path, pairs(10))
    written(tmp_path, [{"question": "question  3 ?", "answer": "Autre."}, *pairs(2, start=50)], "held.jsonl")
    data, problems = outcome(tmp_path, recipe(held_out_path="held.jsonl"))
    assert data is not None
    assert codes(problems) == ["D046"]
    assert problems[0].message.startswith("row 1: ")
    assert outcome(tmp_path, recipe(held_out_share=0.5))[1] == []  # a share splits by question


def test_held_out_rows_of_another_kind_are_told(tmp_path: Path) -> None:
    written(tmp_path, pairs(10))
    (tmp_path / "held.txt").write_text("Ein Buch.")
    data, problems = outcome(tmp_path, recipe(held_out_path="held.txt"))
    assert data is not None
    assert codes(problems) == ["D033"]


# --- bad rows ---------------------------------------------------------------------------------------------------


def test_bad_rows_stop_the_compile_or_are_dropped_and_counted(tmp_path: Path) -> None:
    good_rows = pairs(10)
    (tmp_path / "rows.jsonl").write_bytes(
        json_lines(good_rows[:5]) + b'{"question": \n[]\n' + json_lines(good_rows[5:])
    )
    data, problems = outcome(tmp_path, recipe())
    assert data is None
    assert [(p.code, p.severity, p.span.line) for p in problems if p.span] == [
        ("D010", Severity.ERROR, 6),
        ("D011", Severity.ERROR, 7),
    ]
    data, problems = outcome(tmp_path, recipe(on_bad_row="drop"))
    assert data is not None
    assert [p.severity for p in problems] == [Severity.WARNING] * 2
    assert data.ledger.as_json()["dropped_rows"] == {
        "not JSON": {"rows.jsonl": "6"},
        "not an object": {"rows.jsonl": "7"},
    }
    assert len(data.train) + len(data.held_out) == 10


def test_many_bad_rows_at_the_beginning_do_not_hide_the_format(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"no JSON\n" * 100 + json_lines(pairs(10)))
    data = prepared(tmp_path, recipe(on_bad_row="drop"))
    assert data.format == "prompt-completion"
    assert data.ledger.rows == 110
    assert len(data.train) + len(data.held_out) == 10


def test_an_empty_first_row_does_not_hide_the_format(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    written(tmp_path, [{"messages": []}, {"messages": None}, {"messages": talk}])
    data = prepared(tmp_path, recipe(on_bad_row="drop", held_out_share=0.0))
    assert data.format == "messages"
    assert data.ledger.as_json()["dropped"] == {"no messages": 2}


@pytest.mark.parametrize(
    ("data", "options", "code"),
    [
        (b"[]\n", {}, "D011"),
        (b"\n\n", {}, "D007"),
        (b"no JSON\n", {"on_bad_row": "drop"}, "D030"),
        (b'{"x": "q", "y": "a"}\n', {}, "D027"),
        (b'{"question": "q", "answer": "a"}\n', {"columns": {"prompt": "x"}}, "D020"),
        (b'{"question": "q", "answer": "a"}\n', {"path": "other.jsonl"}, "D001"),
        (b'{"question": "q", "answer": "a"}\n', {"prompt_template": "none.jinja"}, "D001"),
        ("é".encode("utf-16"), {}, "D003"),
    ],
)
def test_where_there_is_nothing_to_learn_it_is_said_why(
    tmp_path: Path, data: bytes, options: dict[str, Any], code: str
) -> None:
    (tmp_path / "rows.jsonl").write_bytes(data)
    nothing, problems = outcome(tmp_path, recipe(**options))
    assert nothing is None
    assert code in codes([problem for problem in problems if problem.severity is Severity.ERROR])


def test_without_a_chat_template_texts_are_learnt_and_conversations_are_not(tmp_path: Path) -> None:
    written(tmp_path, pairs(3))
    assert codes(outcome(tmp_path, recipe(), tokenizer=tiny(None))[1]) == ["M030"]
    written(tmp_path, [{"text": f"Absatz {i}."} for i in range(3)])
    data = prepared(tmp_path, recipe(held_out_share=0.0), tokenizer=tiny(None))
    assert [list(e.ids) for e in data.train] == [encode_text(tiny(None), f"Absatz {i}.") for i in range(3)]


def test_what_the_chat_template_refuses_is_a_bad_row(tmp_path: Path) -> None:
    written(tmp_path, pairs(3))
    refusing = tiny(
        "{% for m in messages %}{{ m.content }}<|im_end|>{{ raise_exception('no') if '1' in m.content }}{% endfor %}"
    )
    data, problems = outcome(tmp_path, recipe(held_out_share=0.0), tokenizer=refusing)
    assert data is None
    assert codes(problems) == ["D026"]
    data = prepared(tmp_path, recipe(held_out_share=0.0, on_bad_row="drop"), tokenizer=refusing)
    assert data.ledger.as_json()["dropped_rows"] == {"chat template refused": {"rows.jsonl": "2"}}


# --- lengths ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "kept", "dropped", "told"),
    [
        ("drop", [1, 3], {"longer than max_length": 2}, ["D050"]),
        ("truncate", [1, 2, 3], {"no answer left after truncation": 1}, ["D050", "D051", "D041"]),
        ("fail", None, {}, ["D050"]),
    ],
)
def test_rows_that_are_too_long(
    tmp_path: Path, policy: str, kept: list[int] | None, dropped: dict[str, int], told: list[str]
) -> None:
    rows = pairs(3)
    rows[1]["answer"] *= 20
    rows.append({"question": "lang " * 60, "answer": "x"})
    written(tmp_path, rows)
    data, problems = outcome(tmp_path, recipe({"max_length": 100, "on_too_long": policy}, held_out_share=0.0))
    assert codes(problems) == told
    if kept is None:
        assert data is None
        return
    assert data is not None
    assert [example.row for example in data.train] == kept
    assert data.ledger.as_json()["dropped"] == dropped
    assert data.ledger.truncated == (policy == "truncate")


def test_by_default_no_row_of_either_side_is_cut(tmp_path: Path) -> None:
    written(tmp_path, pairs(5))
    written(tmp_path, [{"question": "länger " * 30, "answer": "ja"}], "held.jsonl")
    data = prepared(tmp_path, recipe(held_out_path="held.jsonl"))
    assert not data.ledger.dropped
    assert data.max_length == len(data.held_out[0].ids) > data.lengths.most


def test_the_shortest_limit_is_sixteen(tmp_path: Path) -> None:
    written(tmp_path, [{"text": "kurz"}])
    data = prepared(tmp_path, recipe(held_out_share=0.0))
    assert data.max_length == 16 > data.lengths.most


def test_the_models_context_is_the_limit(tmp_path: Path) -> None:
    rows = pairs(5)
    rows[2]["answer"] *= 50
    written(tmp_path, rows)
    data = prepared(tmp_path, recipe(held_out_share=0.0), context=120)
    assert data.max_length == 120
    assert "context" in data.max_length_reason


def test_a_held_out_row_counts_for_the_limit_and_its_reason(tmp_path: Path) -> None:
    written(tmp_path, pairs(5))
    written(tmp_path, [{"question": "lang " * 30, "answer": "ja"}], "held.jsonl")
    data = prepared(tmp_path, recipe(held_out_path="held.jsonl"))
    assert data.max_length_reason == "the longest row, a held-out one, so that nothing is cut"
    data = prepared(tmp_path, recipe(held_out_path="held.jsonl"), context=60)
    assert data.max_length == 60
    assert data.ledger.as_json()["dropped_rows"] == {"longer than max_length": {"held.jsonl": "1"}}


def test_the_limit_by_the_context_drops_what_is_longer(tmp_path: Path) -> None:
    rows = pairs(5)
    rows[2]["answer"] *= 50
    written(tmp_path, rows)
    data = prepared(tmp_path, recipe(held_out_share=0.0), context=120)
    assert data.ledger.as_json()["dropped_rows"] == {"longer than max_length": {"rows.jsonl": "3"}}


# --- sources ------------------------------------------------------------------------------------------------------


def test_weights_repeat_and_sample_rows(tmp_path: Path) -> None:
    written(tmp_path, pairs(200), "a.jsonl")
    written(tmp_path, pairs(200, start=200), "b.jsonl")
    weighted = [{"path": "a.jsonl", "weight": 2.0}, {"path": "b.jsonl", "weight": 0.5}]
    data, problems = outcome(tmp_path, recipe(sources=weighted, held_out_share=0.0))
    assert data is not None
    assert problems == []  # copies that are asked for are no duplicates
    counts = Counter(example.source for example in data.train)
    assert counts[0] == 400
    assert 60 < counts[1] < 140
    assert data.ledger.repeated == 200
    assert data.ledger.as_json()["dropped"] == {"not sampled (weight)": 200 - counts[1]}


def test_copies_beside_what_a_weight_repeats_are_told_once(tmp_path: Path) -> None:
    written(tmp_path, [*pairs(20), pairs(1)[0]], "a.jsonl")
    written(tmp_path, pairs(20, start=50), "b.jsonl")
    weighted = [{"path": "a.jsonl", "weight": 3.0}, {"path": "b.jsonl"}]
    _, problems = outcome(tmp_path, recipe(sources=weighted, held_out_share=0.0))
    assert [(problem.code, problem.message) for problem in problems] == [
        ("D045", "row 21: the same example comes again")
    ]


def test_plain_texts_of_a_weighted_source_are_sampled_one_by_one(tmp_path: Path) -> None:
    written(tmp_path, [{"text": f"Absatz {n}."} for n in range(200)], "a.jsonl")
    data, _ = outcome(tmp_path, recipe(sources=[{"path": "a.jsonl", "weight": 0.5}], held_out_share=0.0))
    assert data is not None
    assert 60 < len(data.train) < 140


def test_only_the_first_rows_are_used_on_request(tmp_path: Path) -> None:
    written(tmp_path, pairs(10))
    data = prepared(tmp_path, recipe(max_rows=4, held_out_share=0.0))
    assert questions(data.train) == [row["question"] for row in pairs(4)]
    assert data.ledger.as_json()["dropped_rows"] == {"beyond max_rows": {"rows.jsonl": "5-10"}}


def test_a_folder_of_texts_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for number in range(3):
        (tmp_path / "texts" / f"{number}.txt").write_text(f"Text {number}.", encoding="utf-8")
    data = prepared(tmp_path, recipe(path="texts", held_out_share=0.0))
    assert (data.format, len(data.train)) == ("text", 3)
    assert data.inputs[0].bytes == 3 * len("Text 0.")


def test_a_prompt_template_and_a_system_message_make_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "prompt.jinja").write_text("Frage: {{ question }}")
    written(tmp_path, pairs(2))
    data = prepared(tmp_path, recipe(prompt_template="prompt.jinja", system="Sei kurz.", held_out_share=0.0))
    assert questions(data.train) == ["Frage: Question 0 ?", "Frage: Question 1 ?"]
    assert "Sei kurz." in tiny().decode(list(data.train[0].ids))


def test_a_template_that_writes_one_prompt_for_all_is_told(tmp_path: Path) -> None:
    written(tmp_path, pairs(30))
    (tmp_path / "prompt.jinja").write_text("{{ titre | default('') }} Antworte.")
    _, problems = outcome(tmp_path, recipe(prompt_template="prompt.jinja"))
    assert [(problem.code, problem.path) for problem in problems] == [("D034", ("data", "prompt_template"))]
    (tmp_path / "prompt.jinja").write_text("{{ answer }}")
    assert outcome(tmp_path, recipe(prompt_template="prompt.jinja", held_out_share=0.3))[1] == []


def test_a_control_token_in_the_recipes_system_message_is_told_there(tmp_path: Path) -> None:
    written(tmp_path, pairs(30))
    _, problems = outcome(tmp_path, recipe(system="Sei <|im_end|> kurz."))
    assert [(problem.code, problem.path) for problem in problems] == [("D047", ("data", "system"))]


def test_a_template_that_fails_at_every_row_is_one_error(tmp_path: Path) -> None:
    written(tmp_path, pairs(300))
    written(tmp_path, pairs(300), "held.jsonl")
    endless = "{% for i in range(100000) %}{% for j in range(100) %}{% endfor %}{% endfor %}"
    for source, code in ((endless, "D028"), ("{{ titre }}", "D020")):
        (tmp_path / "prompt.jinja").write_text(source)
        wanted = recipe(prompt_template="prompt.jinja", on_bad_row="drop", held_out_path="held.jsonl")
        data, problems = outcome(tmp_path, wanted)
        assert data is None
        assert codes(problems) == [code]
        assert problems[0].severity is Severity.ERROR


def test_a_template_that_is_not_there_with_the_answers_column_named_is_one_error(tmp_path: Path) -> None:
    written(tmp_path, pairs(3))
    for name, code in (("none.jinja", "D001"), ("/etc/hostname", "D002")):
        _, problems = outcome(tmp_path, recipe(prompt_template=name, columns={"completion": "answer"}))
        assert codes(problems) == [code]
        assert problems[0].path == ("data", "prompt_template")


def test_trl_s_lists_of_messages_are_conversations(tmp_path: Path) -> None:
    before = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rows = [
        {
            "prompt": [*before, {"role": "user", "content": f"{n}"}],
            "completion": [{"role": "assistant", "content": "c"}],
        }
        for n in range(3)
    ]
    written(tmp_path, rows)
    data = prepared(tmp_path, recipe(held_out_share=0.0))
    assert data.format == "prompt-completion"
    for example in data.train:
        learnt = [label for label in example.labels if label >= 0]
        assert tiny().decode(learnt, skip_special_tokens=False) == "c<|im_end|>\n"


def test_what_is_left_of_nothing_is_told_with_the_reasons(tmp_path: Path) -> None:
    written(tmp_path, [{"question": "q", "answer": ""}, *pairs(2)])
    _, problems = outcome(tmp_path, recipe({"max_length": 16}, on_bad_row="drop", held_out_share=0.0))
    assert "none of 3 rows is left to train on: 1 empty answer, 2 longer than max_length" in [
        p.message for p in problems
    ]


def test_each_problem_knows_the_field_of_its_source(tmp_path: Path) -> None:
    written(tmp_path, pairs(3), "a.jsonl")
    wanted = recipe(sources=[{"path": "a.jsonl"}, {"path": "b.jsonl"}], held_out_path="held.jsonl")
    _, problems = outcome(tmp_path, wanted)
    assert [problem.path for problem in problems] == [("data", "sources", 1, "path"), ("data", "held_out_path")]


# --- the same each time ---------------------------------------------------------------------------------------------


def test_the_same_files_give_the_same_data_anywhere(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, pairs(50))
        made.append(prepared(tmp_path / name, recipe()))
    assert made[0] == made[1]
    assert made[0].inputs[0].sha256 == hashlib.sha256(json_lines(pairs(50))).hexdigest()
    written(tmp_path / "two", [*pairs(49), {"question": "Question 49 ?", "answer": "Réponse 49!"}])
    assert prepared(tmp_path / "two", recipe()).fingerprint != made[0].fingerprint


def test_progress_is_told_to_its_end(tmp_path: Path) -> None:
    written(tmp_path, pairs(450))
    told: list[tuple[str, int, int | None]] = []
    data, _ = prepare(
        recipe(), tiny(), root=tmp_path, context_length=0, allow_outside=False, progress=lambda *step: told.append(step)
    )
    assert data is not None
    read = [step for step in told if step[0] == "reading rows.jsonl"]
    assert read == [("reading rows.jsonl", 200, None), ("reading rows.jsonl", 400, None)]
    counts = [done for what, done, total in told[len(read) + 1 :] if (what, total) == ("checking rows", 900)]
    assert told[len(read)] == ("comparing rows", 0, None)
    assert len(counts) == len(told) - len(read) - 1 > 2
    assert counts == sorted(counts)
    assert counts[-1] == 900


def test_a_file_that_goes_away_meanwhile_is_told(tmp_path: Path) -> None:
    written(tmp_path, pairs(3))

    def take_away(what: str, *_: object) -> None:
        if what == "checking rows":
            (tmp_path / "rows.jsonl").unlink(missing_ok=True)

    data, problems = prepare(
        recipe(held_out_share=0.0), tiny(), root=tmp_path, context_length=0, allow_outside=False, progress=take_away
    )
    assert data is None
    assert codes(problems) == ["E001"]


@given(st.lists(st.one_of(json_values, st.dictionaries(st.sampled_from(["messages", "text", "prompt"]), json_values))))
def test_any_json_gives_data_or_coded_errors(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "rows.json").write_text(json.dumps(rows))
    data, problems = outcome(folder, recipe(path="rows.json", on_bad_row="drop"))
    assert (data is None) == has_errors(problems)
    if data is not None:
        assert data.train
        assert data.ledger.adds_up()
