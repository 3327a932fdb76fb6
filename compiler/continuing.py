"""Training that goes on from an earlier adapter: the recipe takes up what it is, and what cannot go together is told.

What the recipe leaves open (rank, alpha, layers, DoRA, …) is the adapter's; what it says has to be the same, since an
adapter of another shape or scale would not be the model that the earlier run has measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from compiler import decide
from compiler.decide import Decision
from compiler.diagnostics import Diagnostic, Severity, describe_os_error
from compiler.earlier import Found, find_start, runs_folder
from compiler.estimate.matrices import known_weights
from compiler.facts.adapters import Adapter, Base
from compiler.facts.architecture import Architecture
from compiler.facts.hashes import sha256_file
from compiler.facts.linear_layers import linear_layers
from compiler.facts.model_names import is_hub_name
from compiler.facts.models import ModelFacts
from compiler.language.recipe import TARGET_PRESETS, AdapterTable, Recipe
from compiler.permissions import Permissions
from compiler.phrases import phrase
from compiler.plan import InputFile

APART = ("pissa", "olora")
"""Starts that take the base apart whenever such an adapter is put on it (runtime/starts.py)."""

PASSED_ON = (
    "alpha_pattern",
    "ensure_weight_tying",
    "exclude_modules",
    "fan_in_fan_out",
    "layer_replication",
    "layers_pattern",
    "layers_to_transform",
    "lora_bias",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_qalora",
)
"""Further arguments of PEFT's LoraConfig that an adapter's shape or scale depends on."""


class Start(Struct, frozen=True):
    """The adapter that training goes on from, and each setting that is its own: path in the recipe → the value."""

    found: Found
    adopted: Mapping[str, Decision] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        """The file with the adapter's tensors."""
        return self.found.adapter.weights

    def inputs(self) -> list[InputFile]:
        """Its files with their hashes. Raises OSError."""
        return [
            InputFile(role="adapter", path=file.name, sha256=sha256_file(file), bytes=file.stat().st_size)
            for file in self.found.adapter.files
        ]


def take_up(
    recipe: Recipe, facts: ModelFacts | None, root: Path, allowed: Permissions, *, thorough: bool
) -> tuple[Recipe, Start | None, list[Diagnostic]]:
    """The recipe with what it takes over from the adapter it names, that adapter, and what stands against it.

    ``thorough`` compares the base's files by their hashes and not by their sizes alone.
    """
    name = recipe.adapter.continue_from
    if not name:
        return recipe, None, []
    runs = allowed.runs if allowed.runs is not None else runs_folder()
    found, problems = find_start(
        name, root, runs, allow_outside=allowed.allow_outside, allow_pickle=allowed.allow_pickle
    )
    if found is None:
        return recipe, None, problems
    problems += _against_base(recipe, facts, found.adapter, thorough=thorough)
    architecture = facts.architecture if facts is not None else None
    wanted = _settings(found.adapter, architecture)
    problems += _against_settings(recipe.adapter, wanted, architecture)
    if any(problem.severity is Severity.ERROR for problem in problems):
        return recipe, None, problems
    adopted = {key: value for key, value in wanted.items() if not _says(recipe.adapter, key)}
    more = recipe.adapter.peft | _passed_on(found.adapter)
    if more != recipe.adapter.peft:
        adopted["peft"] = more
    table = recipe.adapter.model_copy(update=adopted)
    decisions = {f"adapter.{key}": decide.carried_over(value, name) for key, value in adopted.items()}
    return recipe.model_copy(update={"adapter": table}), Start(found, decisions), problems


def _says(adapter: AdapterTable, key: str) -> bool:
    return key in adapter.model_fields_set and getattr(adapter, key) != "auto"


# --- the adapter's own settings ---------------------------------------------------------------------------


