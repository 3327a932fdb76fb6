"""Recipe to plan, in reading order: text, model, data, decisions, calls, document."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler import calls, decide
from compiler.against_data import against_data
from compiler.against_model import against_model
from compiler.diagnostics import Diagnostic, KeyPath, describe_os_error, has_errors, in_reading_order
from compiler.facts.hashes import sha256_bytes, sha256_file
from compiler.facts.machine import Target, target_of
from compiler.facts.models import ModelFacts, locate_model
from compiler.facts.packages import package_set
from compiler.plan import (
    DataPart,
    EvaluationPart,
    InputFile,
    ModelPart,
    Plan,
    Schedule,
    TargetPart,
)
from compiler.recipe import Recipe
from compiler.settle import Settings
from compiler.toml_source import TomlDocument, read_document
from compiler.validate import load_recipe

if TYPE_CHECKING:
    from compiler.data.prepare import PreparedData
    from compiler.data.tokenizer import ChatTokenizer

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much is done, and how much there is (None when unknown)."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line may allow beyond what a recipe can say of itself."""

    allow_outside: bool = False
    trust_remote_code: bool = False
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything a plan is made from: the recipe, the model's facts, and the rows as tokens."""

    document: TomlDocument
    recipe: Recipe
    facts: ModelFacts
    tokenizer: ChatTokenizer
    data: PreparedData


@dataclass(slots=True)
class Compiled:
    """The outcome of a compile. ``inputs`` and ``plan`` are None when any diagnostic is an error."""

    root: Path
    file: str
    inputs: Gathered | None = None
    plan: Plan | None = None
    diagnostics: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)

    def failed(self) -> bool:
        """Whether any diagnostic stops the work."""
        return has_errors(self.diagnostics)


def find_recipe(path: Path) -> Path:
    """The recipe file meant by a path: a folder means the ``recipe.toml`` in it."""
    return path / "recipe.toml" if path.is_dir() else path


def compile_recipe(path: Path, options: Options | None = None, progress: Progress | None = None) -> Compiled:
    """Compile the recipe at ``path`` (a file, or a folder with a recipe.toml).

    Never raises for anything a user can hand in: every fault is a diagnostic of the result.
    """
    options = options or Options()
    done = gather(path, options, progress)
    if done.inputs is not None:
        _write_plan(done.inputs, options, done)
    done.diagnostics = in_reading_order(done.diagnostics)
    return done


def gather(path: Path, options: Options, progress: Progress | None = None) -> Compiled:
    """Read everything that a plan is made from; the executor reads it again the same way."""
    file = find_recipe(path)
    done = Compiled(root=file.parent, file=str(file))
    document, problems = read_document(file)
    done.diagnostics += problems
    if document is None:
        return done
    done.sources[document.file] = document.text
    recipe, problems = load_recipe(document)
    done.diagnostics += problems
    if recipe is None or done.failed():
        return done
    done.diagnostics += forbidden(recipe, document, trusted=options.trust_remote_code)
    facts, problems = locate_model(recipe.model, root=done.root, offline=options.offline)
    done.diagnostics += placed(problems, document, "model", "id")
    if facts is None or done.failed():
        return done
    tokenizer, problems = _tokenizer(recipe, document, facts, done.root, allow_outside=options.allow_outside)
    done.diagnostics += problems
    if tokenizer is None or done.failed():
        return done
    data, problems = _data(recipe, facts, tokenizer, done.root, options=options, progress=progress)
    done.diagnostics += [*placed(problems, document, "data", "path"), *against_model(recipe, document, facts)]
    if data is not None and not done.failed():
        done.inputs = Gathered(document, recipe, facts, tokenizer, data)
    return done


def placed(problems: list[Diagnostic], document: TomlDocument, *path: str) -> list[Diagnostic]:
    """Point problems about something the recipe names at the place where it names it.

    A problem that knows its own path in the recipe stands there, any other at ``path``; one that has a place
    in another file keeps it.
    """
    return [problem if problem.span is not None else _placed(problem, document, path) for problem in problems]


def _placed(problem: Diagnostic, document: TomlDocument, path: KeyPath) -> Diagnostic:
    for place in (problem.path, path):
        span = document.value_span(place) if place else None
        if span is not None:
            label = problem.label or "named here"
            return dataclasses.replace(problem, file=document.file, path=place, span=span, label=label)
    return problem


def forbidden(recipe: Recipe, document: TomlDocument, *, trusted: bool) -> list[Diagnostic]:
    """What a recipe may ask for only when the command line allows it too."""
    if not recipe.model.trust_remote_code or trusted:
        return []
    problem = Diagnostic(
        "M090",
        "the recipe wants the model's own Python code to run on this machine",
        help="read that code; if you trust it, add --trust-remote-code to the command",
    )
    return placed([problem], document, "model", "trust_remote_code")


