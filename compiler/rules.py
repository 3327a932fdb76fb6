"""Rules that hold between fields: what contradicts itself (R1xx), and what is legal but unwise (R2xx).

One function a rule; each is given the reading and yields diagnostics. A rule that looks at a field which
itself is faulty says nothing: that fault is told already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from compiler import edits
from compiler.diagnostics import Diagnostic, Fix, KeyPath, Label, Severity, Span
from compiler.recipe import Recipe
from compiler.toml_source import TomlDocument

ADAPTER_FIELDS = [
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "use_rslora",
    "init_lora_weights",
    "bias",
    "modules_to_save",
    "target_r",
    "peft",
]


@dataclass(frozen=True, slots=True)
class Reading:
    """A recipe with the place of everything that it says; ``faulty`` are fields told as wrong already."""

    recipe: Recipe
    document: TomlDocument
    places: dict[KeyPath, KeyPath]
    faulty: frozenset[KeyPath]

    def says(self, *path: str) -> bool:
        """Whether the recipe itself sets the field."""
        return path in self.places and path not in self.faulty

    def span(self, *path: str | int) -> Span | None:
        """Where the field's value stands; for a table, its header; None when the recipe does not say it."""
        place = self.places.get(path)
        if place is None:  # inside a table that is passed on as it is
            above = self.places.get(path[:2])
            place = (*above, *path[2:]) if above else None
        if place is None:
            return None
        return self.document.value_span(place) or self.document.key_span(place)

    def key_span(self, *path: str) -> Span | None:
        """Where the key stands."""
        place = self.places.get(path[:2], path[:2])
        return self.document.key_span((*place, *path[2:]))

    def written(self, *path: str) -> str:
        """The value as the recipe writes it."""
        return self.document.value_text(self.places.get(path, path))

    def told(
        self,
        code: str,
        path: tuple[str, ...],
        message: str,
        help_text: str,
        *,
        label: str | None = None,
        others: tuple[tuple[tuple[str, ...], str], ...] = (),
        warning: bool = False,
        fixes: tuple[Fix | None, ...] = (),
    ) -> Diagnostic:
        """A diagnostic at the first of the fields involved that the recipe sets."""
        labels = [(self.span(*other), text) for other, text in others]
        span = self.span(*path)
        secondary = tuple(Label(place, text) for place, text in labels if place is not None and place != span)
        if span is None and secondary:
            span, secondary = secondary[0].span, secondary[1:]
        return Diagnostic(
            code,
            message,
            severity=Severity.WARNING if warning else Severity.ERROR,
            file=self.document.file,
            path=path,
            span=span,
            label=label,
            secondary=secondary,
            help=help_text,
            fixes=tuple(fix for fix in fixes if fix is not None),
        )

    def value_fix(self, value: str, *path: str) -> Fix | None:
        """An uncertain fix: another value for a field."""
        return edits.replace_value(self.document, self.places.get(path, path), value, certain=False)

    def removal(self, *path: str) -> Fix | None:
        """An uncertain fix: the field's line removed."""
        return edits.remove_line(self.document, self.places.get(path, path))


def break_rules(reading: Reading) -> list[Diagnostic]:
    """Everything that the rules have against a recipe."""
    return [problem for rule in RULES for problem in rule(reading) if problem.path not in reading.faulty]


# --- contradictions -----------------------------------------------------------------------------------


def some_data(reading: Reading) -> Iterator[Diagnostic]:
    """Exactly one of path and sources."""
    data = reading.recipe.data
    if reading.says("data", "path") and reading.says("data", "sources"):
        yield reading.told(
            "R101",
            ("data", "path"),
            "[data] has both `path` and `sources`",
            "keep one of the two: path for one source, [[data.sources]] for several",
            label="one source here",
            others=((("data", "sources"), "several sources here"),),
        )
    blank = not data.path and not data.sources
    hidden = {("data", "path"), ("data", "sources"), ("data",)} & reading.faulty
    if blank and not hidden and ("data",) not in reading.document.lost and () not in reading.document.lost:
        yield reading.told(
            "R102",
            ("data", "path"),
            "the recipe names no training data",
            'add to [data]: path = "train.jsonl"',
            others=((("data",), "in this table"),),
        )


