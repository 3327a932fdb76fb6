"""Training with the real trainer on a model of a few thousand numbers: what is told, kept and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compiler.plan import LibraryCall, Plan
from runtime.checkpoints import is_whole
from runtime.journal import JournalWriter, read_journal
from runtime.orders import Orders
from runtime.run_folder import RunFolder, post_request
from tests.runtime.plans import make_plan

pytestmark = pytest.mark.slow  # torch

ROWS = 24
SFT = {
    "bf16": False,
    "dataset_kwargs": {"skip_prepare_dataset": True},
    "disable_tqdm": True,
    "eval_steps": 3,
    "eval_strategy": "steps",
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "loss_type": "nll",
    "max_steps": 8,  # of twelve in an epoch
    "per_device_eval_batch_size": 2,
    "per_device_train_batch_size": 2,
    "report_to": "none",
    "save_steps": 5,
    "save_strategy": "steps",
    "seed": 1,
    "use_cpu": True,
}


def plan_of(*, patience: int | None = None, threshold: float = 0.0, **sft: Any) -> Plan:
    if patience is not None:
        best = {"greater_is_better": False, "load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}
        sft = {"save_steps": 3, **best, **sft}
    call = LibraryCall(name="trl.SFTConfig", kwargs=SFT | sft)
    return make_plan(sft=call, early_stopping_patience=patience, early_stopping_threshold=threshold)


class Training:
    """One executor's part of a run: a fresh small model, the trainer, the journal."""

    def __init__(self, run: RunFolder, plan: Plan, *, tokens: int = 0) -> None:
        import torch
        from tokenizers import Tokenizer, models
        from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

        from runtime.backends import Loaded
        from runtime.training import Watcher, build_trainer

        torch.manual_seed(0)
        sizes = {"vocab_size": 30, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
        self.model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, pad_token_id=0))
        words = models.WordLevel({"<pad>": 0, "</s>": 1}, unk_token="</s>")
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(words), pad_token="<pad>", eos_token="</s>")
        rows = [SimpleNamespace(ids=[2 + n % 7] * 5, labels=[2 + n % 7] * 5) for n in range(ROWS)]
        data: Any = SimpleNamespace(train=rows, held_out=rows[:2])
        self.plan = plan
        self.journal = JournalWriter(run.events)
        self.orders = Orders(run, self.journal)
        self.watcher = Watcher(plan, self.journal, self.orders, tokens=tokens)
        self.trainer = build_trainer(
            plan, Loaded(self.model, tokenizer, run.path), run, data, self.watcher, checkpoint=None
        )

    def train(self, checkpoint: Path | None = None) -> Training:
        from runtime.training import train

        train(self.trainer, self.plan, checkpoint)
        return self

    @property
    def weights(self) -> Any:
        return {name: value.clone() for name, value in self.trainer.model.state_dict().items()}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.control.mkdir(parents=True)
    run.checkpoints.mkdir()
    return run


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Callable[[], object]], None]]:
    """Does something in the middle of an optimizer step, before the watcher looks."""
    from runtime.training import Watcher

    planned: dict[int, Callable[[], object]] = {}
    begin = Watcher.on_step_begin

    def on_step_begin(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        begin(self, args, state, control, **kwargs)
        planned.pop(state.global_step + 1, lambda: None)()

    monkeypatch.setattr(Watcher, "on_step_begin", on_step_begin)
    yield planned.__setitem__
    assert not planned


def told(run: RunFolder, kind: str, *names: str) -> list[Any]:
    found = [event for event in read_journal(run.events) if event.kind == kind]
    return [tuple(event.get(name) for name in names) if len(names) > 1 else event.get(names[0]) for event in found]


def test_the_last_step_is_kept_whole_before_anything_is_measured(run: RunFolder) -> None:
    Training(run, plan_of()).train()
    assert told(run, "checkpoint", "step") == [5, 8]
    assert is_whole(run.checkpoints / "checkpoint-8")


def test_a_checkpoint_of_the_last_step_is_loaded_and_not_trained_on(run: RunFolder) -> None:
    import torch

    trained = Training(run, plan_of()).train().weights
    before = told(run, "metric", "step")
    again = Training(run, plan_of())
    assert not torch.equal(again.weights["lm_head.weight"], trained["lm_head.weight"])
    again.train(run.checkpoints / "checkpoint-8")
    assert again.trainer.state.global_step == 8
    assert told(run, "metric", "step") == before == list(range(1, 9))
    assert all(torch.equal(value, trained[name]) for name, value in again.weights.items())


def test_an_early_stop_keeps_its_last_step_and_is_final(run: RunFolder) -> None:
    import torch

    plan = plan_of(patience=1, threshold=100.0, eval_steps=2, save_steps=4)  # nothing is better by so much
    training = Training(run, plan).train()
    assert training.trainer.state.global_step == 4
    best = training.trainer.state.best_model_checkpoint
    assert told(run, "checkpoint", "step") == [4]
    again = Training(run, plan).train(run.checkpoints / "checkpoint-4")
    assert again.trainer.state.global_step == 4
    assert told(run, "metric", "step") == [1, 2, 3, 4]
    assert best is None or Path(best).name == "checkpoint-4"
    assert all(torch.equal(value, training.weights[name]) for name, value in again.weights.items())


def test_an_early_stop_between_two_checkpoints_makes_one(run: RunFolder) -> None:
    Training(run, plan_of(patience=1, threshold=100.0, eval_steps=1, save_steps=5)).train()
    assert told(run, "metric", "step") == [1, 2]
    assert told(run, "checkpoint", "step") == [2]


def test_the_best_model_is_taken_up_after_an_early_stop(run: RunFolder) -> None:
    import torch

    # At such a rate the loss explodes: the first measured step stays the best one.
    plan = plan_of(patience=1, eval_steps=1, save_steps=1, learning_rate=10.0)
    training = Training(run, plan).train()
    last, best = training.trainer.state.global_step, training.trainer.state.best_model_checkpoint
    assert Path(best).name == f"checkpoint-{last - 1}"
    again = Training(run, plan).train(run.checkpoints / f"checkpoint-{last}")
    assert again.trainer.state.global_step == last
    assert all(torch.equal(value, training.weights[name]) for name, value in again.weights.items())


@pytest.mark.parametrize("step", [2, 8])
def test_a_request_to_stop_keeps_the_step_it_came_in(run: RunFolder, step: int, at_step: Any) -> None:
    at_step(step, lambda: post_request(run, "stop"))
    training = Training(run, plan_of()).train()
    assert training.trainer.state.global_step == step
    assert told(run, "request", "name", "step") == [("stop", step)]
    assert told(run, "checkpoint", "step")[-1] == step
    assert training.orders.by == "request"


def test_a_request_for_a_checkpoint_is_met_and_training_goes_on(run: RunFolder, at_step: Any) -> None:
    at_step(2, lambda: post_request(run, "checkpoint"))
    Training(run, plan_of()).train()
    assert told(run, "request", "name", "step", "declined") == [("checkpoint", 2, None)]
    assert told(run, "checkpoint", "step") == [2, 5, 8]
    assert told(run, "metric", "step")[-1] == 8


def test_who_asks_during_an_evaluation_waits_for_no_further_step(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(run, plan_of())
    evaluate = training.trainer.evaluate

    def asked(*arguments: Any, **options: Any) -> Any:
        post_request(run, "stop")
        return evaluate(*arguments, **options)

    monkeypatch.setattr(training.trainer, "evaluate", asked)
    training.train()
    assert training.trainer.state.global_step == 3
    assert told(run, "checkpoint", "step") == [3]


def test_an_evaluation_is_announced_after_its_step_and_only_while_training(run: RunFolder) -> None:
    training = Training(run, plan_of()).train()
    training.trainer.evaluate()
    order = [(event.kind, event.get("name") or event.get("phase")) for event in read_journal(run.events)]
    evaluated = [place for place, event in enumerate(order) if event == ("stage", "evaluate")]
    assert told(run, "stage", "name", "step") == [("evaluate", 3), ("evaluate", 6)]  # not at 8, which is measured next
    for place in evaluated:
        assert order[place - 1][0] == "metric"
        assert order[place + 1] == ("eval", "during")


def test_tokens_go_on_counting_after_a_resume(run: RunFolder) -> None:
    Training(run, plan_of()).train()
    tokens = dict(told(run, "metric", "step", "tokens"))
    Training(run, plan_of(), tokens=tokens[5]).train(run.checkpoints / "checkpoint-5")
    again = dict(told(run, "metric", "step", "tokens")[-3:])
    assert again == {step: tokens[step] for step in (6, 7, 8)}
    assert tokens[8] == 8 * 2 * 5


def poison(training: Training, steps: set[int]) -> None:
    """The gradients of these steps are no numbers, as an overflow of float16 leaves them."""
    import torch

    def hook(gradient: Any) -> Any:
        bad = training.trainer.state.global_step + 1 in steps
        return torch.full_like(gradient, float("nan")) if bad else gradient

    training.model.lm_head.weight.register_hook(hook)


def test_an_update_that_is_no_number_is_left_out_and_told(run: RunFolder) -> None:
    import torch

    training = Training(run, plan_of())
    poison(training, {3, 6})
    training.train()
    assert told(run, "metric", "step") == list(range(1, 9))
    assert all(bool(torch.isfinite(value).all()) for value in training.weights.values())
    assert told(run, "warning", "code") == ["X031", "X031"]
    assert "at step 3; its update was left out, and the weights are as before" in told(run, "warning", "message")[0]


def test_three_of_them_in_a_row_end_the_run_with_the_rate_to_try(run: RunFolder) -> None:
    from compiler.diagnostics import Refusal

    training = Training(run, plan_of())
    poison(training, {4, 5, 6})
    with pytest.raises(Refusal) as refused:
        training.train()
    (problem,) = refused.value.diagnostics
    assert (problem.code, problem.path) == ("X008", ("training", "learning_rate"))
    assert "learning_rate = 0.0001 in [training] instead of 0.0002" in str(problem.help)
    assert told(run, "metric", "step")[-1] == 6


def test_measuring_out_of_memory_measures_fewer_at_once_and_trains_as_before(run: RunFolder) -> None:
    plain = Training(run, plan_of()).train()
    expected = dict(told(run, "metric", "step", "loss"))
    run.events.unlink()
    training = Training(run, plan_of())
    forward = training.model.forward

    def short_of_memory(*arguments: Any, **options: Any) -> Any:
        if not training.model.training and len(options["input_ids"]) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
        return forward(*arguments, **options)

    training.model.forward = short_of_memory
    training.train()
    assert told(run, "warning", "code") == ["X033"]
    assert "measured 1 at once instead of 2" in told(run, "warning", "message")[0]
    assert told(run, "eval", "step") == [3, 6]
    assert dict(told(run, "metric", "step", "loss")) == expected
    assert training.trainer.args.per_device_train_batch_size == plain.trainer.args.per_device_train_batch_size


def test_a_step_that_fails_is_begun_again_from_a_checkpoint_of_the_one_before(run: RunFolder) -> None:
    import torch

    expected = Training(run, plan_of()).train().weights
    run.events.unlink()
    training = Training(run, plan_of())
    trainer: Any = training.trainer
    step = trainer.training_step

    def failing(*arguments: Any, **options: Any) -> Any:
        if training.trainer.state.global_step == 6:
            torch.rand(10)  # the generators have moved on when memory runs out
            raise MemoryError
        return step(*arguments, **options)

    trainer.training_step = failing
    with pytest.raises(MemoryError):
        training.train()
    assert not training.watcher.updating
    training.trainer.keep_last_step()
    assert is_whole(run.checkpoints / "checkpoint-6")
    again = Training(run, plan_of()).train(run.checkpoints / "checkpoint-6")
    assert all(torch.equal(value, expected[name]) for name, value in again.weights.items())


def test_a_used_up_budget_ends_training_with_a_checkpoint_of_that_step(run: RunFolder) -> None:
    training = Training(run, plan_of())

    def over() -> None:
        if training.trainer.state.global_step == 4:
            training.orders.by = "budget"

    training.watcher._every_step = over
    training.train()
    assert training.trainer.state.global_step == 4
    assert told(run, "checkpoint", "step") == [4]
    assert training.orders.exit_code() == 0


def test_a_pause_rests_where_the_step_is_kept_and_goes_on_when_told(run: RunFolder, at_step: Any) -> None:
    training = Training(run, plan_of())
    post = {"pause": "continue"}

    def meanwhile() -> None:
        if told(run, "pause", "step") and "pause" in post:
            post_request(run, post.pop("pause"))  # type: ignore[arg-type]

    training.watcher._every_step = meanwhile
    at_step(2, lambda: post_request(run, "pause"))
    training.train()
    kinds = [(event.kind, event.get("step")) for event in read_journal(run.events) if event.kind != "eval"]
    at = kinds.index(("pause", 2))
    assert kinds[at - 1] == ("checkpoint", 2)
    assert kinds[at + 1 : at + 3] == [("request", 2), ("continue", 2)]
    assert told(run, "metric", "step")[-1] == 8
