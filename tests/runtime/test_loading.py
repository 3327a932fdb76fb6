"""Every weight of a model comes from its files: Transformers says what it invented, and that is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compiler.diagnostics import Refusal
from runtime.loading import load_causal_lm, refuse_invented
from tests.tiny_llama import save_tiny_llama


def refusal(**found: Any) -> str:
    with pytest.raises(Refusal) as refused:
        refuse_invented("org/model", **{"missing": set(), "mismatched": {}, **found})
    (problem,) = refused.value.diagnostics
    assert problem.code == "X009"
    assert problem.help
    return problem.message


def test_nothing_invented_is_nothing_to_refuse() -> None:
    refuse_invented("org/model", missing=set(), mismatched={})


def test_what_was_invented_is_named() -> None:
    assert refusal(missing={"b.weight", "a.weight", "c.weight"}) == (
        "org/model: the weights of a.weight (and 2 more) are in none of its files"
    )
    assert refusal(missing={"a.weight"}, mismatched={"e.weight": ((600, 64), (300, 64))}) == (
        "org/model: e.weight is 600 x 64 in the weights, and 300 x 64 by its description"
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """A small Llama as save_pretrained writes it, with a tied head and with one of its own."""
    return {
        tied: save_tiny_llama(tmp_path_factory.mktemp("saved") / "model", vocab_size=300, tied=tied)
        for tied in (True, False)
    }


def changed(folder: Path, target: Path, *, drop: str | None = None, **config: Any) -> Path:
    """A copy of a model's folder with another config, or without one of its weights."""
    from safetensors.torch import load_file, save_file

    target.mkdir()
    described = json.loads((folder / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(described | config))
    weights = load_file(folder / "model.safetensors")
    if drop is not None:
        weights.pop(drop, None)
    save_file(weights, target / "model.safetensors", {"format": "pt"})
    return target


def ways() -> dict[str, dict[str, Any]]:
    """The ways in which the peft backend loads a base."""
    import torch
    from transformers import BitsAndBytesConfig

    device = {"device_map": {"": "cpu"}, "dtype": torch.float32}
    return {
        "plain": {"dtype": torch.float32},
        "bfloat16": {"dtype": torch.bfloat16},
        "4-bit": {**device, "quantization_config": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")},
        "8-bit": {**device, "quantization_config": BitsAndBytesConfig(load_in_8bit=True)},
    }


@pytest.mark.slow
@pytest.mark.parametrize("way", ["plain", "bfloat16", "4-bit", "8-bit"])
@pytest.mark.parametrize("tied", [True, False])
def test_layers_that_the_files_lack_are_refused(saved: dict[bool, Path], tmp_path: Path, way: str, tied: bool) -> None:
    model = load_causal_lm("whole", saved[tied], **ways()[way])  # a tied head has no weights of its own to miss
    assert model.config.num_hidden_layers == 2
    short = changed(saved[tied], tmp_path / "short", num_hidden_layers=3)
    with pytest.raises(Refusal, match=r"short: the weights of model\.layers\.2\.[\w.]+ \(and 8 more\) are in none"):
        load_causal_lm("short", short, **ways()[way])


@pytest.mark.slow
def test_a_head_and_an_embedding_that_are_nowhere_are_refused(saved: dict[bool, Path], tmp_path: Path) -> None:
    headless = changed(saved[False], tmp_path / "headless", drop="lm_head.weight")
    with pytest.raises(Refusal, match=r"the weights of lm_head\.weight are in none"):
        load_causal_lm("m", headless)
    empty = changed(saved[True], tmp_path / "empty", drop="model.embed_tokens.weight")
    with pytest.raises(Refusal, match=r"the weights of model\.embed_tokens\.weight are in none"):
        load_causal_lm("m", empty)


@pytest.mark.slow
def test_weights_of_another_shape_are_refused_by_name(saved: dict[bool, Path], tmp_path: Path) -> None:
    other = changed(saved[True], tmp_path / "other", vocab_size=200)
    with pytest.raises(Refusal, match=r"model\.embed_tokens\.weight is 300 x 64 in the weights, and 200 x 64 by"):
        load_causal_lm("m", other)


@pytest.mark.slow
def test_weights_that_bitsandbytes_stored_are_whole(saved: dict[bool, Path], tmp_path: Path) -> None:
    load_causal_lm("m", saved[False], **ways()["4-bit"]).save_pretrained(tmp_path / "stored")
    load_causal_lm("m", tmp_path / "stored", device_map={"": "cpu"})


@pytest.mark.slow
@pytest.mark.parametrize("way", ["plain", "bfloat16", "4-bit", "4-bit twice", "8-bit"])
@pytest.mark.parametrize("number", ["nan", "inf", None])
def test_a_weight_that_is_no_number_is_refused_by_name(
    saved: dict[bool, Path], tmp_path: Path, way: str, number: str | None
) -> None:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import BitsAndBytesConfig

    from runtime.loading import refuse_not_finite

    folder = changed(saved[False], tmp_path / "damaged")
    name = "model.layers.1.mlp.up_proj.weight"
    if number is not None:
        weights = load_file(folder / "model.safetensors")
        weights[name][3, 5] = float(number)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    twice = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    how = {**ways(), "4-bit twice": {**ways()["4-bit"], "quantization_config": twice}}[way]
    assert how.get("dtype") in {torch.float32, torch.bfloat16}
    model = load_causal_lm("m", folder, **how)
    if number is None:
        refuse_not_finite("m", model)
        return
    with pytest.raises(Refusal) as refused:
        refuse_not_finite("m", model)
    (problem,) = refused.value.diagnostics
    assert (problem.code, problem.path) == ("X015", ("model", "id"))
    assert problem.message.startswith(f"m: {name} holds numbers that are none")
