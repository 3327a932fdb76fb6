"""Recipe to plan: what was gathered, what was decided, the library calls, and the document that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from compiler import calls
from compiler.against.machine import against_machine
from compiler.against.model import stored_otherwise
from compiler.against.schedule import against_data
from compiler.continuing import Start
from compiler.decide import Decision
from compiler.diagnostics import Diagnostic, describe_os_error, has_errors, in_reading_order
from compiler.estimate.lengths import row_lengths
from compiler.estimate.matrices import known_weights
from compiler.estimate.result import Unknown
from compiler.estimating import estimate, part_of
from compiler.evaluating import asked_of, eval_rows
from compiler.facts.hashes import sha256_bytes, sha256_file
from compiler.facts.machine import Target, target_of
from compiler.facts.models import ModelFacts
from compiler.facts.packages import package_set
from compiler.gather import Inputs, gather
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument
from compiler.packing import attends_by_row, joining
from compiler.permissions import Permissions
from compiler.phrases import phrase
from compiler.plan import (
    Choice,
    DataPart,
    EvaluationPart,
    InputFile,
    LibraryCall,
    ModelPart,
    PackingPart,
    ParametersPart,
    Plan,
    StartPart,
    TargetPart,
)
from compiler.progress import Progress
from compiler.resolve import Resolved, resolve
from compiler.search.answer import decisions
from compiler.settle import Settings
from compiler.trainable import trainable_of

if TYPE_CHECKING:
    from compiler.data.prepare import PreparedData


class Compiled(Struct, frozen=True):
    """The outcome of a compile. ``plan`` is None when any diagnostic is an error.

    ``root`` is the recipe's folder; ``sources`` the texts that diagnostics point into, by file name.
    """

    root: Path
    plan: Plan | None
    diagnostics: list[Diagnostic]
    sources: dict[str, str]


def compile_recipe(path: Path, allowed: Permissions | None = None, progress: Progress | None = None) -> Compiled:
    """Compile the recipe at ``path`` (a file, or a folder with a recipe.toml).

    Never raises for anything a user can hand in: every fault is a diagnostic of the result.
    """
    allowed = allowed or Permissions()
    gathered = gather(path, allowed, progress)
    plan, problems = None, gathered.diagnostics
    if gathered.inputs is not None:
        plan, found = plan_of(gathered.inputs, allowed, file=Path(gathered.file))
        problems = [*problems, *found]
    return Compiled(gathered.root, plan, in_reading_order(problems), gathered.sources)


def plan_of(inputs: Inputs, allowed: Permissions, *, file: Path) -> tuple[Plan | None, list[Diagnostic]]:
    """The plan of what was gathered from the recipe ``file``, or None and what stands against it."""
    recipe, document, facts, data = inputs.recipe, inputs.document, inputs.facts, inputs.data
    target = target_of(recipe.hardware)
    start = inputs.start
    adopted = start.adopted if start is not None else None
    settings = Settings(recipe, document, file_name=file.name, adopted=adopted)
    try:
        files = model_files(facts)
        started = _start_part(start, recipe, data) if start is not None else None
    except OSError as error:
        return None, [describe_os_error(error, facts.id, doing=phrase("reading the model"))]
    lengths = row_lengths(data.train.lengths(), shared=data.train.beginning())
    told = estimate(
        recipe,
        target,
        facts,
        lengths,
        max_length=data.max_length,
        held_out=len(data.held_out),
        asked_of=asked_of(recipe, data, inputs.tokenizer),
    )
    estimated = None if isinstance(told, Unknown) else told
    searched = decisions(estimated.answer) if estimated else None
    resolved = resolve(recipe, target, facts.architecture, data, settings, searched=searched)
    schedule = resolved.schedule
    measured = eval_rows(estimated, schedule, data)
    settings.choices.append(_choice("training.per_device_eval_batch_size", measured))
    problems = [
        *stored_otherwise(document, facts, method=resolved.method, quantization=resolved.quantization),
        *against_machine(recipe, document, target),
        *against_data(recipe, document, schedule, train_rows=len(data.train), held_out_rows=len(data.held_out)),
    ]
    if has_errors(problems):
        return None, problems
    quantization = calls.quantization_call(recipe, resolved)
    adapter = calls.peft_call(recipe, resolved, facts.architecture)
    plan = Plan(
        format_version=1,
        name=recipe.recipe.name,
        title=recipe.recipe.title,
        language=recipe.recipe.language,
        recipe_file=file.name,
        inputs=[_recipe_input(file.name, document), *_data_inputs(recipe, data, file.parent)],
        model=ModelPart(
            id=facts.id,
            kind=facts.kind,
            revision=facts.revision,
            architecture=structs.asdict(facts.architecture) if facts.architecture else None,
            tokenizer_sha256=inputs.tokenizer.fingerprint,
            files=files,
        ),
        target=TargetPart(device=target.device, bf16=target.bf16, gpu=target.gpu, gpu_count=target.gpu_count),
        settings=settings.all(),
        choices=settings.choices,
        data=_data_part(data),
        schedule=schedule,
        backend=resolved.backend,  # type: ignore[arg-type]  # one of the schema's literals, as method is:
        method=resolved.method,  # type: ignore[arg-type]  # pydantic checks them here
        load=calls.load_call(recipe, resolved, target, pickled=facts.pickled),
        quantization=quantization,
        peft=adapter,
        sft=calls.sft_call(recipe, resolved, target, held_out=len(data.held_out), eval_rows=measured.value),
        evaluation=EvaluationPart(
            questions=list(recipe.evaluation.questions),
            sample_count=recipe.evaluation.sample_count,
            max_new_tokens=recipe.evaluation.max_new_tokens,
            own_questions=inputs.material.questions,
            terms=inputs.material.terms,
            acceptance=list(recipe.evaluation.acceptance),
            ship=recipe.evaluation.ship,
        ),
        save_total_limit=recipe.training.save_total_limit,
        early_stopping_patience=recipe.training.early_stopping_patience,
        early_stopping_threshold=recipe.training.early_stopping_threshold,
        export_merged=recipe.export.merged,
        allow_outside=allowed.allow_outside,
        allow_pickle=facts.pickled or (start is not None and start.found.adapter.pickled),
        trust_remote_code=recipe.model.trust_remote_code,
        packages=package_set(
            backend=resolved.backend,
            quantization=resolved.quantization,
            optim=resolved.optim,
            gguf=any(file.suffix == ".gguf" for file in facts.weight_files),
        ),
        seed=recipe.training.seed,
        packing=_packing_part(facts, resolved, target, lengths.shared) if resolved.packing else None,
        parameters=_parameters_part(facts, adapter),
        estimate=part_of(estimated) if estimated else None,
        start=started,
    )
    return plan, problems


def _packing_part(facts: ModelFacts, resolved: Resolved, target: Target, shared: int) -> PackingPart:
    by_row = attends_by_row(facts.architecture, device=target.device, backend=resolved.backend)
    attention, dtype = resolved.attn_implementation, resolved.dtype
    how = joining(facts.architecture, known_weights(facts), attention, dtype, by_row=by_row)
    return PackingPart(pair=how.pair, whole=how.whole, by_row=how.by_row, shared=shared if how.by_row else 0)


def _parameters_part(facts: ModelFacts, adapter: LibraryCall | None) -> ParametersPart | None:
    counts = trainable_of(facts, adapter)
    return ParametersPart(trainable=counts.trainable, total=counts.total) if counts else None


def _choice(path: str, decision: Decision) -> Choice:
    return Choice(
        path=path, value=decision.value, code=decision.code, reason=decision.reason, rejected=decision.rejected
    )


def _data_part(data: PreparedData) -> DataPart:
    return DataPart(
        format=data.format,
        train_rows=len(data.train),
        held_out_rows=len(data.held_out),
        train_tokens=data.audit.tokens,
        supervised_tokens=data.audit.supervised_tokens,
        longest=data.lengths.most,
        max_length=data.max_length,
        tokens_sha256=data.fingerprint,
        ledger=data.ledger.as_json(),
        audit=data.audit.as_json(),
        lengths=data.lengths.as_json(),
    )


def _start_part(start: Start, recipe: Recipe, data: PreparedData) -> StartPart:
    """What the plan says of the adapter that training goes on from. Raises OSError."""
    replayed, made = data.replayed, start.found.plan
    read = made.inputs if made is not None and replayed is not None else []
    return StartPart(
        path=start.found.name,
        plan_sha256=start.found.adapter.plan_sha256,
        files=start.inputs(),
        replay=recipe.data.replay,
        replay_rows=replayed.rows if replayed is not None else 0,
        replay_files=[file.model_copy(update={"role": "replay"}) for file in read if file.role == "data"],
    )


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
    named = (
        ("chat_template", recipe.model.chat_template),
        ("prompt_template", recipe.data.prompt_template),
        ("glossary", recipe.evaluation.glossary),
        ("questions", recipe.evaluation.questions_path),
    )
    present = {(f.role, f.path) for f in inputs}
    for role, path in named:
        if path and (role, path) not in present:
            content = (root / path).read_bytes()
            inputs.append(InputFile(role=role, path=path, sha256=sha256_bytes(content), bytes=len(content)))
    return inputs
