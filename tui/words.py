"""Numbers and facts in words, the same on every screen and in every line."""

from __future__ import annotations

import math

from compiler.plan import Plan
from tui.text import N_, _, ngettext, number, say


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 05 s``, ``2 h 10 min``; ``?`` for what is no time."""
    if not math.isfinite(seconds):
        return "?"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: float) -> str:
    """Bytes in binary units: ``1.5 GiB``."""
    for unit in (N_("{count:.0f} B"), N_("{count:.0f} KiB"), N_("{count:.0f} MiB")):
        if count < 1024:
            return _(unit, count=count)
        count /= 1024
    return _("{count:.1f} GiB", count=count)


def band(low: float, high: float) -> str:
    """A range of bytes, the unit once where both have it: ``1.2 to 1.5 GiB``."""
    least, most = size(low).split(), size(high).split()
    return _("{low} to {high}", low=least[0] if least[1] == most[1] else size(low), high=size(high))


def parameters(trainable: int, total: int) -> str:
    """``4,884,480 of 139.4 M parameters (3.5 %)``; total is never 0."""
    units = ((N_("{count:.1f} billion"), 1e9), (N_("{count:.1f} million"), 1e6), (N_("{count:,.0f}"), 1.0))
    unit, one = next((unit, one) for unit, one in units if total >= one)
    share = 100 * trainable / total
    return _(
        "{trainable:,} of {total} parameters ({share} %)",
        trainable=trainable,
        total=_(unit, count=total / one),
        share=number(share, ".2f" if share < 1 else ".1f" if share < 100 else ".0f"),
    )


def decided(plan: Plan) -> list[tuple[str, str, str]]:
    """What the compiler decided, in a few lines: what about, the value, and why."""
    setting = plan.setting
    schedule = plan.schedule
    rows = [(_("model"), plan.model.id, _architecture(plan))]
    rows.append((_("backend"), plan.backend, say(setting("training.backend").reason)))
    rows.append((_("method"), plan.method, say(setting("adapter.method").reason)))
    if plan.method != "full":
        r, alpha = setting("adapter.r"), setting("adapter.lora_alpha")
        rows.append((_("rank"), f"r = {r.value}, lora_alpha = {alpha.value}", say(r.reason)))
    if plan.start is not None:
        replayed = ngettext("{n} row of its own replayed", "{n} rows of its own replayed", plan.start.replay_rows)
        rows.append((_("goes on from"), plan.start.path, replayed))
    if plan.parameters is not None:
        of_them = parameters(plan.parameters.trainable, plan.parameters.total)
        rows.append((_("trained"), of_them, _("counted from the architecture; the run ends where it differs")))
    rate = setting("training.learning_rate")
    rows.append((_("learning rate"), f"{rate.value:g}", say(rate.reason)))
    dtype = setting("model.dtype")
    rows.append((_("precision"), str(dtype.value), say(dtype.reason)))
    rows.append((_("data"), _rows(plan), _tokens(plan)))
    split = f"{schedule.batch_size} = {schedule.micro_batch} × {schedule.accumulation}"
    if schedule.devices > 1:
        split += f" × {schedule.devices}"
    micro = setting("training.per_device_train_batch_size")
    rows.append((_("steps"), _("{steps}, batch {split}", steps=schedule.steps, split=split), say(micro.reason)))
    return rows


def _rows(plan: Plan) -> str:
    return ngettext(
        "{n:,} row, {held_out} held out",
        "{n:,} rows, {held_out} held out",
        plan.data.train_rows,
        held_out=plan.data.held_out_rows,
    )


def _architecture(plan: Plan) -> str:
    facts = plan.model.architecture
    if facts is None:
        return _("architecture read when it is loaded")
    return _(
        "{family}, {layers} layers of {width}",
        family=facts["model_type"],
        layers=facts["num_hidden_layers"],
        width=facts["hidden_size"],
    )


def _tokens(plan: Plan) -> str:
    data = plan.data
    share = 100 * data.supervised_tokens / data.train_tokens
    dropped = sum(data.ledger.get("dropped", {}).values()) if isinstance(data.ledger.get("dropped"), dict) else 0
    return _(
        "{tokens:,} tokens, {share:.0f} % of them learnt, longest {longest}; {lost}",
        tokens=data.train_tokens,
        share=share,
        longest=data.longest,
        lost=ngettext("{n:,} row dropped", "{n:,} rows dropped", dropped) if dropped else _("no row dropped"),
    )
