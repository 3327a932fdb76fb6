"""The comparison that guides give: our predictions, others' figures with their source, and nothing invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from compiler.estimate.result import GIB, Unknown
from compiler.facts.catalogue import facts_of
from compiler.guide import WAYS, Figure, FiguresError, Row, Setting, guides, off_by, parse_guides, rows
from tui.commands.guide import command


def ran(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(command, list(args), env={"COLUMNS": "100", "NO_COLOR": "1"})
    return result.exit_code, result.stdout, result.stderr


def own() -> list[Row]:
    facts = facts_of("meta-llama/Llama-2-7b-hf")
    assert facts is not None
    found = rows(facts, Setting("a100-80"))
    assert not isinstance(found, Unknown)
    return found


def test_the_four_ways_are_told_with_what_they_take() -> None:
    found = own()
    assert [row.way.words for row in found] == ["full", "LoRA r = 16", "LoRA r = 64", "QLoRA r = 32"]
    memory = {row.way.name: row.told.memory.process.bytes for row in found}
    assert memory["qlora-32"] < memory["lora-16"] < memory["lora-64"] < memory["full"]
    assert {row.told.answer.chosen.work.micro_batch for row in found} == {1}
    weights = next(term for term in found[0].told.memory.terms if term.name == "weights")
    assert weights.bytes == 2 * 6_738_415_616, "Llama 2's own count, in 16 bits"
    cost = [row.told.cost.cheapest for row in found]
    assert all(each is not None for each in cost)


def test_shipped_figures_name_their_source_and_day_and_known_ways() -> None:
    for guide in guides():
        assert guide.source
        assert guide.read is not None
        assert guide.figures.keys() <= {way.name for way in WAYS}


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (60.0, "more than the band's end"),
        (54.0, "lies in the band"),
        (30.0, "it holds weights 12.6"),
        (3.0, "less than"),
    ],
)
def test_a_figure_is_held_against_the_band_and_its_terms(memory: float, words: str) -> None:
    said = off_by(own()[0], Figure(memory=memory))
    assert words in said
    if memory == 30.0:
        assert "but not optimizer" in said
    low = own()[0].told.memory.process.low / GIB
    assert (f"{low - memory:.1f} too little" in said) is (memory < low)
    assert off_by(own()[0], Figure()) == ""


def test_the_table_says_what_is_not_known() -> None:
    code, out, _ = ran()
    assert code == 0
    assert "LLaMA-Factory" in out
    assert "are not known here: --figures FILE adds them" in " ".join(out.split())
    assert all(len(line) <= 100 for line in out.splitlines())


def test_a_card_that_does_not_hold_it_has_no_time_and_no_cost() -> None:
    line = next(line for line in ran("--gpu", "rtx-4090")[1].splitlines() if line.startswith("full"))
    assert "does not fit" in line
    assert line.endswith("-")


def test_own_figures_are_a_column_and_the_document_holds_all(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        '[[guide]]\nname = "Ours"\nfigures = [{ way = "lora-16", memory = 20, hours = 2 }]\n', encoding="utf-8"
    )
    out = ran("--figures", str(file))[1]
    assert "Ours" in out
    assert "20 GB" in out
    assert "no figure for memory" in out
    assert "are not known here" not in out
    told: Any = json.loads(ran("--figures", str(file), "--json")[1])
    by_way = {each["way"]: each["guides"].get("Ours") for each in told["ways"]}
    assert by_way["lora-16"]["memory"] == 20
    assert by_way["lora-16"]["hours"] == 2
    assert by_way["full"] is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[guide]",
        "guide = 3",
        "[[guide]]\nname = 3",
        '[[guide]]\nname = "x"\nfigures = [{ way = "dora" }]',
        '[[guide]]\nname = "x"\nfigures = [{ way = "full", memory = -1 }]',
        '[[guide]]\nname = "x"\nfigures = [{ way = "full", memory = inf }]',
        '[[guide]]\nname = "x"\nfigures = [{ way = "full", memory = true }]',
        '[[guide]]\nname = "x"\nfigures = 7',
    ],
)
def test_figures_that_are_none_are_refused_in_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(FiguresError):
        parse_guides(text)
    file = tmp_path / "own.toml"
    file.write_text(text, encoding="utf-8")
    code, _, err = ran("--figures", str(file))
    assert code == 2
    assert "--figures" in err


@pytest.mark.parametrize(
    "arguments",
    [("--model", "nobody/nothing"), ("--gpu", "abacus"), ("--figures", "missing.toml")],
)
def test_what_cannot_be_compared_is_told(arguments: tuple[str, ...]) -> None:
    code, _, err = ran(*arguments)
    assert code == 2
    assert arguments[0] in err


def test_figures_for_seven_billion_are_not_held_against_a_model_of_another_size() -> None:
    for model, there in (("Qwen/Qwen2.5-7B", True), ("Qwen/Qwen2.5-0.5B", False)):
        code, out, _ = ran("--model", model)
        assert code == 0
        assert ("LLaMA-Factory" in out) is there
        assert ("models of about 7B" in out) is not there
