"""What recipec keeps on this machine because making it again takes time: never needed, never trusted."""

from __future__ import annotations

import json
import os
from pathlib import Path

from platformdirs import user_cache_path

from compiler.files import write_atomically


def cache_folder() -> Path:
    """Where recipec keeps what it can make again (``RECIPE_CACHE_DIR``, else the user's cache folder)."""
    chosen = os.environ.get("RECIPE_CACHE_DIR")
    return Path(chosen) if chosen else user_cache_path("recipec")


def remembered(name: str) -> dict[str, str]:
    """The texts kept in the cache's JSON file ``name``, by their keys; empty when it is missing or broken."""
    try:
        found = json.loads((cache_folder() / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}


def remember(name: str, key: str, text: str, *, most: int) -> None:
    """Keep a text in the cache's JSON file ``name``; of more than ``most``, the oldest are forgotten.

    A cache that cannot be written costs time, never correctness, and so is no error.
    """
    known = remembered(name)
    known.pop(key, None)
    known[key] = text
    newest = dict(list(known.items())[-most:])
    try:
        write_atomically(cache_folder() / name, json.dumps(newest, indent=1).encode())
    except OSError:
        return
