"""Fields that contradict each other: errors."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from compiler.diagnostics import Diagnostic
from compiler.facts.gpus import gpu_meant
from compiler.phrases import counted, phrase
from compiler.rules.reading import Reading, Rule
from compiler.two_bits import QUANTIZATION


def some_data(reading: Reading) -> Iterator[Diagnostic]:
    """Exactly one of path and sources."""
    data = reading.recipe.data
    if data.path and data.sources and reading.known(("data", "path"), ("data", "sources")):
        yield reading.told(
            "R101",
            ("data", "path"),
            phrase("[data] has both `path` and `sources`"),
            phrase("keep one of the two: path for one source, [[data.sources]] for several"),
            label=phrase("one source here"),
            others=((("data", "sources"), phrase("several sources here")),),
        )
    lost = ("data",) in reading.document.lost or () in reading.document.lost
    if not data.path and not data.sources and not lost and reading.known(("data", "path"), ("data", "sources")):
        yield reading.told(
            "R102",
            ("data", "path"),
            phrase("the recipe names no training data"),
            phrase('add to [data]: path = "train.jsonl"'),
            others=((("data",), phrase("in this table")),),
        )


def held_out_apart(reading: Reading) -> Iterator[Diagnostic]:
    """What is measured on must not be what is learnt from, and a question is not its own answer."""
    data = reading.recipe.data
    trained = [data.path, *(source.path for source in data.sources)]
    if data.held_out_path and posixpath.normpath(data.held_out_path) in {posixpath.normpath(p) for p in trained if p}:
        yield reading.told(
            "R114",
            ("data", "held_out_path"),
            phrase(
                "{held_out_path} is what the model learns from, so measuring on it says nothing",
                held_out_path=data.held_out_path,
            ),
            phrase("name another file, or leave the line out: then a share of the questions is held out"),
            others=((("data", "path"), phrase("learnt from here")),),
            fixes=(reading.removal("data", "held_out_path"),),
        )
    columns = data.columns
    if columns.prompt and columns.prompt == columns.completion:
        yield reading.told(
            "R115",
            ("data", "columns", "completion"),
            phrase("question and answer are both the column `{prompt}`", prompt=columns.prompt),
            phrase("name the column with the answers as completion"),
            others=((("data", "columns", "prompt"), phrase("the question")),),
        )


def batch_divides(reading: Reading) -> Iterator[Diagnostic]:
    """The effective batch is micro-batch times accumulation times devices, in whole numbers."""
    training, count = reading.recipe.training, reading.recipe.hardware.gpu_count
    fields = (("training", "batch_size"), ("training", "per_device_train_batch_size"), ("hardware", "gpu_count"))
    if not reading.known(*fields):
        return
    micro = training.per_device_train_batch_size
    unsaid = "" if reading.says("training", "batch_size") else phrase(" (batch_size, when it is not set)")
    if micro != "auto" and training.batch_size % (micro * count):
        product = micro * count
        near = max(product, round(training.batch_size / product) * product)
        devices = phrase(" times {count} GPUs", count=count) if count > 1 else ""
        yield reading.told(
            "R103",
            ("training", "per_device_train_batch_size"),
            phrase(
                "micro-batch {micro}{devices} does not divide the batch of {batch_size}{unsaid}",
                micro=micro,
                devices=devices,
                batch_size=training.batch_size,
                unsaid=unsaid,
            ),
            phrase(
                "set batch_size = {near}, or a micro-batch that divides {batch_size}, or leave it out",
                near=near,
                batch_size=training.batch_size,
            ),
            label=counted("{n} row at once", "{n} rows at once", micro),
            others=(
                (("training", "batch_size"), phrase("batch set here")),
                (("hardware", "gpu_count"), phrase("GPUs set here")),
            ),
        )
    elif training.batch_size % count:
        yield reading.told(
            "R103",
            ("training", "batch_size"),
            phrase(
                "a batch of {batch_size} cannot be split over {count} GPUs{unsaid}",
                batch_size=training.batch_size,
                count=count,
                unsaid=unsaid,
            ),
            phrase("set batch_size to a multiple of {count}", count=count),
            others=((("hardware", "gpu_count"), phrase("GPUs set here")),),
        )


def method_and_quantization(reading: Reading) -> Iterator[Diagnostic]:
    """QLoRA is LoRA on a 4-bit base; full fine-tuning needs plain weights."""
    method, stored = reading.recipe.adapter.method, reading.recipe.model.quantization
    where = ("adapter", "method")
    if not reading.known(where, ("model", "quantization")):
        return
    other = ((("model", "quantization"), phrase("the base is stored like this")),)
    if method == "qlora" and stored in {"none", "int8", "hqq-2bit"}:
        yield reading.told(
            "R104",
            where,
            phrase('method "qlora" needs a 4-bit base, not quantization = "{stored}"', stored=stored),
            phrase('write quantization = "nf4" in [model], or method = "lora"'),
            label=phrase("QLoRA is LoRA on 4-bit weights"),
            others=other,
        )
    if method == "lora" and stored in {"nf4", "fp4"}:
        yield reading.told(
            "R104",
            where,
            phrase(
                'method "lora" on a base that quantization = "{stored}" stores in 4 bits is called "qlora"',
                stored=stored,
            ),
            phrase('write method = "qlora", or quantization = "none" in [model]'),
            label=phrase("LoRA on 4-bit weights is qlora"),
            others=other,
            fixes=(reading.value_fix('"qlora"', *where),),
        )
    if method == "adalora" and stored == QUANTIZATION:
        yield reading.told(
            "R104",
            where,
            phrase("PEFT has no AdaLoRA for layers in 2 bits"),
            phrase('write method = "lora" or "dora", or another quantization in [model]'),
            others=other,
            fixes=(reading.value_fix('"lora"', *where),),
        )
    if method == "full" and stored not in {"auto", "none"}:
        instead = "qlora" if stored in {"nf4", "fp4"} else "lora"
        yield reading.told(
            "R104",
            where,
            phrase('full fine-tuning cannot train weights stored as "{stored}"', stored=stored),
            phrase('write quantization = "none" in [model], or method = "{instead}"', instead=instead),
            label=phrase("trains every weight"),
            others=other,
        )


def biases_stay(reading: Reading) -> Iterator[Diagnostic]:
    """A base in 2 bits trains LoRA's own matrices: HQQ's layer has no gradient of its bias, and PEFT's adds none."""
    adapter = reading.recipe.adapter
    if reading.recipe.model.quantization != QUANTIZATION or not reading.known(("model", "quantization")):
        return
    asked: tuple[tuple[bool, tuple[str, ...], str], ...] = (
        (adapter.bias != "none", ("adapter", "bias"), phrase("training its biases")),
        (bool(adapter.peft.get("lora_bias")), ("adapter", "peft", "lora_bias"), phrase("a bias in the adapter")),
    )
    for wanted, where, what in asked:
        if wanted and reading.known(where):
            yield reading.told(
                "R119",
                where,
                phrase("a base in 2 bits does not go with {what}", what=what),
                phrase("leave the line out, or write another quantization in [model]"),
                others=((("model", "quantization"), phrase("the base is stored like this")),),
                fixes=(reading.removal(*where),),
            )


