"""What a user hands in may be anything: a code, the place, the remedy, the exit code, and nothing half-written."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.conftest import RECIPE, Recipe, events, only_run, short_recipe


def no_recipe(folder: Path) -> None:
    (folder / "recipe.toml").unlink()


def empty_recipe(folder: Path) -> None:
    (folder / "recipe.toml").write_bytes(b"")


def unknown_key(folder: Path) -> None:
    short_recipe(folder, adapter="[adapter]\nlora_aplha = 64")


def no_data(folder: Path) -> None:
    (folder / "train.jsonl").unlink()


def empty_data(folder: Path) -> None:
    (folder / "train.jsonl").write_bytes(b"")


def half_a_line(folder: Path) -> None:
    data = (folder / "train.jsonl").read_bytes()
    (folder / "train.jsonl").write_bytes(data[: data.rindex(b'"') - 20])


def row_without_the_column(folder: Path) -> None:
    with (folder / "train.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"question": "Et celle-ci ?", "answer": "Rien."}\n')


def no_such_column(folder: Path) -> None:
    short_recipe(folder, columns='columns = { prompt = "question", completion = "answer" }')


def model_without_weights(folder: Path) -> None:
    (folder / "model").mkdir()
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 100,
    }
    (folder / "model" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    short_recipe(folder, model='[model]\nid = "model"')


def model_not_on_this_disk(folder: Path) -> None:
    short_recipe(folder, model='[model]\nid = "nobody/no-such-model"')


@dataclass(frozen=True)
class Case:
    """Damage to a good recipe's folder, and what has to be said of it."""

    damage: Callable[[Path], None]
    code: str
    exit_code: int
    told: str


CASES = [
    Case(no_recipe, "E001", 2, "recipe.toml"),
    Case(empty_recipe, "R005", 1, "recipe init"),
    Case(unknown_key, "R012", 1, "recipe.toml:22:1"),
    Case(no_data, "D001", 2, "recipe.toml:7:8"),
    Case(empty_data, "D007", 1, "train.jsonl is empty"),
    Case(half_a_line, "D010", 1, "train.jsonl:40:"),
    Case(row_without_the_column, "D021", 1, "train.jsonl:41:1"),
    Case(no_such_column, "D020", 1, "`reponse`"),
    Case(model_without_weights, "M005", 1, "*.safetensors"),
    Case(model_not_on_this_disk, "M040", 4, "hf download nobody/no-such-model"),
]


def name_of(case: Case) -> str:
    return case.damage.__name__


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_compile_and_run_refuse_it_with_the_place_and_the_remedy(tmp_path: Path, recipe: Recipe, case: Case) -> None:
    folder = tmp_path / "mine"
    short_recipe(folder)
    case.damage(folder)
    for command in (("compile", "mine", "-o", "plan.json", "--offline"), ("run", "mine", "--offline")):
        refused = recipe(*command)
        assert refused.returncode == case.exit_code, refused.stderr
        assert f"error[{case.code}]" in refused.stderr
        assert case.told in " ".join(refused.stderr.split())
        assert "Traceback" not in refused.stderr
        assert refused.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("case", CASES[:-1], ids=name_of)
def test_check_tells_it_before_anything_is_compiled(tmp_path: Path, recipe: Recipe, case: Case) -> None:
    short_recipe(tmp_path)
    rows = (tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "train.jsonl").write_text("".join(rows[:5]), encoding="utf-8")  # check looks at the first rows only
    case.damage(tmp_path)
    refused = recipe("check", "recipe.toml", "--format", "concise")
    assert f"error[{case.code}]" in refused.stderr
    assert refused.returncode == case.exit_code


def test_a_recipe_on_a_hub_that_cannot_be_asked_is_only_noted_by_check(tmp_path: Path, recipe: Recipe) -> None:
    short_recipe(tmp_path, model='[model]\nid = "nobody/no-such-model"')
    said = recipe("check", ".")
    assert said.returncode == 0, said.stderr
    assert "note[M040]" in said.stderr


