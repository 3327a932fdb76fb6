"""Base, tuned model and further adapters of the same base in one memory, switched between two answers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from compiler.data.tokenizer import ChatTokenizer
from compiler.diagnostics import Diagnostic, Refusal
from compiler.phrases import phrase
from compiler.plan import Plan
from runtime.inference import load_base, load_tuned
from runtime.models import base_folder
from runtime.run_folder import RunFolder, plan_of, read_launch
from runtime.starts import APART

BASE, TUNED = "base", "tuned"


class Speakers:
    """The models of some runs on one base. ``tuned`` is the first run's; the others are named by their runs.

    Raises Refusal when a run has no tuned model (X051), or when the runs cannot share a base (X080).
    """

    def __init__(self, runs: list[RunFolder], announce: Callable[[str], None]) -> None:
        plans = [plan_of(run) for run in runs]
        first = plans[0]
        _one_base(runs, plans)
        self.tokenizer: ChatTokenizer
        self.tokenizer, folder = base_folder(first, read_launch(runs[0]), announce)
        base = load_base(first, folder)
        self._base: Any = None if _takes_apart(runs[0]) else base
        if first.method == "full":
            self._adapters: dict[str, str] = {}
            self._tuned: Any = load_tuned(first, runs[0], base)
        else:
            import peft

            self._adapters = {TUNED: runs[0].id, **{run.id: run.id for run in runs}}
            _is_there(runs)
            self._tuned = peft.PeftModel.from_pretrained(base, runs[0].adapter, adapter_name=_plain(runs[0].id))
            for run in runs[1:]:
                self._tuned.load_adapter(run.adapter, adapter_name=_plain(run.id))
            self._tuned.eval()

    @property
    def names(self) -> list[str]:
        """Who can be asked."""
        return [*([BASE] if self._base is not None else []), TUNED, *(n for n in self._adapters if n != TUNED)]

    @contextlib.contextmanager
    def speaking(self, name: str) -> Iterator[Any]:
        """The model of that name, for one answer. Raises Refusal (X081)."""
        if name not in self.names:
            message = phrase("there is no model {name!r} here", name=name)
            raise Refusal(Diagnostic("X081", message, help=phrase("there are {names}", names=", ".join(self.names))))
        if name == BASE and not self._adapters:
            yield self._base
        elif name == BASE:
            with self._tuned.disable_adapter():
                yield self._tuned
        else:
            if self._adapters:
                self._tuned.set_adapter(_plain(self._adapters[name]))
            yield self._tuned


def _plain(run_id: str) -> str:
    """A run's id as a name of a module, which has no points."""
    return run_id.replace(".", "-")


def _is_there(runs: list[RunFolder]) -> None:
    missing = next((run for run in runs if not run.adapter.is_dir()), None)
    if missing is not None:
        message = phrase("run {id} has no tuned model: {name}/ is not there", id=missing.id, name=missing.adapter.name)
        raise Refusal(Diagnostic("X051", message, help=phrase("let it finish: recipe resume, or recipe attach")))


def _one_base(runs: list[RunFolder], plans: list[Plan]) -> None:
    """Adapters share a base of the same weights, precision and quantisation, which none of them changes."""

    def base_of(plan: Plan) -> tuple[Any, ...]:
        return plan.model.id, plan.model.revision, plan.model.files, plan.load.kwargs, plan.quantization

    for run, plan in zip(runs[1:], plans[1:], strict=True):
        if plan.method == "full" or plans[0].method == "full" or base_of(plan) != base_of(plans[0]):
            message = phrase(
                "run {id} is no adapter on the base of run {id2}, stored in the same way", id=run.id, id2=runs[0].id
            )
            raise Refusal(Diagnostic("X080", message, help=phrase("talk to it alone: recipe chat ") + run.id))
    if len(runs) > 1:
        apart = next((run for run in runs if _takes_apart(run)), None)
        if apart is not None:
            message = phrase("the adapter of run {id} changes the base that it is put on (PiSSA, OLoRA)", id=apart.id)
            raise Refusal(Diagnostic("X080", message, help=phrase("talk to it alone: recipe chat ") + apart.id))


def _takes_apart(run: RunFolder) -> bool:
    try:
        config = json.loads((run.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return str(config.get("init_lora_weights", "")).startswith(APART)
