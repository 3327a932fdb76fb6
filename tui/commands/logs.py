"""``recipe logs``: the journal of a run, every line of it, for people or for programs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compiler.phrases import phrase
from tui.options import runs_dir
from tui.text import _

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.run_folder import RunFolder

BLOCK = 1 << 16


@click.command(name="logs")
@click.argument("run", default="latest")
@runs_dir
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@click.option("--json", "as_json", is_flag=True, help="The journal's own lines: one JSON object each.")
@click.option("--output", is_flag=True, help="What the process and its libraries print, instead of the journal.")
def command(run: str, runs_dir: Path, *, follow: bool, as_json: bool, output: bool) -> None:
    """Print what RUN has told so far: time, kind and words of every event. Ctrl-C only ends the printing."""
    from runtime.run_folder import find_run
    from tui.edge import edge

    if as_json and output:
        raise click.UsageError(_("--output is text of libraries; it has no --json"))
    with edge(phrase("reading the run")):
        found = find_run(runs_dir, run)
        try:
            for piece in _output(found, follow=follow) if output else _events(found, follow=follow, as_json=as_json):
                click.echo(piece, nl=False)
        except KeyboardInterrupt:
            sys.exit(130)


def _events(run: RunFolder, *, follow: bool, as_json: bool) -> Iterator[str]:
    import json

    from runtime.journal import VERSION, JournalTail
    from runtime.lock import lock_holder
    from runtime.state import Story, judge
    from tui.log_lines import log_line

    tail, story = JournalTail(run.events), Story()
    while True:
        holder = lock_holder(run)  # before the last look: what was written until then is printed
        while events := tail.poll():
            for event in events:
                story.apply([event])
                if as_json:
                    head = {"v": VERSION, "seq": event.seq, "t": event.t, "k": event.kind}
                    up = {} if event.up is None else {"up": event.up}
                    yield json.dumps({**head, **up, **event.fields}, ensure_ascii=False) + "\n"
                else:
                    yield log_line(event, story) + "\n"
        if not follow or not judge(run, story, holder).state.is_alive():
            return
        time.sleep(0.2)


def _output(run: RunFolder, *, follow: bool) -> Iterator[bytes]:
    from runtime.state import look

    with run.output.open("rb") as stream:
        while True:
            alive = follow and look(run)[1].state.is_alive()
            while piece := stream.read(BLOCK):
                yield piece
            if not alive:
                return
            time.sleep(0.5)
