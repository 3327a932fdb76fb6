"""What a recipe says against what is known of its model: context, module names, layers."""

from __future__ import annotations

import re
from typing import Any

from compiler.diagnostics import Diagnostic, KeyPath, Severity, nearest
from compiler.facts.families import EXPERTS
from compiler.facts.linear_layers import OTHERS, linear_layers
from compiler.facts.models import ModelFacts
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument
from compiler.mending import edits
from compiler.phrases import phrase
from compiler.two_bits import QUANTIZATION


def against_model(recipe: Recipe, document: TomlDocument, facts: ModelFacts) -> list[Diagnostic]:
    """Everything in which a recipe and its model do not fit together."""
    return [
        *_context(recipe, document, facts),
        *_modules(recipe, document, facts),
        *_layers(recipe, document, facts),
        *_storage(recipe, document, facts),
        *_experts(recipe, document, facts),
    ]


def stored_otherwise(document: TomlDocument, facts: ModelFacts, *, method: str, quantization: str) -> list[Diagnostic]:
    """An error where the model's own files store it in other bits than a run would, for a method that is decided."""
    asked = {"nf4": 4, "fp4": 4, "int8": 8}.get(quantization, 0)
    if not facts.stored_bits or asked == facts.stored_bits:
        return []
    where = ("adapter", "method") if document.value_span(("adapter", "method")) else ("model", "id")
    message = phrase(
        "{id} is stored in {bits} bits by bitsandbytes, and {method} trains on other weights",
        id=facts.id,
        bits=facts.stored_bits,
        method=phrase("full fine-tuning") if method == "full" else f"{method}, {quantization}",
    )
    instead = 'method = "qlora"' if facts.stored_bits == 4 else 'method = "lora" and quantization = "int8"'
    advice = phrase("name the 16-bit version of the model, or write {instead}", instead=instead)
    return [_told(document, "M096", where, message, advice, at=where)]


def _storage(recipe: Recipe, document: TomlDocument, facts: ModelFacts) -> list[Diagnostic]:
    """Weights stored in few bits, for a recipe that says how it trains. What is left open, the plan judges."""
    method, quantization = recipe.adapter.method, recipe.model.quantization
    if method == "full" and facts.rounded:
        where = ("adapter", "method")
        message = phrase("full fine-tuning begins from weights that {id} has rounded to a few bits", id=facts.id)
        advice = phrase("name the safetensors version of the model; what was rounded away does not come back")
        return [_told(document, "M096", where, message, advice, at=where, severity=Severity.WARNING)]
    if method == "auto" and quantization == "auto" and facts.stored_bits != 8:
        return []  # the search trains 4 bits as they are; 8 are for those who write so
    if quantization == "auto":
        quantization = "nf4" if method == "qlora" else "none"
    return stored_otherwise(document, facts, method="lora" if method == "auto" else method, quantization=quantization)


def _experts(recipe: Recipe, document: TomlDocument, facts: ModelFacts) -> list[Diagnostic]:
    """PEFT adapts stacks of experts with plain LoRA only, without dropout, and not beside layers in 2 bits."""
    adapter = recipe.adapter
    family = facts.architecture.model_type if facts.architecture else ""
    if family not in EXPERTS or adapter.target_modules != "all-linear" or adapter.method in {"full", "adalora"}:
        return []
    for table, field, asked, words in (
        ("adapter", "method", adapter.method == "dora", phrase("DoRA")),
        ("adapter", "lora_dropout", adapter.lora_dropout > 0, phrase("dropout")),
        ("model", "quantization", recipe.model.quantization == QUANTIZATION, phrase("2 bits")),
    ):
        if asked:
            message = phrase(
                "the experts of {family} are stacks of matrices, which take no {what}", family=family, what=words
            )
            advice = phrase('write target_modules = "attention", or leave {field} out', field=field)
            path = (table, field)
            return [_told(document, "M097", path, message, advice, at=path)]
    return []


def _told(
    document: TomlDocument,
    code: str,
    path: KeyPath,
    message: str,
    help_text: str,
    *,
    at: KeyPath,
    on_key: bool = False,
    **more: Any,
) -> Diagnostic:
    """A problem at the value of a key, or at the key itself when its name is what is wrong."""
    value = None if on_key else document.value_span(at)
    span = value or document.key_span(at)
    return Diagnostic(code, message, file=document.file, path=path, span=span, help=help_text, **more)


