"""What the Run screen says of a run, in words: pure functions of a snapshot."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from compiler.plan import Plan
from runtime.journal import read_number
from runtime.outcome import Sample
from runtime.state import State
from tui.text import N_, _, number, say
from tui.watching import Snapshot
from tui.words import band, duration, size

GLYPHS = {
    State.STARTING: "○",
    State.RUNNING: "●",
    State.PAUSED: "‖",
    State.STALLED: "?",
    State.FINISHED: "✓",
    State.STOPPED: "■",
    State.FAILED: "✗",
    State.DIED: "✗",
    State.UNREADABLE: "?",
}
"""A sign for each state, beside its word and never instead of it."""

STATES = {
    State.STARTING: N_("STARTING"),
    State.RUNNING: N_("RUNNING"),
    State.PAUSED: N_("PAUSED"),
    State.STALLED: N_("STALLED"),
    State.FINISHED: N_("FINISHED"),
    State.STOPPED: N_("STOPPED"),
    State.FAILED: N_("FAILED"),
    State.DIED: N_("DIED"),
    State.UNREADABLE: N_("UNREADABLE"),
}

STAGES = (
    ("environment", N_("packages")),
    ("data", N_("data")),
    ("model", N_("model")),
    ("baseline", N_("base measured")),
    ("train", N_("training")),
    ("measure", N_("tuned measured")),
    ("save", N_("saved")),
)
"""The stages in their order, each as what it brings."""


def state_words(state: State) -> str:
    """``● RUNNING``."""
    return f"{GLYPHS[state]} {_(STATES[state])}"


def status_line(snapshot: Snapshot, name: str) -> str:
    """The run in one line, most important first, as it is cut at the right."""
    parts = [state_words(snapshot.verdict.state)]
    if snapshot.steps:
        parts.append(_("step {step}/{steps}", step=number(snapshot.step), steps=number(snapshot.steps)))
    alive = snapshot.verdict.state.is_alive()
    left = _number(snapshot, "seconds_left")
    if alive and left is not None and snapshot.stage == "train":
        parts.append(_("{time} left", time=duration(left)))
    if alive and snapshot.stage and snapshot.stage != "train":
        parts.append(stage_words(snapshot))
    if snapshot.verdict.state in {State.STOPPED, State.FAILED, State.DIED, State.STALLED} and snapshot.verdict.why:
        parts.append(say(snapshot.verdict.why))
    loss = _number(snapshot, "loss")
    if loss is not None:
        parts.append(_("loss {loss}", loss=number(loss, ".4f")))
    if alive:
        rate = _number(snapshot, "tokens_per_second")
        parts += [_("{rate:,.0f} tok/s", rate=rate)] if rate is not None and math.isfinite(rate) else []
        memory = _number(snapshot, "memory")
        parts += [size(memory)] if memory is not None else []
    return " · ".join([*parts, name])


def stage_words(snapshot: Snapshot) -> str:
    """The stage at hand, and how far a measurement in it has come."""
    names = {**dict(STAGES), "evaluate": N_("measuring")}
    words = _(names.get(snapshot.stage, snapshot.stage))
    counting = snapshot.counting
    if counting is None:
        return words
    return f"{words} {counting.whole('done') or 0}/{counting.whole('total') or 0}"


def stage_rows(snapshot: Snapshot) -> list[tuple[str, str, str]]:
    """Each stage as its sign, its words and how it stands (``done``, ``now``, ``ahead``, ``broken``)."""
    names = [name for name, _words in STAGES]
    stage = "train" if snapshot.stage == "evaluate" else snapshot.stage
    at = names.index(stage) if stage in names else -1
    state = snapshot.verdict.state
    rows = []
    for place, (_name, words) in enumerate(STAGES):
        if place < at or state is State.FINISHED:
            rows.append(("✓", _(words), "done"))
        elif place == at and not state.is_alive():
            rows.append(("✗" if state is not State.STOPPED else "■", _(words), "broken"))
        elif place == at:
            rows.append(("●", _(words), "now"))
        else:
            rows.append(("·", _(words), "ahead"))
    return rows


def number_rows(snapshot: Snapshot, plan: Plan | None) -> list[tuple[str, str]]:
    """The latest values, each by its name."""
    rows: list[tuple[str, str]] = []

    def add(words: str, value: str | None) -> None:
        if value is not None:
            rows.append((words, value))

    add(_("step"), f"{number(snapshot.step)}/{number(snapshot.steps)}" if snapshot.steps else None)
    add(_("epoch"), _of(snapshot, "epoch", "{:.2f}"))
    add(_("loss"), _of(snapshot, "loss", "{:.4f}"))
    add(_("held-out"), number(snapshot.held_out, ".4f") if snapshot.held_out is not None else None)
    add(_("learning rate"), _of(snapshot, "learning_rate", "{:.3g}"))
    add(_("gradient"), _of(snapshot, "grad_norm", "{:.3g}"))
    add(_("tokens/s"), _of(snapshot, "tokens_per_second", "{:,.0f}"))
    add(_("s/step"), _of(snapshot, "step_seconds", "{:.2f}"))
    add(_("tokens"), _of(snapshot, "tokens", "{:,.0f}"))
    memory = _number(snapshot, "memory")
    add(_("memory"), size(memory) if memory is not None else None)
    add(_("peak"), size(snapshot.peak_memory) if snapshot.peak_memory is not None else None)
    foreseen = snapshot.predicted_memory
    add(_("predicted"), band(foreseen.low, foreseen.high) if foreseen is not None else None)
    add(_("last checkpoint"), _("step {step}", step=snapshot.checkpoint) if snapshot.checkpoint else None)
    left = _number(snapshot, "seconds_left")
    add(_("left"), duration(left) if left is not None and snapshot.verdict.state.is_alive() else None)
    if snapshot.began is not None and snapshot.last is not None:
        until = time.time() if snapshot.verdict.state.is_alive() else snapshot.last
        add(_("since start"), duration(until - snapshot.began))
    if snapshot.trainable is not None:
        trained, total = snapshot.trainable
        add(_("trained"), _("{trained:,} ({share:.2f} %)", trained=trained, share=100 * trained / total))
    rows += machine_rows(snapshot)
    if plan is not None:
        add(_("method"), f"{plan.method}, {plan.backend}")
        add(_("model"), plan.model.id)
    return rows


def machine_rows(snapshot: Snapshot) -> list[tuple[str, str]]:
    """What the machine does and what has been spent, as far as telemetry tells it."""
    told = snapshot.telemetry
    if told is None:
        return []
    rows: list[tuple[str, str]] = []
    cpu, used, total = told.number("cpu"), told.number("memory_used"), told.number("memory_total")
    if cpu is not None:
        rows.append((_("CPU"), _("{share:.0f} %", share=cpu)))
    if used is not None and total:
        rows.append((_("machine"), f"{size(used)} / {size(total)}"))
    gpus = told.get("gpus")
    for gpu in gpus if isinstance(gpus, list) else ():
        rows += _gpu(gpu) if isinstance(gpu, dict) else []
    energy, money = told.number("energy"), told.number("money")
    if energy is not None:
        rows.append((_("energy"), _("{energy:.3f} kWh", energy=energy / 3600000.0)))
    if money is not None:
        currency = told.text("currency")
        rows.append((_("spent"), f"{number(money, '.2f')} {currency}"))
        seconds, left = told.number("seconds"), _number(snapshot, "seconds_left")
        if seconds and left is not None and math.isfinite(left) and snapshot.verdict.state.is_alive():
            rows.append((_("to come"), f"{number(money / seconds * left, '.2f')} {currency}"))  # at the pace so far
    return rows


def _gpu(gpu: dict[str, object]) -> list[tuple[str, str]]:
    """Utilisation, power, temperature and memory of a card, each where it is told."""
    name = _("GPU {gpu}", gpu=gpu.get("index", "?"))
    parts = []
    for field, form in (("utilization", "{:.0f} %"), ("power", "{:.0f} W"), ("temperature", "{:.0f} °C")):
        value = read_number(gpu.get(field))
        parts += [form.format(value)] if value is not None else []
    rows = [(name, " ".join(parts) or "-")]
    memory, total = read_number(gpu.get("memory")), read_number(gpu.get("memory_total"))
    if memory is not None:
        rows.append((_("{gpu} memory", gpu=name), size(memory) + (f" / {size(total)}" if total else "")))
    return rows


def sample_rows(samples: Iterable[Sample]) -> list[tuple[str, str, str]]:
    """Each sample question with what base and tuned model answered so far; ``-`` for what is not told yet."""
    return [(s.question, "-" if s.base is None else s.base, "-" if s.tuned is None else s.tuned) for s in samples]


def outcome_words(snapshot: Snapshot) -> str:
    """By how much the tuned model is better, once both are measured."""
    compared = snapshot.compared
    if compared is None:
        return ""
    change = _("better") if compared.better else _("NOT better")
    return _(
        "held-out loss {base} → {tuned}: {change} ({percent} %)",
        base=number(compared.base_loss, ".4f"),
        tuned=number(compared.tuned_loss, ".4f"),
        change=change,
        percent=number(abs(compared.better_by_percent), ".1f"),
    )


def _number(snapshot: Snapshot, name: str) -> float | None:
    return snapshot.metric.number(name) if snapshot.metric is not None else None


def _of(snapshot: Snapshot, name: str, form: str) -> str | None:
    value = _number(snapshot, name)
    return None if value is None else form.format(value)