def batch_divides(reading: Reading) -> Iterator[Diagnostic]:
    """The effective batch is micro-batch times accumulation times devices, in whole numbers."""
    training, count = reading.recipe.training, reading.recipe.hardware.gpu_count
    micro = training.per_device_train_batch_size
    if micro != "auto" and training.batch_size % (micro * count):
        product = micro * count
        near = max(product, round(training.batch_size / product) * product)
        devices = f" times {count} GPUs" if count > 1 else ""
        yield reading.told(
            "R103",
            ("training", "per_device_train_batch_size"),
            f"micro-batch {micro}{devices} does not divide the batch of {training.batch_size}",
            f"set batch_size = {near}, or a micro-batch that divides {training.batch_size}, or leave it out",
            label=f"{micro} rows at once",
            others=((("training", "batch_size"), "batch set here"), (("hardware", "gpu_count"), "GPUs set here")),
        )
    elif training.batch_size % count:
        yield reading.told(
            "R103",
            ("training", "batch_size"),
            f"a batch of {training.batch_size} cannot be split over {count} GPUs",
            f"set batch_size to a multiple of {count}",
            others=((("hardware", "gpu_count"), "GPUs set here"),),
        )


def method_and_quantization(reading: Reading) -> Iterator[Diagnostic]:
    """QLoRA is LoRA on a 4-bit base; full fine-tuning needs plain weights."""
    method, stored = reading.recipe.adapter.method, reading.recipe.model.quantization
    other = ((("model", "quantization"), "the base is stored like this"),)
    where = ("adapter", "method")
    if method == "qlora" and stored in {"none", "int8", "hqq-2bit"}:
        yield reading.told(
            "R104",
            where,
            f'method "qlora" needs a 4-bit base, not quantization = "{stored}"',
            'write quantization = "nf4" in [model], or method = "lora"',
            label="QLoRA is LoRA on 4-bit weights",
            others=other,
        )
    if method == "lora" and stored in {"nf4", "fp4"}:
        yield reading.told(
            "R104",
            where,
            f'method "lora" means plain weights, but quantization = "{stored}" stores the base in 4 bits',
            'write method = "qlora", or quantization = "none" in [model]',
            label="LoRA on 4-bit weights is called qlora",
            others=other,
            fixes=(reading.value_fix('"qlora"', *where),),
        )
    if method == "full" and stored not in {"auto", "none"}:
        yield reading.told(
            "R104",
            where,
            f'full fine-tuning cannot train weights stored as "{stored}"',
            'write quantization = "none" in [model], or method = "qlora"',
            label="trains every weight",
            others=other,
        )


def initialisation(reading: Reading) -> Iterator[Diagnostic]:
    """PiSSA decomposes the weights themselves, so they must be plain."""
    adapter, stored = reading.recipe.adapter, reading.recipe.model.quantization
    quantized = stored not in {"auto", "none"} or adapter.method == "qlora"
    if adapter.init_lora_weights.startswith("pissa") and quantized:
        yield reading.told(
            "R105",
            ("adapter", "init_lora_weights"),
            f"{adapter.init_lora_weights} needs plain weights: it takes the base apart before training",
            'write method = "lora" and quantization = "none", or leave init_lora_weights out',
            others=((("model", "quantization"), "quantised here"), (("adapter", "method"), "quantised by this")),
        )


def adalora_ranks(reading: Reading) -> Iterator[Diagnostic]:
    """AdaLoRA prunes from r down to target_r."""
    adapter = reading.recipe.adapter
    if adapter.target_r is None:
        return
    if adapter.method not in {"adalora", "auto"} or (adapter.method == "auto"):
        yield reading.told(
            "R106",
            ("adapter", "target_r"),
            f'`target_r` belongs to AdaLoRA, and the method is "{adapter.method}"',
            'write method = "adalora", or remove target_r',
            others=((("adapter", "method"), "method set here"),),
            fixes=(reading.removal("adapter", "target_r"),),
        )
    elif adapter.r != "auto" and adapter.target_r >= adapter.r:
        yield reading.told(
            "R106",
            ("adapter", "target_r"),
            f"target_r {adapter.target_r} is not below r {adapter.r}, so nothing would be pruned",
            f"set target_r to {max(1, adapter.r // 2)} or less",
            others=((("adapter", "r"), "pruning starts from this rank"),),
        )


