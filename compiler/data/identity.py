"""What the examples of a recipe depend on, as one hash: by it they are found again when nothing has moved."""

from __future__ import annotations

import json
import platform
import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

from compiler.data.opening import open_sources
from compiler.data.prompt_template import PromptTemplate
from compiler.data.sources import Source, held_out_paths, training_paths
from compiler.data.text_files import folder_sha256, text_files
from compiler.data.tokenizer import ChatTokenizer
from compiler.facts.hashes import sha256_file
from compiler.language.recipe import Recipe


class Content(Struct, frozen=True):
    """A source's content: its hash and its size in bytes."""

    sha256: str
    bytes: int


def sources_of(recipe: Recipe, root: Path, *, allow_outside: bool) -> list[Source] | None:
    """The sources in the order in which they are read; None where one of them cannot be opened."""
    found: list[Source] = []
    for named in (*training_paths(recipe.data), *held_out_paths(recipe.data)):
        opened = open_sources(named, root, allow_outside=allow_outside)
        if opened.problems:
            return None
        found += opened.sources
    return found


def size_of(source: Source) -> int:
    """Bytes of a source. Raises OSError."""
    return sum(file.stat().st_size for file in _files(source))


def content_of(source: Source) -> Content:
    """What a source holds. Raises OSError."""
    found = folder_sha256(source.path) if source.kind == "folder" else sha256_file(source.path)
    return Content(found, size_of(source))


def _files(source: Source) -> list[Path]:
    return text_files(source.path) if source.kind == "folder" else [source.path]


def identity(
    recipe: Recipe, tokenizer: ChatTokenizer, template: PromptTemplate | None, sources: list[Source]
) -> str | None:
    """A hash over all that reading and tokenising depend on; None where a source cannot be read."""
    try:
        contents = [[source.name, source.kind, content_of(source).sha256] for source in sources]
    except OSError:
        return None
    asked = {
        "program": _program(),
        "sources": contents,
        "data": recipe.data.model_dump(mode="json", exclude={"audit", "replay"}),
        "language": recipe.recipe.language,
        "model": [recipe.model.id, recipe.model.chat_template],
        "completion_only_loss": recipe.training.completion_only_loss,
        "tokenizer": tokenizer.fingerprint,
        "prompt_template": template.source if template is not None else None,
    }
    return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@cache
def _program() -> list[str]:
    """Whatever may make other examples of the same rows: this code, and the libraries that it uses."""
    code = sha256()
    for file in sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in {".py", ".toml"}):
        code.update(file.read_bytes())
    libraries = [f"{name} {version(name)}" for name in ("recipec", "tokenizers", "jinja2")]
    return [code.hexdigest(), *libraries, platform.python_version(), sys.byteorder]
