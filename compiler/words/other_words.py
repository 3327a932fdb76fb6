"""What people write for the words of the language, and words that mean something it does not have."""

from __future__ import annotations

from typing import Any

from compiler.phrases import phrase

WORDS = {
    "bf16": "bfloat16", "fp16": "float16", "half": "float16", "fp32": "float32", "float": "float32",
    "torch_bfloat16": "bfloat16", "torch_float16": "float16", "torch_float32": "float32",
    "bf16_true": "bfloat16", "bf16_mixed": "bfloat16", "16_mixed": "float16", "16_true": "float16",
    "4bit": "nf4", "4bits": "nf4", "4_bit": "nf4", "int4": "nf4", "bnb_nf4": "nf4", "bnb_nf4_dq": "nf4",
    "8bit": "int8", "8bits": "int8", "8_bit": "int8", "bnb_int8": "int8", "bnb_fp4": "fp4",
    "2bit": "hqq-2bit", "2bits": "hqq-2bit", "2_bit": "hqq-2bit", "16bit": "none", "16_bit": "none",
    "flash": "flash_attention_2", "flash_attn": "flash_attention_2", "flash_attention": "flash_attention_2",
    "flash_attn_2": "flash_attention_2", "fa2": "flash_attention_2",
    "gpu": "cuda", "nvidia": "cuda", "processeur": "cpu",
    "sft_full": "full", "fft": "full", "full_finetune": "full", "full_finetuning": "full",
    "full_fine_tuning": "full", "complet": "full",
    "attn": "attention", "all": "all-linear", "all_linear_layers": "all-linear",
    "sharegpt_v3": "sharegpt", "chat": "messages", "conversations": "sharegpt", "chatml": "messages",
    "openai": "messages", "chat_template": "messages",
    "easy": "simple", "low": "simple", "facile": "simple", "hard": "complex", "high": "complex",
    "moyen": "medium", "moyenne": "medium", "middle": "medium", "complexe": "complex", "difficile": "complex",
    "euro": "EUR", "euros": "EUR", "€": "EUR", "dollar": "USD", "dollars": "USD", "$": "USD", "us$": "USD",
    "skip": "drop", "ignore": "drop", "error": "fail", "raise": "fail", "cut": "truncate",
    "truncation": "truncate", "linear_with_warmup": "linear", "cosine_with_warmup": "cosine",
    "cosine_annealing": "cosine", "constant_lr": "constant", "wsd": "warmup_stable_decay",
    "gaussian_init": "gaussian",
    "weights_&_biases": "wandb", "weights_and_biases": "wandb", "w&b": "wandb", "true": "default",
}  # fmt: skip
"""By the plain form of what is written; only where the field takes the word on the right."""

NOT_HERE: dict[str, dict[str, str]] = {
    "method": {
        "rslora": phrase('rsLoRA is LoRA with use_rslora = true: write method = "lora" and use_rslora = true'),
        "olora": phrase('OLoRA is a way to begin: write method = "lora" and init_lora_weights = "olora"'),
        "pissa": phrase('PiSSA is a way to begin: write method = "lora" and init_lora_weights = "pissa"'),
        "loftq": phrase('LoftQ is a way to begin: write method = "qlora" and init_lora_weights = "loftq"'),
        "qdora": phrase('DoRA on a 4-bit base: write method = "dora" and quantization = "nf4" in [model]'),
        **dict.fromkeys(
            [
                "loha",
                "lokr",
                "lora+",
                "loraplus",
                "lorafa",
                "lora_fa",
                "qalora",
                "longlora",
                "vera",
                "oft",
                "boft",
                "ia3",
                "prefix",
                "prompt",
                "p_tuning",
                "galore",
                "lisa",
                "llamapro",
                "reft",
                "freeze",
                "hra",
                "vblora",
            ],
            phrase("recipes have lora, qlora, dora, adalora and full"),
        ),
    },
    "quantization": dict.fromkeys(
        [
            "fp8",
            "mxfp4",
            "nvfp4",
            "nf2",
            "nf8",
            "int2",
            "int3",
            "int6",
            "gptq",
            "awq",
            "aqlm",
            "eetq",
            "quanto",
            "hqq",
            "hqq_4bit",
            "hqq_8bit",
            "gguf",
            "exl2",
            "fp6",
            "fp16",
            "bf16",
        ],
        phrase("a base is trained on as none, nf4, fp4, int8 or hqq-2bit"),
    ),
    "dtype": dict.fromkeys(
        ["float64", "fp64", "double", "float8", "fp8", "int8", "tf32"], phrase("training runs in 16 or 32 bits")
    ),
    "device": dict.fromkeys(
        ["npu", "tpu", "xpu", "mps", "hpu", "xla", "rocm", "amd", "metal", "vulkan"],
        phrase("recipes train on cuda or cpu"),
    ),
    "attn_implementation": dict.fromkeys(
        [
            "flash_attention_3",
            "flash_attention_4",
            "flash_attn_3",
            "fa3",
            "fa4",
            "flex_attention",
            "xformers",
            "paged_attention",
            "sdpa_paged",
        ],
        phrase("recipes have eager, sdpa and flash_attention_2"),
    ),
    "init_lora_weights": dict.fromkeys(
        ["eva", "corda", "lora_ga", "mica", "true_gaussian"],
        phrase("this start needs data or code that recipes do not have"),
    ),
    "lr_scheduler_type": dict.fromkeys(
        ["reduce_lr_on_plateau", "greedy", "onecycle", "one_cycle", "exponential", "step", "cyclic"],
        phrase("choose one of the shapes that are known before the run begins"),
    ),
    "report_to": dict.fromkeys(
        ["comet_ml", "neptune", "clearml", "swanlab", "dvclive", "azure_ml"], phrase("not built in")
    ),
}
"""Field → plain form of what is written → why no word of the field is meant."""

VALUES: dict[tuple[str, Any], str] = {
    ("init_lora_weights", True): '"default"',
    ("bias", False): '"none"',
    ("quantization", False): '"none"',
    ("quantization", 4): '"nf4"',
    ("quantization", 8): '"int8"',
    ("quantization", 16): '"none"',
    ("dtype", 16): '"auto"',
    ("dtype", 32): '"float32"',
    ("report_to", False): "[]",
    ("on_too_long", True): '"truncate"',
    ("device", False): '"cpu"',
}
"""Field and value of another kind → what it is in TOML here."""

LANGUAGES = {
    "français": "fr", "francais": "fr", "french": "fr", "anglais": "en", "english": "en", "allemand": "de",
    "german": "de", "deutsch": "de", "espagnol": "es", "spanish": "es", "español": "es", "italien": "it",
    "italian": "it", "italiano": "it", "portugais": "pt", "portuguese": "pt", "néerlandais": "nl", "dutch": "nl",
}  # fmt: skip
"""ISO 639 codes of languages by their names."""

YES = frozenset({"true", "yes", "on", "oui", "vrai"})
NO = frozenset({"false", "no", "off", "non", "faux"})
EMPTY = frozenset({"", "none", "null", "nothing", "aucun", "rien", "no"})
"""What stands for no item where a list belongs."""
