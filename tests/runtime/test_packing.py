"""Rows that share a sequence: what is learnt is what each would teach alone, and a model that mixes them is refused."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compiler.diagnostics import Refusal
from compiler.packing import FAMILIES, Joining
from compiler.plan import LibraryCall, PackingPart, Plan
from runtime.journal import JournalWriter, read_journal
from runtime.orders import Orders
from runtime.run_folder import RunFolder
from tests.runtime.plans import make_plan

pytestmark = pytest.mark.slow  # torch

WORDS = 64
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": WORDS,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "sliding_window": 16,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}


def small(family: str, attention: str = "sdpa") -> Any:
    """A model of the family with weights so large that whatever it sees shows."""
    import torch
    import transformers

    config = transformers.AutoConfig.for_model(family)
    for name, value in SIZES.items():
        if hasattr(config, name):
            with contextlib.suppress(AttributeError):  # a number that the family works out from others
                setattr(config, name, value)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:2]
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention).float()
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return model


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_family_keeps_rows_apart(family: str) -> None:
    from runtime.packing import LEAK, leak, refuse_leaks

    model = small(family)
    for each in (False, True):
        assert leak(model, each=each) < LEAK / 10
        assert leak(model, apart=False, each=each) > 100 * LEAK
        refuse_leaks(model, PackingPart(pair=0.0, whole=False, by_row=each))
    assert model.training


@pytest.mark.parametrize("family", ["llama", "gemma2", "qwen3_moe"])
def test_so_does_attention_score_by_score(family: str) -> None:
    from runtime.packing import LEAK, leak

    model = small(family, "eager")
    assert leak(model) < LEAK / 10
    assert leak(model, apart=False) > 100 * LEAK


@pytest.mark.parametrize("family", ["falcon", "opt", "recurrent_gemma"])
def test_a_model_that_mixes_rows_is_refused(family: str) -> None:
    from runtime.packing import refuse_leaks

    assert family not in FAMILIES
    with pytest.raises(Refusal) as refused:
        refuse_leaks(small(family), PackingPart(pair=0.0, whole=False))
    (problem,) = refused.value.diagnostics
    assert problem.code == "X034"
    assert "packing = false" in (problem.help or "")


def rows(count: int, *, learnt_from: int) -> list[Any]:
    """Rows of 3 to 40 tokens of which what comes before ``learnt_from`` is not learnt."""
    chance = random.Random(5)
    made = []
    for _ in range(count):
        ids = [chance.randrange(2, WORDS) for _ in range(chance.randrange(3, 41))]
        made.append(SimpleNamespace(ids=ids, labels=[-100] * learnt_from + ids[learnt_from:]))
    return made


def collated(made: list[Any], pair: float = 1e-4) -> dict[str, Any]:
    from runtime.packing import JoiningCollator

    return JoiningCollator(Joining(pair), 0)([{"input_ids": row.ids, "labels": row.labels} for row in made])


def test_a_batch_holds_each_row_once_with_positions_of_its_own() -> None:
    from runtime.packing import TOKENS

    made = rows(8, learnt_from=2)
    batch = collated(made)
    assert batch["input_ids"].shape == batch["labels"].shape == batch["position_ids"].shape
    assert batch["input_ids"].shape[0] < 8
    assert int(batch[TOKENS].sum()) == sum(len(row.ids) for row in made)
    found = []
    for ids, labels, positions, tokens in zip(*(batch[name] for name in batch), strict=True):
        starts = [at for at in range(int(tokens)) if positions[at] == 0]
        for start, end in zip(starts, [*starts[1:], int(tokens)], strict=True):
            assert positions[start:end].tolist() == list(range(end - start))
            found.append((ids[start:end].tolist(), labels[start:end].tolist()))
        assert (labels[int(tokens) :] == -100).all()
        assert (positions[int(tokens) :] == 0).all()
    assert sorted(found) == sorted((row.ids, row.labels) for row in made)


def test_joined_rows_give_the_logits_that_each_gives_alone() -> None:
    import torch

    model = small("llama").eval()
    made = rows(6, learnt_from=0)
    batch = collated(made)
    assert batch["input_ids"].shape[0] < 6
    with torch.no_grad():
        together = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits
        mixed = model(input_ids=batch["input_ids"], use_cache=False).logits
        worst = worst_mixed = 0.0
        for row in made:
            alone = model(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0]
            line, at = place(batch["input_ids"], row.ids)
            worst = max(worst, float((together[line, at : at + len(row.ids)] - alone).abs().max()))
            worst_mixed = max(worst_mixed, float((mixed[line, at : at + len(row.ids)] - alone).abs().max()))
    assert worst < 1e-4
    assert worst_mixed > 1.0


def place(ids: Any, row: list[int]) -> tuple[int, int]:
    for line, told in enumerate(ids.tolist()):
        for at in range(len(told) - len(row) + 1):
            if told[at : at + len(row)] == row:
                return line, at
    raise AssertionError(row)


# --- training ----------------------------------------------------------------------------------------

SFT = {
    "bf16": False,
    "dataset_kwargs": {"skip_prepare_dataset": True},
    "disable_tqdm": True,
    "eval_steps": 4,
    "eval_strategy": "steps",
    "gradient_accumulation_steps": 2,
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "loss_type": "nll",
    "max_steps": 6,
    "per_device_eval_batch_size": 4,
    "per_device_train_batch_size": 8,
    "report_to": "none",
    "save_steps": 3,
    "save_strategy": "steps",
    "seed": 1,
    "use_cpu": True,
}


class Told(dict[str, Any]):
    """What a training wrote into its journal, by the names of a step's numbers."""

    def __init__(self, folder: Path, plan: Plan, made: list[Any], *, checkpoint: Path | None = None) -> None:
        from tokenizers import Tokenizer, models
        from transformers import PreTrainedTokenizerFast

        from runtime.backends import Loaded
        from runtime.training import Watcher, build_trainer, train

        run = RunFolder(folder)
        for needed in (run.control, run.checkpoints):
            needed.mkdir(parents=True, exist_ok=True)
        words = models.WordLevel({"<pad>": 0, "</s>": 1}, unk_token="</s>")
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), pad_token="<pad>", eos_token="</s>")
        journal = JournalWriter(run.events)
        watcher = Watcher(plan, journal, Orders(run, journal))
        data: Any = SimpleNamespace(train=made, held_out=made[:5])
        loaded = Loaded(small("llama"), tokenizer, run.path)
        self.trainer = build_trainer(plan, loaded, run, data, watcher, checkpoint=checkpoint)
        train(self.trainer, plan, checkpoint)
        self.checkpoints = run.checkpoints
        for event in read_journal(run.events):
            if event.kind == "metric":
                for name in ("loss", "tokens", "grad_norm"):
                    self.setdefault(name, []).append(event.get(name))
            if event.kind == "eval":
                self.setdefault("measured", []).append(event.get("loss"))

    def is_the_training_of(self, padded: Told) -> None:
        """The same losses, gradients, measurements and tokens, of a training that changes something."""
        assert self["loss"] == pytest.approx(padded["loss"], abs=2e-4)
        assert self["grad_norm"] == pytest.approx(padded["grad_norm"], rel=1e-3)
        assert self["measured"] == pytest.approx(padded["measured"], abs=2e-4)
        assert self["tokens"] == padded["tokens"]
        assert len(set(self["loss"])) > 1


