"""What is legal but unwise: warnings."""

from __future__ import annotations

import math
from collections.abc import Iterator

from compiler.diagnostics import Diagnostic
from compiler.phrases import phrase
from compiler.rules.reading import Reading, Rule
from compiler.two_bits import QUANTIZATION

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


def has_adapter(reading: Reading) -> bool:
    """Whether there is an adapter that its settings can be unwise for."""
    return reading.recipe.adapter.method != "full"


def alpha_against_rank(reading: Reading) -> Iterator[Diagnostic]:
    """The adapter's scale is 1 or 2 in every published recipe: lora_alpha / r, or lora_alpha / sqrt(r) with rsLoRA."""
    adapter = reading.recipe.adapter
    where = ("adapter", "lora_alpha")
    if adapter.lora_alpha == "auto" or not reading.says(*where) or not has_adapter(reading):
        return
    if not reading.known(("adapter", "r"), ("recipe", "complexity"), ("adapter", "use_rslora")):
        return
    r = reading.rank()
    divisor = math.sqrt(r) if adapter.use_rslora else r
    scale = adapter.lora_alpha / divisor
    low, high = (0.5, 16.0) if adapter.use_rslora else (0.5, 4.0)
    if low <= scale <= high:
        return
    effect = (
        phrase("adapter hardly changes the output")
        if scale < low
        else phrase("updates are so large that training may diverge")
    )
    usual = max(1, round(2 * divisor))
    by = f"sqrt({r})" if adapter.use_rslora else str(r)
    yield reading.told(
        "R201",
        where,
        phrase(
            "lora_alpha {lora_alpha} with r = {r} scales the adapter by {scale:.3g}: the {effect}",
            lora_alpha=adapter.lora_alpha,
            r=r,
            scale=scale,
            effect=effect,
        ),
        phrase("lora_alpha = {usual} is usual here (a scale of 2); leave it out to get that", usual=usual),
        label=f"{adapter.lora_alpha} / {by} = {scale:.3g}",
        others=((("adapter", "r"), phrase("rank set here")), (("recipe", "complexity"), phrase("rank set by this"))),
        warning=True,
    )


def learning_rate_for_method(reading: Reading) -> Iterator[Diagnostic]:
    """Adapters want about ten times the learning rate of full fine-tuning."""
    rate, method = reading.recipe.training.learning_rate, reading.recipe.adapter.method
    where = ("training", "learning_rate")
    if rate == "auto" or not reading.known(where, ("adapter", "method")):
        return
    other = ((("adapter", "method"), phrase("method set here")),)
    if method == "full" and rate >= 1e-4:
        message = phrase(
            "a learning rate of {rate:g} is one for adapters; full fine-tuning forgets what the base knew", rate=rate
        )
        yield reading.told(
            "R203", where, message, phrase("1e-5 to 5e-5 is usual for method full"), others=other, warning=True
        )
    elif method != "full" and rate < 3e-5:
        message = phrase(
            "a learning rate of {rate:g} is one for full fine-tuning; an adapter hardly moves with it", rate=rate
        )
        yield reading.told("R202", where, message, phrase("1e-4 to 5e-4 is usual for LoRA"), others=other, warning=True)
    elif method != "full" and rate > 2e-3:
        message = phrase("a learning rate of {rate:g} is so high that training is likely to diverge", rate=rate)
        yield reading.told("R203", where, message, phrase("1e-4 to 5e-4 is usual for LoRA"), others=other, warning=True)


def dropout_and_kernels(reading: Reading) -> Iterator[Diagnostic]:
    """Unsloth's fused kernels need dropout 0; nothing needs much of it."""
    dropout, training = reading.recipe.adapter.lora_dropout, reading.recipe.training
    where = ("adapter", "lora_dropout")
    if not has_adapter(reading) or not reading.known(where):
        return
    if dropout > 0.3:
        message = phrase("lora_dropout {dropout:g} hides more than the adapter can make up for", dropout=dropout)
        yield reading.told("R206", where, message, phrase("0 to 0.1 is usual"), warning=True)
    elif dropout > 0 and training.backend != "peft" and reading.recipe.hardware.device != "cpu":
        yield reading.told(
            "R204",
            where,
            phrase("lora_dropout {dropout:g} keeps the fused LoRA kernels of Unsloth from being used", dropout=dropout),
            phrase(
                'write lora_dropout = 0 (fewer epochs guard against overfitting too), or backend = "peft" in [training]'
            ),
            warning=True,
        )


