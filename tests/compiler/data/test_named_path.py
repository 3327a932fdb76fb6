"""Paths that recipes name: inside the folder or refused, and nothing outside it is read, listed or suggested."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.codes import all_codes
from compiler.data.named_path import NamedPath, find_named
from compiler.diagnostics import Diagnostic

FIELD = ("data", "held_out_path")


def refused(root: Path, name: str, *, allow_outside: bool = False, what: str = "data file") -> Diagnostic:
    path, (problem,) = find_named(NamedPath(name, FIELD, what), root, allow_outside=allow_outside)
    assert path is None
    assert problem.path == FIELD
    return problem


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A recipe's folder with files in it, and others beside it."""
    root = tmp_path / "recipe"
    (root / "sub").mkdir(parents=True)
    for file in ("train.jsonl", "sub/train.jsonl", "../secret.jsonl", "../secret/rows.jsonl"):
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).write_text("{}")
    (root / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (root / "inside.jsonl").symlink_to("train.jsonl")
    (root / "away").symlink_to(tmp_path / "secret")
    return root


@pytest.mark.parametrize("name", ["train.jsonl", "sub/train.jsonl", "sub/../train.jsonl", "inside.jsonl", "sub", "."])
def test_what_lies_inside_is_found(root: Path, name: str) -> None:
    path, problems = find_named(NamedPath(name), root, allow_outside=False)
    assert (path, problems) == (root / name, [])


@pytest.mark.parametrize("name", ["../secret.jsonl", "link.jsonl", "away/rows.jsonl", "..", "/etc/passwd"])
def test_what_lies_outside_needs_leave(root: Path, name: str) -> None:
    problem = refused(root, name)
    assert problem.code == "D002"
    assert "--allow-outside" in (problem.help or "")
    assert find_named(NamedPath(name), root, allow_outside=True) == (root / name, [])


@pytest.mark.parametrize(
    ("name", "helped"),
    [
        ("trian.jsonl", "did you mean train.jsonl?"),
        ("TRAIN.jsonl", "did you mean train.jsonl?"),
        ("sub/trian.jsonl", "did you mean sub/train.jsonl?"),
        ("subb/train.jsonl", "did you mean sub/train.jsonl?"),
        ("./trian.jsonl", "did you mean train.jsonl?"),
        ("nothing.csv", "paths start at the recipe's folder"),
        ("../secrte.jsonl", "paths start at the recipe's folder"),
        ("../secret/row.jsonl", "paths start at the recipe's folder"),
        ("away/row.jsonl", "paths start at the recipe's folder"),
        ("/etc/passwdd", "paths start at the recipe's folder"),
        ("sub\\train.jsonl", "did you mean sub/train.jsonl?"),
        ("other\\train.jsonl", "divided by /"),
        (".\train.jsonl", "\\t between double quotes is a tab: write '.\\train.jsonl' in single quotes"),
        (".\train.jsonl", "did you mean './train.jsonl'?"),
        ("data\new.jsonl", "\\n between double quotes is a line feed"),
    ],
)
def test_what_is_not_there_is_told_with_what_was_meant_inside_the_folder(root: Path, name: str, helped: str) -> None:
    problem = refused(root, name)
    assert problem.code == "D001"
    assert helped in (problem.help or "")
    assert problem.message.isprintable()


def test_a_name_that_only_looks_the_same_is_not_offered(root: Path) -> None:
    (root / "donne\u0301es.jsonl").write_text("{}")
    assert "rename it" in (refused(root, "données.jsonl").help or "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dangling", "a link that leads to nowhere, which is not there"),
        ("circle", "a link that leads in a circle"),
        ("pipe", "is a pipe, not a data file"),
        ("a\0b", "there is no data file"),
    ],
)
def test_what_is_no_file_is_said_to_be_what_it_is(root: Path, name: str, message: str) -> None:
    (root / "dangling").symlink_to("nowhere")
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe")
    problem = refused(root, name)
    assert problem.code == "D001"
    assert message in problem.message
    assert problem.help


def test_a_device_is_no_file_even_with_leave(root: Path) -> None:
    problem = refused(root, "/dev/null", allow_outside=True)
    assert problem.code == "D001"
    assert "a device" in problem.message


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("https://example.org/rows.jsonl", "download the file"),
        ("s3://bucket/rows.jsonl", "ORG/NAME"),
    ],
)
def test_addresses_are_named_as_such(root: Path, name: str, told: str) -> None:
    problem = refused(root, name)
    assert problem.code == "D006"
    assert told in (problem.help or "")


def test_a_template_is_never_taken_for_a_data_set(root: Path) -> None:
    problem = refused(root, "tatsu-lab/alpaca", what="prompt template")
    assert problem.code == "D001"
    assert "prompt template" in problem.message


def test_a_name_that_no_file_system_takes_is_told(root: Path) -> None:
    assert refused(root, "x" * 300 + ".csv").code == "E005"


@given(st.text(max_size=12), st.booleans())
def test_any_name_is_a_path_inside_or_one_coded_problem(
    tmp_path_factory: pytest.TempPathFactory, name: str, allowed: bool
) -> None:
    root = tmp_path_factory.mktemp("any")
    path, problems = find_named(NamedPath(name), root, allow_outside=allowed)
    if path is not None:
        assert problems == []
        assert allowed or path.resolve().is_relative_to(root.resolve())
        return
    (problem,) = problems
    assert problem.code in all_codes()
    assert problem.help
    assert problem.message.isprintable()
