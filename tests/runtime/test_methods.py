"""Methods of PEFT, trained for real on a tiny model: what is measured is the base, what is saved can be loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.saving import save_tuned
from tests.runtime.tiny import ROWS, STEPS, Work, plan_of, save_base, work

if TYPE_CHECKING:
    from runtime.starts import Start

pytestmark = pytest.mark.slow  # torch

RANDOM = {"init_lora_weights": "pissa_niter_4"}
STARTS: dict[str, dict[str, Any]] = {
    "default": {},
    "gaussian": {"init_lora_weights": "gaussian"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "olora": {"init_lora_weights": "olora"},
    "pissa": {"init_lora_weights": "pissa"},
    "dora": {"use_dora": True},
    "pissa_niter": RANDOM,
    "pissa_niter and rslora": {**RANDOM, "use_rslora": True},
    "pissa_niter and dora": {**RANDOM, "use_dora": True},
    "pissa_niter and modules": {**RANDOM, "modules_to_save": ["lm_head", "embed_tokens"]},
    "pissa_niter and patterns": {**RANDOM, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
    "pissa_niter and all": {
        **RANDOM,
        "use_rslora": True,
        "rank_pattern": {"q_proj": 2},
        "alpha_pattern": {"v_proj": 3},
    },
}


class NoTokenizer:
    """Stands where the tokenizer is saved; what it writes is tested elsewhere."""

    def save(self, folder: Path) -> None:
        assert folder.is_dir()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "model")


def cross_entropy(model: Any) -> float:
    """Mean loss in nats over the answers' tokens of the held-out rows, by PyTorch alone."""
    import torch

    model.eval()
    with torch.inference_mode():
        ids = torch.tensor([list(row.ids) for row in ROWS.held_out])
        labels = torch.tensor([list(row.labels) for row in ROWS.held_out])
        logits = model(input_ids=ids).logits[:, :-1].float()
        return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten()))


def plain(base: Path) -> Any:
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(base)


def save(done: Work, start: Start | None = None, **changes: Any) -> list[Path]:
    plan = done.plan.model_copy(update=changes)
    tokenizer: Any = NoTokenizer()
    return save_tuned(plan, done.run, done.trainer.model, tokenizer, base=done.base, start=start)


@pytest.mark.parametrize("start", STARTS)
def test_whatever_the_start_the_base_is_what_is_measured_and_the_tuned_model_what_is_saved(
    base: Path, tmp_path: Path, start: str
) -> None:
    import peft

    from runtime.starts import remember_start
    from runtime.training import held_out_loss

    done = work(plan_of("LoraConfig", r=4, lora_alpha=8, **STARTS[start]), base, tmp_path)
    begun = remember_start(done.trainer.model)
    assert (begun is not None) is ("niter" in start)
    before = held_out_loss(done.trainer, base=True)["loss"]
    assert before == pytest.approx(cross_entropy(plain(base)), abs=1e-4)
    done.trainer.train()
    after = held_out_loss(done.trainer, base=False)["loss"]
    assert after < before - 0.02
    (adapter,) = save(done, begun)
    loaded = peft.PeftModel.from_pretrained(plain(base), adapter)
    assert cross_entropy(loaded) == pytest.approx(after, abs=1e-4)


@pytest.mark.parametrize("quantized", [False, True])
def test_a_merge_is_the_adapter_on_the_whole_base(base: Path, tmp_path: Path, quantized: bool) -> None:
    import peft
    from transformers import LlamaForCausalLM

    from compiler.plan import LibraryCall

    plan = plan_of("LoraConfig", r=4, lora_alpha=8)
    if quantized:
        kwargs = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32"}
        plan = plan.model_copy(
            update={
                "method": "qlora",
                "quantization": LibraryCall(name="transformers.BitsAndBytesConfig", kwargs=kwargs),
            }
        )
    done = work(plan, base, tmp_path)
    done.trainer.train()
    adapter, model = save(done, export_merged=True)
    whole = peft.PeftModel.from_pretrained(plain(base), adapter)
    merged = LlamaForCausalLM.from_pretrained(model)
    assert "quantization_config" not in json.loads((model / "config.json").read_text(encoding="utf-8"))
    assert cross_entropy(merged) == pytest.approx(cross_entropy(whole), abs=1e-4)
    assert cross_entropy(merged) < cross_entropy(plain(base)) - 0.02


ADALORA: dict[str, Any] = {
    "init_r": 6,
    "target_r": 2,
    "tinit": 2,
    "tfinal": 3,
    "deltaT": 1,
    "total_step": STEPS,
    "lora_alpha": 12,
}


def living_ranks(model: Any) -> int:
    return sum(int((p != 0).sum()) for name, p in model.named_parameters() if "lora_E" in name)