def early_stopping(reading: Reading) -> Iterator[Diagnostic]:
    """Early stopping watches the held-out loss."""
    data = reading.recipe.data
    if reading.recipe.training.early_stopping_patience is None or data.held_out_path or data.held_out_share > 0:
        return
    yield reading.told(
        "R107",
        ("training", "early_stopping_patience"),
        "early stopping needs held-out rows to watch, and there are none",
        "set held_out_share above 0 in [data], or name a held_out_path",
        others=((("data", "held_out_share"), "nothing is held out here"),),
    )


def warm_up(reading: Reading) -> Iterator[Diagnostic]:
    """Warm-up must end before training does."""
    training = reading.recipe.training
    if training.max_steps is None or training.warmup_steps < 1 or training.warmup_steps < training.max_steps:
        return
    yield reading.told(
        "R108",
        ("training", "warmup_steps"),
        f"{training.warmup_steps:g} steps of warm-up in a run of {training.max_steps} steps: "
        "the full learning rate is never reached",
        "write a share such as warmup_steps = 0.03, or raise max_steps",
        others=((("training", "max_steps"), "the run ends here"),),
    )


def device_fits(reading: Reading) -> Iterator[Diagnostic]:
    """What a CPU cannot do."""
    recipe = reading.recipe
    if recipe.hardware.device != "cpu":
        return
    other = ((("hardware", "device"), "CPU asked for here"),)
    if recipe.hardware.gpu:
        yield reading.told(
            "R109",
            ("hardware", "gpu"),
            f'`gpu` names {recipe.hardware.gpu}, but device = "cpu"',
            'write device = "cuda", or remove gpu',
            others=other,
        )
    if recipe.hardware.gpu_count > 1:
        message = f'gpu_count is {recipe.hardware.gpu_count}, but device = "cpu"'
        yield reading.told("R109", ("hardware", "gpu_count"), message, "remove gpu_count", others=other)
    if recipe.model.attn_implementation == "flash_attention_2":
        message = "FlashAttention 2 runs on GPUs only"
        help_text = 'write attn_implementation = "sdpa", or leave it out'
        yield reading.told("R109", ("model", "attn_implementation"), message, help_text, others=other)
    if recipe.model.dtype == "float16":
        message = "training in float16 needs a GPU: it depends on CUDA's loss scaling"
        help_text = 'write dtype = "bfloat16" or "float32", or leave it out'
        yield reading.told("R109", ("model", "dtype"), message, help_text, others=other)
    optim = recipe.training.optim
    if "8bit" in optim or optim.startswith("paged"):
        message = f"the optimizer {optim} keeps its states on a GPU"
        help_text = 'write optim = "adamw_torch_fused", or leave it out'
        yield reading.told("R109", ("training", "optim"), message, help_text, others=other)


def known_optimizer(reading: Reading) -> Iterator[Diagnostic]:
    """The optimizer is one that Transformers knows."""
    from compiler.diagnostics import nearest
    from compiler.signatures import optimizers

    optim = reading.recipe.training.optim
    known = optimizers()
    if optim == "auto" or optim in known:
        return
    close = nearest(optim, known)
    yield reading.told(
        "R110",
        ("training", "optim"),
        f'"{optim[:40]}" is no optimizer of Transformers',
        f"{len(known)} are known, among them adamw_torch_fused, adamw_8bit, paged_adamw_8bit and adafactor",
        label=f'did you mean "{close[0]}"?' if close else None,
        fixes=(reading.value_fix(f'"{close[0]}"', "training", "optim"),) if close else (),
    )


# --- arguments passed on --------------------------------------------------------------------------------

