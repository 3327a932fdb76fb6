"""The comparison that guides give: our predictions, others' figures with their source, and nothing invented."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from compiler.estimate.result import GIB, Unknown
from compiler.facts.catalogue import facts_of
from compiler.guide.against import held_against
from compiler.guide.figures import WAYS, Figure, FiguresError, Guide, Quantity, Said, guides, parse_guides
from compiler.guide.predicted import Row, Setting, rows
from tui.commands.guide import command


def ran(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(command, list(args), env={"COLUMNS": "100", "NO_COLOR": "1"})
    return result.exit_code, result.stdout, result.stderr


def own(gpu: str = "a100-80") -> list[Row]:
    facts = facts_of("meta-llama/Llama-2-7b-hf")
    assert facts is not None
    found = rows(facts, Setting(gpu))
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
    said = told("full", memory=(memory, memory))["memory"]
    assert words in said
    if memory == 30.0:
        assert "but not optimizer" in said
    low = own()[0].told.memory.process.low / GIB
    assert (f"{low - memory:.1f} too little" in said) is (memory < low)


def told(way: str, *, gpu: str = "", on: str = "a100-80", **said: tuple[float, float]) -> dict[str, str]:
    """What there is to say of figures for one way, by quantity."""
    found = own(on)
    row = next(row for row in found if row.way.name == way)
    numbers: dict[Quantity, Said] = {name: Said(*ends) for name, ends in said.items()}  # type: ignore[misc]
    return dict(held_against(Guide("x", "", None, "EUR", {way: Figure(numbers, gpu)}), row, found[0]))


def test_of_what_a_guide_does_not_give_nothing_is_said() -> None:
    assert told("full") == {}
    assert held_against(Guide("x", "", None, "EUR", {}), own()[0], own()[0]) == {}


def test_times_less_are_held_against_full_fine_tuning_as_predicted() -> None:
    found = {row.way.name: row.told for row in own()}
    memory = found["full"].memory.process.bytes / found["lora-16"].memory.process.bytes
    time = found["full"].total.seconds / found["lora-16"].total.seconds
    said = told("lora-16", memory_less=(10, 20), time_less=(3, 5))
    assert f"is not ours, {memory:.1f}" in said["memory_less"]
    assert "the frozen weights alone are 12.6" in said["memory_less"], "a tenth of full is less than they take"
    assert f"is not ours, {time:.1f}" in said["time_less"]
    within = told("lora-16", memory_less=(3, 5), time_less=(1.5, 2.5))
    assert all("lies in ours" in each for each in within.values())
    assert "weights" not in told("lora-16", memory_less=(1.5, 2))["memory_less"], "too little less is no such thing"


def test_a_count_of_trained_weights_is_found_among_the_presets() -> None:
    """r x (inputs + outputs) of each layer: with hidden size 4096, four layers of attention in 32 blocks."""
    attention = 16 * (4096 + 4096) * 4 * 32
    assert own()[1].trained["attention"] == attention
    assert f'target_modules = "attention" ({attention / 1e6:.1f})' in told("lora-16", trained=(16e6, 16e6))["trained"]
    assert "are ours (40.0)" in told("lora-16", trained=(40e6, 40e6))["trained"]
    assert "are no preset's; here it is 40.0" in told("lora-16", trained=(1e6, 2e6))["trained"]
    assert "are ours (6738.4)" in told("full", trained=(7e9, 7e9))["trained"]


def test_hours_and_money_of_another_size_are_told_as_rows() -> None:
    total, money = own()[0].told.total, own()[0].told.cost.cheapest
    assert money is not None
    hour = total.seconds / 3600
    said = told("full", hours=(100 * hour, 100 * hour), cost=(100 * money.expected, 1000 * money.expected))
    assert said["hours"].endswith("would be 100,000 such rows")
    assert said["cost"].endswith("would be 100,000 to 1,000,000 such rows")
    near = told("full", hours=(hour, hour), cost=(money.expected, money.expected))
    assert all("lies in our range" in each for each in near.values())
    price = told("full", price_per_hour=(5, 15))["price_per_hour"]
    assert f"the cheapest known is {money.expected / hour:.2f} ({money.provider})" in price


def test_what_does_not_fit_has_no_time_and_no_money_to_compare() -> None:
    said = told("full", on="rtx-4090", gpu="rtx-4090", hours=(1, 2), cost=(1, 2), price_per_hour=(1, 2))
    assert said == {"gpu": "one rtx-4090 does not surely hold it"}
    assert told("lora-16", gpu="rtx-4090") == {"gpu": "one rtx-4090 holds it, as said"}


def test_money_of_another_currency_is_not_compared() -> None:
    found = own()
    guide = Guide("x", "", None, "USD", {"full": Figure({"cost": Said(1, 2), "price_per_hour": Said(1, 2)})})
    assert held_against(guide, found[0], found[0]) == {}


def test_the_french_guide_says_what_was_read_of_it_and_no_more() -> None:
    french = next(guide for guide in guides() if guide.name == "smartflow")
    assert french.figures.keys() == {"full", "lora-16"}, "its table lies behind what could be read"
    out = " ".join(ran()[1].split())
    assert "28 GB is 22.8 too little: it holds weights 12.6, gradients 12.6, but not optimizer 25.1" in out
    assert out.count("it says nothing of this way") == 2


def test_the_table_says_what_is_not_known() -> None:
    code, out, _ = ran()
    assert code == 0
    assert "LLaMA-Factory" in out
    assert "what a guide does not say is left out, and --figures FILE adds a guide" in " ".join(out.split())
    assert all(len(line) <= 100 for line in out.splitlines())


def test_a_card_that_does_not_hold_it_has_no_time_and_no_cost() -> None:
    line = next(line for line in ran("--gpu", "rtx-4090")[1].splitlines() if line.startswith("full"))
    assert "does not fit" in line
    assert line.endswith("-")


def test_own_figures_are_a_column_and_the_document_holds_all(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        '[[guide]]\nname = "Ours"\nfigures = [{ way = "lora-16", memory = 20, hours = [2, 3] }]\n', encoding="utf-8"
    )
    out = ran("--figures", str(file))[1]
    assert "Ours" in out
    assert "20 GB" in out
    assert "it says nothing of this way" in out
    told: Any = json.loads(ran("--figures", str(file), "--json")[1])
    by_way = {each["way"]: each["guides"].get("Ours") for each in told["ways"]}
    assert by_way["lora-16"]["memory"] == 20
    assert by_way["lora-16"]["hours"] == [2, 3]
    assert by_way["lora-16"]["hours_said"].startswith("2 to 3 hours would be")
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
        '[[guide]]\nname = "x"\nfigures = [{ way = "full", hours = [1] }]',
        '[[guide]]\nname = "x"\nfigures = [{ way = "full", hours = [3, 1] }]',
        '[[guide]]\nname = "x"\nfigures = [{ way = "full", hours = ["1", 2] }]',
        '[[guide]]\nname = "x"\nfigures = [{ way = "full", hours = nan }]',
        '[[guide]]\nname = "x"\nfigures = [{ way = "full", gpu = "abacus" }]',
        '[[guide]]\nname = "x"\nfigures = [{ way = "full", gpu = ["t4"] }]',
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


def test_a_pipe_for_figures_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "figures")
    code, _, err = ran("--figures", str(tmp_path / "figures"))
    assert code == 2
    assert "it is no file" in err


def test_figures_for_seven_billion_are_not_held_against_a_model_of_another_size() -> None:
    for model, there in (("Qwen/Qwen2.5-7B", True), ("Qwen/Qwen2.5-0.5B", False)):
        code, out, _ = ran("--model", model)
        assert code == 0
        assert ("LLaMA-Factory" in out) is there
        assert ("models of about 7B" in out) is not there
