"""Every setting, resolved: the recipe's own value first, then the compiler's decision, then the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from compiler.decide import Decision
from compiler.language.recipe import Recipe
from compiler.language.toml_source import TomlDocument
from compiler.phrases import phrase
from compiler.plan import Choice, Origin, Setting


class Settings:
    """Collects the resolved settings of one recipe, with origin and reason, in the schema's order."""

    def __init__(
        self,
        recipe: Recipe,
        document: TomlDocument,
        *,
        file_name: str,
        adopted: Mapping[str, Decision] | None = None,
    ) -> None:
        """``adopted`` are settings that the recipe has from elsewhere than its text, by path, each with its reason."""
        self._adopted = adopted or {}
        self._document = document
        self._file_name = file_name
        self._settings: dict[str, Setting] = {}
        self.choices: list[Choice] = []
        for table_name, table in recipe:
            if isinstance(table, BaseModel):
                self._add_table(table_name, table)

    def _add_table(self, name: str, table: BaseModel) -> None:
        for key, info in type(table).model_fields.items():
            value = getattr(table, key)
            path = f"{name}.{key}"
            plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else _plain(value)
            adopted = self._adopted.get(path)
            if adopted is not None:
                origin = Origin(kind="rule", place=adopted.code)
                self._settings[path] = Setting(path=path, value=plain, origin=origin, reason=adopted.reason)
            elif key in table.model_fields_set:
                self._settings[path] = Setting(
                    path=path, value=plain, origin=self._written_at(name, key), reason=phrase("the recipe says so")
                )
            else:
                reason = info.description or ""
                self._settings[path] = Setting(path=path, value=plain, origin=Origin(kind="default"), reason=reason)

    def _written_at(self, *path: str) -> Origin:
        line = self._document.line_of(path)
        return Origin(kind="recipe", place=f"{self._file_name}:{line}" if line else self._file_name)

    def settle(self, path: str, decision: Decision, *, preset: str | None = None) -> Any:
        """The recipe's value where it has one that is not "auto", else the decision's."""
        present = self._settings[path]
        if path in self._adopted:
            return present.value
        if present.origin.kind == "recipe" and present.value != "auto":
            reason = phrase("the recipe says so")
            if present.value != decision.value:
                reason += phrase(
                    "; left to itself the compiler takes {value!r}: {reason}",
                    value=decision.value,
                    reason=decision.reason,
                )
            self._settings[path] = present.model_copy(update={"reason": reason})
            return present.value
        if preset:
            origin = Origin(kind="preset", place=preset)
        else:
            origin = Origin(kind="data" if decision.from_data else "rule", place=decision.code)
        self._settings[path] = Setting(path=path, value=decision.value, origin=origin, reason=decision.reason)
        if decision.rejected:
            self.choices.append(
                Choice(
                    path=path,
                    value=decision.value,
                    code=decision.code,
                    reason=decision.reason,
                    rejected=decision.rejected,
                )
            )
        return decision.value

    def all(self) -> list[Setting]:
        """Every setting, in the order of the recipe's schema."""
        return list(self._settings.values())


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [v.model_dump(mode="json") if isinstance(v, BaseModel) else v for v in value]
    return value