MANAGED_SFT = frozenset(
    [
        "output_dir",
        "bf16",
        "fp16",
        "data_seed",
        "use_cpu",
        "eval_strategy",
        "save_strategy",
        "save_total_limit",
        "logging_steps",
        "logging_nan_inf_filter",
        "disable_tqdm",
        "dataset_kwargs",
        "gradient_accumulation_steps",
        "load_best_model_at_end",
        "metric_for_best_model",
        "greater_is_better",
        "do_train",
        "do_eval",
        "do_predict",
        "resume_from_checkpoint",
        "per_device_eval_batch_size",
        "dataset_text_field",
        "chat_template_path",
        "eos_token",
        "pad_token",
        "completion_only_loss",
        "assistant_only_loss",
        "model_init_kwargs",
        "remove_unused_columns",
        "overwrite_output_dir",
        "push_to_hub",
    ]
)
"""Arguments of SFTConfig that the compiler and the executor set themselves."""

MANAGED_PEFT = frozenset(
    ["task_type", "inference_mode", "base_model_name_or_path", "peft_type", "auto_mapping", "revision"]
)


def passed_arguments(reading: Reading) -> Iterator[Diagnostic]:
    """[training.sft] and [adapter.peft] hold arguments that the pinned TRL and PEFT have."""
    recipe = reading.recipe
    yield from _arguments(reading, ("training", "sft"), recipe.training.sft, "SFTConfig", MANAGED_SFT)
    config = "AdaLoraConfig" if recipe.adapter.method == "adalora" else "LoraConfig"
    yield from _arguments(reading, ("adapter", "peft"), recipe.adapter.peft, config, MANAGED_PEFT)


def _arguments(
    reading: Reading, table: tuple[str, str], given: dict[str, Any], config: str, managed: frozenset[str]
) -> Iterator[Diagnostic]:
    from compiler.diagnostics import nearest
    from compiler.shapes import shapes_of, tables
    from compiler.signatures import accepts, describe, signature

    if not given:
        return
    known = signature(config)
    own = shapes_of(tables()[table[:1]])
    for key, value in given.items():
        path = (*table, key)
        if key in own:
            yield reading.told(
                "R111",
                path,
                f"`{key}` has a field of its own in [{table[0]}]",
                f"move it to [{table[0]}]",
                others=((((table[0], key)), "and it is given here"),),
                fixes=(edits.move(reading.document, (*reading.places[table], key), table[:1], key),),
            )
        elif key in managed:
            help_text = "remove it; `recipe docs` lists the fields that decide it"
            yield reading.told("R111", path, f"`{key}` is set by recipec itself", help_text)
        elif key not in known:
            close = nearest(key[:64], known)
            yield reading.told(
                "R112",
                path,
                f"{config} of the pinned version has no argument `{key[:60]}`",
                f"did you mean `{close[0]}`?" if close else f"see the documentation of {config}",
                label="no such argument",
            )
        elif not accepts(known[key], value):
            from compiler.values import kind_of

            message = f"`{key}` of {config} takes {describe(known[key])}, not {kind_of(value)}"
            yield reading.told("R113", path, message, f"write {describe(known[key])}")


# --- understood, but not built yet ------------------------------------------------------------------------


def not_built_yet(reading: Reading) -> Iterator[Diagnostic]:
    """What the language can say and this version cannot do: an error, never a silent other thing."""
    recipe = reading.recipe

    def refuse(path: tuple[str, ...], what: str, help_text: str) -> Diagnostic:
        return reading.told("R190", path, f"{what} is understood, but not built into this version", help_text)

    if recipe.hardware.gpu_count > 1 and recipe.hardware.device != "cpu":
        yield refuse(("hardware", "gpu_count"), "training on several GPUs", "write gpu_count = 1, or remove it")
    if recipe.model.quantization == "hqq-2bit":
        yield refuse(("model", "quantization"), "2-bit HQQ", 'write quantization = "nf4"')
    if recipe.training.backend == "unsloth":
        yield refuse(("training", "backend"), "the Unsloth backend", 'write backend = "peft", or remove it')
    if recipe.training.packing is True:
        yield refuse(("training", "packing"), "packing", "write packing = false, or remove it")
    if recipe.adapter.init_lora_weights == "loftq":
        yield refuse(("adapter", "init_lora_weights"), "LoftQ", 'write "pissa" or "default", or remove it')


