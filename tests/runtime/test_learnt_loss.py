"""The loss on a CPU: TRL's numbers, to the gradient, without computing anything twice."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # torch

WORDS, SIZE = 50, 16
IGNORED = -100


def told(function: Any, labels: Any, *, seed: int = 0, dtype: str = "float32", **options: Any) -> tuple[Any, ...]:
    """Loss, right tokens, learnt tokens, and the gradient of the hidden states."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    kind = getattr(torch, dtype)
    weight = torch.randn(WORDS, SIZE, generator=generator).to(kind)
    hidden = torch.randn(*labels.shape, SIZE, generator=generator).to(kind).requires_grad_()
    loss, right, _, learnt = function(hidden, weight, 8, labels=labels, **options)
    (3 * loss).backward()
    return loss.item(), right.item(), learnt.item(), hidden.grad


def both() -> tuple[Any, Any]:
    from trl.trainer import sft_trainer

    from runtime.learnt_loss import chunked_cross_entropy

    return sft_trainer._chunked_cross_entropy_loss, chunked_cross_entropy


def some_labels(rows: int, length: int, *, learnt: float) -> Any:
    import torch

    generator = torch.Generator().manual_seed(rows * 100 + length)
    labels = torch.randint(0, WORDS, (rows, length), generator=generator)
    labels[torch.rand(rows, length, generator=generator) >= learnt] = IGNORED
    return labels


@pytest.mark.parametrize("shape", [(1, 2), (1, 9), (2, 5), (3, 17), (4, 40)])
@pytest.mark.parametrize("learnt", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    "options",
    [{}, {"num_items_in_batch": 7}, {"logit_scale": 0.3}, {"final_logit_softcapping": 2.0}],
    ids=["plain", "counted", "scaled", "pressed"],
)
def test_it_is_trls(shape: tuple[int, int], learnt: float, options: dict[str, Any]) -> None:
    import torch

    theirs, ours = (told(each, some_labels(*shape, learnt=learnt), **options) for each in both())
    assert ours[:3] == pytest.approx(theirs[:3], rel=1e-5, abs=1e-7)
    assert torch.allclose(ours[3], theirs[3], rtol=1e-5, atol=1e-6)


def test_in_bfloat16_it_differs_by_its_rounding() -> None:
    import torch

    theirs, ours = (told(each, some_labels(4, 40, learnt=0.7), dtype="bfloat16") for each in both())
    assert ours[:3] == pytest.approx(theirs[:3], rel=1e-5)
    assert torch.allclose(ours[3], theirs[3], rtol=2**-7, atol=2**-7 * float(theirs[3].abs().max()))


def test_a_head_with_a_bias_and_labels_that_are_shifted_already() -> None:
    import torch

    hidden, weight = torch.randn(2, 6, SIZE), torch.randn(WORDS, SIZE)
    options = {"shift_labels": some_labels(2, 6, learnt=0.6), "lm_head_bias": torch.randn(WORDS)}
    theirs, ours = (each(hidden, weight, 4, **options) for each in both())
    assert [float(ours[each]) for each in (0, 1, 3)] == pytest.approx([float(theirs[each]) for each in (0, 1, 3)])
    assert math.isnan(ours[2])


def test_a_head_that_is_trained_is_left_to_trl() -> None:
    import torch

    hidden = torch.randn(2, 6, SIZE)
    weights = [torch.nn.Parameter(torch.ones(WORDS, SIZE)) for _ in range(2)]
    for each, weight in zip(both(), weights, strict=True):
        each(hidden, weight, 4, labels=some_labels(2, 6, learnt=0.6))[0].backward()
    first, second = (weight.grad for weight in weights)
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


def test_this_trl_calls_its_own_as_ours_is_called_and_gets_it_back() -> None:
    from trl.trainer import sft_trainer

    from runtime.learnt_loss import chunked_cross_entropy, is_called_as_trls, learnt_loss

    before = sft_trainer._chunked_cross_entropy_loss
    assert is_called_as_trls()  # else runs on a CPU are slower than they could be
    with contextlib.suppress(KeyError), learnt_loss():
        assert sft_trainer._chunked_cross_entropy_loss is chunked_cross_entropy
        raise KeyError
    assert sft_trainer._chunked_cross_entropy_loss is before