def test_adalora_prunes_to_its_target_and_measures_cross_entropy_alone(base: Path, tmp_path: Path) -> None:
    import peft

    from runtime.ranks import ranks_of
    from runtime.training import held_out_loss

    done = work(plan_of("AdaLoraConfig", **ADALORA), base, tmp_path)
    before = held_out_loss(done.trainer, base=True)["loss"]
    assert before == pytest.approx(cross_entropy(plain(base)), abs=1e-4)
    done.trainer.train()
    assert living_ranks(done.trainer.model) == 2 * 6  # target_r times the six adapted layers
    after = held_out_loss(done.trainer, base=False)["loss"]
    assert after == pytest.approx(cross_entropy(done.trainer.model), abs=1e-4)
    assert after < before - 0.02
    (adapter,) = save(done)
    ranks = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["rank_pattern"]
    assert sum(map(sum, ranks.values())) == 12
    told = ranks_of(done.run, done.plan)
    assert told is not None
    assert (len(told.left), sum(told.left.values()), told.mean) == (6, 12, 2.0)
    assert "model.layers.0.self_attn.q_proj" in told.left
    assert done.trainer.model.peft_config["default"].orth_reg_weight > 0
    loaded = peft.PeftModel.from_pretrained(plain(base), adapter)
    assert cross_entropy(loaded) == pytest.approx(after, abs=1e-4)


@pytest.mark.parametrize("broken_off", [4, 8])
@pytest.mark.parametrize("method", ["default", "adalora", "pissa_niter and dora"])
def test_a_run_goes_on_from_a_checkpoint_as_if_nothing_had_been(
    base: Path, tmp_path: Path, method: str, broken_off: int
) -> None:
    arguments = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1, **STARTS.get(method, {})}
    plan = plan_of("AdaLoraConfig", **ADALORA) if method == "adalora" else plan_of("LoraConfig", **arguments)
    whole = work(plan, base, tmp_path / "whole")
    whole.trainer.train()
    first = work(plan, base, tmp_path / "parts", stop_at=broken_off)
    first.trainer.train()
    checkpoint = first.run.checkpoints / f"checkpoint-{broken_off}"
    second = work(plan, base, tmp_path / "parts", checkpoint=checkpoint)
    second.trainer.train(resume_from_checkpoint=str(checkpoint))
    assert second.losses() == whole.losses()
    assert living_ranks(second.trainer.model) == living_ranks(whole.trainer.model)


@pytest.mark.parametrize("method", ["default", "adalora", "pissa_niter and dora"])
def test_a_run_stopped_after_its_last_step_is_taken_up_with_what_it_had_learnt(
    base: Path, tmp_path: Path, method: str
) -> None:
    from runtime.training import held_out_loss, train

    arguments = {"r": 4, "lora_alpha": 8, **STARTS.get(method, {})}
    plan = plan_of("AdaLoraConfig", **ADALORA) if method == "adalora" else plan_of("LoraConfig", **arguments)
    first = work(plan, base, tmp_path / "run")
    train(first.trainer, plan, None)
    checkpoint = first.run.checkpoints / f"checkpoint-{STEPS}"
    second = work(plan, base, tmp_path / "run", checkpoint=checkpoint)
    train(second.trainer, plan, checkpoint)
    assert len(second.losses()) == STEPS
    assert living_ranks(second.trainer.model) == living_ranks(first.trainer.model)
    assert held_out_loss(second.trainer, base=False)["loss"] == held_out_loss(first.trainer, base=False)["loss"]
    patterns = [done.trainer.model.peft_config["default"].rank_pattern for done in (first, second)]
    assert patterns[0] == patterns[1]


def test_an_unknown_backend_is_refused_by_name() -> None:
    from compiler.diagnostics import Refusal
    from runtime.backends import loader

    with pytest.raises(Refusal) as refused:
        loader("jax")
    assert [problem.code for problem in refused.value.diagnostics] == ["P002"]


def test_patience_is_not_begun_anew_after_a_resume(base: Path, tmp_path: Path) -> None:
    from compiler.plan import LibraryCall

    plan = plan_of("LoraConfig", r=2, lora_alpha=2)
    patient = {
        "eval_steps": 2,
        "greater_is_better": False,
        "learning_rate": 0.0,  # so that nothing ever gets better
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "restore_callback_states_from_checkpoint": True,
        "save_steps": 2,
    }
    sft = LibraryCall(name=plan.sft.name, kwargs={**plan.sft.kwargs, **patient})
    plan = plan.model_copy(update={"sft": sft, "early_stopping_patience": 3})
    whole = work(plan, base, tmp_path / "whole")
    whole.trainer.train()
    assert whole.trainer.state.global_step == 8  # measured at 2, and three times no better
    first = work(plan, base, tmp_path / "parts", stop_at=6)
    first.trainer.train()
    checkpoint = first.run.checkpoints / "checkpoint-6"
    second = work(plan, base, tmp_path / "parts", checkpoint=checkpoint)
    second.trainer.train(resume_from_checkpoint=str(checkpoint))
    assert second.trainer.state.global_step == 8
