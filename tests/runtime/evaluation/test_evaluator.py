"""An evaluation from its first question to its results: a tiny model, real generation, real losses."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from compiler.codes import exit_code
from compiler.diagnostics import Refusal
from compiler.plan import Plan, read_plan
from runtime.evaluation.evaluator import Evaluator
from runtime.evaluation.launching import read_results, start_evaluation
from runtime.evaluation.questions import as_example, questions_file, read_questions
from runtime.evaluation.settings import EvaluationSettings, evaluation_folder, write_settings
from runtime.journal import read_journal
from runtime.run_folder import RunFolder

pytestmark = pytest.mark.slow

SETTINGS = EvaluationSettings(rows=200, max_new_tokens=6, batch_size=4)


def evaluate(run: RunFolder, settings: EvaluationSettings = SETTINGS) -> dict[str, Any]:
    write_settings(run, settings)
    evaluation_folder(run).control.mkdir(exist_ok=True)
    evaluator = Evaluator(run)
    told = evaluator.execute()
    evaluator.journal.close()
    evaluator.lock.release()
    return told


def counted(run: RunFolder) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for event in read_journal(evaluation_folder(run).events):
        if event.kind in {"answer", "loss"}:
            key = event.kind, event.text("phase")
            found[key] = found.get(key, 0) + 1
    return found


def test_base_and_tuned_are_asked_the_same_and_compared(run: RunFolder) -> None:
    told = evaluate(run)
    assert counted(run) == {
        ("loss", "base"): 9,
        ("loss", "tuned"): 9,
        ("answer", "base"): 11,
        ("answer", "tuned"): 11,
    }
    results = read_results(run)
    assert results is not None
    assert (results["questions"], results["refused"]) == (11, ["held_out.jsonl, row 1"])
    assert results["loss"]["questions"] == 9
    assert results["loss"]["difference"] > 0  # random weights make it worse
    scores = {one["name"]: one for one in results["scores"]}
    assert scores["test:cites"]["questions"] == 6  # five tagged rows, and the own question with the tag
    assert scores["test:own"]["questions"] == 1
    assert scores["test:short"]["questions"] == 10  # all but the other test's own question
    assert scores["fuzzy"]["questions"] == 9
    assert told == {"verdict": results["verdict"], "ship": results["ship"]["ship"]}
    assert not results["ship"]["ship"]
    assert any("cites" in condition["text"] for condition in results["ship"]["conditions"] if not condition["holds"])


def test_losses_and_answers_are_those_of_each_model_alone(run: RunFolder) -> None:
    import peft
    import torch
    from transformers import LlamaForCausalLM

    from compiler.data.tokenizer import load_tokenizer
    from compiler.facts.models import locate_model
    from runtime.run_folder import read_launch

    evaluate(run)
    plan, _ = read_plan(run.plan)
    assert plan is not None
    root = read_launch(run).root
    dtype = getattr(torch, plan.load.kwargs["dtype"])
    model: Any = LlamaForCausalLM.from_pretrained(root / "model", dtype=dtype)
    facts, _ = locate_model(plan.named_model(), root=root, offline=True)
    assert facts is not None
    tokenizer, _ = load_tokenizer(facts)
    assert tokenizer is not None
    events = list(read_journal(evaluation_folder(run).events))
    for phase in ("base", "tuned"):
        if phase == "tuned":
            model = peft.PeftModel.from_pretrained(model, run.adapter)
        model.eval()
        losses = {e.text("name"): e for e in events if e.kind == "loss" and e.get("phase") == phase}
        answers = {e.text("name"): e for e in events if e.kind == "answer" and e.get("phase") == phase}
        for one in read_questions(run):
            if one.seen:
                continue
            with torch.inference_mode():
                if one.ids:
                    example = as_example(one)
                    ids = torch.tensor([list(example.ids)])
                    out = model(input_ids=ids, labels=torch.tensor([list(example.labels)]))
                    mean = losses[one.name].fields["loss"] / losses[one.name].fields["tokens"]
                    assert mean == pytest.approx(float(out.loss), rel=1e-4)
                prompt = torch.tensor([one.prompt_ids])
                said = model.generate(
                    input_ids=prompt, do_sample=False, max_new_tokens=6, eos_token_id=1, pad_token_id=0
                )
            text = tokenizer.decode(said[0, prompt.shape[1] :].tolist()).strip()
            assert answers[one.name].text("answer") == text


def test_what_was_answered_before_it_died_is_not_asked_again(run: RunFolder) -> None:
    evaluate(run)
    first = read_results(run)
    journal = evaluation_folder(run).events
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: len(lines) // 2]) + lines[-1][:9])  # killed in the middle of a line
    before = sum(counted(run).values())
    evaluate(run)
    assert before < 40
    assert sum(counted(run).values()) == 40
    assert read_results(run) == first
    settled = journal.stat().st_size
    evaluate(run)
    assert sum(counted(run).values()) == 40
    assert journal.stat().st_size > settled  # it has only compared once more


def test_longer_answers_are_asked_anew(run: RunFolder) -> None:
    evaluate(run)
    evaluate(run, EvaluationSettings(rows=3, max_new_tokens=7, batch_size=2))
    results = read_results(run)
    assert results is not None
    assert (results["questions"], results["max_new_tokens"]) == (5, 7)
    assert counted(run)["answer", "base"] == 11 + 5


@pytest.mark.parametrize(("seen", "code"), [(True, "X052"), (None, "X053")])
def test_nothing_that_proves_anything(run: RunFolder, *, seen: bool | None, code: str) -> None:
    lines = [json.loads(line) for line in questions_file(run).read_text(encoding="utf-8").splitlines()]
    kept = [] if seen is None else [{**line, "seen": True} for line in lines]
    questions_file(run).write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    write_settings(run, SETTINGS)
    evaluator = Evaluator(run)
    assert evaluator.run_to_end() == 1
    (end,) = [event for event in read_journal(evaluation_folder(run).events) if event.kind == "end"]
    assert end.text("code") == code
    assert seen is None or "held_out.jsonl, row 1" in end.text("message")


def test_a_run_is_evaluated_after_it_where_its_recipe_says_what_must_hold(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tui import evaluating

    plan, _ = read_plan(run.plan)
    assert plan is not None
    assert evaluating.evaluate_after(run, plan) == 0  # it has not finished
    run.report.write_text("{}", encoding="utf-8")
    without = plan.model_copy(update={"evaluation": plan.evaluation.model_copy(update={"acceptance": []})})
    assert evaluating.evaluate_after(run, without) == 0
    assert read_results(run) is None
    asked: list[EvaluationSettings] = []

    def here(run: RunFolder, plan: Plan, settings: EvaluationSettings, *, fresh: bool) -> int:
        asked.append(settings)
        evaluate(run)
        return 0

    monkeypatch.setattr(evaluating, "evaluate", here)
    assert evaluating.evaluate_after(run, plan) == exit_code(["X054"])
    assert (asked[0].rows, asked[0].max_new_tokens) == (200, 6)
    assert "DO NOT SHIP" in capsys.readouterr().out


def test_a_run_that_has_not_finished_has_nothing_to_evaluate(run: RunFolder) -> None:
    plan, _ = read_plan(run.plan)
    assert plan is not None
    shutil.rmtree(run.adapter)
    with pytest.raises(Refusal, match="X051"):
        start_evaluation(run, plan, SETTINGS, fresh=False)


def test_the_exit_code_says_whether_to_ship(run: RunFolder) -> None:
    from click.testing import CliRunner

    from tui.cli import recipe

    ran = CliRunner().invoke(recipe, ["eval", str(run.path), "--rows", "2", "--max-new-tokens", "2"])
    assert ran.exit_code == exit_code(["X054"]), ran.output
    assert "DO NOT SHIP:" in ran.stdout
    assert "refused, as they were trained on: held_out.jsonl, row 1" in ran.stderr
    again = CliRunner().invoke(recipe, ["eval", str(run.path), "--rows", "2", "--max-new-tokens", "2", "--json"])
    assert json.loads(again.stdout)["ship"]["ship"] is False