def high_rank(reading: Reading) -> Iterator[Diagnostic]:
    """Beyond 64, rank costs memory and brings little."""
    r = reading.recipe.adapter.r
    if r == "auto" or r <= 64 or not has_adapter(reading):
        return
    yield reading.told(
        "R205",
        ("adapter", "r"),
        phrase("r = {r}: beyond 64 the return diminishes, while memory and overfitting grow", r=r),
        phrase("16 for simple, 32 for medium, 64 for complex tasks"),
        warning=True,
    )


def replaced_settings(reading: Reading) -> Iterator[Diagnostic]:
    """A value that another one replaces is without effect."""
    recipe = reading.recipe
    training = recipe.training
    constant = training.lr_scheduler_type == "constant"
    pairs: tuple[tuple[bool, tuple[str, ...], tuple[str, ...], str], ...] = (
        (
            True,
            ("training", "num_train_epochs"),
            ("training", "max_steps"),
            phrase("max_steps decides the length of the run"),
        ),
        (True, ("data", "held_out_share"), ("data", "held_out_path"), phrase("held_out_path names the held-out rows")),
        (
            bool(recipe.evaluation.questions),
            ("evaluation", "sample_count"),
            ("evaluation", "questions"),
            phrase("the questions are asked"),
        ),
        (
            isinstance(training.max_length, int),
            ("training", "max_length_share"),
            ("training", "max_length"),
            phrase("max_length is set, and nothing is left to choose"),
        ),
        (
            constant and training.warmup_steps > 0,
            ("training", "warmup_steps"),
            ("training", "lr_scheduler_type"),
            phrase('the shape "constant" has no warm-up; "constant_with_warmup" has one'),
        ),
        (
            training.early_stopping_patience is None and reading.known(("training", "early_stopping_patience")),
            ("training", "early_stopping_threshold"),
            ("training",),
            phrase("without early_stopping_patience nothing stops early"),
        ),
        (
            recipe.model.id.lower().startswith("pypi:") or recipe.model.id.endswith(".gguf"),
            ("model", "revision"),
            ("model", "id"),
            phrase("only models on the hub have revisions"),
        ),
    )
    for holds, replaced, by, why in pairs:
        if not holds or not reading.says(*replaced) or not reading.says(*by):
            continue
        if reading.written(*replaced) not in {'""', "''"}:  # the default, written out
            yield reading.told(
                "R207",
                replaced,
                phrase("`{replaced}` is without effect: {why}", replaced=replaced[-1], why=why),
                phrase("keep one of the two") if len(by) > 1 else phrase("set the patience, or remove this line"),
                others=((by, "decides"),) if len(by) > 1 else (),
                warning=True,
                fixes=(reading.removal(*replaced),),
            )


def adapter_settings_of_full(reading: Reading) -> Iterator[Diagnostic]:
    """Full fine-tuning has no adapter to set up."""
    if has_adapter(reading):
        return
    given = [name for name in ADAPTER_FIELDS if reading.says("adapter", name)]
    if given:
        listed = ", ".join(f"`{name}`" for name in given)
        yield reading.told(
            "R208",
            ("adapter", given[0]),
            phrase("{listed}: without effect, as full fine-tuning has no adapter", listed=listed),
            phrase('remove them, or choose method = "lora"'),
            others=((("adapter", "method"), phrase("full fine-tuning")),),
            warning=True,
        )


def merged_of_full(reading: Reading) -> Iterator[Diagnostic]:
    """Full fine-tuning writes a whole model in any case."""
    if reading.recipe.export.merged and reading.says("export", "merged") and not has_adapter(reading):
        yield reading.told(
            "R207",
            ("export", "merged"),
            phrase("`merged` is without effect: full fine-tuning writes the whole model in any case"),
            phrase("remove the line"),
            others=((("adapter", "method"), phrase("full fine-tuning")),),
            warning=True,
            fixes=(reading.removal("export", "merged"),),
        )


