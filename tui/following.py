"""What ``run``, ``resume`` and ``attach`` have in common: follow a run, tell its end, give the exit code."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from compiler.render.concise import visible
from runtime.launcher import Launched, begun_again
from runtime.outcome import exit_code_of
from runtime.run_folder import RunFolder
from runtime.state import State, Story, Verdict, look
from tui.follow import Follower, ending_problem, verdict_lines
from tui.report import print_diagnostics
from tui.terminal import opens_screen
from tui.text import _, choose, say


def follow_own(launched: Launched, runs_dir: Path, *, plain: bool, language: str | None) -> int:
    """Follow a run that this command started, on a screen or in lines; Ctrl-C in lines asks it for a clean end."""
    run, process = launched.run, launched.process
    if opens_screen(plain=plain):
        from tui.opening import open_run

        code = open_run(
            run, runs_dir, before=launched.before, ended=lambda: process.poll() is not None, language=language
        )
        return code or _after_the_screen(run)
    choose(language)
    follower = _own_follower(launched)
    asked = False
    while True:
        try:
            verdict = follower.follow()
            again = begun_again(run, follower.story) if verdict.state is State.DIED else None
            if again is None:
                return tell_end(run, verdict, follower.story)
            click.echo(_("the system killed the executor for want of memory; another one goes on"), err=True)
            process = again.process
            follower = _own_follower(again)
        except KeyboardInterrupt:
            if asked:
                click.echo(_("\nleft to itself; follow it with: recipe attach {id}", id=run.id), err=True)
                return 130
            asked = True
            process.send_signal(signal.SIGINT)
            click.echo(
                _("\nstopping, with a checkpoint of what is trained; Ctrl-C again leaves it to itself"), err=True
            )


def _own_follower(launched: Launched) -> Follower:
    process = launched.process
    return Follower(launched.run, before=launched.before, ended=lambda: process.poll() is not None)


def follow_other(run: RunFolder, runs_dir: Path, *, plain: bool, language: str | None) -> int:
    """Follow a run that someone else started, on a screen or in lines; Ctrl-C in lines only lets go of it."""
    if opens_screen(plain=plain):
        from tui.opening import open_run

        return open_run(run, runs_dir, language=language) or _after_the_screen(run)
    choose(language)
    follower = Follower(run)
    try:
        return tell_end(run, follower.follow(), follower.story)
    except KeyboardInterrupt:
        click.echo(_("\nlet go; run {id} goes on", id=run.id), err=True)
        return 0


def _after_the_screen(run: RunFolder) -> int:
    """What is left to say once the screen has closed: how the run ended, or that it goes on."""
    story, verdict = look(run)
    if verdict.state.is_alive():
        click.echo(_("run {id} goes on; follow it with: recipe attach {id}", id=run.id), err=True)
        return 0
    return tell_end(run, verdict, story)


def tell_end(run: RunFolder, verdict: Verdict, story: Story) -> int:
    """Print the outcome (standard output) or the problem (standard error); returns the exit code."""
    if verdict.state is State.FINISHED:
        for line in verdict_lines(run, story):
            click.echo(line)
    if verdict.state is State.STOPPED:
        click.echo(_("{why}; go on with: recipe resume {id}", why=say(visible(verdict.why)), id=run.id), err=True)
    problem = ending_problem(run, verdict, story)
    if problem is not None:
        print_diagnostics([problem], sources={})
    return exit_code_of(verdict.state, story)