def initialisation(reading: Reading) -> Iterator[Diagnostic]:
    """PiSSA decomposes the weights, so they must be plain; LoftQ what 4 bits lose; AdaLoRA begins in its own way."""
    adapter, stored = reading.recipe.adapter, reading.recipe.model.quantization
    where = ("adapter", "init_lora_weights")
    if adapter.method == "full" or not reading.known(where, ("adapter", "method"), ("model", "quantization")):
        return
    others = []
    if stored not in {"auto", "none"}:
        others.append((("model", "quantization"), phrase("quantised here")))
    if adapter.method == "qlora":
        others.append((("adapter", "method"), phrase("quantised by this")))
    if adapter.init_lora_weights.startswith(("pissa", "olora")) and others:
        yield reading.told(
            "R105",
            where,
            phrase(
                "{init_lora_weights} needs plain weights: it takes the base apart before training",
                init_lora_weights=adapter.init_lora_weights,
            ),
            phrase('write method = "lora" and quantization = "none", or leave init_lora_weights out'),
            others=tuple(others),
        )
    elif (
        adapter.init_lora_weights == "loftq"
        and adapter.method != "qlora"
        and not (adapter.method == "auto" and stored in {"nf4", "fp4"})
    ):
        yield reading.told(
            "R105",
            where,
            phrase("loftq makes up for what a base in 4 bits has lost, in plain LoRA matrices, and so needs QLoRA"),
            phrase('write method = "qlora", or leave init_lora_weights out'),
            others=(
                (("adapter", "method"), phrase("another method here")),
                (("model", "quantization"), phrase("stored otherwise here")),
            ),
        )
    elif adapter.method == "adalora" and adapter.init_lora_weights != "default":
        yield reading.told(
            "R105",
            where,
            phrase(
                "AdaLoRA begins with matrices of its own kind and takes no {init_lora_weights}",
                init_lora_weights=adapter.init_lora_weights,
            ),
            phrase('leave init_lora_weights out, or write method = "lora"'),
            others=((("adapter", "method"), phrase("AdaLoRA here")),),
            fixes=(reading.removal(*where),),
        )


