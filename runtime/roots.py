"""Where the recipe of a plan lies on this machine. The plan itself holds no absolute path."""

from __future__ import annotations

from pathlib import Path

from compiler.cache import remember, remembered
from compiler.diagnostics import Diagnostic, Refusal
from compiler.facts.hashes import sha256_file
from compiler.phrases import phrase
from compiler.plan import Plan

REMEMBERED = 200
"""Plans whose folders are remembered; the oldest are forgotten."""

_REGISTER = "plans.json"


def remember_root(plan: Plan, root: Path) -> None:
    """Remember which folder a plan was compiled from; a cache that cannot be written is no error."""
    remember(_REGISTER, plan.sha256(), str(root.resolve()), most=REMEMBERED)


def find_root(plan: Plan, plan_file: Path, named: Path | None) -> Path:
    """The recipe's folder: the one named, else beside the plan, the current one, or the remembered one.

    A folder whose recipe has the plan's hash is preferred; one whose recipe differs is still returned,
    so that the staleness check can name what moved. Raises Refusal (P011) when there is none.
    """
    if named is not None:
        return named
    known = remembered(_REGISTER).get(plan.sha256())
    candidates = [plan_file.parent, Path.cwd(), *([Path(known)] if known else [])]
    present = [root for root in candidates if (root / plan.recipe_file).is_file()]
    wanted = {file.sha256 for file in plan.inputs if file.role == "recipe"}
    for root in present:
        if sha256_file(root / plan.recipe_file) in wanted:
            return root
    # Compiled here before: its folder is the one whose change is worth telling.
    if known and Path(known) in present:
        return Path(known)
    if present:
        return present[0]
    message = phrase(
        "{recipe_file}, which {plan_file} was compiled from, is not beside it nor in {cwd}",
        recipe_file=plan.recipe_file,
        plan_file=plan_file,
        cwd=Path.cwd(),
    )
    raise Refusal(Diagnostic("P011", message, help=phrase("name the recipe's folder with --root")))