def _settings(adapter: Adapter, architecture: Architecture | None) -> dict[str, Any]:
    """By the names of ``[adapter]``, in the form in which a recipe says them."""
    config = adapter.config
    alpha = config["lora_alpha"]
    settings: dict[str, Any] = {
        "r": config["r"],
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "target_modules": _targets(config["target_modules"], architecture),
        "use_rslora": bool(config.get("use_rslora")),
        "bias": config.get("bias") or "none",
        "modules_to_save": sorted(config.get("modules_to_save") or []),
    }
    if config.get("use_dora"):
        settings["method"] = "dora"
    start = str(config.get("init_lora_weights"))
    if start.startswith(APART):
        settings["init_lora_weights"] = start
    return settings


def _targets(modules: list[str] | str, architecture: Architecture | None) -> list[str] | str:
    """The adapted layers by their short names where each such layer has an adapter, else by their paths."""
    if isinstance(modules, str):
        return modules
    paths = sorted(set(modules))
    counts = Counter(path.rpartition(".")[2] for path in paths)
    layers = architecture.num_hidden_layers if architecture is not None else 0
    if all("." not in path for path in paths) or (layers and set(counts.values()) == {layers}):
        return sorted(counts)
    return paths


def _passed_on(adapter: Adapter) -> dict[str, Any]:
    more = {key: adapter.config[key] for key in PASSED_ON if adapter.config.get(key)}
    if more.get("use_qalora"):
        more["qalora_group_size"] = adapter.config.get("qalora_group_size", 16)
    return more


def _against_settings(
    said: AdapterTable, wanted: Mapping[str, Any], architecture: Architecture | None
) -> Iterator[Diagnostic]:
    """M103 for each setting that the recipe says otherwise than the adapter is."""
    for key, value in wanted.items():
        if _says(said, key) and key not in {"method", "target_modules"} and _plain(getattr(said, key)) != value:
            yield _differs(key, _plain(getattr(said, key)), value)
    if _says(said, "method") and (said.method == "dora") != (wanted.get("method") == "dora"):
        yield _differs("method", said.method, wanted.get("method", "lora"))
    if _says(said, "target_modules"):
        ours, theirs = _short(said.target_modules, architecture), _short(wanted["target_modules"], architecture)
        if ours is not None and theirs is not None and ours != theirs:
            yield _differs("target_modules", sorted(ours), sorted(theirs))


def _differs(key: str, ours: Any, theirs: Any) -> Diagnostic:
    written = '"' + theirs + '"' if isinstance(theirs, str) else str(theirs).replace("'", '"').lower()
    return Diagnostic(
        "M103",
        phrase(
            "{key} is {ours} here, and the adapter that training goes on from has {theirs}",
            key=key,
            ours=str(ours),
            theirs=str(theirs),
        ),
        path=("adapter", key),
        help=phrase("write {key} = {written}, or leave it out: then it is the adapter's", key=key, written=written),
    )


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def _short(modules: list[str] | str, architecture: Architecture | None) -> set[str] | None:
    """Short names of the layers that are meant; None where that cannot be told."""
    chosen: Any = TARGET_PRESETS.get(modules, modules) if isinstance(modules, str) else modules  # type: ignore[call-overload]
    if isinstance(chosen, str):
        return set(linear_layers(architecture)) or None if chosen == "all-linear" else None
    return {name.rpartition(".")[2] for name in chosen}


# --- the base ---------------------------------------------------------------------------------------------


def _against_base(recipe: Recipe, facts: ModelFacts | None, adapter: Adapter, *, thorough: bool) -> list[Diagnostic]:
    """M102 where the recipe's model is not the one that the adapter was made on."""
    if facts is None:
        return []
    problem = _other_shape(facts, adapter)
    if problem is None and adapter.base is not None:
        problem = _other_revision(facts, adapter.base) or _other_files(facts, adapter.base, thorough=thorough)
    if problem is not None:
        return [problem]
    told = adapter.config.get("base_model_name_or_path")
    known = adapter.base is not None or not isinstance(told, str) or not is_hub_name(told)
    if known or facts.kind != "hub" or str(told).lower() == facts.id.lower():
        return []
    message = phrase(
        "the adapter says that its base is {theirs}, and the recipe's is {ours}",
        theirs=str(told)[:200],
        ours=recipe.model.id,
    )
    advice = phrase("their shapes agree; go on only if they are the same weights under two names")
    return [Diagnostic("M102", message, severity=Severity.WARNING, path=("model", "id"), help=advice)]


