"""Everything that is looked at, in the order in which people mend it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runtime.doctor import hub, machine, software
from runtime.doctor.finding import Finding


def examine(runs: Path, *, offline: bool) -> Iterator[Finding]:
    """All findings, one by one as they are made; the hub, which may take seconds, comes last."""
    yield software.python()
    yield from software.packages()
    build = software.torch_build()
    if build is not None:
        yield build
    yield software.unsloth_here()
    yield machine.processor()
    yield machine.memory()
    yield from machine.graphics_card(build.found if build is not None else None)
    yield from machine.disks(runs)
    yield hub.token()
    yield hub.reached(offline=offline)