# --- disks --------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system with the options given; skips where that is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=False, capture_output=True
        )
        if mounted.returncode:
            pytest.skip("mounting a file system is not allowed here")
        return place

    yield mount
    subprocess.run(["umount", "-l", place], check=False, capture_output=True)


def test_a_read_only_place_for_runs_is_refused(tmp_path: Path, recipe: Recipe, disk: Callable[[str], Path]) -> None:
    short_recipe(tmp_path)
    refused = recipe("run", ".", "--runs-dir", disk("size=1m,ro") / "runs")
    assert refused.returncode == 2
    assert "error[E003]" in refused.stderr
    assert "read-only" in refused.stderr.lower()
    assert "Traceback" not in refused.stderr


def test_a_full_disk_leaves_no_half_a_run(tmp_path: Path, recipe: Recipe, disk: Callable[[str], Path]) -> None:
    short_recipe(tmp_path)
    place = disk("size=8k")
    refused = recipe("run", ".", "--runs-dir", place / "runs")
    assert refused.returncode == 3
    assert "error[E004]" in refused.stderr
    assert [path for path in place.rglob("*") if path.is_file()] == []


def test_a_plan_that_does_not_fit_on_the_disk_leaves_nothing(
    tmp_path: Path, recipe: Recipe, disk: Callable[[str], Path]
) -> None:
    short_recipe(tmp_path)
    place = disk("size=8k")
    refused = recipe("compile", ".", "-o", place / "plan.json")
    assert refused.returncode == 3
    assert "error[E004]" in refused.stderr
    assert list(place.iterdir()) == []


@pytest.mark.slow
def test_a_disk_that_fills_up_ends_the_run_with_what_it_has(
    tmp_path: Path, recipe: Recipe, disk: Callable[[str], Path]
) -> None:
    short_recipe(tmp_path, training="[training]\nmax_steps = 4\nbatch_size = 2\nsave_steps = 2")
    place = disk("size=70m")  # one checkpoint fits, two do not
    ended = recipe("run", ".", "--runs-dir", place / "runs")
    assert ended.returncode == 3, ended.stderr
    assert "error[E004]" in ended.stderr
    assert "recipe resume" in ended.stderr.replace("\n    ", " ")
    (run,) = (place / "runs" / "short").iterdir()
    assert [path.name for path in run.glob("checkpoints/checkpoint-*")] == ["checkpoint-2"]
    assert (run / "checkpoints" / "checkpoint-2" / "seal.json").is_file()
    assert events(run)[-1]["code"] == "E004"

    subprocess.run(["mount", "-o", "remount,size=400m", place], check=True)
    resumed = recipe("resume", "latest", "--runs-dir", place / "runs")
    assert "continuing from the checkpoint at step 2" in resumed.stderr
    assert events(run)[-1]["status"] == "finished"


@pytest.mark.slow
def test_a_file_size_limit_is_told_like_a_full_disk(tmp_path: Path) -> None:
    short_recipe(tmp_path, training="[training]\nmax_steps = 2\nbatch_size = 2")
    limit = 4 << 20

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ended = subprocess.run(
        [RECIPE, "run", "."], cwd=tmp_path, capture_output=True, text=True, timeout=400, check=False, preexec_fn=limited
    )
    assert ended.returncode == 3, ended.stderr
    assert "error[E004]" in ended.stderr
    assert list(only_run(tmp_path).glob("checkpoints/checkpoint-*")) == []


def test_a_closed_standard_output_is_no_traceback(tmp_path: Path) -> None:
    short_recipe(tmp_path)
    with Path(os.devnull).open("rb") as nothing:
        command = f"{RECIPE} compile . >&-"
        closed = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, stdin=nothing, capture_output=True, text=True, check=False
        )
    assert "Traceback" not in closed.stderr
