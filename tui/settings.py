"""A person's own settings of the UI: ``ui.toml`` in the user's configuration folder. The UI only reads it.

theme = "recipe-light"
language = "fr"

[keys]
"run.stop" = "ctrl+x"
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from compiler.phrases import LANGUAGES
from tui.keys import key_ids
from tui.text import _


@dataclass(frozen=True, slots=True)
class Settings:
    """What was read, and what in it is wrong (told, and otherwise passed over)."""

    theme: str | None = None
    language: str | None = None
    keys: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def settings_file() -> Path:
    """Where the settings stand."""
    import platformdirs

    return platformdirs.user_config_path("recipec") / "ui.toml"


def read_settings(path: Path) -> Settings:
    """The settings, or none where there is no such file."""
    import tomli

    try:
        document = tomli.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        return Settings(problems=(f"{path}: {error}",))
    problems = [
        _("{path}: unknown setting {name!r}", path=path, name=name)
        for name in document
        if name not in {"theme", "language", "keys"}
    ]
    keys = {}
    given = document.get("keys", {})
    for name, value in (given if isinstance(given, dict) else {}).items():
        if name not in key_ids():
            problems.append(_("{path}: no key has the id {name!r}; `?` shows them", path=path, name=name))
        elif not isinstance(value, str) or not value:
            problems.append(_('{path}: {name}: a key such as "ctrl+x" is expected', path=path, name=name))
        else:
            keys[name] = value
    theme, language = document.get("theme"), document.get("language")
    if language is not None and language not in LANGUAGES:
        problems.append(_("{path}: language is one of {languages}", path=path, languages=", ".join(LANGUAGES)))
        language = None
    return Settings(theme if isinstance(theme, str) else None, language, keys, tuple(problems))
