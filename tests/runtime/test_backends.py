"""Both backends on the same plans: the same numbers, the same parameters, and nothing done otherwise in silence."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compiler.diagnostics import Refusal
from runtime.backends import BACKENDS, loader
from tests.runtime.trained import JOBS, KERNELS, STEPS

pytestmark = pytest.mark.slow  # torch

ROOT = Path(__file__).parents[2]

NOISE = 0.01
"""Nats by which losses of one step may differ: bfloat16 has 8 bits of mantissa, and the two sum in another order."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of every job, by backend; trained once for all workers of pytest, each backend in its own process."""
    shared = tmp_path_factory.getbasetemp()
    folder = (shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared) / "trained"
    folder.mkdir(exist_ok=True)
    with (folder.parent / "trained.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not any(folder.iterdir()):
            train_all(folder)
    return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in BACKENDS}


def train_all(folder: Path) -> None:
    children = {
        name: subprocess.Popen(
            [sys.executable, "-m", "tests.runtime.trained", str(folder), name],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in BACKENDS
    }
    for child in children.values():
        _, said = child.communicate(timeout=600)
        assert child.returncode == 0, said
    there = {path.name for path in folder.iterdir()}
    assert there == {*BACKENDS, *(f"{name}.json" for name in BACKENDS), *(f"base-{name}" for name in BACKENDS)}


@pytest.mark.parametrize("job", JOBS)
def test_the_losses_of_both_agree_within_the_noise_of_bfloat16(told: dict[str, dict[str, Any]], job: str) -> None:
    peft, unsloth = told["peft"][job], told["unsloth"][job]
    assert len(peft["losses"]) == STEPS
    assert unsloth["losses"] == pytest.approx(peft["losses"], abs=NOISE)
    assert unsloth["base"] == pytest.approx(peft["base"], abs=NOISE)
    assert unsloth["tuned"] == pytest.approx(peft["tuned"], abs=NOISE)
    for done in (peft, unsloth):
        assert done["tuned"] < done["base"] - 0.1


@pytest.mark.parametrize("job", JOBS)
def test_both_train_on_the_kernel_of_attention_that_the_plan_names(told: dict[str, dict[str, Any]], job: str) -> None:
    assert [told[backend][job]["kernel"] for backend in BACKENDS] == [KERNELS[job]] * 2


@pytest.mark.parametrize("job", JOBS)
def test_both_train_the_same_parameters_of_the_same_modules(told: dict[str, dict[str, Any]], job: str) -> None:
    peft, unsloth = told["peft"][job], told["unsloth"][job]
    assert (peft["trainable"], peft["modules"]) == (unsloth["trainable"], unsloth["modules"])
    assert peft["modules"] == ([] if job == "full" else ["q_proj", "up_proj", "v_proj"])
    assert ("Linear4bit" in peft["layers"], "Linear4bit" in unsloth["layers"]) == (job == "nf4",) * 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_base_in_pickles_is_the_same_base(told: dict[str, dict[str, Any]], backend: str) -> None:
    assert told[backend]["pickled"] == told[backend]["nf4"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(told: dict[str, dict[str, Any]], backend: str) -> None:
    for job in ("resumed", "packed"):
        assert len(told[backend][job]["whole"]) > 4
        assert told[backend][job]["parts"] == told[backend][job]["whole"]


def test_what_unsloth_does_otherwise_in_silence_is_an_error_that_names_the_other_backend(
    told: dict[str, dict[str, Any]],
) -> None:
    refused = told["unsloth"]["refused"]
    (bits,) = refused["bits"]
    assert bits.startswith("X011: unsloth stored the base in 16 or more bits, and the plan says 8 bits / ")
    (optimizer,) = refused["optimizer"]
    assert optimizer.startswith("X011: unsloth changed optim from 'paged_adamw_8bit' to 'adamw_torch_fused' / ")
    assert all('backend = "peft"' in message for message in (bits, optimizer))
    assert told["peft"]["refused"]["optimizer"] == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_target_that_matches_nothing_is_an_error_with_the_nearest_name(
    told: dict[str, dict[str, Any]], backend: str
) -> None:
    (message,) = told[backend]["refused"]["name"]
    assert message.startswith("X007: target_modules q_porj: no layer")
    assert "did you mean q_proj?" in message


def test_a_backend_that_cannot_be_imported_ends_the_run_and_says_how_to_force_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(BACKENDS, "unsloth", "runtime.backends.there_is_none")
    with pytest.raises(Refusal) as refused:
        loader("unsloth")
    (problem,) = refused.value.diagnostics
    assert (problem.code, problem.path) == ("X010", ("training", "backend"))
    assert "there_is_none" in problem.message
    assert problem.help is not None
    assert 'backend = "peft"' in problem.help
