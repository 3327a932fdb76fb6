"""What is read off the installed Unsloth: its ceilings, and the families it has code for; nothing of it is run."""

from __future__ import annotations

import sys

from packaging.specifiers import SpecifierSet

from compiler.facts import unsloth
from compiler.facts.packages import tested_set


def test_the_tested_set_is_what_is_here_and_unsloth_allows_it() -> None:
    assert unsloth.untested() == []
    assert unsloth.ruled_out() == {}
    for name in unsloth.LIMITED:  # ruled_out() takes them for allowed
        assert SpecifierSet(unsloth.allowed_versions(name)).contains(tested_set()[name])
    assert "<=1.15.0" in unsloth.allowed_versions("trl")
    assert "<=5.17.0" in unsloth.allowed_versions("transformers")
    assert unsloth.allowed_versions("rich") == ""


def test_the_families_are_read_and_not_imported() -> None:
    unsloth.families.cache_clear()
    assert {"llama", "mistral", "qwen2", "qwen3"} <= unsloth.families("cpu") & unsloth.families("cuda")
    assert "bloom" not in unsloth.families("cpu") | unsloth.families("cuda")
    assert "unsloth" not in sys.modules
