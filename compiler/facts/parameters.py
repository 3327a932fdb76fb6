"""Every weight of a model, counted from its config alone, as Transformers builds it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from compiler.facts.families import ALWAYS, FAMILIES, SWITCHES, Family, Part, Place, Role
from compiler.facts.signatures import family_defaults
from compiler.facts.weight_files import ModelFault
from compiler.phrases import phrase

__all__ = [
    "Role",
    "Uncounted",
    "Weight",
    "parameter_count",
    "passed_by_token",
    "weights_of",
    "with_head",
]

_PUBLISHERS = phrase("take the config.json of the model's publisher")

_SIZES: dict[str, tuple[tuple[str, ...], int]] = {
    "hidden": (("hidden_size",), 1 << 20),
    "layers": (("num_hidden_layers",), 1 << 14),
    "heads": (("num_attention_heads",), 1 << 16),
    "vocab": (("vocab_size",), 1 << 26),
    "kv_heads": (("num_key_value_heads",), 1 << 16),
    "head": (("head_dim",), 1 << 16),
    "ff": (("intermediate_size",), 1 << 24),
    "experts": (("num_local_experts", "num_experts", "n_routed_experts"), 1 << 14),
    "moe_ff": (("moe_intermediate_size",), 1 << 24),
    "shared_ff": (("shared_expert_intermediate_size",), 1 << 24),
    "shared_experts": (("n_shared_experts",), 1 << 14),
    "q_lora_rank": (("q_lora_rank",), 1 << 20),
    "kv_lora_rank": (("kv_lora_rank",), 1 << 20),
    "rope_head": (("qk_rope_head_dim",), 1 << 16),
    "nope_head": (("qk_nope_head_dim",), 1 << 16),
    "v_head": (("v_head_dim",), 1 << 16),
    "first": (("first_k_dense_replace",), 1 << 14),
    "step": (("decoder_sparse_step",), 1 << 14),
    "falcon_kv_heads": (("num_kv_heads",), 1 << 16),
    "falcon_ff": (("ffn_hidden_size",), 1 << 24),
    "norms": (("num_ln_in_parallel_attn",), 2),
}
"""Each size under its names in config.json, with a number that no model reaches: beyond it a number is a slip."""

_MAY_BE_ZERO = frozenset({"first"})
_MAY_BE_NONE = frozenset({"kv_heads", "head", "q_lora_rank", "norms", "ff", "falcon_kv_heads", "falcon_ff"})

_DERIVED_HEAD = frozenset({"falcon", "gpt_neox", "stablelm"})
"""Families whose classes take no head_dim from the config."""

_FALCON = ("new_decoder_architecture", "multi_query", "parallel_attn", "alibi")

SETTINGS = frozenset(
    {name for names, _ in _SIZES.values() for name in names}
    | SWITCHES
    | {"mlp_only_layers", *_FALCON}
    | {name for family in FAMILIES.values() for name in family.refused}
)
"""Everything of a config.json that decides which weights there are."""


class Uncounted(Exception):  # noqa: N818 - an answer, told where a number was wanted
    """Why the weights of a model cannot be counted here: its family, or a setting of it, is not known."""


class Weight(Struct, frozen=True):
    """A kind of weight tensor: the short name of its module, its shape, and how many the whole model has of it."""

    module: str
    shape: tuple[int, ...]
    count: int
    role: Role

    @property
    def numbers(self) -> int:
        """Parameters in all tensors of this kind."""
        return math.prod(self.shape) * self.count


def parameter_count(weights: tuple[Weight, ...]) -> int:
    """All parameters; a head tied to the embedding is no weight of its own."""
    return sum(weight.numbers for weight in weights)


def passed_by_token(weight: Weight, experts_per_token: int) -> int:
    """Numbers of the tensors of a kind that one token passes: of a layer's experts as many as are chosen for it.

    All of them where how many are chosen is not said (0).
    """
    if weight.role != "expert" or not experts_per_token:
        return weight.numbers
    return weight.numbers * min(experts_per_token, weight.shape[0]) // weight.shape[0]


def weights_of(config: Mapping[str, Any]) -> tuple[Weight, ...]:
    """The weights of the model that a ``config.json`` describes.

    What the config leaves out is as in the family's config class. Raises Uncounted for a family that is not known
    here, and ModelFault (M004) for sizes that are missing, absurd, or at odds with each other.
    """
    model_type = config.get("model_type")
    family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if family is None or not isinstance(model_type, str):
        raise Uncounted(
            phrase("the weights of the family {model_type!r} are not known here", model_type=str(model_type)[:40])
        )
    said = {**family_defaults()[model_type], **{key: config[key] for key in SETTINGS if key in config}}
    for name in family.refused:
        if said.get(name):
            raise Uncounted(phrase("{model_type} with {name} is not counted here", model_type=model_type, name=name))
    switches = {name: _switch(said, name) for name in (*sorted(SWITCHES), *_FALCON)}
    sizes = _sizes(model_type, said)
    switches["q_lora_rank"] = "q_lora_rank" in sizes
    if model_type == "falcon":
        _falcon(sizes, switches)
    layers = _layers(family, sizes, said)
    found: dict[tuple[str, tuple[int, ...], Role], int] = {}
    for part in family.parts:
        if layers[part.place] and _is_there(part, switches):
            for weight in _weights(part, sizes, switches, layers[part.place]):
                key = (weight.module, weight.shape, weight.role)
                found[key] = found.get(key, 0) + weight.count
    return tuple(Weight(module, shape, count, role) for (module, shape, role), count in found.items())


def _switch(said: Mapping[str, Any], name: str) -> bool:
    value = said.get(name)
    if value is None or isinstance(value, bool):
        return value is True
    raise ModelFault(
        "M004",
        phrase("config.json says {name} = {value!r}, which is not true or false", name=name, value=str(value)[:40]),
        _PUBLISHERS,
    )


def _sizes(model_type: str, said: Mapping[str, Any]) -> dict[str, int]:
    sizes = {}
    for size, (names, largest) in _SIZES.items():
        stated = [(name, said[name]) for name in names if name in said]
        if not stated:
            continue
        name, value = next((pair for pair in stated if pair[1] is not None), stated[0])
        if value is None and size in _MAY_BE_NONE:
            continue
        if type(value) is not int or not (0 if size in _MAY_BE_ZERO else 1) <= value <= largest:
            raise ModelFault(
                "M004",
                phrase("config.json says {name} = {value!r}, which is no size", name=name, value=str(value)[:40]),
                _PUBLISHERS,
            )
        sizes[size] = value
    missing = {"hidden", "layers", "heads", "vocab"} - sizes.keys()
    if missing:
        names_missing = ", ".join(sorted(_SIZES[size][0][0] for size in missing))
        raise ModelFault(
            "M004", phrase("config.json does not say {names_missing}", names_missing=names_missing), _PUBLISHERS
        )
    hidden, heads = sizes["hidden"], sizes["heads"]
    sizes.setdefault("kv_heads", heads)
    sizes.setdefault("ff", 4 * hidden)
    if heads % sizes["kv_heads"] and model_type != "falcon":
        message = phrase(
            "config.json says num_key_value_heads = {kv_heads}, which does not divide {heads} heads",
            kv_heads=sizes["kv_heads"],
            heads=heads,
        )
        raise ModelFault("M004", message, _PUBLISHERS)
    if "kv_lora_rank" not in sizes and ("head" not in sizes or model_type in _DERIVED_HEAD) and hidden % heads:
        message = phrase(
            "config.json says num_attention_heads = {heads}, which does not divide hidden_size = {hidden}",
            heads=heads,
            hidden=hidden,
        )
        raise ModelFault("M004", message, _PUBLISHERS)
    if model_type in _DERIVED_HEAD:
        sizes["head"] = max(1, hidden // heads)
    sizes.setdefault("head", max(1, hidden // heads))
    sizes["own_head"] = max(1, hidden // heads)
    if "rope_head" in sizes and "nope_head" in sizes:
        sizes["qk_head"] = sizes["rope_head"] + sizes["nope_head"]
    return sizes


def _falcon(sizes: dict[str, int], switches: dict[str, bool]) -> None:
    """The three generations of Falcon, after transformers.models.falcon.modeling_falcon."""
    new = switches["new_decoder_architecture"]
    sizes["ff"] = sizes.get("falcon_ff", 4 * sizes["hidden"])
    sizes["kv_heads"] = sizes.get("falcon_kv_heads", sizes["heads"])
    if not new:
        sizes["kv_heads"] = 1 if switches["multi_query"] else sizes["heads"]
    norms = sizes.get("norms", 2 if new else 1)
    switches["two_norms"] = new and norms == 2


def _layers(family: Family, sizes: Mapping[str, int], said: Mapping[str, Any]) -> dict[Place, int]:
    """How many layers there are in all, and how many of them are with and without experts."""
    layers = sizes["layers"]
    sparse = {"": 0, "all": layers, "step": 0, "after first": max(0, layers - sizes.get("first", 0))}[family.sparse]
    if family.sparse == "step":
        dense = said.get("mlp_only_layers") or []
        if not isinstance(dense, list) or not all(type(number) is int for number in dense):
            raise ModelFault(
                "M004", phrase("config.json says mlp_only_layers = {dense!r}", dense=str(dense)[:40]), _PUBLISHERS
            )
        kept = frozenset(dense)
        sparse = sum(number not in kept and (number + 1) % sizes["step"] == 0 for number in range(layers))
    return {"model": 1, "layer": layers, "sparse": sparse, "dense": layers - sparse}


def _is_there(part: Part, switches: Mapping[str, bool]) -> bool:
    return all(switches[name.lstrip("!")] is not name.startswith("!") for name in part.switch.split())


def _weights(part: Part, sizes: Mapping[str, int], switches: Mapping[str, bool], count: int) -> Iterable[Weight]:
    shape = tuple(_dimension(text, sizes) for text in part.shape)
    yield Weight(part.module, shape, count, part.role)
    if part.bias == ALWAYS or (part.bias and switches[part.bias]):
        yield Weight(part.module, shape[:1], count, "bias")


def _dimension(text: str, sizes: Mapping[str, int]) -> int:
    """``heads*head + 2*kv_heads*head`` in numbers."""
    factors = [term.strip().split("*") for term in text.split("+")]
    unsaid = [name for term in factors for name in term if not name.isdigit() and name not in sizes]
    if unsaid:
        raise ModelFault("M004", phrase("config.json does not say {sizes}", sizes=_SIZES[unsaid[0]][0][0]), _PUBLISHERS)
    return sum(math.prod(int(name) if name.isdigit() else sizes[name] for name in term) for term in factors)


def with_head(weights: tuple[Weight, ...]) -> tuple[Weight, ...]:
    """The weights, and a head where it is tied to the embedding."""
    if any(weight.role == "head" for weight in weights):
        return weights
    tied = [Weight("lm_head", weight.shape, 1, "head") for weight in weights if weight.role == "embedding"]
    return (*weights, *tied)
