"""Adapters that add where the base's result lies: PEFT's numbers, to the gradient, and nothing left behind."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow  # torch

SIZE, INNER = 24, 40


def adapted(**config: Any) -> Any:
    """Two linear layers with an adapter each, whose B are not zero."""
    import peft
    import torch

    torch.manual_seed(1)
    plain = torch.nn.Sequential(torch.nn.Linear(SIZE, INNER, bias=False), torch.nn.Linear(INNER, SIZE))
    model = peft.get_peft_model(plain, peft.LoraConfig(r=4, lora_alpha=12, target_modules=["0", "1"], **config))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    return model


def step(model: Any, *, in_place: bool, autocast: bool = False, shape: tuple[int, ...] = (3, 5)) -> dict[str, Any]:
    """The result of a pass, and what the way back gave the input and every trained weight."""
    import torch

    from runtime.in_place import adapters_in_place

    x = torch.randn(*shape, SIZE, generator=torch.Generator().manual_seed(2)).requires_grad_()
    model.zero_grad()
    torch.manual_seed(3)
    with adapters_in_place(model, active=in_place), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        result = model(x)
    result.float().square().mean().backward()
    grads = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.requires_grad}
    return {"result": result.detach(), "x": x.grad, **grads}


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
@pytest.mark.parametrize("config", [{}, {"lora_dropout": 0.3}, {"use_rslora": True}], ids=["plain", "dropout", "rs"])
def test_it_is_pefts(shape: tuple[int, ...], config: dict[str, Any]) -> None:
    model = adapted(**config)
    theirs, ours = (step(model, in_place=each, shape=shape) for each in (False, True))
    assert theirs.keys() == ours.keys()
    for name, value in theirs.items():
        assert float((ours[name] - value).norm() / value.norm()) < 1e-5, name


def test_under_autocast_it_differs_by_the_rounding_of_bfloat16_and_is_nearer_to_float32() -> None:
    import torch

    model = adapted()
    exact, theirs, ours = step(model, in_place=False), step(model, in_place=False, autocast=True), None
    ours = step(model, in_place=True, autocast=True)
    assert ours["result"].dtype == theirs["result"].dtype == torch.bfloat16
    for name, value in exact.items():
        assert ours[name].dtype == theirs[name].dtype, name
        off = float((ours[name].float() - value).norm() / value.norm())
        assert off < 2**-6, name
    off, before = (float((each["result"].float() - exact["result"]).norm()) for each in (ours, theirs))
    assert off <= before


def test_other_layers_stay_as_they_are_and_all_do_again_afterwards() -> None:
    from runtime.in_place import adapters_in_place

    dora, plain = adapted(use_dora=True), adapted()
    kinds = [type(v).__name__ for m in dora.modules() for v in getattr(m, "lora_variant", {}).values()]
    with adapters_in_place(dora, active=True), adapters_in_place(plain, active=True):
        assert [type(v).__name__ for m in dora.modules() for v in getattr(m, "lora_variant", {}).values()] == kinds
        assert sum(bool(getattr(m, "lora_variant", {})) for m in plain.modules()) == 2
    assert not any(getattr(m, "lora_variant", {}) for m in plain.modules())
    merged = plain.merge_and_unload()
    assert type(merged[0]).__name__ == "Linear"


def test_a_disabled_adapter_gives_the_base() -> None:
    import torch

    from runtime.in_place import adapters_in_place

    model = adapted()
    x = torch.randn(2, SIZE)
    with adapters_in_place(model, active=True), model.disable_adapter(), torch.no_grad():
        base = model(x)
    with torch.no_grad():
        plain = model.get_base_model()
        wanted = plain[1].base_layer(plain[0].base_layer(x))
    assert torch.equal(base, wanted)
