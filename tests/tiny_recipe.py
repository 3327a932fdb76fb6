"""A recipe that trains in a second: the small Llama with a byte-level tokenizer, and rows with a pattern to learn."""

from __future__ import annotations

import json
from pathlib import Path

CHATML = (
    (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\\n{% generation %}{{ m['content'] }}<|im_end|>"
        "{% endgeneration %}\\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\\n{% endif %}"
    )
    .replace("{% generation %}", "")
    .replace("{% endgeneration %}", "")
)


def save_tiny_base(folder: Path) -> Path:
    """Model and tokenizer as a folder that a recipe can name."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from tests.tiny_llama import save_tiny_llama

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_alone = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    bytes_alone.add_special_tokens(
        [AddedToken(text, special=True) for text in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    )
    save_tiny_llama(folder, vocab_size=bytes_alone.get_vocab_size(), tied=True)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_alone, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=CHATML
    )
    tokenizer.save_pretrained(folder)
    return folder


def write_tiny_recipe(folder: Path, base: Path, rows: int = 24, **changes: str) -> Path:
    """A recipe of twelve steps with its data in ``folder``; ``changes`` replace whole tables by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, first in (("train", rows, 0), ("held_out", 4, 1000)):
        lines = [
            json.dumps({"prompt": f"{n} + {n}?", "completion": f"{2 * n}" + "." * (n * 7 % 23)})
            for n in range(first, first + count)
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tables = {
        "recipe": 'name = "tiny"',
        "model": f'id = "{base}"\ndtype = "float32"',
        "data": 'path = "train.jsonl"\nheld_out_path = "held_out.jsonl"',
        "adapter": "r = 4\nlora_alpha = 8\nlora_dropout = 0.1",
        "training": (
            "max_steps = 12\nbatch_size = 4\nlearning_rate = 5e-3\nsave_steps = 3\neval_steps = 4\n"
            "per_device_train_batch_size = 2"
        ),
        "hardware": 'device = "cpu"',
        "evaluation": "sample_count = 1\nmax_new_tokens = 4",
    }
    text = "schema = 1\n" + "".join(f"\n[{name}]\n{body}\n" for name, body in (tables | changes).items())
    (folder / "recipe.toml").write_text(text, encoding="utf-8")
    return folder / "recipe.toml"
