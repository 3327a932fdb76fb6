"""A base whose weights are pickles: whatever else looks at them finds the very same numbers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from compiler.plan import LibraryCall, Plan
from runtime.saving import save_tuned
from tests.runtime.test_methods import NoTokenizer
from tests.runtime.test_stored_bases import stored_in
from tests.runtime.tiny import Work, of_pickles, plan_of, save_base, work
from tests.torch_files import pickle_model

pytestmark = pytest.mark.slow  # torch


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same weights as safetensors and as pickles, in two parts."""
    folder = tmp_path_factory.mktemp("bases")
    plain = save_base(folder / "plain")
    pickled = pickle_model(plain, folder / "pickled", shards=2)
    shutil.copy(pickled / "pytorch_model-00001-of-00002.bin", pickled / "pytorch_model-other.bin")  # in no index
    return plain, pickled


def merged(done: Work) -> dict[str, Any]:
    """What a run writes as its whole model after training."""
    from safetensors.torch import load_file

    done.trainer.train()
    tokenizer: Any = NoTokenizer()
    *_, whole = save_tuned(done.plan, done.run, done.trainer.model, tokenizer, base=done.base)
    return dict(load_file(whole / "model.safetensors"))


def loftq() -> Plan:
    stored = stored_in("nf4")
    assert stored.peft is not None
    kwargs = {**stored.peft.kwargs, "init_lora_weights": "loftq"}
    return stored.model_copy(update={"peft": LibraryCall(name="peft.LoraConfig", kwargs=kwargs)})


@pytest.mark.parametrize("kind", ["nf4", "loftq"])
def test_loftq_and_a_merge_read_the_published_weights(bases: tuple[Path, Path], tmp_path: Path, kind: str) -> None:
    plan = (loftq() if kind == "loftq" else stored_in("nf4")).model_copy(update={"export_merged": True})
    plain = work(plan, bases[0], tmp_path / "plain")
    pickled = work(of_pickles(plan), bases[1], tmp_path / "pickled")
    one, other = merged(plain), merged(pickled)
    assert pickled.losses() == plain.losses()
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)


def test_a_whole_model_that_was_tuned_from_pickles_is_loaded_as_it_was_saved(
    bases: tuple[Path, Path], tmp_path: Path
) -> None:
    from runtime.inference import load_base, load_tuned

    plan = of_pickles(plan_of("LoraConfig", r=4)).model_copy(update={"method": "full", "peft": None})
    done = work(plan, bases[1], tmp_path)
    saved = merged(done)
    loaded = dict(load_tuned(plan, done.run, load_base(plan, bases[1])).named_parameters())
    assert loaded.keys() == saved.keys()
    assert all((loaded[name] == saved[name]).all() for name in saved)


def test_what_a_pickle_asks_for_is_not_run_when_it_is_loaded(bases: tuple[Path, Path], tmp_path: Path) -> None:
    """One that was put there after it was looked at: PyTorch takes weights only."""
    import torch

    from runtime.backends import loader
    from runtime.loading import read_tensors

    canary = tmp_path / "canary"

    class Runs:
        def __reduce__(self) -> Any:
            return Path.touch, (canary,)

    folder = shutil.copytree(bases[0], tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save({"model.embed_tokens.weight": torch.zeros(64, 64), "more": Runs()}, folder / "pytorch_model.bin")
    plan = of_pickles(plan_of("LoraConfig", r=4))
    with pytest.raises(Exception, match="Weights only load failed"):
        loader(plan.backend)(plan, folder)
    with pytest.raises(Exception, match="Weights only load failed"):
        read_tensors(folder / "pytorch_model.bin")
    assert not canary.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)  # it is no dud
    assert canary.exists()
