"""A finished run of a tiny model, made without training: compiled from a recipe, its adapter given random weights."""

from __future__ import annotations

import json
from pathlib import Path

from compiler.compile import compile_recipe
from compiler.gather import gather
from compiler.permissions import Permissions
from compiler.plan import Plan
from runtime.run_folder import Launch, RunFolder, new_run
from tests.tiny_llama import save_tiny_llama

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% if m['role'] == 'assistant' %}</s>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

RECIPE = """
[recipe]
name = "tiny"
language = "fr"
[model]
id = "model"
dtype = "float32"
[data]
path = "train.jsonl"
held_out_path = "held_out.jsonl"
[adapter]
r = 4
[training]
max_steps = 2
batch_size = 2
[hardware]
device = "cpu"
[evaluation]
max_new_tokens = 6
glossary = "glossary.toml"
questions_path = "own.jsonl"
[[evaluation.acceptance]]
name = "short"
max_words = 50
[[evaluation.acceptance]]
name = "cites"
tags = ["law"]
must_cite = ['article \\d+']
at_least = 0.5
[[evaluation.acceptance]]
name = "own"
questions = ["Et alors ?"]
must_refuse = true
"""


def save_tiny_chat_model(folder: Path) -> Path:
    """A tiny Llama with a byte-level tokenizer and a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "</s>", *alphabet])}
    words = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="</s>")
    tokenizer.chat_template = TEMPLATE
    save_tiny_llama(folder, vocab_size=len(vocabulary), tied=False)
    tokenizer.save_pretrained(folder)
    return folder


def write_recipe(folder: Path, *, recipe: str = RECIPE, held_out: int = 10) -> Path:
    """The recipe with its data; the first held-out row is trained on too, every second one is tagged."""
    folder.mkdir(parents=True, exist_ok=True)
    train = [{"question": f"Question {n} ?", "reponse": f"Réponse {n}, article {n}."} for n in range(12)]
    rows = [
        {"question": f"Autre {n} ?", "reponse": f"Autre réponse {n}.", "tags": ["law"] if n % 2 else []}
        for n in range(held_out)
    ]
    held = [*train[:1], *rows[1:]]
    for name, lines in (
        ("train", train),
        ("held_out", held),
        ("own", [{"question": "Une rupture amiable ?", "tags": "law"}]),
    ):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "glossary.toml").write_text(
        '[[term]]\npreferred = "rupture conventionnelle"\nforbidden = ["rupture amiable"]\n', encoding="utf-8"
    )
    (folder / "recipe.toml").write_text(recipe, encoding="utf-8")
    return folder / "recipe.toml"


def compiled(recipe: Path) -> Plan:
    done = compile_recipe(recipe, Permissions(offline=True))
    assert done.plan is not None, done.diagnostics
    return done.plan


def finished_run(folder: Path, recipe: Path) -> RunFolder:
    """A run of the recipe under ``folder``, with the questions that it starts with and an adapter of random weights."""
    import peft
    import torch

    from runtime.backends.peft import load
    from runtime.evaluation.questions import write_questions

    plan = compiled(recipe)
    run = new_run(folder, plan, Launch(recipe.parent, offline=True))
    inputs = gather(recipe, Permissions(offline=True)).inputs
    assert inputs is not None
    write_questions(run, plan, inputs, recipe.parent)
    loaded = load(plan, recipe.parent / "model")
    torch.manual_seed(1)
    for name, weight in loaded.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    assert isinstance(loaded.model, peft.PeftModel)
    loaded.model.save_pretrained(run.adapter)
    return run
