"""What a pickle describes, read without running any of it.

A pickle is a program for a small stack machine, and some of its instructions call functions by their names. Here it
is walked instruction by instruction (``pickletools.genops`` decodes and runs nothing) by a machine that has only the
instructions which plain containers and tensors need: those of protocol 2, which ``torch.save`` writes and which
``torch.load`` takes where it takes weights only. Nothing is imported and nothing called: what a pickle would have
called is kept as a record of the call's name and arguments, for the names that are allowed. Every instruction puts at
most one value on the stack, so time and memory are bounded by the number of instructions.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Collection
from typing import Any

from msgspec import Struct

from compiler.phrases import phrase

MOST_INSTRUCTIONS = 4_000_000
"""About 40 a tensor are written; pickletools decodes this many in some seconds."""


class PickleFault(Exception):  # noqa: N818 - told as a diagnostic by the caller
    """A pickle that is damaged, or that would do more than describe plain containers and what is allowed."""

    def __init__(self, message: str, *, damaged: bool = False) -> None:
        super().__init__(message)
        self.damaged = damaged


class Name(Struct, frozen=True):
    """A function or class, by its module and name with a point between; never imported."""

    path: str


class Call(Struct, frozen=True, eq=False):
    """What a pickle would have called, and with what."""

    name: str
    arguments: tuple[Any, ...]


class Outside(Struct, frozen=True, eq=False):
    """Something that is kept beside the pickle, by what the pickle calls it (a persistent id)."""

    id: Any


def described(data: bytes, allowed: Collection[str]) -> Any:
    """The value that ``data`` describes: dicts, lists, tuples, texts, numbers, ``Name``, ``Call`` and ``Outside``.

    ``allowed`` are the names that may stand in it. Raises PickleFault.
    """
    machine = _Machine(allowed)
    try:
        for count, (instruction, argument, _) in enumerate(pickletools.genops(data)):
            if count > MOST_INSTRUCTIONS:
                raise PickleFault(phrase("it has more than {count:,} instructions", count=MOST_INSTRUCTIONS))
            machine.step(instruction.name, argument)
        return machine.result()
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:  # what no pickler writes
        raise PickleFault(phrase("its description is damaged"), damaged=True) from error


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PLAIN = frozenset(["BINFLOAT", "BININT", "BININT1", "BININT2", "BINUNICODE", "LONG1"])
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_PUT = frozenset(["BINPUT", "LONG_BINPUT"])
_GET = frozenset(["BINGET", "LONG_BINGET"])

MAPPING = "collections.OrderedDict"
"""The one class that is made: as a dict, which keeps the order as well."""


class _Machine:
    """The stack, the marks on it and the memo of a pickle (``pickletools`` tells what each instruction does)."""

    def __init__(self, allowed: Collection[str]) -> None:
        self.allowed = allowed
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.ended = False
        self.others: dict[str, Callable[[Any], None]] = {
            "APPEND": self._append,
            "APPENDS": self._appends,
            "BINPERSID": self._binpersid,
            "BUILD": self._build,
            "GLOBAL": self._global,
            "MARK": self._mark,
            "REDUCE": self._reduce,
            "SETITEM": self._setitem,
            "SETITEMS": self._setitems,
            "STOP": self._stop,
            "TUPLE": self._tuple,
        }

    def step(self, instruction: str, argument: Any) -> None:
        if instruction in _CONSTANTS:
            self.stack.append(_CONSTANTS[instruction])
        elif instruction in _PLAIN:
            self.stack.append(argument)
        elif instruction in _EMPTY:
            self.stack.append(_EMPTY[instruction]())
        elif instruction in _TUPLES:
            self.stack.append(tuple(self._take(_TUPLES[instruction])))
        elif instruction in _GET:
            self.stack.append(self.memo[argument])
        elif instruction in _PUT:
            self.memo[argument] = self.stack[-1]
        elif instruction in self.others:
            self.others[instruction](argument)
        elif instruction != "PROTO":
            raise PickleFault(phrase("it uses the instruction {name}, which tensors do not need", name=instruction))

    def result(self) -> Any:
        if not self.ended or len(self.stack) != 1:
            raise ValueError
        return self.stack[0]

    def _take(self, count: int) -> list[Any]:
        """The topmost values, in the order in which they were put there."""
        if len(self.stack) - count < (self.marks[-1] if self.marks else 0):
            raise IndexError
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def _take_marked(self) -> list[Any]:
        begin = self.marks.pop()
        taken = self.stack[begin:]
        del self.stack[begin:]
        return taken

    # --- instructions, by their names in pickletools ------------------------------------------------------

    def _mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def _stop(self, _: Any) -> None:
        self.ended = True

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._take_marked()))

    def _append(self, _: Any) -> None:
        (value,) = self._take(1)
        self._top(list).append(value)

    def _appends(self, _: Any) -> None:
        values = self._take_marked()
        self._top(list).extend(values)

    def _setitem(self, _: Any) -> None:
        self._set(self._take(2))

    def _setitems(self, _: Any) -> None:
        self._set(self._take_marked())

    def _set(self, values: list[Any]) -> None:
        keys = values[::2]
        if not all(type(key) in {str, int} for key in keys):  # the hash of a nested tuple can take for ever
            raise PickleFault(phrase("its keys are no texts"))
        self._top(dict).update(zip(keys, values[1::2], strict=True))

    def _top(self, kind: type[Any]) -> Any:
        (top,) = self._take(1)
        self.stack.append(top)
        if type(top) is not kind:
            raise TypeError
        return top

    def _global(self, argument: str) -> None:
        path = argument.replace(" ", ".", 1)
        if path not in self.allowed:
            raise PickleFault(phrase("it asks for {name}, which tensors do not need", name=repr(path[:80])))
        self.stack.append(Name(path))

    def _reduce(self, _: Any) -> None:
        called, arguments = self._take(2)
        if not isinstance(called, Name) or type(arguments) is not tuple:
            raise TypeError
        self.stack.append({} if called.path == MAPPING and not arguments else Call(called.path, arguments))

    def _build(self, _: Any) -> None:
        """Attributes that are set on what was made before; of a mapping they say nothing of what is in it."""
        self._take(1)
        self._top(dict)

    def _binpersid(self, _: Any) -> None:
        (named,) = self._take(1)
        self.stack.append(Outside(named))
