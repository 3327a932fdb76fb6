"""The plan: one JSON document that says exactly what will run and why.

It is deterministic: no time, no absolute path, no machine name, so the same inputs give the same
bytes anywhere. What is only known at run time (output folder, where the weights lie on this disk)
is added by the executor and never stands here.
"""

import json
import re
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, ValidationError

from compiler.diagnostics import Diagnostic, describe_os_error
from compiler.facts.hashes import sha256_bytes
from compiler.language.recipe import AcceptanceTable, OwnQuestion, ShipTable, Term
from compiler.phrases import phrase

FORMAT_VERSION = 1
LARGEST_PLAN = 64 * 1024 * 1024


class _Part(BaseModel):
    # defer_build: a check uses few parts of a plan, and a validator is built when the first one is made.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=(), defer_build=True)


class InputFile(_Part):
    """A file the plan was made from. ``path`` is as the recipe writes it; ``role`` says what it is for."""

    role: str
    path: str
    sha256: str
    bytes: int


class Origin(_Part):
    """Where a value comes from: the recipe (with its line), a preset, a compiler rule, the data, a default."""

    kind: Literal["recipe", "preset", "rule", "data", "default"]
    place: str = ""
    """``recipe.toml:14`` for the recipe, the preset's name for a preset, the rule's code for a rule or the data."""


class Setting(_Part):
    """One resolved value, with where it comes from and why."""

    path: str
    value: Any
    origin: Origin
    reason: str


class Rejected(_Part):
    """An alternative that the compiler looked at and did not take."""

    value: Any
    code: str
    reason: str


class Choice(_Part):
    """A decision between alternatives: what was taken, why, and what was not."""

    path: str
    value: Any
    code: str
    reason: str
    rejected: list[Rejected]


class ModelPart(_Part):
    """The base model: what it is called, what it is made of, and the hashes that identify it."""

    id: str
    kind: Literal["pypi", "folder", "gguf", "hub"]
    revision: str | None
    architecture: dict[str, Any] | None
    tokenizer_sha256: str
    files: list[InputFile]


class TargetPart(_Part):
    """The machine the plan is for, as far as the plan depends on it."""

    device: Literal["cpu", "cuda"]
    bf16: bool
    gpu: str
    gpu_count: int


class DataPart(_Part):
    """What the data came to: counts, the ledger of every row, the mask audit, one hash over all tokens."""

    format: str
    train_rows: int
    held_out_rows: int
    train_tokens: int
    supervised_tokens: int
    longest: int
    max_length: int
    tokens_sha256: str
    ledger: dict[str, Any]
    audit: dict[str, Any]
    lengths: dict[str, Any]


class Schedule(_Part):
    """Steps and batches. ``batch_size = micro_batch × accumulation × devices`` always holds."""

    batch_size: int
    micro_batch: int
    accumulation: int
    devices: int
    steps: int
    epochs: float
    warmup_steps: int


class PackingPart(_Part):
    """How rows of a micro-batch are joined (``compiler.packing.Joining``); ``shared`` tokens all of them begin with."""

    pair: float
    whole: bool
    by_row: bool = False
    shared: int = 0


class LibraryCall(_Part):
    """A library class and the keyword arguments it is called with, exactly."""

    name: str
    kwargs: dict[str, Any]


class AmountPart(_Part):
    """What is expected, with the band in which it is expected to lie."""

    expected: float
    low: float
    high: float


class TermPart(_Part):
    """One part of the memory at its highest moment, in bytes, with the source of its formula."""

    name: str
    bytes: int
    what: str
    source: str


class ParametersPart(_Part):
    """How many parameters are trained, and all that the model holds with its adapter, as PEFT counts them."""

    trainable: int
    total: int


class EstimatePart(_Part):
    """What the run is expected to take, on the device it is planned for. Bytes, seconds, kilowatt-hours."""

    verdict: Literal["fits", "too close to call", "does not fit"]
    usable: int
    allocated: AmountPart
    reserved: AmountPart
    process: AmountPart
    host: AmountPart
    moment: str
    terms: list[TermPart]
    seconds: AmountPart
    step_seconds: float
    tokens_per_second: float
    kwh: float
    cost: AmountPart | None
    currency: str
    provider: str


class EvaluationPart(_Part):
    """What base and tuned model are asked, what their answers have to hold, and what is shipped."""

    questions: list[str]
    sample_count: int
    max_new_tokens: int
    own_questions: list[OwnQuestion] = []
    """The rows of ``questions_path``."""
    terms: list[Term] = []
    """The glossary."""
    acceptance: list[AcceptanceTable] = []
    ship: ShipTable = ShipTable.model_construct()


class StartPart(_Part):
    """The adapter that training goes on from, and what is replayed of the rows that made it.

    ``path`` is as the recipe writes it, ``plan_sha256`` the plan that made the adapter, where that is known.
    ``replay_rows`` of the earlier run's rows are among the training rows; ``replay_files`` are what they are read
    from, by the earlier recipe's paths.
    """

    path: str
    plan_sha256: str | None
    files: list[InputFile]
    replay: float
    replay_rows: int
    replay_files: list[InputFile]


