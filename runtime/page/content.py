"""What the page says: numbers and sentences, ready to be set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from markupsafe import Markup

from compiler.phrases import Say, phrase
from compiler.plan import Plan
from runtime.budget import limits_of
from runtime.evaluation.launching import read_results
from runtime.journal import Event, read_journal, read_number
from runtime.outcome import begun, comparison, samples
from runtime.page.charts import Curve, chart, interval_bar, smoothed
from runtime.peak import predicted
from runtime.ranks import ranks_of
from runtime.run_folder import RunFolder, read_launch
from runtime.state import Story, look
from runtime.usage import how_to_use

SMOOTH_FROM = 30
"""Steps from which on the loss is smoothed."""

SHOWN = 12
"""Questions that are shown side by side, those on which the models differ most first."""

DECIDED = (
    "training.backend",
    "adapter.method",
    "adapter.r",
    "adapter.lora_alpha",
    "training.learning_rate",
    "model.dtype",
    "model.quantization",
    "training.per_device_train_batch_size",
    "training.gradient_checkpointing",
    "training.optim",
    "training.max_length",
)
"""Settings of which people ask why, in this order; the page has all the others folded away."""


def content_of(run: RunFolder, plan: Plan, report: dict[str, Any], say: Say = str) -> dict[str, Any]:
    """Everything that the template asks for; ``say`` is for what is drawn."""
    story, verdict = look(run)
    ranks = ranks_of(run, plan)
    events = list(read_journal(run.events))
    results = read_results(run)
    settings = {setting.path: setting for setting in plan.settings}
    first = [settings[path] for path in DECIDED if path in settings]
    return {
        "title": plan.title or plan.name or run.path.parent.name,
        "run": run.id,
        "state": phrase("finished")
        if report
        else str(verdict.state),  # the page is written before the run tells its end
        "why": "" if report else verdict.why,
        "plan": plan,
        "plan_sha256": plan.sha256(),
        "headline": _headline(story, results),
        "verdict": _verdict(story, results),
        "facts": [*_facts(plan, story, report), *(ranks.facts() if ranks is not None else ())],
        "decided": first,
        "others": [setting for setting in plan.settings if setting not in first],
        "choices": plan.choices,
        "loss_chart": _loss_chart(events, story, say),
        "memory_chart": _memory_chart(events, say),
        "predicted": _predicted(run, plan, story),
        "results": results,
        "scores": _scores(results),
        "rows": _rows(results) if results is not None else _samples(story),
        "warnings": [(event.text("code"), event.text("message")) for event in story.warnings],
        "usage": how_to_use(run, plan),
        "packages": plan.packages,
    }


def _headline(story: Story, results: dict[str, Any] | None) -> list[str]:
    """The answer to "has it helped?", in sentences; without an evaluation as far as the run itself knows."""
    if results is not None:
        return [*results["sentences"], *results["remarks"]]
    compared = comparison(story)
    if compared is None:
        return [phrase("Base and tuned model have not been compared.")]
    losses = phrase(
        "held-out loss {base_loss:.4f} → {tuned_loss:.4f} nats",
        base_loss=compared.base_loss,
        tuned_loss=compared.tuned_loss,
    )
    word = phrase("better") if compared.better else phrase("NOT better")
    percent = compared.better_by_percent
    by = phrase(", {percent:+.1f} %", percent=percent) if math.isfinite(percent) else ""
    return [
        phrase("{losses}: {word}{by}", losses=losses, word=word, by=by),
        phrase("How sure that is, `recipe eval` says."),
    ]


def _verdict(story: Story, results: dict[str, Any] | None) -> str:
    if results is not None:
        return str(results["verdict"])
    compared = comparison(story)
    return "unsure" if compared is None else "better" if compared.better else "worse"


def _facts(plan: Plan, story: Story, report: dict[str, Any]) -> list[tuple[str, str]]:
    data = plan.data
    trained, total = report.get("trainable_parameters"), report.get("parameters")
    facts: list[tuple[str, str]] = [
        (phrase("base model"), plan.model.id),
        (phrase("method"), plan.method + (f", {plan.quantization.name}" if plan.quantization is not None else "")),
        (
            phrase("rows"),
            phrase(
                "{train_rows:,} to learn from, {held_out_rows:,} held out",
                train_rows=data.train_rows,
                held_out_rows=data.held_out_rows,
            ),
        ),
        (
            phrase("tokens"),
            phrase(
                "{train_tokens:,}, {supervised_tokens:,} of them learnt",
                train_tokens=data.train_tokens,
                supervised_tokens=data.supervised_tokens,
            ),
        ),
        (
            phrase("steps"),
            phrase(
                "{step:,} of {steps:,}, batch {batch_size}",
                step=story.step,
                steps=plan.schedule.steps,
                batch_size=plan.schedule.batch_size,
            ),
        ),
        (phrase("device"), plan.target.gpu or plan.target.device),
    ]
    start = begun(plan, story)
    if start is not None:
        loss = "—" if start.loss is None else f"{start.loss:.4f}"
        said = phrase(
            "{path}: held-out loss {loss}, {rows} of its rows replayed",
            path=start.path,
            loss=loss,
            rows=start.replay_rows,
        )
        facts.append((phrase("goes on from"), said))
    if isinstance(trained, int) and isinstance(total, int) and total:
        facts.append(
            (
                phrase("trained"),
                phrase(
                    "{trained:,} of {total:,} parameters ({trained2:.2f} %)",
                    trained=trained,
                    total=total,
                    trained2=100 * trained / total,
                ),
            )
        )
    return facts


# --- curves -------------------------------------------------------------------------------------------------


def _metrics(events: Iterable[Event], name: str) -> list[tuple[float, float]]:
    """A number of each optimizer step; a step that was trained again counts once, as it was trained last."""
    found: dict[int, float] = {}
    for event in events:
        step, value = event.whole("step"), event.number(name)
        if event.kind == "metric" and step is not None and value is not None:
            found[step] = value
    return sorted((float(step), value) for step, value in found.items())


def _loss_chart(events: list[Event], story: Story, say: Say) -> Markup:
    loss = _metrics(events, "loss")
    held_out = []
    for event in story.evaluations:
        value, step = event.number("loss"), event.whole("step")
        if value is not None:
            held_out.append((float(step or 0), value))
    curves = [Curve(say(phrase("held-out rows")), sorted(held_out), "second")]
    if len(loss) >= SMOOTH_FROM:
        curves = [
            Curve("", loss, "raw"),
            Curve(say(phrase("training rows, smoothed")), smoothed(loss), "first"),
            *curves,
        ]
    else:
        curves = [Curve(say(phrase("training rows")), loss, "first"), *curves]
    return chart(
        curves,
        label=say(phrase("loss in nats by optimizer step")),
        unit=lambda value: say(phrase("{value:g}", value=value)),
    )


def _memory_chart(events: list[Event], say: Say) -> Markup:
    used = [(step, value / 2**30) for step, value in _metrics(events, "memory")]
    peak = [(step, value / 2**30) for step, value in _metrics(events, "peak_memory")]
    curves = [Curve(say(phrase("in use")), used, "first"), Curve(say(phrase("highest so far")), peak, "second")]
    return chart(
        curves,
        label=say(phrase("memory in GiB by optimizer step")),
        unit=lambda value: say(phrase("{value:g} GiB", value=value)),
    )


# --- predicted against actual -------------------------------------------------------------------------------


def _predicted(run: RunFolder, plan: Plan, story: Story) -> list[tuple[str, str, str]]:
    """What, as predicted, as it was; a dash for what the plan does not predict or nobody has measured."""
    estimate = plan.model_dump(mode="json").get("estimate") or {}
    peak, seconds = story.peak_memory, story.train_seconds
    memory = predicted(plan)
    limits = limits_of(plan, read_launch(run)) if run.launch.is_file() else None
    spent = limits.cost_of(seconds, None) if limits is not None and seconds else None
    currency = str(estimate.get("currency") or (limits.currency if limits is not None else ""))

    def money(value: float) -> str:
        return (
            phrase("{value:.2f} {currency}", value=value, currency=currency)
            if currency
            else phrase("{value:.2f}", value=value)
        )

    rows = [
        (phrase("memory"), _band(memory.as_json() if memory is not None else None, _gib), _gib(peak) if peak else "—"),
        (phrase("training time"), _band(estimate.get("seconds"), _minutes), _minutes(seconds) if seconds else "—"),
        (phrase("cost"), _band(estimate.get("cost"), money), money(spent) if spent is not None else "—"),
    ]
    return [row for row in rows if row[1:] != ("—", "—")]


def _band(amount: Any, unit: Callable[[float], str]) -> str:
    """A prediction of the plan: what is expected, and the band in which it is expected to lie."""
    if not isinstance(amount, dict):
        return "—"
    low, high = read_number(amount.get("low")), read_number(amount.get("high"))
    return (
        phrase("{unit} to {unit2}", unit=unit(low), unit2=unit(high)) if low is not None and high is not None else "—"
    )


def _gib(value: float) -> str:
    return phrase("{value:.2f} GiB", value=value / 2**30)


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return phrase("{seconds:.0f} s", seconds=seconds)
    return (
        phrase("{seconds:.1f} min", seconds=seconds / 60)
        if seconds < 5400
        else phrase("{hours:.1f} h", hours=seconds / 3600)
    )


# --- the evaluation -----------------------------------------------------------------------------------------


def _scores(results: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The scores with a drawing of each interval, all to one scale."""
    scores = results["scores"] if results is not None else []
    most = max((max(abs(one["low"]), abs(one["high"])) for one in scores), default=0.0) or 1.0
    return [{**one, "bar": interval_bar(one["low"], one["difference"], one["high"], most=most)} for one in scores]