def _told(message: str, help_text: str, *path: str) -> Diagnostic:
    return Diagnostic("M102", message, path=path or ("model", "id"), help=help_text)


def _other_shape(facts: ModelFacts, adapter: Adapter) -> Diagnostic | None:
    architecture = facts.architecture
    named = phrase("name the base of the adapter")
    if adapter.base is not None:
        named = phrase("name the base of the adapter, {base}", base=adapter.base.id)
    if architecture is None:
        return None
    made_on = adapter.base.model_type if adapter.base is not None else None
    if made_on is not None and made_on != architecture.model_type:
        message = phrase(
            "the adapter was made on a model of the family {theirs}, and {model} is a {ours}",
            theirs=made_on,
            model=facts.id,
            ours=architecture.model_type,
        )
        return _told(message, named)
    shapes: dict[str, set[tuple[int, ...]]] = {}
    for weight in known_weights(facts):
        shapes.setdefault(weight.module, set()).add(weight.shape)
    for path, (outputs, inputs) in sorted(adapter.matrices().items()):
        there = shapes.get(path.rpartition(".")[2], set()) if shapes else {(outputs, inputs)}
        if (outputs, inputs) not in there:
            of_model = " / ".join(" x ".join(map(str, shape)) for shape in sorted(there) if len(shape) == 2)
            about = {"path": path, "size": f"{outputs} x {inputs}", "model": facts.id}
            if of_model:
                message = phrase(
                    "the adapter is for a {path} of {size}, which is {own} in {model}", own=of_model, **about
                )
            else:
                message = phrase("the adapter is for a {path} of {size}, which is not in {model}", **about)
            return _told(message, named)
    if adapter.layers > architecture.num_hidden_layers:
        message = phrase(
            "the adapter is for {layers} layers, and {model} has {own}",
            layers=adapter.layers,
            model=facts.id,
            own=architecture.num_hidden_layers,
        )
        return _told(message, named)
    return None


def _other_revision(facts: ModelFacts, base: Base) -> Diagnostic | None:
    """Two names or two commits of hub models."""
    if base.kind != "hub" or facts.kind != "hub":
        return None
    if base.id.lower() != facts.id.lower():
        message = phrase("the adapter was made on {base}, and the recipe's base is {id}", base=base.id, id=facts.id)
        return _told(message, phrase('write id = "{base}"', base=base.id))
    if base.revision is None or facts.revision is None or base.revision == facts.revision:
        return None
    message = phrase(
        "the adapter was made on {base} at {commit}, and the recipe's base is at {own}",
        base=base.id,
        commit=base.revision[:12],
        own=facts.revision[:12],
    )
    return _told(
        message, phrase('write revision = "{revision}" in [model]', revision=base.revision), "model", "revision"
    )


def _other_files(facts: ModelFacts, base: Base, *, thorough: bool) -> Diagnostic | None:
    """Weights of another content; by their sizes alone where reading them would take too long."""
    for file in facts.weight_files:
        known = base.files.get(file.name)
        if known is None:
            continue
        try:
            same = file.stat().st_size == known[1] and (not thorough or sha256_file(file) == known[0])
        except OSError as error:
            return describe_os_error(error, file, doing=phrase("reading the model"))
        if not same:
            message = phrase(
                "{file} of {model} has other weights than the base that the adapter was made on",
                file=file.name,
                model=facts.id,
            )
            return _told(message, phrase("put the old file back, or train an adapter on this base"))
    return None