def _context(recipe: Recipe, document: TomlDocument, facts: ModelFacts) -> list[Diagnostic]:
    """A warning when max_length asks for more positions than the model was trained for."""
    asked = recipe.training.max_length
    context = facts.architecture.max_position_embeddings if facts.architecture else 0
    if not context or asked == "auto" or asked <= context:
        return []
    path = ("training", "max_length")
    message = phrase(
        "max_length {asked} is beyond the {context} positions that {id} was trained for",
        asked=asked,
        context=context,
        id=facts.id,
    )
    advice = phrase("set max_length to {context} or less", context=context)
    return [_told(document, "M092", path, message, advice, at=path, severity=Severity.WARNING)]


def _modules(recipe: Recipe, document: TomlDocument, facts: ModelFacts) -> list[Diagnostic]:
    """Names of modules that the model has not."""
    linear = linear_layers(facts.architecture)
    if not linear or recipe.adapter.method == "full":
        return []
    problems = []
    targets = recipe.adapter.target_modules
    if not isinstance(targets, str):
        places = [("target_modules", number, name) for number, name in enumerate(targets)]
        problems += _misnamed(document, facts, places, (*linear, "lm_head"), phrase("linear layer"))
    saved = [("modules_to_save", number, name) for number, name in enumerate(recipe.adapter.modules_to_save)]
    problems += _misnamed(document, facts, saved, (*linear, *sorted(OTHERS)), "module")
    for argument in ("rank_pattern", "alpha_pattern"):
        pattern = recipe.adapter.peft.get(argument)
        if isinstance(pattern, dict):
            problems += _patterns(document, facts, argument, pattern, linear)
    return problems


def _misnamed(
    document: TomlDocument,
    facts: ModelFacts,
    places: list[tuple[str, int, str]],
    known: tuple[str, ...],
    what: str,
) -> list[Diagnostic]:
    problems = []
    for field, number, name in places:
        short = name.rpartition(".")[2]
        if short in known:
            continue
        at = ("adapter", field, number)
        close = nearest(short, known)
        fix = edits.replace_value(document, at, f'"{close[0]}"', certain=False) if close else None
        problems.append(
            _told(
                document,
                "M093",
                ("adapter", field),
                phrase("{id} has no {what} named `{name}`", id=facts.id, what=what, name=name[:60]),
                phrase(
                    "its linear layers are {linear_layers}", linear_layers=", ".join(linear_layers(facts.architecture))
                ),
                at=at,
                label=phrase("did you mean `{close}`?", close=close[0]) if close else phrase("no such module"),
                fixes=(fix,) if fix else (),
            )
        )
    return problems


def _patterns(
    document: TomlDocument, facts: ModelFacts, argument: str, pattern: dict[str, Any], known: tuple[str, ...]
) -> list[Diagnostic]:
    """Keys of rank_pattern and alpha_pattern: names or regular expressions; only plain names are judged."""
    problems = []
    for name in pattern:
        if re.fullmatch(r"\w+", name) and name not in known:
            close = nearest(name, known)
            problems.append(
                _told(
                    document,
                    "M093",
                    ("adapter", "peft", argument),
                    phrase("{id} has no linear layer named `{name}`", id=facts.id, name=name[:60]),
                    phrase("its linear layers are {known}", known=", ".join(known)),
                    at=("adapter", "peft", argument, name),
                    on_key=True,
                    label=phrase("did you mean `{close}`?", close=close[0]) if close else phrase("no such layer"),
                )
            )
    return problems


def _layers(recipe: Recipe, document: TomlDocument, facts: ModelFacts) -> list[Diagnostic]:
    """layers_to_transform: numbers of layers that there are, of a model whose layers are known by name."""
    wanted = recipe.adapter.peft.get("layers_to_transform")
    if wanted is None or facts.architecture is None:
        return []
    path = ("adapter", "peft", "layers_to_transform")
    count = facts.architecture.num_hidden_layers
    numbers = wanted if isinstance(wanted, list) else [wanted]
    beyond = [number for number in numbers if type(number) is int and not 0 <= number < count]
    if beyond:
        message = phrase("{id} has layers 0 to {count}, not {beyond}", id=facts.id, count=count - 1, beyond=beyond[0])
        return [
            _told(document, "M094", path, message, phrase("name layers from 0 to {count}", count=count - 1), at=path)
        ]
    if isinstance(recipe.adapter.target_modules, str) and not linear_layers(facts.architecture):
        message = phrase(
            "the layers of {model_type} are not known by name, as layers_to_transform needs",
            model_type=facts.architecture.model_type,
        )
        advice = phrase('write target_modules as a list of names, such as ["q_proj", "v_proj"]')
        return [_told(document, "M094", path, message, advice, at=path)]
    return []
