"""Decisions: the effective batch is never changed, steps match what Transformers will do, reasons are given."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from compiler import decide
from compiler.codes import all_rules
from compiler.estimate.lengths import RowLengths
from compiler.facts.machine import Target
from compiler.language.recipe import AdapterTable, DataTable, ModelTable, Recipe, RecipeTable, TrainingTable
from tests.compiler.estimate.works import SMALL

CPU = Target("cpu", True, "", 0, "")
OLD_CPU = Target("cpu", False, "", 0, "")
GPU = Target("cuda", True, "rtx-4090", 1, "")
T4 = Target("cuda", False, "t4", 1, "")


def recipe(**model: object) -> Recipe:
    return Recipe(model=ModelTable.model_validate({"id": "m", **model}), data=DataTable(path="d"))


@given(batch=st.integers(1, 4096), longest=st.integers(1, 100_000), target=st.sampled_from([CPU, GPU, T4]))
def test_the_micro_batch_always_divides_the_batch(batch: int, longest: int, target: Target) -> None:
    decision = decide.micro_batch(TrainingTable(batch_size=batch), target, longest=longest)
    assert batch % decision.value == 0
    assert decision.value >= 1
    assert decision.value == 1 or decision.value * longest <= 8192


@given(rows=st.integers(1, 10_000), batch=st.integers(1, 256), epochs=st.floats(0.01, 20))
def test_steps_are_those_of_transformers(rows: int, batch: int, epochs: float) -> None:
    training = TrainingTable(batch_size=batch, num_train_epochs=epochs)
    steps = decide.total_steps(training, rows=rows)
    # transformers.Trainer.set_initial_training_values: ceil(epochs * updates per epoch)
    assert steps == math.ceil(epochs * math.ceil(rows / batch))
    assert decide.total_steps(TrainingTable(max_steps=7), rows=rows) == 7


@given(steps=st.integers(1, 100_000), share=st.floats(0, 0.99), whole=st.integers(1, 1000))
def test_warm_up_is_a_share_below_one_and_steps_from_one(steps: int, share: float, whole: int) -> None:
    assert decide.warmup_steps(TrainingTable(warmup_steps=share), steps=steps) == math.ceil(share * steps)
    assert decide.warmup_steps(TrainingTable(warmup_steps=float(whole)), steps=steps) == min(whole, steps)


@given(steps=st.integers(1, 1_000_000))
def test_a_crash_never_loses_more_than_two_hundred_steps(steps: int) -> None:
    assert 1 <= decide.save_steps(steps=steps, every=None).value <= 200
    assert decide.save_steps(steps=steps, every=17).value == 17


def test_the_complexity_sets_the_rank_and_alpha_is_twice_it() -> None:
    assert [decide.rank(c).value for c in ("simple", "medium", "complex")] == [16, 32, 64]
    assert decide.alpha(32).value == 64


def test_the_method_follows_device_and_quantisation() -> None:
    assert decide.method(recipe(), CPU).value == "lora"
    assert decide.method(recipe(), GPU).value == "qlora"
    assert decide.method(recipe(quantization="fp4"), CPU).value == "qlora"
    assert decide.method(recipe(quantization="none"), GPU).value == "lora"
    assert decide.method(recipe(), CPU).rejected


def test_the_device_is_that_of_the_target_with_its_reason() -> None:
    gpu = Target("cuda", True, "rtx-4090", 1, "this machine has a GPU (rtx-4090)")
    assert decide.device(gpu, gpu_named=False) == decide.Decision("cuda", "H02", gpu.reason)
    assert decide.device(gpu, gpu_named=True).code == "H01"
    assert (decide.device(CPU, gpu_named=False).value, decide.device(CPU, gpu_named=False).code) == ("cpu", "H03")


def test_the_data_type_is_what_the_device_computes_in() -> None:
    assert [decide.dtype(t).value for t in (CPU, OLD_CPU, GPU, T4)] == ["bfloat16", "float32", "bfloat16", "float16"]


def test_short_rows_on_a_cpu_get_attention_by_scores() -> None:
    told = decide.attention(CPU, "bfloat16", longest=decide.SHORT)
    assert (told.value, told.code, told.from_data) == ("eager", "T22", True)
    assert [each.value for each in told.rejected] == ["sdpa"]
    for target, dtype, longest in ((GPU, "bfloat16", 200), (CPU, "float32", 200), (CPU, "bfloat16", decide.SHORT + 1)):
        kept = decide.attention(target, dtype, longest=longest)
        assert (kept.value, kept.code, kept.rejected) == ("sdpa", "T04", [])


def test_target_presets_are_pefts_names() -> None:
    assert decide.target_modules(AdapterTable(target_modules="attention-minimal"), None) == ["q_proj", "v_proj"]
    assert decide.target_modules(AdapterTable(), None) == "all-linear"
    assert decide.target_modules(AdapterTable(target_modules=["c_attn"]), None) == ["c_attn"]


def test_every_reason_is_a_sentence_a_person_can_use() -> None:
    decisions = [
        decide.quantization("qlora"),
        decide.quantization("lora"),
        decide.attention(CPU, "bfloat16", longest=200),
        decide.attention(GPU, "bfloat16", longest=200),
        decide.learning_rate("full"),
        decide.learning_rate("lora"),
        decide.packing(None),
        decide.packing(SMALL),
        decide.packing(SMALL, RowLengths((10, 30), 2), micro_batch=2),
        decide.gradient_checkpointing(CPU),
        decide.gradient_checkpointing(GPU),
        decide.optimizer("qlora", GPU),
        decide.optimizer("lora", CPU),
        decide.eval_steps(steps=10, held_out=0),
        decide.eval_steps(steps=10, held_out=5),
    ]
    for decision in decisions:
        assert len(decision.reason) > 15
        assert decision.code in all_rules()
    assert RecipeTable().complexity == "simple"


def test_without_a_search_packing_stays_off_and_tells_what_pads() -> None:
    lengths = RowLengths((10, 30), 2)  # two rows taken by chance: 10 once in four, 30 else
    known, unknown = SMALL, replace(SMALL, model_type="falcon")
    assert decide.packing(known, lengths, micro_batch=2).reason.startswith("20% of the positions only pad batches of 2")
    assert decide.packing(known, lengths, micro_batch=1).reason.startswith("0%")
    assert decide.packing(unknown, lengths, micro_batch=2).code == "T08"
    assert not any(decide.packing(each, lengths, micro_batch=2).value for each in (known, unknown, None))
