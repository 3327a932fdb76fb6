"""The arguments that recipes may pass on: what the data says, and which TOML values an annotation takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.facts.signatures import Argument, ConfigName, accepts, describe, optimizers, signature, versions

ROOT = Path(__file__).resolve().parents[3]
EVERY = [argument for config in get_args(ConfigName) for argument in signature(config).values()]

TOML = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def argument(annotation: str) -> Argument:
    return Argument("x", annotation, None)


@pytest.mark.slow
def test_the_data_is_what_the_installed_packages_say() -> None:
    script = "import sys; sys.path.insert(0, 'docs'); import generate; sys.stdout.write(generate.signatures())"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == (ROOT / "compiler" / "facts" / "signatures.json").read_text(encoding="utf-8")


def test_the_versions_are_those_of_the_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))
    assert versions() == {name: pinned[name].split()[0] for name in ("peft", "transformers", "trl")}


def test_well_known_arguments_are_there() -> None:
    assert signature("LoraConfig")["r"] == Argument("r", "int", 8)
    assert signature("LoraConfig")["alpha_pattern"].default == {}
    assert signature("AdaLoraConfig")["init_r"].annotation == "int"
    assert "init_r" not in signature("LoraConfig")
    assert "max_length" in signature("SFTConfig")
    assert "self" not in signature("SFTConfig")
    assert {"adamw_torch_fused", "paged_adamw_8bit"} <= set(optimizers())


def test_there_is_no_other_class() -> None:
    with pytest.raises(KeyError):
        signature("TrainingArguments")


@pytest.mark.parametrize("known", EVERY, ids=lambda known: known.name)
def test_every_default_that_toml_can_write_is_accepted(known: Argument) -> None:
    assert known.default is None or accepts(known, known.default)


@pytest.mark.parametrize("known", EVERY, ids=lambda known: known.name)
def test_every_argument_refuses_something_and_says_what_it_takes(known: Argument) -> None:
    probes: list[Any] = [True, 1, 0.5, "?", [object()], {"?": object()}]
    assert not all(accepts(known, probe) for probe in probes)
    assert describe(known) != "another kind of value"


@pytest.mark.parametrize(
    ("annotation", "taken", "refused"),
    [
        ("int", [1, -3], [True, 1.0, "1", [1], {}]),
        ("float", [1, 0.5], [False, "0.5", []]),
        ("bool", [True, False], [0, 1, "true"]),
        ("str | None", ["", "x"], [1, True, ["x"]]),
        ("Optional[Union[list[str], str]]", ["a", [], ["a", "b"]], [1, [1], [["a"]], {}]),
        ("list[int]", [[1, 2], []], [[1, "2"], [True], 1]),
        ("list", [[1, "a"]], ["a"]),
        ("Optional[list[tuple[int, int]]]", [[[0, 4], [2, 5]]], [[[0, 4, 8]], [["0", 4]], [0, 4]]),
        ("tuple[int, ...]", [[1], [1, 2, 3]], [["1"]]),
        ("dict[str, bool] | None", [{}, {"rope": True}], [{"rope": 1}, []]),
        ("dict[str, typing.Any] | str | None", [{"a": [1]}], [1, [], "x"]),
        ("Literal['none', 'all']", ["none", "all"], ["None", "", 1]),
        (
            "bool | Literal['pissa', 'pissa_niter_[number of iters]']",
            [True, "pissa", "pissa_niter_4"],
            ["pissa_niter_"],
        ),
        ("Union[str, NoneType, Literal[False]]", ["x", False], [True, 0]),
        ("transformers.trainer_utils.HubStrategy | str", ["end", "every_save"], ["sometimes", 1]),
        ("str | list[transformers.debug_utils.DebugOption]", ["any words", ["underflow_overflow"]], [["other"]]),
        ("Optional[EvaConfig]", [{"rho": 2.0}], ["eva", 1, []]),
        ("typing.Any", [1, "x", []], []),
        ("some.unknown.Kind", [1, "x", {}], []),
        ("not an annotation (", [1, "x", {}], []),
    ],
)
def test_an_annotation_takes(annotation: str, taken: list[Any], refused: list[Any]) -> None:
    assert [value for value in taken if not accepts(argument(annotation), value)] == []
    assert [value for value in refused if accepts(argument(annotation), value)] == []


@given(st.sampled_from(EVERY), TOML)
def test_no_value_of_a_recipe_is_too_strange_to_judge(known: Argument, value: Any) -> None:
    assert accepts(known, value) in {True, False}


@given(st.text(max_size=30))
def test_no_annotation_is_too_strange_to_read(annotation: str) -> None:
    assert accepts(argument(annotation), "x") in {True, False}
    assert describe(argument(annotation))


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("int | None", "a whole number"),
        ("Optional[Union[list[int], int]]", "a list of whole numbers or a whole number"),
        ("dict[str, typing.Any] | str | None", "a table"),
        ("Literal['none', 'all']", 'one of "none", "all"'),
        ("Union[str, NoneType, Literal[False]]", "text or false"),
        ("transformers.trainer_utils.SaveStrategy | str", 'one of "best", "epoch", "no", "steps"'),
        ("Union[VeloraConfig, dict]", "a table"),
        ("some.unknown.Kind", "another kind of value"),
    ],
)
def test_what_an_annotation_takes_in_words(annotation: str, words: str) -> None:
    assert describe(argument(annotation)) == words