def not_used_yet(reading: Reading) -> Iterator[Diagnostic]:
    """Prices and budgets are read, but nothing is estimated yet."""
    for path in (
        ("budget", "max_cost"),
        ("budget", "max_hours"),
        ("hardware", "price_per_hour"),
        ("hardware", "electricity_per_kwh"),
    ):
        if reading.says(*path):
            message = f"`{path[1]}` is understood, but this version estimates neither time nor cost"
            yield reading.told(
                "R290", path, message, "keep it for a later version; nothing stops the run", warning=True
            )


# --- legal, but unwise ------------------------------------------------------------------------------------


def alpha_against_rank(reading: Reading) -> Iterator[Diagnostic]:
    """The adapter's scale lora_alpha / r is 1 or 2 in every published recipe."""
    adapter = reading.recipe.adapter
    if adapter.lora_alpha == "auto" or not reading.says("adapter", "lora_alpha") or adapter.use_rslora:
        return
    from compiler.decide import RANK

    r = RANK[reading.recipe.recipe.complexity] if adapter.r == "auto" else adapter.r
    scale = adapter.lora_alpha / r
    if 0.5 <= scale <= 4:
        return
    effect = "adapter hardly changes the output" if scale < 0.5 else "updates are so large that training may diverge"
    yield reading.told(
        "R201",
        ("adapter", "lora_alpha"),
        f"lora_alpha {adapter.lora_alpha} with r = {r} scales the adapter by {scale:g}: the {effect}",
        f"lora_alpha = {2 * r} (twice r) or {r} is usual; leave it out to get twice r",
        label=f"{adapter.lora_alpha} / {r} = {scale:g}",
        others=((("adapter", "r"), "rank set here"), (("recipe", "complexity"), "rank set by this")),
        warning=True,
    )


def learning_rate_for_method(reading: Reading) -> Iterator[Diagnostic]:
    """Adapters want about ten times the learning rate of full fine-tuning."""
    rate, method = reading.recipe.training.learning_rate, reading.recipe.adapter.method
    if rate == "auto":
        return
    other = ((("adapter", "method"), "method set here"),)
    where = ("training", "learning_rate")
    if method == "full" and rate > 1e-4:
        message = f"a learning rate of {rate:g} is one for adapters; full fine-tuning forgets what the base knew"
        yield reading.told("R203", where, message, "1e-5 to 5e-5 is usual for method full", others=other, warning=True)
    elif method != "full" and rate < 3e-5:
        message = f"a learning rate of {rate:g} is one for full fine-tuning; an adapter hardly moves with it"
        yield reading.told("R202", where, message, "1e-4 to 5e-4 is usual for LoRA", others=other, warning=True)
    elif method != "full" and rate > 2e-3:
        message = f"a learning rate of {rate:g} is so high that training is likely to diverge"
        yield reading.told("R203", where, message, "1e-4 to 5e-4 is usual for LoRA", others=other, warning=True)


def dropout_and_kernels(reading: Reading) -> Iterator[Diagnostic]:
    """Unsloth's fused kernels need dropout 0."""
    dropout, training = reading.recipe.adapter.lora_dropout, reading.recipe.training
    if dropout == 0 or training.backend == "peft" or reading.recipe.hardware.device == "cpu":
        return
    yield reading.told(
        "R204",
        ("adapter", "lora_dropout"),
        f"lora_dropout {dropout:g} turns Unsloth's fused LoRA kernels off",
        "write lora_dropout = 0; on small data, fewer epochs guard against overfitting as well",
        warning=True,
    )


def high_rank(reading: Reading) -> Iterator[Diagnostic]:
    """Beyond 64, rank costs memory and brings little."""
    r = reading.recipe.adapter.r
    if r == "auto" or r <= 64:
        return
    yield reading.told(
        "R205",
        ("adapter", "r"),
        f"r = {r}: beyond 64 the return diminishes, while memory and overfitting grow",
        "16 for simple, 32 for medium, 64 for complex tasks; with a high rank, use_rslora = true keeps the scale",
        warning=True,
    )


