"""The audit of texts: limits of the recipe, places of rows, and the same result however the rows are divided."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.data.conversations import Conversation
from compiler.data.findings import judge_contents
from compiler.data.limits import limited, severity_of
from compiler.data.noted import Noted
from compiler.data.prepare import PreparedData, prepare
from compiler.data.row import Place
from compiler.data.sources import Source
from compiler.data.text_audit import TextAudit, TextFindings, TextOf
from compiler.diagnostics import Diagnostic, Severity
from compiler.language.recipe import Recipe
from tests.compiler.data.conftest import codes, json_lines, recipe, tiny
from tests.compiler.data.test_languages import TEXTS
from tests.compiler.data.test_near_duplicates import sentences

SOURCES = [Source("a.jsonl", Path("a.jsonl"), "jsonl"), Source("b.jsonl", Path("b.jsonl"), "jsonl")]


def talk(question: str, answer: str, system: str = "") -> Conversation:
    before = ({"role": "system", "content": system},) if system else ()
    return Conversation((*before, {"role": "user", "content": question}, {"role": "assistant", "content": answer}))


def rows() -> list[TextOf]:
    """Rows of two sources with something of everything."""
    own = sentences(40, 30)
    answers = [
        *(f"{TEXTS['fr']} {text}" for text in own),
        *(f"{TEXTS['fr']} {text} fin" for text in own[:4]),
        *(f"{TEXTS['en']} {TEXTS['en']}" for _ in range(3)),
        *(f"Écrivez à {name}@exemple.fr." for name in ("jean.dupont", "anne.martin")),
    ]
    return [(n % 2, Place(n // 2 + 1, n // 2 + 1), talk(f"Et {n} ?", answer)) for n, answer in enumerate(answers)]


def in_order(found: list[TextOf]) -> list[TextOf]:
    return sorted(found, key=lambda row: (row[0], row[1].row))


def audited(found: list[TextOf]) -> TextAudit:
    audit = TextAudit("fr")
    for source, place, conversation in found:
        audit.add(source, place, conversation)
    return audit


def finished(audit: TextAudit, found: list[TextOf]) -> TextFindings:
    def again(_: Collection[tuple[int, int]]) -> Iterator[TextOf]:
        return iter(found)

    return audit.finish(again, [source.name for source in SOURCES])


def test_everything_is_counted() -> None:
    found = finished(audited(in_order(rows())), in_order(rows()))
    assert found.rows == len(rows())
    assert found.counts() == {
        "near_duplicates": 6,  # and the English ones, which are three times the same
        "held_out_near_train": 0,
        "other_language": 3,
        "personal_data": 2,
    }


@given(st.integers(1, 10**6))
def test_the_rows_may_be_divided_among_processes(seed: int) -> None:
    ordered = in_order(rows())
    one = finished(audited(ordered), ordered)
    cut = seed % len(ordered)
    whole = audited(ordered[cut:])
    whole.merge(audited(ordered[:cut]))
    assert judge_contents(finished(whole, ordered), SOURCES) == judge_contents(one, SOURCES)


def test_each_finding_names_three_rows_and_masks_what_it_found() -> None:
    told = judge_contents(finished(audited(in_order(rows())), in_order(rows())), SOURCES)
    assert [(problem.code, problem.file) for problem in told] == [
        ("D049", "a.jsonl"),
        ("D049", "b.jsonl"),
        ("D048", "a.jsonl"),
        ("D048", "b.jsonl"),
        ("D053", "a.jsonl"),
        ("D053", "b.jsonl"),
    ]
    assert told[0].message == "rows 23 and 24: the answer is in another language than [recipe] language: English"
    assert told[2].message == "row 25: an e-mail address (a…@e….fr)"
    assert told[3].message == "row 24: an e-mail address (j…@e….fr)"
    assert not any("dupont" in problem.message or "martin" in problem.message for problem in told)
    assert all(problem.help and problem.severity is Severity.WARNING for problem in told)


def test_the_recipes_own_system_message_is_no_rows_personal_data() -> None:
    system = "Écrivez à jean.dupont@exemple.fr."
    for known, count in ((system, 0), ("", 1)):
        audit = TextAudit("fr", known)
        audit.add(0, Place(1), talk("Quoi ?", "Rien.", system))
        assert audit.found.personal_rows == count


def test_plain_texts_are_looked_at_too() -> None:
    audit = TextAudit("fr")
    audit.add(0, Place(1), Conversation(text=f"{TEXTS['en']} jean.dupont@exemple.fr"))
    assert (audit.found.other_language, audit.found.personal_rows) == (1, 1)


@pytest.mark.parametrize(
    ("most", "severity"),
    [
        ("ignore", None),
        ("warn", Severity.WARNING),
        ("fail", Severity.ERROR),
        (0.0, Severity.ERROR),
        (0.09, Severity.ERROR),
        (0.1, Severity.WARNING),
        (1.0, Severity.WARNING),
    ],
)
def test_a_limit_is_a_word_or_a_share(most: Any, severity: Severity | None) -> None:
    assert severity_of(most, count=10, rows=100) is severity
    problems = [Diagnostic("D048", "x", severity=Severity.WARNING)]
    assert [told.severity for told in limited(problems, most, count=10, rows=100)] == ([severity] if severity else [])


@given(st.sampled_from(["ignore", "warn", "fail"]) | st.floats(0, 1), st.integers(0, 9))
def test_nothing_found_is_nothing_told(most: Any, rows: int) -> None:
    assert severity_of(most, count=0, rows=rows) is None


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 50)), unique=True), st.integers(0, 100))
def test_notes_keep_the_first_rows_and_all_counts(places: list[tuple[int, int]], cut: int) -> None:
    ordered = sorted(places)
    one, two, whole = Noted(), Noted(), Noted()
    for number, (source, row) in enumerate(ordered):
        (one if number < cut else two).add(source, Place(row), f"{source}:{row}")
        whole.add(source, Place(row), f"{source}:{row}")
    two.merge(one)
    assert two == whole
    assert two.total == len(places)
    assert all(len(first) <= 4 for first in two.first.values())


# --- in a recipe ------------------------------------------------------------------------------------------------


def outcome(
    folder: Path, wanted: Recipe, answers: list[str], held_out: list[str] | None = None
) -> tuple[PreparedData | None, list[Diagnostic]]:
    for name, side in (("rows.jsonl", answers), ("held.jsonl", held_out or [])):
        lines = [{"question": f"Et {name} {n} ?", "answer": answer} for n, answer in enumerate(side)]
        (folder / name).write_bytes(json_lines(lines))
    return prepare(wanted, tiny(), root=folder, context_length=0, allow_outside=False)


MAIL = "Écrivez à jean.dupont@exemple.fr."


@pytest.mark.parametrize(
    ("limit", "compiles", "told"),
    [
        ("warn", True, ["D048"]),
        ("fail", False, ["D048"]),
        ("ignore", True, []),
        (0.5, True, ["D048"]),
        (0.1, False, ["D048"]),
    ],
)
def test_a_recipe_says_how_much_it_puts_up_with(tmp_path: Path, limit: Any, compiles: bool, told: list[str]) -> None:
    wanted = recipe(held_out_share=0.0, audit={"personal_data": limit})
    data, problems = outcome(tmp_path, wanted, [MAIL, "Oui.", "Non."])
    assert (data is not None, codes(problems)) == (compiles, told)
    if data is not None:
        assert data.audit.as_json()["personal_data"] == 1


def test_answers_in_another_language_are_told(tmp_path: Path) -> None:
    data, problems = outcome(tmp_path, recipe(held_out_share=0.0), [TEXTS["fr"], TEXTS["en"]])
    assert [(problem.code, problem.message.partition(":")[0]) for problem in problems] == [("D049", "row 2")]
    assert data is not None
    assert data.audit.as_json()["other_language"] == 1


def test_near_repeats_are_told_on_both_sides(tmp_path: Path) -> None:
    one, two = sentences(2, 40)
    wanted = recipe(held_out_path="held.jsonl")
    data, problems = outcome(tmp_path, wanted, [one, f"{one} fin", two], [f"{two} fin"])
    assert [(problem.code, problem.file, problem.message) for problem in problems] == [
        ("D053", "rows.jsonl", "row 2: nearly the same as another row (the first as row 1)"),
        (
            "D054",
            "held.jsonl",
            "row 1: held out, and nearly the same as a row that is trained on (the first as row 3 of rows.jsonl)",
        ),
    ]
    assert data is not None
    counts = data.audit.as_json()
    assert (counts["near_duplicates"], counts["held_out_near_train"]) == (1, 1)


def test_the_same_row_twice_is_a_duplicate_and_no_near_one(tmp_path: Path) -> None:
    text = sentences(1, 40)[0]
    (tmp_path / "rows.jsonl").write_bytes(json_lines([{"question": "Quoi ?", "answer": text}] * 2))
    _, problems = prepare(recipe(held_out_share=0.0), tiny(), root=tmp_path, context_length=0, allow_outside=False)
    assert codes(problems) == ["D045"]


def test_cut_rows_and_lost_ends_have_limits_of_their_own(tmp_path: Path) -> None:
    answers = [*sentences(9, 5), sentences(1, 60)[0]]
    training = {"max_length": 160, "on_too_long": "truncate"}
    for limit, compiles in (("warn", True), (0.2, True), ("fail", False)):
        data, problems = outcome(tmp_path, recipe(training, held_out_share=0.0, audit={"cut": limit}), answers)
        assert (data is not None) is compiles
        assert "D051" in codes(problems)
        if data is not None:
            assert data.audit.as_json()["cut"] == 1
    _, problems = outcome(tmp_path, recipe(training, held_out_share=0.0, audit={"cut": "ignore"}), answers)
    assert codes(problems) == ["D041"]


def test_a_template_without_an_end_of_turn_fails(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(json_lines([{"question": f"{n} ?", "answer": f"{n}."} for n in range(3)]))
    endless = tiny("{% for m in messages %}\n{{ m.role }}: {{ m.content }}{% endfor %}")
    for limit, severity in ((0.9, Severity.ERROR), ("warn", Severity.WARNING)):
        wanted = recipe(held_out_share=0.0, audit={"end_of_turn_not_learnt": limit})
        _, problems = prepare(wanted, endless, root=tmp_path, context_length=0, allow_outside=False)
        assert [told.severity for told in problems if told.code == "D041"] == [severity]