def rslora_of_adalora(reading: Reading) -> Iterator[Diagnostic]:
    """AdaLoRA has a scale of its own."""
    adapter = reading.recipe.adapter
    if adapter.method == "adalora" and adapter.use_rslora and reading.says("adapter", "use_rslora"):
        yield reading.told(
            "R207",
            ("adapter", "use_rslora"),
            phrase("`use_rslora` is without effect: AdaLoRA scales by lora_alpha / rank"),
            phrase("remove the line"),
            others=((("adapter", "method"), phrase("AdaLoRA here")),),
            warning=True,
            fixes=(reading.removal("adapter", "use_rslora"),),
        )


def nothing_measured(reading: Reading) -> Iterator[Diagnostic]:
    """Without held-out rows nobody knows whether the model got better."""
    data = reading.recipe.data
    where = ("data", "held_out_share")
    if data.held_out_path or data.held_out_share > 0 or reading.recipe.training.early_stopping_patience is not None:
        return
    if reading.known(where):
        yield reading.told(
            "R209",
            where,
            phrase("nothing is held out, so nobody will know whether the tuned model is better than its base"),
            phrase("leave held_out_share at 0.1, or name a held_out_path"),
            warning=True,
        )


def many_epochs(reading: Reading) -> Iterator[Diagnostic]:
    """After many passes a model recites."""
    training = reading.recipe.training
    where = ("training", "num_train_epochs")
    if training.max_steps is not None or training.num_train_epochs <= 10 or not reading.known(where):
        return
    if training.early_stopping_patience is None:
        yield reading.told(
            "R210",
            where,
            phrase(
                "{num_train_epochs:g} passes over the same rows: the model is likely to learn them by heart",
                num_train_epochs=training.num_train_epochs,
            ),
            phrase("1 to 5 epochs are usual; early_stopping_patience = 2 ends the run in time"),
            warning=True,
        )


def long_warm_up(reading: Reading) -> Iterator[Diagnostic]:
    """A run that is mostly warm-up learns little."""
    training = reading.recipe.training
    where = ("training", "warmup_steps")
    share = training.warmup_steps
    if share >= 1 and training.max_steps is not None:
        share = share / training.max_steps
    if 0.5 < share < 1 and reading.known(where, ("training", "max_steps")):
        yield reading.told(
            "R211",
            where,
            phrase("{share:.0f} % of the run is warm-up: the full learning rate comes late", share=100 * share),
            phrase("3 to 10 % is usual: warmup_steps = 0.03"),
            others=((("training", "max_steps"), phrase("the run ends here")),),
            warning=True,
        )


def heavy_decay(reading: Reading) -> Iterator[Diagnostic]:
    """A weight decay near 1 pulls what is learnt back to nothing."""
    decay = reading.recipe.training.weight_decay
    if decay > 0.5 and reading.known(("training", "weight_decay")):
        message = phrase("weight_decay {decay:g} pulls what is learnt back towards zero at every step", decay=decay)
        yield reading.told("R212", ("training", "weight_decay"), message, phrase("0 to 0.1 is usual"), warning=True)


def cost_without_price(reading: Reading) -> Iterator[Diagnostic]:
    """A limit of money where nothing says what time or electricity costs."""
    hardware = reading.recipe.hardware
    priced = hardware.price_per_hour is not None or hardware.electricity_per_kwh is not None
    if reading.says("budget", "max_cost") and not priced and not reading.is_faulty(("hardware",)):
        yield reading.told(
            "R290",
            ("budget", "max_cost"),
            phrase("`max_cost` limits nothing: no price says what the run costs"),
            phrase("write price_per_hour in [hardware], or max_hours in [budget]"),
            warning=True,
        )


def little_is_left(reading: Reading) -> Iterator[Diagnostic]:
    """Two bits a weight keep so little of a base that an adapter first has to learn its language again."""
    where = ("model", "quantization")
    if reading.recipe.model.quantization == QUANTIZATION and reading.known(where):
        yield reading.told(
            "R214",
            where,
            phrase("in 2 bits a base loses most of what it knows; the adapter has to make up for it"),
            phrase('quantization = "nf4" takes 1.6 bits more a weight and loses far less (recipe explain R214)'),
            warning=True,
        )


RULES: tuple[Rule, ...] = (
    little_is_left,
    cost_without_price,
    alpha_against_rank,
    learning_rate_for_method,
    dropout_and_kernels,
    high_rank,
    replaced_settings,
    adapter_settings_of_full,
    merged_of_full,
    rslora_of_adalora,
    nothing_measured,
    many_epochs,
    long_warm_up,
    heavy_decay,
)
