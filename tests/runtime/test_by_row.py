"""Rows of one sequence that attention sees each by itself, and a beginning that is computed once for all of them."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compiler.packing import FAMILIES
from compiler.plan import LibraryCall, PackingPart, Plan
from tests.runtime.plans import make_plan
from tests.runtime.test_packing import SFT, WORDS, Told, small

pytestmark = pytest.mark.slow  # torch

SHARED = 7


def rows(count: int, *, shared: int = SHARED, learnt_from: int = SHARED + 2, longest: int = 40) -> list[Any]:
    """Rows of ``shared`` tokens that all have and up to ``longest`` of their own, learnt from one of them on."""
    chance = random.Random(5)
    beginning = [chance.randrange(2, WORDS) for _ in range(shared)]
    made = []
    for _ in range(count):
        ids = beginning + [chance.randrange(2, WORDS) for _ in range(chance.randrange(3, longest + 1))]
        made.append(SimpleNamespace(ids=ids, labels=[-100] * learnt_from + ids[learnt_from:]))
    return made


def collated(made: list[Any]) -> dict[str, Any]:
    from runtime.packing import one_sequence

    return one_sequence([{"input_ids": row.ids, "labels": row.labels} for row in made])


def test_a_batch_is_one_sequence_with_the_shared_beginning_once() -> None:
    from runtime.packing import TOKENS, rows_of

    made = rows(4)
    batch = collated(made)
    told = rows_of(batch)
    assert told is not None
    assert told.shared == SHARED
    assert batch[TOKENS].tolist() == [len(row.ids) for row in made]
    own = [number for row in made for number in row.ids[SHARED:]]
    assert batch["input_ids"].tolist() == [made[0].ids[:SHARED] + own]
    places = [place for row in made for place in range(SHARED, len(row.ids))]
    assert batch["position_ids"].tolist() == [list(range(SHARED)) + places]
    learnt = [label for row in made for label in row.labels[SHARED:]]
    assert batch["labels"].tolist() == [[-100] * SHARED + learnt]
    assert bool((batch["attention_mask"] == 1).all())


@pytest.mark.parametrize(
    ("learnt_from", "shared"),
    [(SHARED + 2, SHARED), (SHARED + 1, SHARED), (SHARED, SHARED - 1), (3, 2), (1, 0), (0, 0)],
)
def test_what_is_learnt_keeps_the_token_before_it(learnt_from: int, shared: int) -> None:
    from runtime.packing import rows_of

    told = rows_of(collated(rows(4, learnt_from=learnt_from)))
    assert told is not None
    assert told.shared == shared


def test_rows_that_are_the_same_keep_a_token_each_and_one_row_shares_nothing() -> None:
    from runtime.packing import rows_of

    (row,) = rows(1)
    alone, twins = rows_of(collated([row])), rows_of(collated([row, row]))
    assert alone is not None
    assert (alone.shared, alone.own) == (0, (len(row.ids),))
    assert twins is not None
    assert twins.shared == SHARED + 1
    assert twins.own == (len(row.ids) - twins.shared,) * 2


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_each_row_gets_the_logits_that_it_gets_alone(family: str, attention: str) -> None:
    """Rows of up to 40 tokens: those of families whose attention slides (16 tokens here) reach beyond it."""
    import torch

    from runtime.by_row import by_row
    from runtime.packing import TOKENS, rows_of

    model = small(family, attention).eval()
    made = rows(4)
    batch = collated(made)
    told = rows_of(batch)
    assert told is not None
    assert told.shared == SHARED
    assert max(told.own) > 16
    del batch[TOKENS], batch["labels"]
    with torch.no_grad():
        with by_row(model, told):
            together = model(**batch, use_cache=False).logits[0]
        at = SHARED
        for row, own in zip(made, told.own, strict=True):
            alone = model(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0]
            spread = float(alone.std())
            assert float((together[:SHARED] - alone[:SHARED]).abs().max()) < 1e-4 * spread
            assert float((together[at : at + own] - alone[SHARED:]).abs().max()) < 1e-4 * spread
            at += own


def test_the_model_has_its_own_attention_again_afterwards() -> None:
    from runtime.by_row import Rows, by_row

    model = small("llama")
    with contextlib.suppress(KeyError), by_row(model, Rows(0, (4, 4))):
        assert model.config._attn_implementation != "sdpa"
        raise KeyError
    assert model.config._attn_implementation == "sdpa"
    with by_row(model, None):
        assert model.config._attn_implementation == "sdpa"


# --- training ----------------------------------------------------------------------------------------


def plan_of(*, packed: bool, **sft: Any) -> Plan:
    call = LibraryCall(name="trl.SFTConfig", kwargs=SFT | sft)
    how = PackingPart(pair=0.0, whole=False, by_row=True, shared=SHARED)
    return make_plan(sft=call, packing=how if packed else None)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss_type": "nll"},
        {"loss_type": "chunked_nll"},
        {"loss_type": "chunked_nll", "gradient_checkpointing": True},
        {"loss_type": "chunked_nll", "per_device_train_batch_size": 16, "gradient_accumulation_steps": 1},
    ],
    ids=["whole logits", "chunks", "checkpoints", "one micro-step"],
)
def test_training_comes_to_the_losses_and_gradients_of_padded_rows(tmp_path: Path, settings: dict[str, Any]) -> None:
    made = rows(40)
    padded = Told(tmp_path / "padded", plan_of(packed=False, **settings), made)
    packed = Told(tmp_path / "packed", plan_of(packed=True, **settings), made)
    packed.is_the_training_of(padded)
    for batches in (packed.trainer.get_train_dataloader(), packed.trainer.get_eval_dataloader()):
        assert next(iter(batches))["input_ids"].shape[0] == 1


def test_a_run_by_row_goes_on_bit_for_bit(tmp_path: Path) -> None:
    made = rows(40)
    whole = Told(tmp_path / "whole", plan_of(packed=True), made)
    again = Told(tmp_path / "again", plan_of(packed=True), made, checkpoint=whole.checkpoints / "checkpoint-3")
    assert again["loss"] == whole["loss"][3:]
    assert again["grad_norm"] == whole["grad_norm"][3:]
