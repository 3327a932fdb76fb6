"""Python and the packages: their versions beside the tested ones, read from metadata and never imported."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from compiler.facts import unsloth
from compiler.facts.packages import installed_version, tested_set
from compiler.phrases import phrase
from runtime.doctor.finding import Finding, State

TRAINING = ("torch", "transformers", "peft", "trl", "accelerate", "datasets", "safetensors", "tokenizers")
QUANTISING = "bitsandbytes"
TWO_BITS = "hqq"
INSTALL = "pip install -c constraints.txt torch && pip install -c constraints.txt '.[train]'"


def python() -> Finding:
    """The interpreter; an older one than 3.11 does not come this far."""
    return Finding(phrase("python"), "ok", ".".join(map(str, sys.version_info[:3])))


def packages() -> Iterator[Finding]:
    """What training needs, package by package, against the set this release was tested with."""
    for name in TRAINING:
        yield _package(name, "error", remedy=INSTALL)
    yield _package(QUANTISING, "warning", remedy=f"pip install {QUANTISING}=={tested_set()[QUANTISING]}")
    yield _package(TWO_BITS, "note", remedy=f"DISABLE_CUDA=1 pip install {TWO_BITS}=={tested_set()[TWO_BITS]}")


def _package(name: str, absent: State, *, remedy: str) -> Finding:
    found, tested = installed_version(name), tested_set()[name]
    if found is None:
        return Finding(name, absent, phrase("not installed"), remedy)
    if found != tested:
        return Finding(
            name,
            "warning",
            phrase("{found}; {tested} was tested", found=found, tested=tested),
            f"pip install {name}=={tested}",
        )
    return Finding(name, "ok", found)


def torch_build() -> Finding | None:
    """For which device torch was built; None when it is not here. Read off its version file."""
    try:
        file = Path(str(metadata.distribution("torch").locate_file("torch/version.py")))
        text = file.read_text(encoding="utf-8")
    except (metadata.PackageNotFoundError, OSError, ValueError):
        return None
    cuda = re.search(r"^cuda[^=\n]*= *'([^']+)'", text, re.M)
    hip = re.search(r"^hip[^=\n]*= *'([^']+)'", text, re.M)
    if cuda:
        return Finding(phrase("torch build"), "ok", phrase("for CUDA {cuda}", cuda=cuda[1]))
    return Finding(
        phrase("torch build"), "ok", phrase("for ROCm {hip}", hip=hip[1]) if hip else phrase("for the CPU alone")
    )


def unsloth_here() -> Finding:
    """Whether Unsloth is here as tested, and whether it allows the TRL and Transformers that are."""
    for name, (version, allowed) in unsloth.ruled_out().items():
        tested = tested_set().get(name, "")
        remedy = f"pip install {name}=={tested}" if tested else f"pip install '{name}{allowed}'"
        return Finding(
            "unsloth",
            "warning",
            phrase("it allows {name} {allowed}, and {version} is here", name=name, allowed=allowed, version=version),
            remedy,
        )
    wrong = unsloth.untested()
    if wrong:
        remedy = phrase(
            "pip install -c constraints.txt '.[unsloth]'; on a machine without a GPU add --no-deps -r unsloth.txt"
        )
        return Finding("unsloth", "note", phrase("{wrong}; recipes train with PEFT then", wrong=wrong[0]), remedy)
    return Finding("unsloth", "ok", str(installed_version("unsloth")))