def adalora_ranks(reading: Reading) -> Iterator[Diagnostic]:
    """AdaLoRA prunes from r down to target_r."""
    adapter = reading.recipe.adapter
    where = ("adapter", "target_r")
    if not reading.known(where, ("adapter", "method"), ("adapter", "r")):
        return
    if adapter.target_r is not None and adapter.method not in {"adalora", "full"}:
        yield reading.told(
            "R106",
            where,
            phrase('`target_r` belongs to AdaLoRA, and the method is "{method}"', method=adapter.method),
            phrase('write method = "adalora", or remove target_r'),
            others=((("adapter", "method"), phrase("method set here")),),
            fixes=(reading.removal(*where),),
        )
    if adapter.method != "adalora":
        return
    r = reading.rank()
    if r < 2:
        message = phrase("AdaLoRA prunes ranks away, and with r = 1 there is none to prune")
        yield reading.told(
            "R106", ("adapter", "r"), message, phrase("set r to 4 or more"), label=phrase("rank set here")
        )
    elif adapter.target_r is not None and adapter.target_r >= r:
        yield reading.told(
            "R106",
            where,
            phrase(
                "target_r {target_r} is not below r {r}, so nothing would be pruned", target_r=adapter.target_r, r=r
            ),
            phrase("set target_r to {r} or less", r=max(1, r // 2)),
            others=(
                (("adapter", "r"), phrase("pruning starts from this rank")),
                (("recipe", "complexity"), phrase("rank set by this")),
            ),
        )


def preset_alone(reading: Reading) -> Iterator[Diagnostic]:
    """A preset of target_modules stands alone; in a list, PEFT would look for a module of that name."""
    from compiler.language.recipe import TARGET_PRESETS

    targets, where = reading.recipe.adapter.target_modules, ("adapter", "target_modules")
    if isinstance(targets, str) or not reading.known(where):
        return
    preset = next((name for name in targets if name in TARGET_PRESETS), None)
    if preset is not None:
        alone = len(targets) == 1
        yield reading.told(
            "R117",
            where,
            phrase('"{preset}" is a preset, not the name of a module', preset=preset),
            phrase('write target_modules = "{preset}"', preset=preset)
            if alone
            else phrase("write the preset alone, or the names of modules"),
            fixes=(reading.value_fix(f'"{preset}"', *where, certain=True),) if alone else (),
        )


def early_stopping(reading: Reading) -> Iterator[Diagnostic]:
    """Early stopping watches the held-out loss, several times."""
    data, training = reading.recipe.data, reading.recipe.training
    where = ("training", "early_stopping_patience")
    if training.early_stopping_patience is None or not reading.known(where):
        return
    if not data.held_out_path and data.held_out_share == 0 and reading.known(("data", "held_out_share")):
        yield reading.told(
            "R107",
            where,
            phrase("early stopping needs held-out rows to watch, and there are none"),
            phrase("set held_out_share above 0 in [data], or name a held_out_path"),
            others=((("data", "held_out_share"), phrase("nothing is held out here")),),
        )
    every, steps = training.eval_steps, training.max_steps
    if every != "auto" and steps is not None and every > steps and reading.known(("training", "eval_steps")):
        yield reading.told(
            "R107",
            where,
            phrase(
                "early stopping never comes to watch: the first measurement is at step {every}, the last "
                "step is {steps}",
                every=every,
                steps=steps,
            ),
            phrase("set eval_steps to {steps}, or leave it out", steps=max(1, steps // 4)),
            others=(
                (("training", "eval_steps"), phrase("measured this often")),
                (("training", "max_steps"), phrase("ends here")),
            ),
        )
    saved = training.save_steps
    if saved != "auto" and every != "auto" and saved % every and reading.known(("training", "save_steps")):
        yield reading.told(
            "R107",
            ("training", "save_steps"),
            phrase(
                "early stopping keeps the best measured step, and save_steps {saved} is no multiple of "
                "eval_steps {every}",
                saved=saved,
                every=every,
            ),
            phrase("set save_steps to {every}, or leave it out", every=every),
            others=((where, phrase("stops early")), (("training", "eval_steps"), phrase("measured this often"))),
            fixes=(reading.value_fix(str(every), "training", "save_steps", certain=False),),
        )


def warm_up(reading: Reading) -> Iterator[Diagnostic]:
    """Warm-up must end before training does, and counts whole steps."""
    training = reading.recipe.training
    where = ("training", "warmup_steps")
    steps = training.warmup_steps
    if not reading.known(where, ("training", "max_steps")):
        return
    if steps >= 1 and steps != int(steps):
        whole = f"{round(steps)}"
        yield reading.told(
            "R108",
            where,
            phrase("warm-up takes a share below 1, or whole steps; {steps:g} is neither", steps=steps),
            phrase("write {whole} steps, or a share such as 0.03", whole=whole),
            fixes=(reading.value_fix(whole, *where),),
        )
    elif training.max_steps is not None and steps >= max(1, training.max_steps):
        yield reading.told(
            "R108",
            where,
            phrase(
                "{steps:g} steps of warm-up in a run of {max_steps} steps: the full learning rate is never reached",
                steps=steps,
                max_steps=training.max_steps,
            ),
            phrase("write a share such as warmup_steps = 0.03, or raise max_steps"),
            others=((("training", "max_steps"), phrase("the run ends here")),),
        )


def device_fits(reading: Reading) -> Iterator[Diagnostic]:
    """What a CPU cannot do."""
    recipe = reading.recipe
    if recipe.hardware.device != "cpu" or not reading.known(("hardware", "device")):
        return
    other = ((("hardware", "device"), phrase("CPU asked for here")),)
    if recipe.hardware.gpu:
        yield reading.told(
            "R109",
            ("hardware", "gpu"),
            phrase('`gpu` names {gpu}, but device = "cpu"', gpu=recipe.hardware.gpu),
            phrase('write device = "cuda", or remove gpu'),
            others=other,
        )
    if recipe.hardware.gpu_count > 1:
        message = phrase('gpu_count is {gpu_count}, but device = "cpu"', gpu_count=recipe.hardware.gpu_count)
        yield reading.told("R109", ("hardware", "gpu_count"), message, "remove gpu_count", others=other)
    if recipe.model.attn_implementation == "flash_attention_2":
        message = phrase("FlashAttention 2 runs on GPUs only")
        help_text = phrase('write attn_implementation = "sdpa", or leave it out')
        yield reading.told("R109", ("model", "attn_implementation"), message, help_text, others=other)


def known_gpu(reading: Reading) -> Iterator[Diagnostic]:
    """The GPU to plan for is one of the catalogue."""
    name = reading.recipe.hardware.gpu
    if not name or not reading.known(("hardware", "gpu")):
        return
    meant, sure = gpu_meant(name)
    if meant == name:
        return
    where = ("hardware", "gpu")
    written = f'"{meant}"' if meant else None
    advice = phrase("`recipe docs hardware.gpu` lists them; leave it out for the machine's own")
    yield reading.told(
        "R116",
        where,
        phrase('"{name}" is no GPU of the catalogue', name=name),
        phrase("write gpu = {written}", written=written) if written else advice,
        label=phrase("did you mean {written}?", written=written) if written else phrase("not known"),
        fixes=(reading.value_fix(written, *where, certain=sure),) if written else (),
    )


def known_optimizer(reading: Reading) -> Iterator[Diagnostic]:
    """The optimizer is one that Transformers knows and that runs with the tested packages."""
    from compiler.diagnostics import nearest
    from compiler.facts.signatures import optimizers
    from compiler.words.spelling import plain

    optim, where = reading.recipe.training.optim, ("training", "optim")
    if optim == "auto" or not reading.known(where):
        return
    known = optimizers()
    if optim in known:
        yield from _needs_more(reading, optim)
        return
    folded = {"adam": "adamw_torch", "adamw": "adamw_torch", "adamw_hf": "adamw_torch", "adamw8bit": "adamw_8bit"}
    same = next((name for name in known if plain(name) == plain(optim)), None)
    meant = same or folded.get(plain(optim)) or next(iter(nearest(optim, known)), None)
    yield reading.told(
        "R110",
        where,
        phrase('"{optim}" is no optimizer of Transformers', optim=optim[:40]),
        phrase(
            "{count} are known, among them adamw_torch_fused, adamw_8bit, paged_adamw_8bit and adafactor",
            count=len(known),
        ),
        label=phrase('did you mean "{meant}"?', meant=meant) if meant else phrase("not known"),
        fixes=(reading.value_fix(f'"{meant}"', *where, certain=same is not None),) if meant else (),
    )


_PACKAGES = {
    "galore": "galore-torch",
    "lomo": "lomo-optim",
    "adalomo": "lomo-optim",
    "grokadamw": "grokadamw",
    "schedule_free": "schedulefree",
    "apollo": "apollo-torch",
    "stable_adamw": "torch-optimi",
    "flash": "flashoptim",
}


def _needs_more(reading: Reading, optim: str) -> Iterator[Diagnostic]:
    """Optimizers of packages that are not in the tested set, or for devices that recipes do not train on."""
    package = next((p for prefix, p in _PACKAGES.items() if optim.startswith(prefix)), None)
    where = ("training", "optim")
    help_text = phrase("adamw_torch_fused, adamw_8bit, paged_adamw_8bit and adafactor need nothing more")
    if optim.endswith(("_npu_fused", "_xla")):
        yield reading.told(
            "R110", where, phrase('"{optim}" is for devices that recipes do not train on', optim=optim), help_text
        )
    elif package:
        message = phrase(
            '"{optim}" needs the package {package}, which is not in the tested set', optim=optim, package=package
        )
        yield reading.told(
            "R213",
            where,
            message,
            phrase("pip install {package}; or: {help_text}", package=package, help_text=help_text),
            warning=True,
        )


def unsloth_does_it(reading: Reading) -> Iterator[Diagnostic]:
    """A recipe that asks for Unsloth by name, and for what it cannot do; its own fallbacks are silent."""
    recipe = reading.recipe
    if recipe.training.backend != "unsloth" or not reading.known(("training", "backend")):
        return
    from compiler.backends import IMPOSSIBLE, Job, against_unsloth
    from compiler.facts.machine import target_of

    job = Job(recipe, target_of(recipe.hardware), None, recipe.adapter.method, recipe.model.quantization)
    for found in against_unsloth(job):
        if found.code in IMPOSSIBLE:
            yield reading.told(
                "R118",
                ("training", "backend"),
                phrase("not with Unsloth: {reason}", reason=found.reason),
                phrase('write backend = "peft"  (recipe explain {code})', code=found.code),
            )


def goes_on(reading: Reading) -> Iterator[Diagnostic]:
    """An adapter that training goes on from is taken up as it is; rows are replayed of a run that is named."""
    adapter, start = reading.recipe.adapter, ("adapter", "continue_from")
    if not reading.known(start):
        return
    others = ((start, phrase("goes on from here")),)
    if adapter.continue_from and adapter.method in {"full", "adalora"} and reading.known(("adapter", "method")):
        yield reading.told(
            "R130",
            ("adapter", "method"),
            phrase('method "{method}" cannot go on from an adapter', method=adapter.method),
            phrase('write method = "lora" or "dora", or leave it out; or remove continue_from'),
            others=others,
        )
    begins = ("adapter", "init_lora_weights")
    if adapter.continue_from and adapter.init_lora_weights != "default" and reading.known(begins):
        yield reading.told(
            "R130",
            begins,
            phrase(
                'init_lora_weights = "{start}" begins a new adapter, and continue_from names one',
                start=adapter.init_lora_weights,
            ),
            phrase("keep one of the two"),
            others=others,
            fixes=(reading.removal(*begins),),
        )
    replay = ("data", "replay")
    if reading.recipe.data.replay and not adapter.continue_from and reading.known(replay):
        yield reading.told(
            "R131",
            replay,
            phrase("replay is a share of an earlier run's rows, and the recipe goes on from none"),
            phrase("name the run as continue_from in [adapter], or remove replay"),
        )


RULES: tuple[Rule, ...] = (
    goes_on,
    some_data,
    held_out_apart,
    batch_divides,
    method_and_quantization,
    biases_stay,
    initialisation,
    adalora_ranks,
    preset_alone,
    early_stopping,
    warm_up,
    device_fits,
    known_gpu,
    known_optimizer,
    unsloth_does_it,
)
