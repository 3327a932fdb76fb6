"""What ``run``, ``resume`` and ``attach`` have in common: follow a run, tell its end, give the exit code."""

from __future__ import annotations

import signal

import click

from compiler.render.concise import visible
from runtime.launcher import Launched
from runtime.outcome import exit_code_of
from runtime.run_folder import RunFolder
from runtime.state import State, Verdict
from tui.follow import Follower, ending_problem, verdict_lines
from tui.report import print_diagnostics


def follow_own(launched: Launched) -> int:
    """Follow a run that this command started; Ctrl-C is handed on as a request for a clean end."""
    run, process = launched.run, launched.process
    follower = Follower(run, before=launched.before, ended=lambda: process.poll() is not None)
    asked = False
    while True:
        try:
            return tell_end(follower, follower.follow())
        except KeyboardInterrupt:
            if asked:
                click.echo(f"\nleft to itself; follow it with: recipe attach {run.id}", err=True)
                return 130
            asked = True
            process.send_signal(signal.SIGINT)
            click.echo("\nstopping, with a checkpoint of what is trained; Ctrl-C again leaves it to itself", err=True)


def follow_other(run: RunFolder) -> int:
    """Follow a run that someone else started; Ctrl-C only lets go of it."""
    follower = Follower(run)
    try:
        return tell_end(follower, follower.follow())
    except KeyboardInterrupt:
        click.echo(f"\nlet go; run {run.id} goes on", err=True)
        return 0


def tell_end(follower: Follower, verdict: Verdict) -> int:
    """Print the outcome (standard output) or the problem (standard error); returns the exit code."""
    run, story = follower.run, follower.story
    if verdict.state is State.FINISHED:
        for line in verdict_lines(run, story):
            click.echo(line)
    if verdict.state is State.STOPPED:
        click.echo(f"{visible(verdict.why)}; go on with: recipe resume {run.id}", err=True)
    problem = ending_problem(run, verdict, story)
    if problem is not None:
        print_diagnostics([problem], sources={})
    return exit_code_of(verdict.state, story)
