"""Do the weights fit their description? Only what is certain is told: layers that are not there, shapes that differ.

Transformers fills layers that the files lack with random numbers and trains on; shapes that differ stop it
when it has read gigabytes, or not at all while it quantises.
"""

from __future__ import annotations

import re
from collections import defaultdict

from compiler.facts.architecture import Architecture
from compiler.facts.gguf import Header
from compiler.facts.linear_layers import linear_layers
from compiler.facts.weight_files import ModelFault, Shapes
from compiler.phrases import phrase

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|embed_in)\.weight$")
_OTHER_SENSES = re.compile(r"(?:^|\.)(?:vision|visual|audio|image|speech)")
"""Towers of multimodal models, which have layers of their own."""

_GGUF_LAYER = re.compile(r"blk\.(\d+)\.")

# Families of which these numbers mean something else (a test builds every family and compares): layers passed through
# several times, counted twice or (in a GGUF of deci) left out, embeddings with rows or columns of their own.
_LAYERS_OTHERWISE = frozenset({"deci", "hrm_text", "longcat_flash"})
_EMBEDDING_OTHERWISE = frozenset({"mllama", "moshi", "opt", "rembert"})

_BOTH = phrase("config.json and the weights belong to different models: download both again from the same page")


def check_fit(architecture: Architecture, shapes: Shapes, *, quantized: bool) -> None:
    """Raise ModelFault (M017) when weights cannot be those of the model that ``config.json`` describes.

    ``shapes`` are the tensors of every weight file. ``quantized`` weights have the shapes of packed numbers;
    of them only layers and the embedding are looked at, which stays as it is.
    """
    text = {name: shape for name, shape in shapes.items() if not _OTHER_SENSES.search(name)}
    _check_layers(architecture, _layers(text, _LAYER), phrase("config.json says num_hidden_layers"))
    if architecture.model_type not in _EMBEDDING_OTHERWISE:
        _check_embedding(architecture, text)
    if not quantized:
        _check_attention(architecture, text)


def check_gguf_fit(architecture: Architecture, header: Header) -> None:
    """The same for a GGUF file, whose header describes it."""
    names = {tensor.name: tensor.shape for tensor in header.tensors}
    _check_layers(architecture, _layers(names, _GGUF_LAYER), phrase("its GGUF header says block_count"))
    width = names["token_embd.weight"][0]
    if width != architecture.hidden_size:
        says = phrase("its GGUF header says embedding_length = {hidden_size}", hidden_size=architecture.hidden_size)
        raise ModelFault(
            "M017",
            phrase("{says}, but its embedding is {width} wide", says=says, width=width),
            phrase("download the file again"),
        )


def _layers(shapes: Shapes, pattern: re.Pattern[str]) -> set[int]:
    """The numbers of the layers in the longest row of layers; empty when no name looks like one."""
    rows: dict[str, set[int]] = defaultdict(set)
    for name in shapes:
        found = pattern.search(name)
        if found:
            rows[name[: found.start(1)]].add(int(found[1]))
    return max(rows.values(), key=len, default=set())


def _check_layers(architecture: Architecture, found: set[int], says: str) -> None:
    """More layers than described are fine: some models have one that only guesses further tokens ahead."""
    wanted = architecture.num_hidden_layers
    present = sum(number < wanted for number in found)
    if not found or present == wanted or architecture.model_type in _LAYERS_OTHERWISE:
        return
    first = next(number for number in range(wanted) if number not in found)
    message = phrase(
        "{says} = {wanted}, but the weights hold {present} layers (layer {first} is not there)",
        says=says,
        wanted=wanted,
        present=present,
        first=first,
    )
    help_text = phrase("{both}; what the files lack would be filled with random numbers", both=_BOTH)
    raise ModelFault("M017", message, help_text)


def _check_embedding(architecture: Architecture, shapes: Shapes) -> None:
    named = [name for name in shapes if _EMBEDDING.search(name) and not _LAYER.search(name)]
    found = {name: shapes[name] for name in named if len(shapes[name]) == 2}
    wanted = (architecture.vocab_size, architecture.hidden_size)
    if not found or wanted in found.values():
        return
    name, (rows, columns) = min(found.items(), key=lambda item: len(item[0]))
    said = [
        phrase(
            "{field} = {says}, but {name} has {number} {what}",
            field=field,
            says=says,
            name=name,
            number=number,
            what=what,
        )
        for field, says, number, what in (
            ("vocab_size", architecture.vocab_size, rows, "rows"),
            ("hidden_size", architecture.hidden_size, columns, "columns"),
        )
        if says != number
    ]
    raise ModelFault("M017", phrase("config.json says {said}", said=phrase(", and ").join(said)), _BOTH)


def _check_attention(architecture: Architecture, shapes: Shapes) -> None:
    """Query and key projections, of the families that are known to build them from the two numbers of heads."""
    if not {"q_proj", "k_proj"} <= set(linear_layers(architecture)):
        return
    for layer, field, heads in (
        ("q_proj", "num_attention_heads", architecture.num_attention_heads),
        ("k_proj", "num_key_value_heads", architecture.num_key_value_heads),
    ):
        rows = {shape[0] for name, shape in shapes.items() if shape and name.endswith(f".{layer}.weight")}
        wanted = heads * architecture.head_dim
        if rows and wanted not in rows:
            size = phrase(
                "{heads} heads of {head_dim} ({wanted} rows)",
                heads=heads,
                head_dim=architecture.head_dim,
                wanted=wanted,
            )
            message = phrase(
                "config.json says {field} = {heads}: {size}, but {layer} has {rows} rows in the weights",
                field=field,
                heads=heads,
                size=size,
                layer=layer,
                rows=min(rows),
            )
            raise ModelFault("M017", message, _BOTH)
