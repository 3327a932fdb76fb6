"""GGUF files built by hand, byte by byte, as the format's document says."""

from __future__ import annotations

import struct

BYTE, SHORT, WORD, INT, FLOAT, BOOL, STRING, ARRAY, LONG, DOUBLE = 0, 2, 4, 5, 6, 7, 8, 9, 10, 12
LAYOUT = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
F32, F16 = 0, 1

Value = int | float | bool | str | list[int] | list[float] | list[bool] | list[str]
Entry = tuple[str, int, Value]


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind: int, value: object) -> bytes:
    return text(str(value)) if kind == STRING else struct.pack("<" + LAYOUT[kind], value)


def entry(key: str, kind: int, value: Value) -> bytes:
    """A key with its value; a list is written as an array of ``kind``."""
    if isinstance(value, list):
        items = b"".join(scalar(kind, item) for item in value)
        return text(key) + struct.pack("<IIQ", ARRAY, kind, len(value)) + items
    return text(key) + struct.pack("<I", kind) + scalar(kind, value)


def tensor(name: str, shape: tuple[int, ...], kind: int = F32, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf(
    entries: list[Entry],
    tensors: list[bytes] | None = None,
    *,
    data: bytes = b"",
    version: int = 3,
    entry_count: int | None = None,
    tensor_count: int | None = None,
) -> bytes:
    """A whole file; the counts may be made to lie."""
    tensors = tensors or []
    counts = (
        len(tensors) if tensor_count is None else tensor_count,
        len(entries) if entry_count is None else entry_count,
    )
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join(entry(*e) for e in entries) + b"".join(tensors)
    return head + b"\0" * (-len(head) % 32) + data


LLAMA: list[Entry] = [
    ("general.architecture", STRING, "llama"),
    ("llama.block_count", WORD, 2),
    ("llama.embedding_length", WORD, 8),
    ("llama.attention.head_count", WORD, 4),
    ("llama.attention.head_count_kv", WORD, 2),
    ("llama.feed_forward_length", WORD, 16),
    ("llama.context_length", WORD, 64),
]

EMBEDDING = tensor("token_embd.weight", (8, 10))

SMALL = gguf(LLAMA, [EMBEDDING], data=bytes(8 * 10 * 4))
"""A whole model of one tensor: an embedding of ten tokens."""
