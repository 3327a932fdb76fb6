"""Numbers and facts in words, the same on every screen and in every line."""

from __future__ import annotations

import math

from compiler.plan import Plan


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
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def band(low: float, high: float) -> str:
    """A range of bytes, the unit once where both have it: ``1.2 to 1.5 GiB``."""
    least, most = size(low).split(), size(high).split()
    return f"{least[0]} to {size(high)}" if least[1] == most[1] else f"{size(low)} to {size(high)}"


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``4,800 rows``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def decided(plan: Plan) -> list[tuple[str, str, str]]:
    """What the compiler decided, in a few lines: what about, the value, and why."""
    setting = plan.setting
    data, schedule = plan.data, plan.schedule
    rows = [("model", plan.model.id, _architecture(plan))]
    rows.append(("backend", plan.backend, setting("training.backend").reason))
    rows.append(("method", plan.method, setting("adapter.method").reason))
    if plan.method != "full":
        r, alpha = setting("adapter.r"), setting("adapter.lora_alpha")
        rows.append(("rank", f"r = {r.value}, lora_alpha = {alpha.value}", r.reason))
    rate = setting("training.learning_rate")
    rows.append(("learning rate", f"{rate.value:g}", rate.reason))
    dtype = setting("model.dtype")
    rows.append(("precision", str(dtype.value), dtype.reason))
    rows.append(("data", f"{count(data.train_rows, 'row')}, {data.held_out_rows} held out", _tokens(plan)))
    split = f"batch {schedule.batch_size} = {schedule.micro_batch} × {schedule.accumulation}"
    if schedule.devices > 1:
        split += f" × {schedule.devices}"
    micro = setting("training.per_device_train_batch_size")
    rows.append(("steps", f"{schedule.steps}, {split}", micro.reason))
    return rows


def _architecture(plan: Plan) -> str:
    facts = plan.model.architecture
    if facts is None:
        return "architecture read when it is loaded"
    return f"{facts['model_type']}, {facts['num_hidden_layers']} layers of {facts['hidden_size']}"


def _tokens(plan: Plan) -> str:
    data = plan.data
    share = 100 * data.supervised_tokens / data.train_tokens
    dropped = sum(data.ledger.get("dropped", {}).values()) if isinstance(data.ledger.get("dropped"), dict) else 0
    lost = f"; {count(dropped, 'row')} dropped" if dropped else "; no row dropped"
    return f"{data.train_tokens:,} tokens, {share:.0f} % of them learnt, longest {data.longest}{lost}"
