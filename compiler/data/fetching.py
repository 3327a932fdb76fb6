"""The data sets of the hub that a recipe names, brought to this disk before they are read."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from compiler.data.file_choice import NoChoice
from compiler.data.opening import hub_problem, not_chosen, open_sources, purpose, wanted_files
from compiler.data.sources import held_out_paths, training_paths
from compiler.diagnostics import Diagnostic, describe_os_error
from compiler.facts.hub_data import HubFault, download, hub_data
from compiler.language.recipe import DataTable
from compiler.phrases import phrase
from compiler.progress import Progress


def fetch_data_sets(data: DataTable, root: Path, *, progress: Progress | None) -> list[Diagnostic]:
    """Download what is not in the hub's cache yet; empty when all is there. ``root`` is the recipe's folder."""
    problems = []
    for named in (*training_paths(data), *held_out_paths(data)):
        wanted = hub_data(named.name, root)
        if wanted is None or open_sources(named, root, allow_outside=False).absent is None:
            continue
        try:
            download(wanted, purpose(named), wanted_files(named, wanted), progress or (lambda *_: None))
        except NoChoice as why:
            problems.append(not_chosen(named, why))
        except HubFault as fault:
            problems.append(hub_problem(named, fault))
        except OSError as error:
            problem = describe_os_error(error, error.filename or wanted.name, doing=phrase("downloading the data set"))
            problems.append(replace(problem, path=named.field))
    return problems
