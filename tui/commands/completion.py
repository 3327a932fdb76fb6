"""``recipe completion``: the script that lets a shell complete the command line."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL. Write it once to where the shell looks:

    \b
      bash   recipe completion bash > ~/.local/share/bash-completion/completions/recipe
      zsh    recipe completion zsh > ~/.zfunc/_recipe   (with ~/.zfunc in fpath, before compinit)
      fish   recipe completion fish > ~/.config/fish/completions/recipe.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    completion = found(context.find_root().command, {}, "recipe", "_RECIPE_COMPLETE")
    # Not completion.source(): click's bash class runs the installed bash to ask its version, and this
    # script may be written on a machine that has none.
    click.echo(ShellComplete.source(completion))