class PinnedModel(Struct, frozen=True):
    """A model as a plan names it (``facts.models.NamedModel``)."""

    id: str
    revision: str
    trust_remote_code: bool


class Plan(_Part):
    """Everything a run needs, and the reason of each value."""

    format_version: Literal[1]
    name: str
    title: str
    language: str
    recipe_file: str
    inputs: list[InputFile]
    model: ModelPart
    target: TargetPart
    settings: list[Setting]
    choices: list[Choice]
    data: DataPart
    schedule: Schedule
    backend: Literal["peft", "unsloth"]
    method: Literal["lora", "qlora", "dora", "adalora", "full"]
    load: LibraryCall
    quantization: LibraryCall | None
    peft: LibraryCall | None
    sft: LibraryCall
    evaluation: EvaluationPart
    save_total_limit: int
    early_stopping_patience: int | None
    early_stopping_threshold: float
    export_merged: bool
    allow_outside: bool
    trust_remote_code: bool
    packages: dict[str, str]
    seed: int
    packing: PackingPart | None = None
    """None where each row is a sequence of its own."""
    parameters: ParametersPart | None = None
    """None where the model's family, or an argument of the adapter, is not counted without the model itself."""
    estimate: EstimatePart | None = None
    """None where the model's shape or the device's figures are not known."""
    start: StartPart | None = None
    """None where a new adapter is trained."""
    allow_pickle: bool = False
    """Whether weights are read that are there as a pickle alone, of the base or of the adapter in ``start``."""

    def as_bytes(self) -> bytes:
        """The document: UTF-8 JSON, keys in the order of this class, one newline at the end."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8") + b"\n"

    def sha256(self) -> str:
        """The plan's identity: the hash of its bytes."""
        return sha256_bytes(self.as_bytes())

    def named_model(self) -> PinnedModel:
        """The base model, at the commit that was compiled."""
        return PinnedModel(self.model.id, self.model.revision or "", self.trust_remote_code)

    @property
    def pickled_base(self) -> bool:
        """Whether the base's weights are files of ``torch.save``, which the command line had to allow."""
        return self.load.kwargs.get("use_safetensors") is False

    def setting(self, path: str) -> Setting:
        """The setting at ``path``, e.g. ``adapter.r``; KeyError when the plan has none."""
        for setting in self.settings:
            if setting.path == path:
                return setting
        raise KeyError(path)


def parse_plan(data: bytes, file: str) -> tuple[Plan | None, list[Diagnostic]]:
    """Read a plan's bytes; a document that is no plan, or one of another version, is told as such."""
    if len(data) > LARGEST_PLAN:
        return None, [
            Diagnostic(
                "P001", phrase("{file} is larger than a plan can be (64 MiB)", file=file), file=file, help=_MAKE_ANEW
            )
        ]
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        where = (
            phrase(" at line {lineno}, column {colno}", lineno=error.lineno, colno=error.colno)
            if isinstance(error, json.JSONDecodeError)
            else ""
        )
        return None, [
            Diagnostic(
                "P001",
                phrase("{file} is not a plan: no JSON document{where}", file=file, where=where),
                file=file,
                help=_MAKE_ANEW,
            )
        ]
    if not isinstance(document, dict) or "format_version" not in document:
        return None, [
            Diagnostic(
                "P001", phrase("{file} is JSON, but no plan (no format_version)", file=file), file=file, help=_MAKE_ANEW
            )
        ]
    version = document["format_version"]
    if version != FORMAT_VERSION:
        message = phrase(
            "{file} has plan format {version!r}; this version reads format {format_version}",
            file=file,
            version=version,
            format_version=FORMAT_VERSION,
        )
        return None, [Diagnostic("P002", message, file=file, help=_MAKE_ANEW)]
    try:
        return Plan.model_validate_json(data), []
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = phrase(
            "{file} was changed by hand or cut: {place}: {msg}", file=file, place=place, msg=first["msg"].lower()
        )
        return None, [Diagnostic("P001", message, file=file, help=_MAKE_ANEW)]


_MAKE_ANEW = phrase("make it anew with `recipe compile RECIPE -o plan.json`")


def read_plan(path: Path) -> tuple[Plan | None, list[Diagnostic]]:
    """Read a plan file; never more of it than a plan can hold."""
    try:
        with path.open("rb") as stream:
            return parse_plan(stream.read(LARGEST_PLAN + 1), str(path))
    except OSError as error:
        return None, [describe_os_error(error, path, doing=phrase("reading the plan"))]


_BEGINS = re.compile(rb'\s*(\{\s*"format_version"|$)')


def would_replace_other_work(path: Path) -> Diagnostic | None:
    """The refusal when a plan written to ``path`` would replace a file that is no plan: a recipe, rows, weights.

    A plan of any format version, an empty file and a device may be written to. Raises OSError when the
    file cannot be read.
    """
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        head = stream.read(64)
    if _BEGINS.match(head):
        return None
    message = phrase("{path} is a file, but no plan; writing the plan there would replace it", path=path)
    return Diagnostic(
        "E008", message, file=str(path), help=phrase("name another file after -o, or remove this one first")
    )
