"""Write the generated files: ``compiler/facts/signatures.json`` and the reference pages under ``docs/``.

    python docs/generate.py           write what changed
    python docs/generate.py --check   change nothing; exit 1 and name what is out of date

The signatures need the training packages; without them that file is left alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import inspect
import json
import re
import sys
from collections.abc import Iterable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SIGNATURES = ROOT / "compiler" / "facts" / "signatures.json"

SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)
"""What a model's shape is told by (``compiler.facts.architecture``)."""


def signatures() -> str:
    """What is known of the installed TRL, PEFT and Transformers without importing them, as JSON."""
    import peft
    import trl
    from transformers import debug_utils, trainer_utils, training_args

    configs = (trl.SFTConfig, peft.LoraConfig, peft.AdaLoraConfig)
    arguments = {config.__name__: _arguments(config) for config in configs}
    document = {
        "versions": {name: version(name) for name in ("peft", "transformers", "trl")},
        "configs": arguments,
        "enums": _enums(arguments, (training_args, trainer_utils, debug_utils, peft)),
        "schedulers": _schedulers(),
        "causal_lm_types": _causal_lm_types(),
        "family_defaults": _family_defaults(),
    }
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _arguments(config: type) -> dict[str, dict[str, Any]]:
    fields = {field.name: field for field in dataclasses.fields(config)}
    arguments: dict[str, dict[str, Any]] = {}
    for name in inspect.signature(config).parameters:
        field = fields[name]
        kind, default = field.type, field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        entry: dict[str, Any] = {
            "annotation": kind if isinstance(kind, str) else inspect.formatannotation(kind),
        }
        if isinstance(default, enum.Enum):
            default = default.value
        if default is None or isinstance(default, bool | int | float | str) or default in ([], {}):
            entry["default"] = default
        arguments[name] = entry
    return arguments


def _enums(arguments: dict[str, dict[str, dict[str, Any]]], modules: Iterable[Any]) -> dict[str, list[str]]:
    """The words of each enum that an annotation names, by the enum's name."""
    entries = (entry for config in arguments.values() for entry in config.values())
    names = {name for entry in entries for name in re.findall(r"\w+", entry["annotation"])}
    found: dict[str, list[str]] = {}
    for module in modules:
        for name in names & set(vars(module)):
            value = getattr(module, name)
            if isinstance(value, type) and issubclass(value, enum.Enum):
                found[name] = sorted(str(member.value) for member in value)
    return found


def _schedulers() -> dict[str, list[str]]:
    """The arguments of each shape of the learning rate that are not the trainer's to give."""
    from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION

    given = {"optimizer", "num_warmup_steps", "num_training_steps", "last_epoch", "kwargs"}
    return {
        str(shape.value): [name for name in inspect.signature(function).parameters if name not in given]
        for shape, function in TYPE_TO_SCHEDULER_FUNCTION.items()
    }


def _causal_lm_types() -> dict[str, dict[str, int]]:
    """The model types that AutoModelForCausalLM builds, each with the sizes that its ``text_config`` may leave out.

    ``save_pretrained`` writes of a part of a config only what differs from its class.
    """
    from transformers import PreTrainedConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    types: dict[str, dict[str, int]] = {}
    for name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        part = CONFIG_MAPPING[name].sub_configs.get("text_config")
        text = part().to_dict() if isinstance(part, type) and issubclass(part, PreTrainedConfig) else {}
        types[name] = {size: text[size] for size in SIZES if type(text.get(size)) is int}
    return types


def _family_defaults() -> dict[str, dict[str, Any]]:
    """What each family's config class says of its weights by itself; numbers it derives from others are not said."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from compiler.facts.families import FAMILIES
    from compiler.facts.parameters import SETTINGS

    return {
        name: {
            field.name: field.default
            for field in dataclasses.fields(CONFIG_MAPPING[name])
            if field.name in SETTINGS and (field.default is None or isinstance(field.default, bool | int))
        }
        for name in FAMILIES
    }


def pages() -> dict[Path, str]:
    """The generated pages with what should stand in them; these need no training package."""
    from compiler.language.reference import codes_markdown, json_schema, reference_markdown

    return {
        ROOT / "docs" / "recipe-reference.md": reference_markdown(),
        ROOT / "docs" / "recipe.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        ROOT / "docs" / "codes.md": codes_markdown(),
    }


def main(arguments: list[str]) -> int:
    """Write or compare; the exit code."""
    parser = argparse.ArgumentParser(description="Write the generated files, or compare them with --check.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is out of date")
    check = parser.parse_args(arguments).check
    wanted = pages()
    if find_spec("trl") and find_spec("peft"):
        wanted[SIGNATURES] = signatures()
    else:
        sys.stderr.write(f"{SIGNATURES.relative_to(ROOT)} left alone: TRL and PEFT are not installed\n")
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        name = path.relative_to(ROOT)
        if check:
            sys.stderr.write(f"{name} is out of date; run: python docs/generate.py\n")
        else:
            path.write_text(wanted[path], encoding="utf-8")
            sys.stdout.write(f"{name} written\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
