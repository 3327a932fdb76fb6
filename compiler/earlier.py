"""What ``[adapter] continue_from`` names: a run of this machine by its id, the folder of one, or an adapter's."""

from __future__ import annotations

import json
import os
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from compiler.data.missing_path import no_such_file
from compiler.data.named_path import NamedPath, find_named, outside
from compiler.data.replay import NESTED, Earlier
from compiler.diagnostics import Diagnostic, KeyPath, describe_os_error, nearest
from compiler.facts.adapters import Adapter, Base, read_adapter
from compiler.facts.weight_files import ModelFault
from compiler.language.toml_source import read_document
from compiler.language.validate import load_recipe
from compiler.moved import files_moved
from compiler.phrases import phrase
from compiler.plan import ModelPart, Plan, read_plan

FIELD: KeyPath = ("adapter", "continue_from")


class Found(Struct, frozen=True):
    """An adapter to go on from, and the run that made it where that is here.

    ``trusted`` says that the run is one of this machine's own, named by its id: what it read, it was allowed to read.
    """

    name: str
    adapter: Adapter
    run: Path | None
    plan: Plan | None
    trusted: bool


def runs_folder() -> Path:
    """Where the command line keeps runs: what RECIPE_RUNS_DIR says, else ``runs`` in the current folder."""
    return Path(os.environ.get("RECIPE_RUNS_DIR") or "runs")


def find_start(
    name: str, root: Path, runs: Path, *, allow_outside: bool, allow_pickle: bool
) -> tuple[Found | None, list[Diagnostic]]:
    """Find what ``name`` says. ``root`` is the recipe's folder, ``runs`` the one with all runs of the machine."""
    try:
        return _find(name, root, runs, allow_outside=allow_outside, allow_pickle=allow_pickle)
    except ModelFault as fault:
        return None, [Diagnostic(fault.code, str(fault), path=FIELD, help=fault.help)]
    except OSError as error:
        problem = describe_os_error(error, error.filename or name[:200], doing=phrase("reading the adapter"))
        return None, [replace(problem, path=FIELD)]


def _find(
    name: str, root: Path, runs: Path, *, allow_outside: bool, allow_pickle: bool
) -> tuple[Found | None, list[Diagnostic]]:
    own = _run_of(name, runs)
    if own is not None:
        return _from_run(name, own, trusted=True, allow_pickle=allow_pickle)
    named = NamedPath(name, FIELD, phrase("run or adapter"))
    if _is_missing(root / name):
        return None, [_not_there(named, root, runs)]
    path, problems = find_named(named, root, allow_outside=allow_outside)
    if path is None:
        return None, problems
    if path.is_file():
        message = phrase("{name} is a file", name=name)
        raise ModelFault("M101", message, phrase("name the folder of a run, or that of its adapter"))
    if (path / "plan.json").is_file():
        return _from_run(name, path, trusted=False, allow_pickle=allow_pickle)
    above = path.resolve().parent
    if path.resolve().name == "adapter" and (above / "plan.json").is_file():
        return _from_run(name, above, trusted=False, allow_pickle=allow_pickle)
    return Found(name, read_adapter(path, name, allow_pickle=allow_pickle), None, None, trusted=False), []


def _run_of(name: str, runs: Path) -> Path | None:
    """The run with this id; no name of a path is one."""
    if not name or "/" in name or "\\" in name or name.startswith(".") or "\0" in name or "*" in name:
        return None
    return next((plan.parent for plan in sorted(runs.glob("[!.]*/[!.]*/plan.json")) if plan.parent.name == name), None)


def _is_missing(path: Path) -> bool:
    try:
        return not path.exists()
    except ValueError:  # a zero byte is in no name
        return True


def _not_there(named: NamedPath, root: Path, runs: Path) -> Diagnostic:
    if "/" in named.name:
        return replace(no_such_file(named.name, FIELD, named.what, root), code="M100")
    known = sorted({plan.parent.name for plan in runs.glob("[!.]*/[!.]*/plan.json")})
    close = nearest(named.name, known)
    advice = phrase("RECIPE_RUNS_DIR says where the runs are; or name the folder of an adapter")
    if close:
        advice = phrase("did you mean {close}?", close=close[0])
    elif known:
        advice = phrase("the latest is {run}; `recipe runs` lists all; or name the folder of an adapter", run=known[-1])
    message = phrase(
        "there is no run '{name}' in {runs}, and no such folder beside the recipe", name=named.name[:200], runs=runs
    )
    return Diagnostic("M100", message, path=FIELD, help=advice)


