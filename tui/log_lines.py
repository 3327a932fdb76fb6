"""One line for each event of a journal, whatever its kind: ``recipe logs``."""

from __future__ import annotations

import time

from compiler.render.concise import visible
from runtime.journal import Event
from runtime.peak import predicted_by
from runtime.state import Story
from tui.follow import counting_line, event_line, progress_line
from tui.text import N_, _, number, say
from tui.words import band, duration, size


def log_line(event: Event, story: Story) -> str:
    """The time of day, the kind, and what the event says; ``story`` is as far as the event."""
    try:
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.t))
    except (OverflowError, ValueError, OSError):  # a journal may say any number
        clock = "?"
    return f"{clock}  {event.kind:<10}  {visible(_words(event, story))}".rstrip()


def _words(event: Event, story: Story) -> str:
    match event.kind:
        case "metric":
            return progress_line(event, story)
        case "progress":
            return counting_line(event, story)
        case "telemetry":
            return _telemetry(event)
        case "start" if event.get("resume_from") is None:
            return _("process {text}, {steps} steps", text=event.text("pid", "?"), steps=story.steps)
        case "sample":
            return f"{say(event.text('phase'))}: {' '.join(event.text('answer').split())}"
        case "end":
            seconds = event.number("seconds")
            took = _(" after {duration}", duration=duration(seconds)) if seconds is not None else ""
            return ". ".join(
                filter(None, (f"{say(event.text('status', '?'))}{took}", _peak(event), say(event.text("message"))))
            )
    return event_line(event, story) or ""


def _peak(event: Event) -> str:
    """The peak of the memory beside the predicted one: ``peak 1.2 GiB, predicted 1.0 to 1.4 GiB``."""
    peak, expected, foreseen = event.number("peak_memory"), event.number("predicted_memory"), predicted_by(event)
    parts = [_("peak {size}", size=size(peak))] if peak is not None else []
    if foreseen is not None:
        parts.append(_("predicted {band}", band=band(foreseen.low, foreseen.high)))
    elif expected is not None:
        parts.append(_("predicted {size}", size=size(expected)))
    return ", ".join(parts)


def _telemetry(event: Event) -> str:
    parts = []
    for name, what in (("process_memory", N_("process {size}")), ("memory_used", N_("machine {size}"))):
        value = event.number(name)
        if value is not None:
            parts.append(_(what, size=size(value)))
    parts += filter(None, [_peak(event)])
    cpu = event.number("cpu")
    if cpu is not None:
        parts.append(f"CPU {cpu:.0f} %")
    gpus = event.get("gpus")
    listed = [gpu for gpu in gpus if isinstance(gpu, dict)] if isinstance(gpus, list) else []
    parts += [_("GPU ") + " ".join(f"{name} {value}" for name, value in gpu.items()) for gpu in listed]
    energy, money = event.number("energy"), event.number("money")
    if energy is not None:
        parts.append(_("{energy:.3f} kWh", energy=energy / 3600000.0))
    if money is not None:
        parts.append(f"{number(money, '.2f')} {event.text('currency')}")
    return "  ".join(parts)
