"""The ids and labels that train are those of TRL's own preparation, token for token."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from compiler.data.chat_template import FIXED_DATE
from compiler.data.examples import Example
from compiler.data.prepare import prepare
from compiler.data.tokenizer import ChatTokenizer
from tests.chat_templates import of_trl, of_unsloth
from tests.compiler.data.conftest import recipe
from tests.tiny_llama import save_tiny_llama

FAMILIES = [
    *("qwen2_5", "qwen3", "gemma", "gemma3", "llama3", "llama3_1", "phi3", "deepseekv3", "deepseek_r1_distill"),
    *("glm4moe", "gptoss", "cohere", "cohere2", "lfm2", "lfm2_2_5", "qwen3_instruct_2507"),
    *("unsloth llama", "unsloth mistral", "unsloth zephyr", "unsloth chatml", "unsloth phi4", "unsloth yi_chat"),
]
"""Templates of Llama 2 and 3, Mistral, Qwen, Gemma, Phi, DeepSeek, Zephyr, ChatML and others."""

TEMPLATES = {**of_trl(), **of_unsloth()}
_CONTROL = re.compile(r"<[|｜][^<>{}' ]+[|｜]>|<\w+_of_\w+>")
CONTROL = sorted({token for template in TEMPLATES.values() for token in _CONTROL.findall(template)})
"""What the templates write around a turn; each model's own tokenizer has these as control tokens."""

ROWS = [
    {"prompt": f"{question} ?", "completion": answer}
    for question, answer in [
        ("Qui paie les frais de retour", "Le vendeur, sauf s'il a prévenu du contraire."),
        ("  Où est l'« été »", "Là-bas, naïf cœur…\n\n1. Un\n2. Deux"),
        ("👩‍👩‍👧 🇫🇷", "🎉"),
        ("<b>a</b>", "x = {'y': 1}\tfin"),
    ]
]
TALK = [
    {"role": role, "content": content}
    for role, content in [("user", "a"), ("assistant", "b c"), ("user", "d"), ("assistant", "Oui.\nNon.")]
]


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory, smollm: ChatTokenizer) -> Any:
    """TRL's trainer on a tiny model with the small model's tokenizer; it is asked for its preparation alone."""
    import datasets
    import transformers
    from trl import SFTConfig, SFTTrainer

    folder = tmp_path_factory.mktemp("trl")
    smollm.save(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(CONTROL, special_tokens=True)
    datasets.disable_progress_bars()
    save_tiny_llama(folder / "model", vocab_size=len(tokenizer), tied=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder / "model")
    args = SFTConfig(output_dir=str(folder / "out"), use_cpu=True, report_to="none", max_length=None)
    first = datasets.Dataset.from_list([conversational(ROWS[0])])
    return SFTTrainer(model=model, args=args, train_dataset=first, processing_class=tokenizer)


def conversational(row: dict[str, str]) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": row["prompt"]}],
        "completion": [{"role": "assistant", "content": row["completion"]}],
    }


def theirs(trainer: Any, rows: list[dict[str, Any]], template: str, *, answers_only: bool = False) -> list[Any]:
    """Ids and labels of rows, as TRL prepares them."""
    import datasets

    trainer.chat_template = template
    trainer.args.assistant_only_loss = answers_only
    made = trainer._prepare_dataset(
        datasets.Dataset.from_list(rows), trainer.processing_class, trainer.args, False, None, "train"
    )
    return [(row["input_ids"], row["labels"]) for row in made]


def ours(folder: Path, rows: list[dict[str, Any]], tokenizer: ChatTokenizer) -> list[Any]:
    """Ids and labels of rows, as they are compiled."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    wanted = recipe(held_out_share=0.0, audit={"end_of_turn_not_learnt": "warn"})  # GLM writes no end of an answer
    data, problems = prepare(wanted, tokenizer, root=folder, context_length=0, allow_outside=False)
    assert data is not None, problems
    return [labelled(example) for example in data.train]


def labelled(example: Example) -> tuple[list[int], list[int]]:
    return list(example.ids), list(example.labels)


def with_template(trainer: Any, template: str) -> ChatTokenizer:
    """The tokenizer of TRL's trainer, as the compiler has it."""
    from tokenizers import Tokenizer

    theirs = trainer.processing_class
    special = {name: str(token) for name, token in theirs.special_tokens_map.items() if isinstance(token, str)}
    return ChatTokenizer(Tokenizer.from_str(theirs.backend_tokenizer.to_str()), special, template)


@pytest.fixture(autouse=True)
def _same_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some templates write the date of today; ours write a fixed one."""
    from transformers.utils import chat_template_utils

    class FixedDay(chat_template_utils.datetime):  # type: ignore[misc]  # a package without types
        @classmethod
        def now(cls, tz: object = None) -> Any:
            return cls(FIXED_DATE.year, FIXED_DATE.month, FIXED_DATE.day)

    monkeypatch.setattr(chat_template_utils, "datetime", FixedDay)


@pytest.mark.slow
def test_questions_and_answers_are_those_of_trl(trainer: Any, tmp_path: Path) -> None:
    templates = {"own": trainer.processing_class.chat_template, **TEMPLATES}
    compared = set()
    for name in ["own", *FAMILIES]:
        if name not in templates:
            continue
        tokenizer = with_template(trainer, templates[name])
        expected = theirs(trainer, [conversational(row) for row in ROWS], templates[name])
        for row, (ids, labels), (their_ids, their_labels) in zip(
            ROWS, ours(tmp_path, ROWS, tokenizer), expected, strict=True
        ):
            assert ids == their_ids, name
            prompt = tokenizer.encode_prompt([{"role": "user", "content": row["prompt"]}])
            if ids[: len(prompt)] == prompt:
                assert labels == their_labels, name
                compared.add(name)
            else:  # alone, the prompt is cut into other tokens: TRL warns, and learns the end of the prompt as well
                begin = next(at for at, label in enumerate(labels) if label >= 0)
                assert labels[begin:] == their_labels[begin:], name
    assert len(compared) >= 12, compared


@pytest.mark.slow
def test_every_answer_of_a_conversation_is_that_of_trl(trainer: Any, tmp_path: Path) -> None:
    """TRL finds the answers by the generation tag, in templates of its own; ours finds them without it as well."""
    for name in ("qwen2_5", "gemma", "llama3", "lfm2", "cohere"):
        template = of_trl()[f"{name}_training"]
        expected = theirs(trainer, [{"messages": TALK}], template, answers_only=True)
        untagged = re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", template)
        # Qwen's tag begins before the line end that its generation prompt holds, which is nothing to learn.
        for one in (template, untagged)[: 1 if name == "qwen2_5" else 2]:
            assert ours(tmp_path, [{"messages": TALK}], with_template(trainer, one)) == expected, name


@pytest.mark.slow
def test_plain_texts_and_their_ends_are_those_of_trl(trainer: Any, tmp_path: Path) -> None:
    rows = [{"text": row["completion"]} for row in ROWS] + [{"text": "fini<|im_end|>"}]
    template = trainer.processing_class.chat_template
    assert ours(tmp_path, rows, with_template(trainer, template)) == theirs(trainer, rows, template)