def _from_run(name: str, run: Path, *, trusted: bool, allow_pickle: bool) -> tuple[Found | None, list[Diagnostic]]:
    plan, problems = read_plan(run / "plan.json")
    if plan is None:
        return None, [replace(problem, path=FIELD) for problem in problems]
    if plan.method == "full":
        message = phrase("run {run} has trained every weight: there is no adapter of it to go on from", run=run.name)
        raise ModelFault("M101", message, phrase("name its model/ folder as id in [model]"))
    if not (run / "adapter").is_dir():
        message = phrase("run {run} has no adapter: it has not finished", run=run.name)
        raise ModelFault("M101", message, phrase("`recipe resume {run}` first", run=run.name))
    adapter = read_adapter(run / "adapter", name, allow_pickle=allow_pickle)
    base = adapter.base or _base_of_plan(plan.model)
    made = replace(adapter, base=base, plan_sha256=adapter.plan_sha256 or plan.sha256())
    return Found(name, made, run, plan, trusted=trusted), []


def _base_of_plan(model: ModelPart) -> Base:
    """The base that a plan names."""
    model_type = (model.architecture or {}).get("model_type")
    files = {file.path: (file.sha256, file.bytes) for file in model.files}
    return Base(model.id, model.kind, model.revision, model_type if isinstance(model_type, str) else None, files)


def recipe_folder(run: Path) -> Path | None:
    """The folder of the recipe that a run was started from; None where that is not said, or not there any more."""
    try:
        root = Path(json.loads((run / "launch.json").read_bytes())["root"])
        return root if root.is_dir() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


REPLAY: KeyPath = ("data", "replay")


def rows_of(found: Found, root: Path, runs: Path, *, allow_outside: bool, depth: int = 0) -> Earlier | Diagnostic:
    """The run whose rows are replayed, as its own recipe reads them; a diagnostic (D061, D002) where that cannot be.

    Everything has to be what the run's plan was made from. ``root`` is the folder of the recipe that goes on from it.
    """
    plan, run = found.plan, found.run
    if plan is None or run is None:
        return _no_rows(
            phrase("{name} is an adapter without its run, which would say where its rows are", name=found.name)
        )
    home = recipe_folder(run)
    if home is None:
        return _no_rows(
            phrase("the folder of the recipe that run {run} was started from is not on this machine", run=run.name)
        )
    if not (found.trusted or allow_outside or home.resolve().is_relative_to(root.resolve())):
        return replace(
            outside(str(home), REPLAY), help=phrase("name the run by its id, or add --allow-outside to the command")
        )
    moved = files_moved(plan, home)
    if moved:
        return _no_rows(phrase("run {run}: {message}", run=run.name, message=moved[0].message))
    document, problems = read_document(home / plan.recipe_file)
    recipe = load_recipe(document)[0] if document is not None else None
    if recipe is None:
        why = problems[0].message if problems else phrase("this version does not read it")
        return _no_rows(phrase("the recipe of run {run}: {why}", run=run.name, why=why))
    before = None
    if recipe.data.replay and depth < NESTED:
        start, wrong = find_start(
            recipe.adapter.continue_from,
            home,
            runs,
            allow_outside=plan.allow_outside,
            allow_pickle=plan.allow_pickle,
        )
        if start is None:
            return _no_rows(
                phrase("run {run} has replayed rows itself: {message}", run=run.name, message=wrong[0].message)
            )
        found_before = rows_of(start, home, runs, allow_outside=plan.allow_outside, depth=depth + 1)
        if isinstance(found_before, Diagnostic):
            return found_before
        before = found_before
    trusted = allow_outside or (found.trusted and plan.allow_outside)
    return Earlier(found.name, plan.sha256(), recipe, home, trusted, before)


def _no_rows(message: str) -> Diagnostic:
    return Diagnostic("D061", message, path=REPLAY, help=phrase("put the old files back, or leave replay out"))