def against_target(recipe: Recipe, document: TomlDocument, target: Target) -> list[Diagnostic]:
    """What the machine that was found cannot do (what the recipe rules out by itself is told by the rules)."""
    if target.device != "cpu" or recipe.model.attn_implementation != "flash_attention_2":
        return []
    problem = Diagnostic(
        "R109",
        f"FlashAttention 2 runs on GPUs only, and {target.reason}",
        help='write attn_implementation = "sdpa", or leave it out',
        label="asked for here",
    )
    return placed([problem], document, "model", "attn_implementation")


def _tokenizer(
    recipe: Recipe, document: TomlDocument, facts: ModelFacts, root: Path, *, allow_outside: bool
) -> tuple[ChatTokenizer | None, list[Diagnostic]]:
    from compiler.data.chat_template import own_chat_template
    from compiler.data.tokenizer import load_tokenizer  # tokenizers and jinja2: only for real work

    template = None
    if recipe.model.chat_template:
        template, problems = own_chat_template(recipe.model.chat_template, root, allow_outside=allow_outside)
        if template is None:
            return None, placed(problems, document, "model", "chat_template")
    tokenizer, problems = load_tokenizer(facts, chat_template=template)
    return tokenizer, placed(problems, document, "model", "id")


def _data(
    recipe: Recipe,
    facts: ModelFacts,
    tokenizer: ChatTokenizer,
    root: Path,
    *,
    options: Options,
    progress: Progress | None,
) -> tuple[PreparedData | None, list[Diagnostic]]:
    from compiler.data.prepare import prepare

    return prepare(
        recipe,
        tokenizer,
        root=root,
        context_length=facts.architecture.max_position_embeddings if facts.architecture else 0,
        allow_outside=options.allow_outside,
        progress=progress,
    )


def _write_plan(inputs: Gathered, options: Options, done: Compiled) -> None:
    recipe, document, facts, data = inputs.recipe, inputs.document, inputs.facts, inputs.data
    target = target_of(recipe.hardware)
    file_name = Path(done.file).name
    settings = Settings(recipe, document, file_name=file_name)
    try:
        files = model_files(facts)
    except OSError as error:
        done.diagnostics.append(describe_os_error(error, facts.id, doing="reading the model"))
        return
    resolved, schedule, backend = _decide(recipe, target, data, settings)
    done.diagnostics += against_target(recipe, document, target)
    done.diagnostics += against_data(
        recipe, document, schedule, train_rows=len(data.train), held_out_rows=len(data.held_out)
    )
    if done.failed():
        return
    quantization = calls.quantization_call(recipe, resolved)
    done.plan = Plan(
        format_version=1,
        name=recipe.recipe.name or _folder_name(done.root),
        title=recipe.recipe.title,
        language=recipe.recipe.language,
        recipe_file=file_name,
        inputs=[_recipe_input(file_name, document), *_data_inputs(recipe, data, done.root)],
        model=ModelPart(
            id=facts.id,
            kind=facts.kind,
            revision=facts.revision,
            architecture=dataclasses.asdict(facts.architecture) if facts.architecture else None,
            tokenizer_sha256=inputs.tokenizer.fingerprint,
            files=files,
        ),
        target=TargetPart(device=target.device, bf16=target.bf16, gpu=target.gpu, gpu_count=target.gpu_count),
        settings=settings.all(),
        choices=settings.choices,
        data=DataPart(
            format=data.format,
            train_rows=len(data.train),
            held_out_rows=len(data.held_out),
            train_tokens=sum(len(example.ids) for example in data.train),
            supervised_tokens=data.audit.supervised_tokens,
            longest=max(len(example.ids) for example in data.train),
            max_length=data.max_length,
            tokens_sha256=data.fingerprint,
            ledger=data.ledger.as_json(),
            audit=data.audit.as_json(),
            lengths=data.lengths.as_json(),
        ),
        schedule=schedule,
        backend=backend,
        method=resolved.method,  # type: ignore[arg-type]  # one of the schema's literals, checked by pydantic here
        load=calls.load_call(recipe, resolved),
        quantization=quantization,
        peft=calls.peft_call(recipe, resolved, schedule, facts.architecture),
        sft=calls.sft_call(recipe, resolved, schedule, target, held_out=len(data.held_out)),
        evaluation=EvaluationPart(
            questions=list(recipe.evaluation.questions),
            sample_count=recipe.evaluation.sample_count,
            max_new_tokens=recipe.evaluation.max_new_tokens,
        ),
        save_total_limit=recipe.training.save_total_limit,
        early_stopping_patience=recipe.training.early_stopping_patience,
        early_stopping_threshold=recipe.training.early_stopping_threshold,
        export_merged=recipe.export.merged,
        allow_outside=options.allow_outside,
        trust_remote_code=recipe.model.trust_remote_code,
        packages=package_set(backend=backend, quantized=quantization is not None),
        seed=recipe.training.seed,
    )


