"""``recipe doctor``: can this machine train, and what to type where it cannot."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compiler.phrases import phrase
from tui.options import runs_dir
from tui.text import N_, _, say

if TYPE_CHECKING:
    from runtime.doctor.finding import Finding

SIGNS = {"ok": N_("ok"), "note": N_("note"), "warning": N_("WARNING"), "error": N_("ERROR")}
COLORS = {"ok": "green", "note": None, "warning": "yellow", "error": "red"}


@click.command(name="doctor")
@runs_dir
@click.option("--offline", is_flag=True, help="Do not ask the hub.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def command(runs_dir: Path, *, offline: bool, as_json: bool) -> None:
    """Look at Python, packages, GPU, memory, disks and hub access; say what to type to mend each fault.

    Nothing is imported for it and nothing changed. Exit code 0 when all is well or only warned about, 3 when this
    machine cannot train.
    """
    from runtime.doctor.examination import examine
    from tui.edge import edge

    findings = []
    with edge(phrase("looking at this machine")):
        for finding in examine(runs_dir, offline=offline):
            findings.append(finding)
            if not as_json:
                _show(finding)
    wrong = [finding for finding in findings if finding.state == "error"]
    if as_json:
        document = {"version": 1, "ok": not wrong, "findings": [finding.as_json() for finding in findings]}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif wrong:
        click.echo(_("this machine cannot train yet: mend what is marked ERROR"), err=True)
    sys.exit(3 if wrong else 0)


def _show(finding: Finding) -> None:
    from compiler.render.concise import visible
    from tui.report import wants_color

    sign = f"{say(SIGNS[finding.state]):<8}"
    color = COLORS[finding.state] if wants_color(sys.stdout) else None
    click.echo(
        f"{click.style(sign, fg=color) if color else sign}{say(finding.subject):<13} {visible(say(finding.found))}"
    )
    if finding.remedy:
        click.echo(f"{'':<21} → {say(finding.remedy)}")
