"""Write the generated files: ``compiler/signatures.json`` and the reference pages under ``docs/``.

    python docs/generate.py           write what changed
    python docs/generate.py --check   change nothing; exit 1 and name what is out of date

The signatures need the training packages; without them that file is left alone.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def signatures() -> str:
    """The arguments of the config classes of the installed TRL and PEFT, as JSON."""
    import peft
    import trl
    from transformers.training_args import OptimizerNames

    configs = (trl.SFTConfig, peft.LoraConfig, peft.AdaLoraConfig)
    document = {
        "versions": {name: version(name) for name in ("peft", "transformers", "trl")},
        "configs": {config.__name__: _arguments(config) for config in configs},
        "optimizers": sorted(str(name.value) for name in OptimizerNames),
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _arguments(config: type) -> dict[str, dict[str, Any]]:
    annotations = {field.name: field.type for field in dataclasses.fields(config)}
    arguments: dict[str, dict[str, Any]] = {}
    for name, parameter in inspect.signature(config).parameters.items():
        kind = annotations.get(name, parameter.annotation)
        entry: dict[str, Any] = {"annotation": kind if isinstance(kind, str) else inspect.formatannotation(kind)}
        default = parameter.default
        if isinstance(default, bool | int | float | str) or default is None:
            entry["default"] = default.value if hasattr(default, "value") else default
        arguments[name] = entry
    return arguments


def pages() -> dict[Path, str]:
    """Every generated file with what should stand in it."""
    from compiler.reference import codes_markdown, json_schema, reference_markdown

    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    found = {
        ROOT / "docs" / "recipe-reference.md": reference_markdown(),
        ROOT / "docs" / "recipe.schema.json": schema,
        ROOT / "docs" / "codes.md": codes_markdown(),
    }
    if find_spec("trl") and find_spec("peft"):
        found[ROOT / "compiler" / "signatures.json"] = signatures()
    return found


def main() -> int:
    """Write or compare; the exit code."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for path, text in pages().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        name = path.relative_to(ROOT)
        if check:
            sys.stderr.write(f"{name} is out of date; run: python docs/generate.py\n")
        else:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name} written\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
