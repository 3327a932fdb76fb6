"""What helps to write a recipe: colours, what can follow, values that are tried, the forecast."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.language.shapes import shapes_of, tables
from compiler.language.toml_source import parse_document
from compiler.permissions import Permissions
from tui.completing import completions, field_at, table_at
from tui.forecast import forecast
from tui.recipe_words import Cursor, Space, beside
from tui.toml_colors import stretches
from tui.what_if import Tried, stepped, written

QUICKSTART = Path(__file__).parents[2] / "recipes" / "quickstart" / "recipe.toml"
TEXTS = st.lists(
    st.sampled_from(["[model]\n", 'id = "x"\n', "r = 3 # c\n", '"""\n', "[[data.sources]]\n", "é\t=", "\n", "#"])
)


@given(TEXTS.map("".join))
def test_every_stretch_lies_in_its_line(text: str) -> None:
    lines = text.split("\n")
    found = stretches(text)
    assert len(found) == len(lines)
    for line, parts in zip(lines, found, strict=True):
        assert all(0 <= start < end <= len(line) for start, end, _kind in parts)


def test_what_a_line_is_made_of() -> None:
    (line,) = stretches('r = 16  # "rank"')
    assert line == [(0, 1, "key"), (4, 6, "number"), (8, 16, "comment")]
    assert stretches("[adapter]\nuse = true")[1][-1] == (6, 10, "number")


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("[adapter]\nlora_a", ["lora_alpha = "]),
        ("[adapter]\nlora_alpha = 3\nlora_", ["lora_dropout = "]),
        ('[adapter]\nmethod = "do', ['"dora"']),
        ("[adapter]\nuse_rslora = t", ["true"]),
        ("[adap", ["[adapter]"]),
        ("[adapter]\nr = 4\n[adap", []),
        ("# [adap", []),
        ("[no_such_table]\nx", []),
        ("[adapter]\nno_such_key = ", []),
    ],
)
def test_what_can_follow(text: str, offered: list[str]) -> None:
    lines = text.split("\n")
    found = completions(text, len(lines) - 1, len(lines[-1]))
    assert [each.text for each in found] == offered
    for each in found:
        assert each.text == (lines[-1].split("= ")[-1] if "= " in lines[-1] else lines[-1]) + each.rest


def test_every_key_of_every_table_is_offered_in_it() -> None:
    for path, table in tables().items():
        if not path or path[0] == "data":
            continue
        text = f"[{'.'.join(map(str, path))}]\n\n"
        offered = {each.text.removesuffix(" = ") for each in completions(text, 1, 0)}
        assert offered == {name for name, s in shapes_of(table).items() if not (s.table and "table" in s.kinds)}


def test_the_field_of_a_line() -> None:
    text = "[training]\nbatch_size = 8\n"
    found = field_at(text, 1)
    assert found is not None
    assert found[0] == ("training", "batch_size")
    assert field_at(text, 0) is None
    assert table_at(text, 0) == ()


def test_steps_on_the_ladders() -> None:
    assert stepped(("adapter", "r"), 16, 1) == 32
    assert stepped(("adapter", "r"), 20, -1) == 16
    assert stepped(("adapter", "r"), 256, 1) == 256
    assert stepped(("adapter", "r"), "auto", 1) == 32
    gpus = [stepped(("hardware", "gpu"), "", 1)]
    while (following := stepped(("hardware", "gpu"), gpus[-1], 1)) not in gpus:
        gpus.append(following)
    assert "h100-pcie" in gpus


def test_tried_values_are_written_where_they_belong_with_every_comment_kept() -> None:
    text = QUICKSTART.read_text()
    tried = Tried().with_value(("adapter", "r"), 32).with_value(("training", "batch_size"), 16)
    tried = tried.with_value(("adapter", "r"), 64)
    after = written(text, tried)
    document, problems = parse_document(after.encode(), "recipe.toml")
    assert document is not None
    assert not problems
    assert document.values["adapter"]["r"] == 64
    assert document.values["training"]["batch_size"] == 16
    comments = [line.partition("#")[2] for line in text.splitlines()]
    assert [line.partition("#")[2] for line in after.splitlines() if "#" in line] == [c for c in comments if c]
    assert written(text, Tried()) == text


def test_the_forecast_of_a_recipe() -> None:
    found = forecast(QUICKSTART.read_text(), QUICKSTART, Permissions(offline=True))
    decided = {each.path: each for each in found.decided}
    assert (found.errors, found.warnings) == (0, 0)
    assert decided["adapter.r"].value == "16"
    assert decided["training.learning_rate"].value == "0.001"
    assert not decided["training.learning_rate"].reason
    assert decided["adapter.method"].rejected
    assert found.takes is not None
    assert found.takes.answer.chosen.work.method == decided["adapter.method"].value
    told = beside(found, Tried(), Cursor(found.text, 0, []), Space(60)).plain
    for words in ("fits: ", "memory  █", "weights", "time ", "cost ", "r = 16"):
        assert words in told
    assert "memory  #" in beside(found, Tried(), Cursor(found.text, 0, []), Space(60, unicode=False)).plain


def test_the_forecast_says_that_a_recipe_does_not_fit() -> None:
    text = QUICKSTART.read_text().replace('device = "cpu"', 'gpu = "rtx-4090"')
    text = re.sub(r"(?s)\[model\].*?\n\n", '[model]\nid = "Qwen/Qwen2.5-72B"\n\n', text)
    found = forecast(text, QUICKSTART, Permissions(offline=True))
    assert found.takes is not None
    assert found.takes.answer.verdict == "does not fit"
    assert "does not fit: " in beside(found, Tried(), Cursor(text, 0, []), Space(40)).plain
    assert "E030" in {each.code for each in found.diagnostics}


@pytest.mark.parametrize("text", ["", "[", "schema = 1\n[adapter]\nr = -3\n", "\0", "[model]\nid = 3"])
def test_the_forecast_of_what_is_no_recipe_tells_what_is_wrong(text: str, tmp_path: Path) -> None:
    found = forecast(text, tmp_path / "recipe.toml", Permissions(offline=True))
    assert found.errors
