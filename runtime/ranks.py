"""The ranks that AdaLoRA has left, from the adapter's own files: for the report and the page. Without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.run_folder import RunFolder

SCHEDULE = ("init_r", "target_r", "tinit", "tfinal", "deltaT", "total_step")
"""PEFT's arguments that say when how many ranks live (AdaLoraConfig)."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """The schedule as PEFT was given it, and how many ranks each adapted layer has left, by the layer's path."""

    schedule: dict[str, int]
    left: dict[str, int]

    @property
    def mean(self) -> float:
        """Ranks of a layer on average; 0 where no layer is known."""
        return sum(self.left.values()) / len(self.left) if self.left else 0.0

    def as_json(self) -> dict[str, Any]:
        """For report.json."""
        return {"schedule": self.schedule, "mean": round(self.mean, 4), "layers": self.left}

    def facts(self) -> list[tuple[str, str]]:
        """In words: from how many to how many and when, and how far the kinds of layers are apart."""
        given = self.schedule
        last = given["total_step"] - given["tfinal"]
        told = phrase(
            "{first} at first, {mean:.1f} on average at the end; pruned from step {begin} to {last}, every {every}",
            first=given["init_r"],
            mean=self.mean,
            begin=given["tinit"],
            last=last,
            every=given["deltaT"],
        )
        kinds: dict[str, list[int]] = {}
        for path, rank in self.left.items():
            kinds.setdefault(path.rpartition(".")[2], []).append(rank)
        each = ", ".join(
            f"{kind} {min(ranks)}" + (f"-{max(ranks)}" if max(ranks) > min(ranks) else "")
            for kind, ranks in sorted(kinds.items())
        )
        return [(phrase("ranks"), told), (phrase("ranks by layer"), each)]


def ranks_of(run: RunFolder, plan: Plan) -> Ranks | None:
    """The ranks of a run with AdaLoRA; None for another method, and before its adapter is saved."""
    if plan.method != "adalora" or plan.peft is None:
        return None
    try:
        pattern = json.loads((run.adapter / "adapter_config.json").read_text(encoding="utf-8"))["rank_pattern"]
        left = {_path(name): sum(living) for name, living in pattern.items()}
        schedule = {name: int(plan.peft.kwargs[name]) for name in SCHEDULE}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Ranks(schedule, dict(sorted(left.items()))) if left else None


def _path(name: str) -> str:
    """``base_model.model.model.layers.0.self_attn.q_proj.lora_E`` as the model calls the layer."""
    return name.removeprefix("base_model.model.").removesuffix(".lora_E")
