"""The usual way: rows to ids and labels with ``datasets.map`` and the same tokenizer, batched and on all cores."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def main(rows: str, tokenizer_folder: str, cache: str) -> None:
    """Tokenise a file of JSON lines; print the seconds in ``map`` and the tokens as JSON."""
    import datasets
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)

    def tokenise(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        asked = [[{"role": "user", "content": text}] for text in batch["question"]]
        answers = [{"role": "assistant", "content": text} for text in batch["answer"]]
        whole = [[*prompt, answer] for prompt, answer in zip(asked, answers, strict=True)]
        texts = tokenizer.apply_chat_template(whole, tokenize=False)
        prompts = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
        before = tokenizer(prompts, add_special_tokens=False)["input_ids"]
        labels = [[-100] * len(p) + i[len(p) :] for p, i in zip(before, ids, strict=True)]
        return {"input_ids": ids, "labels": labels}

    data = datasets.load_dataset("json", data_files=rows, split="train", cache_dir=cache)
    started = time.perf_counter()
    made = data.map(tokenise, batched=True, remove_columns=data.column_names, num_proc=os.cpu_count())
    seconds = time.perf_counter() - started
    tokens = sum(len(batch["input_ids"].combine_chunks().flatten()) for batch in made.with_format("arrow").iter(10_000))
    print(json.dumps({"seconds": seconds, "tokens": tokens}))


if __name__ == "__main__":
    main(*sys.argv[1:])
