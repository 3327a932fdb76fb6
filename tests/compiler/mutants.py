"""Broken recipes without end: mutations of the shipped ones, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PIECES = [
    *(b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\t", b"\x1b[31m", b"\xc3\xa9", b"\xe9"),
    *("🍳".encode(), "“".encode(), "\u202e".encode(), "\u00a0".encode()),
    *(
        b'"',
        b"'",
        b'"""',
        b"'''",
        b"[",
        b"]",
        b"[[",
        b"]]",
        b"{",
        b"}",
        b"=",
        b",",
        b".",
        b"#",
        b"\\",
        b"\\u",
        b"\\uD800",
    ),
    *(b"\n", b"\n\n", b"= ", b"nan", b"-inf", b"1e999", b"-1", b"0x", b"1_", b"07", b"9" * 30),
    *(b"2024-02-30", b"2024-01-01T00:00:00Z", b"12:00:61", b"true", b"True", b"null", b"None", b'"auto"', b"[]", b"{}"),
    *(b"[model]\n", b"[[data]]\n", b"[training.sft]\n", b"[a.b.c]\n", b"x.y.z = 1\n", b"schema = 2\n", b"r = 16\n"),
    *(b"lora_aplha = 3\n", b'path = "../../etc/passwd"\n', b"columns = { a = 1, a = 2 }\n"),
    b"x = [1, 'a', {b = []}]\n",
]
"""What people, editors and attackers put into files."""


def shipped() -> list[bytes]:
    """The bytes of every recipe in the repository."""
    return [path.read_bytes() for path in sorted((ROOT / "recipes").rglob("*recipe*.toml"))]


def mutants(count: int, *, seed: int = 0) -> Iterator[bytes]:
    """``count`` broken (or, now and then, still right) recipes."""
    chance = random.Random(seed)
    originals = shipped()
    for _ in range(count):
        data = chance.choice(originals)
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            data = chance.choice(MUTATIONS)(data, chance)
        yield data


def _flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(max(1, len(data)))
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(PIECES) + data[at:]


def _remove(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(max(1, len(data)))
    return data[:at] + data[at + chance.choice((1, 1, 2, 10, 100)) :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _lines(change: Callable[[list[bytes], random.Random], Sequence[bytes]]) -> Callable[[bytes, random.Random], bytes]:
    def mutate(data: bytes, chance: random.Random) -> bytes:
        return b"\n".join(change(data.split(b"\n"), chance))

    return mutate


def _drop_line(lines: list[bytes], chance: random.Random) -> list[bytes]:
    del lines[chance.randrange(len(lines))]
    return lines


def _repeat_line(lines: list[bytes], chance: random.Random) -> list[bytes]:
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return lines


def _swap_lines(lines: list[bytes], chance: random.Random) -> list[bytes]:
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return lines


def _new_value(lines: list[bytes], chance: random.Random) -> list[bytes]:
    at = chance.randrange(len(lines))
    key, sign, _ = lines[at].partition(b"=")
    lines[at] = key + sign + b" " + chance.choice(PIECES) if sign else lines[at]
    return lines


def _other_encoding(data: bytes, chance: random.Random) -> bytes:
    text = data.decode("utf-8", errors="replace")
    return text.encode(chance.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252")), errors="replace")


def _nest(data: bytes, chance: random.Random) -> bytes:
    depth = chance.choice((5, 40, 200, 2000))
    opened, closed = chance.choice(((b"[", b"]"), (b"{a=", b"}"), (b"[[", b"]]"), (b"a.", b"b = 1")))
    return data + b"\ndeep = " + opened * depth + closed * depth + b"\n"


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _flip,
    _insert,
    _insert,
    _remove,
    _cut,
    _lines(_drop_line),
    _lines(_repeat_line),
    _lines(_swap_lines),
    _lines(_new_value),
    _lines(_new_value),
    _other_encoding,
    _nest,
)
