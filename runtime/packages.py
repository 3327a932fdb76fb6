"""Are the packages here the ones the plan was made for? Read from metadata, before anything is imported."""

from __future__ import annotations

from compiler.diagnostics import Diagnostic
from compiler.facts.packages import installed_version
from compiler.phrases import joined, phrase
from compiler.plan import Plan


def package_problems(plan: Plan) -> list[Diagnostic]:
    """E010 for packages that are missing, E011 for other versions than the plan's. Empty when all fit."""
    found = {name: installed_version(name) for name in plan.packages}
    missing = [name for name, version in found.items() if version is None]
    trackers = plan.sft.kwargs.get("report_to")
    untracked = [name for name in trackers if installed_version(name) is None] if isinstance(trackers, list) else []
    if untracked and not missing:
        help_text: str = phrase(
            "pip install {untracked}, or take it out of report_to in [training]", untracked=" ".join(untracked)
        )
        return [
            Diagnostic(
                "E012",
                phrase("report_to names {untracked}, which is not installed", untracked=", ".join(untracked)),
                help=help_text,
            )
        ]
    if missing:
        if missing == ["hqq"]:
            help_text = f"DISABLE_CUDA=1 pip install hqq=={plan.packages['hqq']}"  # else its set-up compiles for GPUs
        else:
            help_text = "pip install 'recipec[train]'" if plan.backend == "peft" else "pip install 'recipec[unsloth]'"
        return [Diagnostic("E010", phrase("not installed: {missing}", missing=", ".join(missing)), help=help_text)]
    other = {name: version for name, version in found.items() if version != plan.packages[name]}
    if not other:
        return []
    told = joined(
        ", ",
        [
            phrase("{name} {found} (plan: {planned})", name=name, found=version, planned=plan.packages[name])
            for name, version in other.items()
        ],
    )
    wanted = " ".join(f"{name}=={plan.packages[name]}" for name in other)
    return [
        Diagnostic("E011", phrase("other versions than the plan's: {told}", told=told), help=f"pip install {wanted}")
    ]
