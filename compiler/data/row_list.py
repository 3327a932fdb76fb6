"""Places of very many rows in few bytes each, as a finding may be true of every row of a million."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

from compiler.data.row import Place

Where = tuple[int, Place]


class RowList(Sequence[Where]):
    """Places of rows, each with the number of its source: 20 bytes a row, and its file's name where it has one."""

    __slots__ = ("_files", "_lines", "_rows", "_sources")

    def __init__(self, rows: Iterable[Where] = ()) -> None:
        self._sources, self._rows, self._lines = array("I"), array("Q"), array("Q")
        self._files: dict[int, str] = {}
        self.extend(rows)

    def append(self, where: Where) -> None:
        """Add one."""
        source, place = where
        if place.file is not None:
            self._files[len(self._rows)] = place.file
        self._sources.append(source)
        self._rows.append(place.row)
        self._lines.append(place.line or 0)

    def extend(self, rows: Iterable[Where]) -> None:
        """Add some."""
        for where in rows:
            self.append(where)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, number: int) -> Where: ...

    @overload
    def __getitem__(self, number: slice) -> list[Where]: ...

    def __getitem__(self, number: int | slice) -> Where | list[Where]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        place = Place(self._rows[number], self._lines[number] or None, self._files.get(number))
        return self._sources[number], place

    def __iter__(self) -> Iterator[Where]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_same, self, other))

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"RowList({list(self)!r})"

    # --- on disk --------------------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """Plain data that ``from_json`` reads."""
        files = {str(number): name for number, name in self._files.items()}
        return {
            "sources": self._sources.tolist(),
            "rows": self._rows.tolist(),
            "lines": self._lines.tolist(),
            "files": files,
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> RowList:
        """The list that ``as_json`` wrote."""
        made = cls()
        made._sources, made._rows = array("I", plain["sources"]), array("Q", plain["rows"])
        made._lines = array("Q", plain["lines"])
        made._files = {int(number): name for number, name in plain["files"].items()}
        return made


def _same(one: object, other: object) -> bool:
    return one == other