def _decide(
    recipe: Recipe, target: Target, data: PreparedData, settings: Settings
) -> tuple[calls.Resolved, Schedule, Any]:
    settle = settings.settle
    training = recipe.training
    complexity = recipe.recipe.complexity
    backend = settle("training.backend", decide.backend(target))
    method = settle("adapter.method", decide.method(recipe, target))
    quantization = settle("model.quantization", decide.quantization(method))
    dtype = settle("model.dtype", decide.dtype(target))
    attention = settle("model.attn_implementation", decide.attention())
    r = settle("adapter.r", decide.rank(complexity), preset=complexity)
    lora_alpha = settle("adapter.lora_alpha", decide.alpha(r, rslora=recipe.adapter.use_rslora))
    rate = settle("training.learning_rate", decide.learning_rate(method))
    settle("training.max_length", decide.Decision(data.max_length, "D10", data.max_length_reason))
    steps = decide.total_steps(training, rows=len(data.train))
    longest = max(len(example.ids) for example in data.train)
    micro = settle("training.per_device_train_batch_size", decide.micro_batch(training, target, longest=longest))
    devices = max(1, target.gpu_count)
    schedule = Schedule(
        batch_size=training.batch_size,
        micro_batch=micro,
        accumulation=training.batch_size // (micro * devices),
        devices=devices,
        steps=steps.value,
        epochs=round(steps.value / math.ceil(len(data.train) / training.batch_size), 4),
        warmup_steps=decide.warmup_steps(training, steps=steps.value),
    )
    evaluate_every = settle("training.eval_steps", decide.eval_steps(steps=steps.value, held_out=len(data.held_out)))
    stops_early = training.early_stopping_patience is not None
    resolved = calls.Resolved(
        method=method,
        quantization=quantization,
        dtype=dtype,
        attn_implementation=attention,
        r=r,
        lora_alpha=lora_alpha,
        learning_rate=rate,
        packing=settle("training.packing", decide.packing()),
        gradient_checkpointing=settle("training.gradient_checkpointing", decide.gradient_checkpointing(target)),
        optim=settle("training.optim", decide.optimizer(method, target)),
        max_length=data.max_length,
        eval_steps=evaluate_every,
        save_steps=settle(
            "training.save_steps",
            decide.save_steps(steps=steps.value, every=evaluate_every if stops_early else None),
        ),
    )
    return resolved, schedule, backend


def model_files(facts: ModelFacts) -> list[InputFile]:
    """Name, hash and size of every file that makes the model. Raises OSError when one cannot be read."""
    if facts.path is None:
        return []
    files = sorted({*facts.weight_files, *facts.tokenizer_files})
    folder = facts.path if facts.path.is_dir() else facts.path.parent
    if facts.path.is_dir() and (facts.path / "config.json").is_file():
        files = sorted({*files, facts.path / "config.json"})
    return [
        InputFile(
            role="model",
            path=file.relative_to(folder).as_posix(),
            sha256=sha256_file(file),
            bytes=file.stat().st_size,
        )
        for file in files
    ]


def _recipe_input(path: str, document: TomlDocument) -> InputFile:
    """The recipe itself, by the very bytes that were compiled."""
    return InputFile(role="recipe", path=path, sha256=sha256_bytes(document.data), bytes=len(document.data))


def _data_inputs(recipe: Recipe, data: PreparedData, root: Path) -> list[InputFile]:
    inputs = [InputFile(role=f.role, path=f.path, sha256=f.sha256, bytes=f.bytes) for f in data.inputs]
    templates = (
        ("chat_template", recipe.model.chat_template),
        ("prompt_template", recipe.data.prompt_template),
    )
    present = {(f.role, f.path) for f in inputs}
    for role, path in templates:
        if path and (role, path) not in present:
            content = (root / path).read_bytes()
            inputs.append(InputFile(role=role, path=path, sha256=sha256_bytes(content), bytes=len(content)))
    return inputs


def _folder_name(root: Path) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in root.resolve().name)
    return name.strip(".-_")[:64] or "recipe"