def _rows(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Some questions side by side: those on which the models differ most, in the order in which they were asked."""
    answered = [row for row in results["rows"] if row["base"]["answer"] is not None]

    def gain(row: dict[str, Any]) -> float:
        base, tuned = (_worth(row[side]) for side in ("base", "tuned"))
        return abs(tuned - base)

    chosen = sorted(answered, key=gain, reverse=True)[:SHOWN]
    return [
        {
            "question": row["question"],
            "expected": row["expected"],
            **{
                side: {
                    "answer": row[side]["answer"],
                    "failed": [
                        phrase("{name}: {message}", name=test, message=why)
                        for test, why in row[side]["tests"].items()
                        if why
                    ],
                }
                for side in ("base", "tuned")
            },
        }
        for row in answered
        if row in chosen
    ]


def _worth(side: dict[str, Any]) -> float:
    tests = side["tests"]
    passed = sum(not why for why in tests.values()) / len(tests) if tests else 0.0
    return passed + float(side["fuzzy"] or 0.0)


def _samples(story: Story) -> list[dict[str, Any]]:
    return [
        {
            "question": sample.question,
            "expected": sample.expected,
            "base": {"answer": sample.base or "", "failed": []},
            "tuned": {"answer": sample.tuned or "", "failed": []},
        }
        for sample in samples(story)
    ]