def plan_of(*, packed: bool, **sft: Any) -> Plan:
    call = LibraryCall(name="trl.SFTConfig", kwargs=SFT | sft)
    return make_plan(sft=call, packing=PackingPart(pair=1e-4, whole=False) if packed else None)


@pytest.mark.parametrize("loss_type", ["nll", "chunked_nll"])
@pytest.mark.parametrize("learnt_from", [2, 1])
def test_packing_trains_on_the_same_rows_to_the_same_losses(tmp_path: Path, loss_type: str, learnt_from: int) -> None:
    made = rows(40, learnt_from=learnt_from)
    padded = Told(tmp_path / "padded", plan_of(packed=False, loss_type=loss_type), made)
    packed = Told(tmp_path / "packed", plan_of(packed=True, loss_type=loss_type), made)
    packed.is_the_training_of(padded)
    batch = next(iter(packed.trainer.get_train_dataloader()))
    assert batch["input_ids"].shape[0] < 8
    measured = next(iter(packed.trainer.get_eval_dataloader()))
    assert measured["input_ids"].shape[0] == 4  # each row its own


def test_a_packed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    made = rows(40, learnt_from=2)
    whole = Told(tmp_path / "whole", plan_of(packed=True), made)
    again = Told(tmp_path / "again", plan_of(packed=True), made, checkpoint=whole.checkpoints / "checkpoint-3")
    assert again["loss"] == whole["loss"][3:]
    assert again["grad_norm"] == whole["grad_norm"][3:]


def test_smaller_pieces_of_the_same_batch_come_to_the_same_losses(tmp_path: Path) -> None:
    made = rows(40, learnt_from=2)
    whole = Told(tmp_path / "whole", plan_of(packed=True), made)
    split = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    pieces = Told(tmp_path / "pieces", plan_of(packed=True, **split), made)
    assert pieces["loss"] == pytest.approx(whole["loss"], abs=2e-4)
