"""Fields that contradict each other: errors."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from compiler.diagnostics import Diagnostic
from compiler.facts.gpus import gpu_meant
from compiler.rules.reading import Reading, Rule


def some_data(reading: Reading) -> Iterator[Diagnostic]:
    """Exactly one of path and sources."""
    data = reading.recipe.data
    if data.path and data.sources and reading.known(("data", "path"), ("data", "sources")):
        yield reading.told(
            "R101",
            ("data", "path"),
            "[data] has both `path` and `sources`",
            "keep one of the two: path for one source, [[data.sources]] for several",
            label="one source here",
            others=((("data", "sources"), "several sources here"),),
        )
    lost = ("data",) in reading.document.lost or () in reading.document.lost
    if not data.path and not data.sources and not lost and reading.known(("data", "path"), ("data", "sources")):
        yield reading.told(
            "R102",
            ("data", "path"),
            "the recipe names no training data",
            'add to [data]: path = "train.jsonl"',
            others=((("data",), "in this table"),),
        )


def held_out_apart(reading: Reading) -> Iterator[Diagnostic]:
    """What is measured on must not be what is learnt from, and a question is not its own answer."""
    data = reading.recipe.data
    trained = [data.path, *(source.path for source in data.sources)]
    if data.held_out_path and posixpath.normpath(data.held_out_path) in {posixpath.normpath(p) for p in trained if p}:
        yield reading.told(
            "R114",
            ("data", "held_out_path"),
            f"{data.held_out_path} is what the model learns from, so measuring on it says nothing",
            "name another file, or leave the line out: then a share of the questions is held out",
            others=((("data", "path"), "learnt from here"),),
            fixes=(reading.removal("data", "held_out_path"),),
        )
    columns = data.columns
    if columns.prompt and columns.prompt == columns.completion:
        yield reading.told(
            "R115",
            ("data", "columns", "completion"),
            f"question and answer are both the column `{columns.prompt}`",
            "name the column with the answers as completion",
            others=((("data", "columns", "prompt"), "the question"),),
        )


def batch_divides(reading: Reading) -> Iterator[Diagnostic]:
    """The effective batch is micro-batch times accumulation times devices, in whole numbers."""
    training, count = reading.recipe.training, reading.recipe.hardware.gpu_count
    fields = (("training", "batch_size"), ("training", "per_device_train_batch_size"), ("hardware", "gpu_count"))
    if not reading.known(*fields):
        return
    micro = training.per_device_train_batch_size
    unsaid = "" if reading.says("training", "batch_size") else " (batch_size, when it is not set)"
    if micro != "auto" and training.batch_size % (micro * count):
        product = micro * count
        near = max(product, round(training.batch_size / product) * product)
        devices = f" times {count} GPUs" if count > 1 else ""
        yield reading.told(
            "R103",
            ("training", "per_device_train_batch_size"),
            f"micro-batch {micro}{devices} does not divide the batch of {training.batch_size}{unsaid}",
            f"set batch_size = {near}, or a micro-batch that divides {training.batch_size}, or leave it out",
            label=f"{micro} row{'s' if micro > 1 else ''} at once",
            others=((("training", "batch_size"), "batch set here"), (("hardware", "gpu_count"), "GPUs set here")),
        )
    elif training.batch_size % count:
        yield reading.told(
            "R103",
            ("training", "batch_size"),
            f"a batch of {training.batch_size} cannot be split over {count} GPUs{unsaid}",
            f"set batch_size to a multiple of {count}",
            others=((("hardware", "gpu_count"), "GPUs set here"),),
        )


def method_and_quantization(reading: Reading) -> Iterator[Diagnostic]:
    """QLoRA is LoRA on a 4-bit base; full fine-tuning needs plain weights."""
    method, stored = reading.recipe.adapter.method, reading.recipe.model.quantization
    where = ("adapter", "method")
    if not reading.known(where, ("model", "quantization")):
        return
    other = ((("model", "quantization"), "the base is stored like this"),)
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
            f'method "lora" on a base that quantization = "{stored}" stores in 4 bits is called "qlora"',
            'write method = "qlora", or quantization = "none" in [model]',
            label="LoRA on 4-bit weights is qlora",
            others=other,
            fixes=(reading.value_fix('"qlora"', *where),),
        )
    if method == "full" and stored not in {"auto", "none"}:
        instead = "qlora" if stored in {"nf4", "fp4"} else "lora"
        yield reading.told(
            "R104",
            where,
            f'full fine-tuning cannot train weights stored as "{stored}"',
            f'write quantization = "none" in [model], or method = "{instead}"',
            label="trains every weight",
            others=other,
        )


def initialisation(reading: Reading) -> Iterator[Diagnostic]:
    """PiSSA decomposes the weights themselves, so they must be plain; AdaLoRA begins in its own way."""
    adapter, stored = reading.recipe.adapter, reading.recipe.model.quantization
    where = ("adapter", "init_lora_weights")
    if adapter.method == "full" or not reading.known(where, ("adapter", "method"), ("model", "quantization")):
        return
    others = []
    if stored not in {"auto", "none"}:
        others.append((("model", "quantization"), "quantised here"))
    if adapter.method == "qlora":
        others.append((("adapter", "method"), "quantised by this"))
    if adapter.init_lora_weights.startswith(("pissa", "olora")) and others:
        yield reading.told(
            "R105",
            where,
            f"{adapter.init_lora_weights} needs plain weights: it takes the base apart before training",
            'write method = "lora" and quantization = "none", or leave init_lora_weights out',
            others=tuple(others),
        )
    elif adapter.method == "adalora" and adapter.init_lora_weights != "default":
        yield reading.told(
            "R105",
            where,
            f"AdaLoRA begins with matrices of its own kind and takes no {adapter.init_lora_weights}",
            'leave init_lora_weights out, or write method = "lora"',
            others=((("adapter", "method"), "AdaLoRA here"),),
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
            f'`target_r` belongs to AdaLoRA, and the method is "{adapter.method}"',
            'write method = "adalora", or remove target_r',
            others=((("adapter", "method"), "method set here"),),
            fixes=(reading.removal(*where),),
        )
    if adapter.method != "adalora":
        return
    r = reading.rank()
    if r < 2:
        message = "AdaLoRA prunes ranks away, and with r = 1 there is none to prune"
        yield reading.told("R106", ("adapter", "r"), message, "set r to 4 or more", label="rank set here")
    elif adapter.target_r is not None and adapter.target_r >= r:
        yield reading.told(
            "R106",
            where,
            f"target_r {adapter.target_r} is not below r {r}, so nothing would be pruned",
            f"set target_r to {max(1, r // 2)} or less",
            others=(
                (("adapter", "r"), "pruning starts from this rank"),
                (("recipe", "complexity"), "rank set by this"),
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
            f'"{preset}" is a preset, not the name of a module',
            f'write target_modules = "{preset}"' if alone else "write the preset alone, or the names of modules",
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
            "early stopping needs held-out rows to watch, and there are none",
            "set held_out_share above 0 in [data], or name a held_out_path",
            others=((("data", "held_out_share"), "nothing is held out here"),),
        )
    every, steps = training.eval_steps, training.max_steps
    if every != "auto" and steps is not None and every > steps and reading.known(("training", "eval_steps")):
        yield reading.told(
            "R107",
            where,
            f"early stopping never comes to watch: the first measurement is at step {every}, the last step is {steps}",
            f"set eval_steps to {max(1, steps // 4)}, or leave it out",
            others=((("training", "eval_steps"), "measured this often"), (("training", "max_steps"), "ends here")),
        )
    saved = training.save_steps
    if saved != "auto" and every != "auto" and saved % every and reading.known(("training", "save_steps")):
        yield reading.told(
            "R107",
            ("training", "save_steps"),
            f"early stopping keeps the best measured step, and save_steps {saved} is no multiple of eval_steps {every}",
            f"set save_steps to {every}, or leave it out",
            others=((where, "stops early"), (("training", "eval_steps"), "measured this often")),
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
            f"warm-up takes a share below 1, or whole steps; {steps:g} is neither",
            f"write {whole} steps, or a share such as 0.03",
            fixes=(reading.value_fix(whole, *where),),
        )
    elif training.max_steps is not None and steps >= max(1, training.max_steps):
        yield reading.told(
            "R108",
            where,
            f"{steps:g} steps of warm-up in a run of {training.max_steps} steps: "
            "the full learning rate is never reached",
            "write a share such as warmup_steps = 0.03, or raise max_steps",
            others=((("training", "max_steps"), "the run ends here"),),
        )


def device_fits(reading: Reading) -> Iterator[Diagnostic]:
    """What a CPU cannot do."""
    recipe = reading.recipe
    if recipe.hardware.device != "cpu" or not reading.known(("hardware", "device")):
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
    advice = "`recipe docs hardware.gpu` lists them; leave it out for the machine's own"
    yield reading.told(
        "R116",
        where,
        f'"{name}" is no GPU of the catalogue',
        f"write gpu = {written}" if written else advice,
        label=f"did you mean {written}?" if written else "not known",
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
        f'"{optim[:40]}" is no optimizer of Transformers',
        f"{len(known)} are known, among them adamw_torch_fused, adamw_8bit, paged_adamw_8bit and adafactor",
        label=f'did you mean "{meant}"?' if meant else "not known",
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
    help_text = "adamw_torch_fused, adamw_8bit, paged_adamw_8bit and adafactor need nothing more"
    if optim.endswith(("_npu_fused", "_xla")):
        yield reading.told("R110", where, f'"{optim}" is for devices that recipes do not train on', help_text)
    elif package:
        message = f'"{optim}" needs the package {package}, which is not in the tested set'
        yield reading.told("R213", where, message, f"pip install {package}; or: {help_text}", warning=True)


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
                f"not with Unsloth: {found.reason}",
                f'write backend = "peft"  (recipe explain {found.code})',
            )


RULES: tuple[Rule, ...] = (
    some_data,
    held_out_apart,
    batch_divides,
    method_and_quantization,
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