def dropout_high(reading: Reading) -> Iterator[Diagnostic]:
    """More than half of the inputs dropped leaves little to learn from."""
    dropout = reading.recipe.adapter.lora_dropout
    if dropout <= 0.3:
        return
    message = f"lora_dropout {dropout:g} hides more than the adapter can make up for"
    yield reading.told("R206", ("adapter", "lora_dropout"), message, "0 to 0.1 is usual", warning=True)


def replaced_settings(reading: Reading) -> Iterator[Diagnostic]:
    """A value that another one replaces is without effect."""
    if reading.says("training", "max_steps") and reading.says("training", "num_train_epochs"):
        yield reading.told(
            "R207",
            ("training", "num_train_epochs"),
            "`num_train_epochs` is without effect: max_steps decides the length of the run",
            "keep one of the two",
            others=((("training", "max_steps"), "decides"),),
            warning=True,
            fixes=(reading.removal("training", "num_train_epochs"),),
        )
    if reading.says("data", "held_out_path") and reading.says("data", "held_out_share"):
        yield reading.told(
            "R207",
            ("data", "held_out_share"),
            "`held_out_share` is without effect: held_out_path names the held-out rows",
            "keep one of the two",
            others=((("data", "held_out_path"), "decides"),),
            warning=True,
            fixes=(reading.removal("data", "held_out_share"),),
        )
    if reading.says("evaluation", "questions") and reading.says("evaluation", "sample_count"):
        yield reading.told(
            "R207",
            ("evaluation", "sample_count"),
            "`sample_count` is without effect: the questions are asked",
            "keep one of the two",
            others=((("evaluation", "questions"), "decides"),),
            warning=True,
            fixes=(reading.removal("evaluation", "sample_count"),),
        )


def adapter_settings_of_full(reading: Reading) -> Iterator[Diagnostic]:
    """Full fine-tuning has no adapter to set up."""
    if reading.recipe.adapter.method != "full":
        return
    given = [name for name in ADAPTER_FIELDS if reading.says("adapter", name)]
    if given:
        listed = ", ".join(f"`{name}`" for name in given)
        yield reading.told(
            "R208",
            ("adapter", given[0]),
            f"{listed}: without effect, as full fine-tuning has no adapter",
            'remove them, or choose method = "lora"',
            others=((("adapter", "method"), "full fine-tuning"),),
            warning=True,
        )


def nothing_measured(reading: Reading) -> Iterator[Diagnostic]:
    """Without held-out rows nobody knows whether the model got better."""
    data = reading.recipe.data
    if data.held_out_path or data.held_out_share > 0 or reading.recipe.training.early_stopping_patience is not None:
        return
    yield reading.told(
        "R209",
        ("data", "held_out_share"),
        "nothing is held out, so nobody will know whether the tuned model is better than its base",
        "leave held_out_share at 0.1, or name a held_out_path",
        warning=True,
    )


def many_epochs(reading: Reading) -> Iterator[Diagnostic]:
    """After many passes a model recites."""
    training = reading.recipe.training
    if training.max_steps is not None or training.num_train_epochs <= 10:
        return
    yield reading.told(
        "R210",
        ("training", "num_train_epochs"),
        f"{training.num_train_epochs:g} passes over the same rows: the model is likely to learn them by heart",
        "1 to 5 epochs are usual; early_stopping_patience = 2 ends the run in time",
        warning=True,
    )


RULES: tuple[Callable[[Reading], Iterator[Diagnostic]], ...] = (
    some_data,
    batch_divides,
    method_and_quantization,
    initialisation,
    adalora_ranks,
    early_stopping,
    warm_up,
    device_fits,
    known_optimizer,
    passed_arguments,
    not_built_yet,
    not_used_yet,
    alpha_against_rank,
    learning_rate_for_method,
    dropout_and_kernels,
    high_rank,
    dropout_high,
    replaced_settings,
    adapter_settings_of_full,
    nothing_measured,
    many_epochs,
)
