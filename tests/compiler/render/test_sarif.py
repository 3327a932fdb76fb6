"""SARIF: what the 2.1.0 schema requires, with rules, places and fixes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from compiler.codes import code_info
from compiler.diagnostics import Diagnostic, Fix, Label, Severity, Span
from compiler.render.sarif import sarif


def run_of(*diagnostics: Diagnostic) -> dict[str, Any]:
    log = json.loads(sarif(diagnostics))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("/sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    return dict(run)


def test_a_result_has_its_rule_places_and_fixes() -> None:
    span = Span(6, 1, 6, 11)
    fix = Fix("write `lora_alpha`", span, "lora_alpha", certain=True)
    run = run_of(
        Diagnostic("E004", "full"),
        Diagnostic(
            "E001",
            "gone",
            severity=Severity.NOTE,
            file="a b/é:1.toml",
            span=span,
            label="here",
            secondary=(Label(Span(4, 1, 4, 10), "in this table"),),
            help="look",
            fixes=(fix, fix),
        ),
    )
    region = {"startLine": 6, "startColumn": 1, "endLine": 6, "endColumn": 11}
    artifact = {"uri": "a%20b/%C3%A9%3A1.toml"}
    assert run["results"] == [
        {"ruleId": "E004", "ruleIndex": 1, "level": "error", "message": {"text": "full"}},
        {
            "ruleId": "E001",
            "ruleIndex": 0,
            "level": "note",
            "message": {"text": "gone\nhere\nhelp: look"},
            "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
            "relatedLocations": [
                {
                    "id": 1,
                    "physicalLocation": {
                        "artifactLocation": artifact,
                        "region": {"startLine": 4, "startColumn": 1, "endLine": 4, "endColumn": 10},
                    },
                    "message": {"text": "in this table"},
                }
            ],
            "fixes": [
                {
                    "description": {"text": "write `lora_alpha`"},
                    "artifactChanges": [
                        {
                            "artifactLocation": artifact,
                            "replacements": [{"deletedRegion": region, "insertedContent": {"text": "lora_alpha"}}],
                        }
                    ],
                    "properties": {"certain": True},
                }
            ],
        },
    ]


def test_the_rules_are_the_codes_that_were_used_once_each() -> None:
    driver = run_of(Diagnostic("E004", "m"), Diagnostic("E001", "m"), Diagnostic("E004", "n"), Diagnostic("Z999", "m"))
    rules = driver["tool"]["driver"]["rules"]
    assert driver["tool"]["driver"]["name"] == "recipec"
    assert [rule["id"] for rule in rules] == ["E001", "E004", "Z999"]
    info = code_info("E004")
    assert info is not None
    assert rules[1]["shortDescription"]["text"] == info.title
    assert rules[2] == {"id": "Z999"}


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("recipe.toml", "recipe.toml"),
        ("/srv/my recipe.toml", "file:///srv/my%20recipe.toml"),
        ("http:x", "http%3Ax"),
        ("caf\udce9", "caf%E9"),
        ("\ud800", "%3F"),
    ],
)
def test_files_are_uri_references(file: str, uri: str) -> None:
    (result,) = run_of(Diagnostic("E001", "m", file=file))["results"]
    assert result["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": uri}}}]


def test_places_that_lie_badly_are_moved_into_the_format() -> None:
    (result,) = run_of(Diagnostic("E001", "m", file="f", span=Span(3, 0, 2, 9)))["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 3, "startColumn": 1, "endLine": 3, "endColumn": 1}
