"""``recipe completion``: the script that lets a shell complete the command line."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
      bash   recipe completion bash > ~/.local/share/bash-completion/completions/recipe
      zsh    recipe completion zsh > ~/.zfunc/_recipe   (with ~/.zfunc in fpath, before compinit)
      fish   recipe completion fish > ~/.config/fish/completions/recipe.fish
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    classes = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    root = context.find_root()
    click.echo(_script(classes[shell](root.command, {}, "recipe", "_RECIPE_COMPLETE")))


def _script(completion: object) -> str:
    from click.shell_completion import ShellComplete

    assert isinstance(completion, ShellComplete)
    # click's bash class first asks the installed bash for its version; the script does not depend on it.
    return ShellComplete.source(completion)
