"""The plan: the same bytes anywhere, executed exactly, refused when something moved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Recipe, copy_tree, events, only_run, short_recipe


def test_two_folders_give_the_same_bytes(tmp_path: Path, recipe: Recipe) -> None:
    short_recipe(tmp_path / "one", recipe='[recipe]\ncomplexity = "simple"')  # no name: not the folder's either
    copy_tree(tmp_path / "one", tmp_path / "elsewhere" / "deeper")
    assert recipe("compile", "one", "-o", "a.json").returncode == 0
    assert recipe("compile", "recipe.toml", "-o", "b.json", cwd=tmp_path / "elsewhere" / "deeper").returncode == 0
    printed = recipe("compile", "one/recipe.toml")
    first = (tmp_path / "a.json").read_bytes()
    assert first == (tmp_path / "elsewhere" / "deeper" / "b.json").read_bytes()
    assert first == printed.stdout.encode()
    assert str(tmp_path) not in printed.stdout


def test_every_setting_has_an_origin_and_a_reason(tmp_path: Path, recipe: Recipe) -> None:
    path = short_recipe(tmp_path)
    plan = json.loads(recipe("compile", ".").stdout)
    lines = path.read_text(encoding="utf-8").splitlines()
    settings = {setting["path"]: setting for setting in plan["settings"]}
    for setting in settings.values():
        assert setting["reason"]
        if setting["origin"]["kind"] == "recipe":
            file, _, line = setting["origin"]["place"].partition(":")
            assert file == "recipe.toml"
            assert setting["path"].rpartition(".")[2] in lines[int(line) - 1]
        assert setting["value"] != "auto"
    assert settings["adapter.r"]["value"] == 16
    assert settings["adapter.r"]["origin"] == {"kind": "preset", "place": "simple"}
    assert settings["training.batch_size"]["origin"]["kind"] == "recipe"
    assert plan["sft"]["kwargs"]["max_steps"] == 8
    assert plan["peft"]["kwargs"]["r"] == 16
    assert plan["packages"]["torch"] == "2.13.0"
    assert {file["role"] for file in plan["inputs"]} == {"recipe", "data", "held-out"}


@pytest.mark.parametrize(
    ("file", "change", "named"),
    [
        ("train.jsonl", "append", "train.jsonl"),
        ("recipe.toml", "append", "recipe.toml"),
        ("held_out.jsonl", "delete", "held_out.jsonl"),
    ],
)
def test_a_stale_plan_is_refused_and_says_what_moved(
    tmp_path: Path, recipe: Recipe, file: str, change: str, named: str
) -> None:
    # A plan of its own: of the same one, another folder that was compiled may still be as it was.
    short_recipe(tmp_path, recipe=f'[recipe]\nname = "short"\ntitle = "{file}"')
    recipe("compile", ".", "-o", "plan.json")
    if change == "append":
        with (tmp_path / file).open("a", encoding="utf-8") as stream:
            stream.write("\n")
    else:
        (tmp_path / file).unlink()
    refused = recipe("run", "plan.json")
    assert refused.returncode == 5, refused.stderr
    assert "P010" in refused.stderr
    assert named in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "runs").exists()


def test_rows_that_come_out_as_other_tokens_are_refused(tmp_path: Path, recipe: Recipe) -> None:
    short_recipe(tmp_path)
    recipe("compile", ".", "-o", "plan.json")
    plan = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    plan["data"]["tokens_sha256"] = "0" * 64
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    refused = recipe("run", "plan.json")
    assert refused.returncode == 5, refused.stderr
    assert "P012" in refused.stderr
    assert events(only_run(tmp_path))[-1]["status"] == "failed"


def test_a_plan_without_its_recipe_is_refused(tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    short_recipe(tmp_path / "here")
    recipe("compile", "here", "-o", "plan.json")
    monkeypatch.setenv("RECIPE_CACHE_DIR", str(tmp_path / "another-machine"))
    refused = recipe("run", "plan.json")
    assert refused.returncode == 2
    assert "P011" in refused.stderr


@pytest.mark.parametrize("other", ["recipe.toml", "train.jsonl"])
def test_the_plan_never_replaces_other_work(tmp_path: Path, recipe: Recipe, other: str) -> None:
    short_recipe(tmp_path)
    before = (tmp_path / other).read_bytes()
    refused = recipe("compile", ".", "-o", other)
    assert refused.returncode == 2
    assert "E008" in refused.stderr
    assert (tmp_path / other).read_bytes() == before


@pytest.mark.parametrize("earlier", ["", '{\n  "format_version": 0,\n'])
def test_an_earlier_plan_is_replaced(tmp_path: Path, recipe: Recipe, earlier: str) -> None:
    short_recipe(tmp_path)
    (tmp_path / "plan.json").write_text(earlier)
    assert recipe("compile", ".", "-o", "plan.json").returncode == 0
    assert json.loads((tmp_path / "plan.json").read_text())["format_version"] == 1


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "version", "edited", "binary"])
def test_what_is_no_plan_is_told_as_such(tmp_path: Path, recipe: Recipe, damage: str) -> None:
    short_recipe(tmp_path)
    recipe("compile", ".", "-o", "plan.json")
    data = (tmp_path / "plan.json").read_bytes()
    broken = {
        "empty": b"",
        "cut": data[: len(data) // 2],
        "text": b"[recipe]\n",
        "version": data.replace(b'"format_version": 1', b'"format_version": 99'),
        "edited": data.replace(b'"seed": 42', b'"seed": "42"'),
        "binary": bytes(range(256)),
    }[damage]
    (tmp_path / "plan.json").write_bytes(broken)
    refused = recipe("run", "plan.json")
    assert refused.returncode == 2
    assert "P00" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_a_plan_runs_from_another_folder_exactly_as_compiled(tmp_path: Path, recipe: Recipe) -> None:
    short_recipe(
        tmp_path / "recipe",
        training="[training]\nmax_steps = 2\nbatch_size = 2\nlearning_rate = 1e-3",
        evaluation="[evaluation]\nsample_count = 0",
    )
    (tmp_path / "plans").mkdir()
    recipe("compile", "recipe", "-o", "plans/plan.json")
    ran = recipe("run", "plans/plan.json")
    assert ran.returncode in {0, 1}, ran.stderr  # two steps need not be enough to get better
    run = only_run(tmp_path)
    assert (run / "plan.json").read_bytes() == (tmp_path / "plans" / "plan.json").read_bytes()
    assert [event["step"] for event in events(run) if event["k"] == "metric"] == [1, 2]
