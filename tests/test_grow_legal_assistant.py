"""The script that turns public fact sheets into rows: text alone, cut between paragraphs, with the articles named."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "grow_legal_assistant.py"
LONG = "Le salarié informe l'employeur par écrit de sa décision. "


def section(title: str, html: str, *articles: str) -> dict[str, Any]:
    named = {"LEGITEXT000006072050": {"articles": [{"fmt": number} for number in articles]}} if articles else {}
    return {"title": title, "html": html, "references": named}


SHEETS = [
    {
        "title": "La démission",
        "sections": [
            section("Faut-il un écrit ?", f"<p>{LONG * 3}</p><ul><li>Premier&nbsp;point</li></ul>", "L1237-1", "x"),
            section("Textes de référence", f"<p>{LONG * 3}</p>"),
            section(
                "Le préavis",
                f"<h4>Sa durée</h4><p>Elle est fixée. {LONG * 20}</p><p>Puis {LONG * 20}</p><script>no()</script>",
            ),
            section("Trop court", "<p>Oui.</p>"),
            section("Qui appeler ?", f"<p>Le numéro est le 09 70 82 35 51. {LONG * 3}</p><p>Oui.</p>"),
            section("Pour en savoir plus", f"<p>Une brochure. {LONG * 3}</p>"),
            section("Encore une fois", f"<p>{LONG * 3}</p><ul><li>Premier point</li></ul>"),
        ],
    }
]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grow_legal_assistant", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sections_become_questions_and_answers(script: ModuleType) -> None:
    made = [[message["content"] for message in row["messages"]] for row in script.rows(SHEETS)]
    questions = [question for question, _ in made]
    assert questions == [
        "La démission : Faut-il un écrit ?",
        "La démission : Le préavis Sa durée",
        "La démission : Le préavis Sa durée (suite, partie 2)",
    ]
    assert made[0][1] == f"{(LONG * 3).strip()}\n- Premier point\nTextes : Code du travail, L. 1237-1."
    assert made[2][1].startswith("Puis ")
    assert "no()" not in "".join(answer for _, answer in made)
    assert all(len(answer) <= script.LONGEST + 100 for _, answer in made)


def test_the_package_s_archive_becomes_a_file_of_rows(tmp_path: Path) -> None:
    sheets = tmp_path / "package" / "data" / "fiches-travail.json"
    sheets.parent.mkdir(parents=True)
    sheets.write_text(json.dumps(SHEETS), encoding="utf-8")
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        archive.add(sheets, "package/data/fiches-travail.json")
    for source in (tmp_path / "package.tgz", sheets):
        done = subprocess.run(
            [sys.executable, SCRIPT, source, tmp_path / "rows.jsonl"], capture_output=True, text=True, check=True
        )
        assert "3 rows" in done.stderr
        lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
        assert [list(json.loads(line)) for line in lines] == [["messages"]] * 3


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"title": "a"}]', b"\xff"])
def test_another_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sheets.json").write_bytes(content)
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "sheets.json", tmp_path / "rows.jsonl"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "is not the package" in done.stderr
    assert not (tmp_path / "rows.jsonl").exists()
