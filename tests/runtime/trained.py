"""Trainings of a tiny model in a process of its own, since a backend patches the libraries that it finds.

``python -m tests.runtime.trained FOLDER BACKEND`` trains what ``JOBS`` names and writes FOLDER/BACKEND.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.plan import LibraryCall, PackingPart, Plan
from tests.runtime.tiny import of_pickles, plan_of, save_base, work
from tests.torch_files import pickle_model

if TYPE_CHECKING:
    from tests.runtime.tiny import Work

LORA = {"r": 4, "lora_alpha": 8}
JOBS: dict[str, dict[str, Any]] = {
    "lora": LORA,
    "dora": {**LORA, "use_dora": True, "use_rslora": True},
    "nf4": LORA,
    "full": {},
}
KERNELS = {job: "eager" if job == "lora" else "sdpa" for job in JOBS}
STEPS = 20


def plan_for(job: str, backend: str, **sft: Any) -> Plan:
    """The plan of a job of ``JOBS`` for a backend, in bfloat16."""
    plan = plan_of("LoraConfig", dtype="bfloat16", **JOBS[job])
    if job == "full":
        sft = {"learning_rate": 1e-3, **sft}
    load: dict[str, Any] = {
        "attn_implementation": KERNELS[job],
        "dtype": "bfloat16",
        "trust_remote_code": False,
        "use_safetensors": True,
    }
    if backend == "unsloth":
        load |= {
            "full_finetuning": job == "full",
            "load_in_4bit": job == "nf4",
            "max_seq_length": 16,
            "use_gradient_checkpointing": False,
        }
    kwargs = {"bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_type": "nf4", "load_in_4bit": True}
    loss = "chunked_nll" if backend == "peft" else "nll"
    changes: dict[str, Any] = {
        "backend": backend,
        "load": LibraryCall(name="load", kwargs=load),
        "sft": LibraryCall(name="trl.SFTConfig", kwargs={**plan.sft.kwargs, "bf16": True, "loss_type": loss, **sft}),
    }
    if job == "full":
        changes |= {"method": "full", "peft": None}
    if job == "nf4":
        quantization = LibraryCall(
            name="transformers.BitsAndBytesConfig", kwargs={**kwargs, "bnb_4bit_use_double_quant": True}
        )
        changes |= {"method": "qlora", "quantization": quantization}
    return plan.model_copy(update=changes)


def trained(done: Work) -> dict[str, Any]:
    """Measure, train, measure again; what a test may look at."""
    from runtime.training import held_out_loss

    before = held_out_loss(done.trainer, base=True)["loss"]
    with done.trainer.on_its_stack():
        done.trainer.train()
    model = done.trainer.model
    return {
        "base": before,
        "tuned": held_out_loss(done.trainer, base=False)["loss"],
        "losses": done.losses(),
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "modules": sorted({name.split(".lora_A")[0].rpartition(".")[2] for name, _ in _lora(model)}),
        "kernel": model.config._attn_implementation,
        "layers": sorted({type(module).__name__ for module in model.modules()}),
    }


def _lora(model: Any) -> list[Any]:
    return [(name, p) for name, p in model.named_parameters() if ".lora_A" in name]


def resumed(base: Path, folder: Path, backend: str, *, packed: bool) -> dict[str, Any]:
    """The steps of ``tiny`` at once, and in two parts."""
    plan = plan_for("lora", backend)
    if packed:
        plan = plan.model_copy(update={"packing": PackingPart(pair=1e-4, whole=False)})
    assert plan.peft is not None
    plan.peft.kwargs["lora_dropout"] = 0.1  # so that the state of the random numbers counts
    whole = work(plan, base, folder / "whole")
    with whole.trainer.on_its_stack():
        whole.trainer.train()
    first = work(plan, base, folder / "parts", stop_at=4)
    with first.trainer.on_its_stack():
        first.trainer.train()
    checkpoint = first.run.checkpoints / "checkpoint-4"
    second = work(plan, base, folder / "parts", checkpoint=checkpoint)
    with second.trainer.on_its_stack():
        second.trainer.train(resume_from_checkpoint=str(checkpoint))
    return {"whole": whole.losses(), "parts": second.losses()}


def refusals(base: Path, folder: Path, backend: str) -> dict[str, Any]:
    """What is found out after loading: other bits than planned, another optimizer, names that match nothing."""
    from compiler.diagnostics import Refusal

    def told(plan: Plan, name: str) -> list[str]:
        try:
            work(plan, base, folder / name)
        except Refusal as refusal:
            return [f"{problem.code}: {problem.message} / {problem.help}" for problem in refusal.diagnostics]
        return []

    eight = plan_for("lora", backend)
    eight_bits = LibraryCall(name="transformers.BitsAndBytesConfig", kwargs={"load_in_8bit": True})
    eight = eight.model_copy(update={"quantization": eight_bits})
    eight.load.kwargs["load_in_8bit"] = True
    misspelt = plan_for("lora", backend)
    assert misspelt.peft is not None
    misspelt.peft.kwargs["target_modules"] = ["q_porj"]
    return {
        "bits": told(eight, "bits") if backend == "unsloth" else [],
        "optimizer": told(plan_for("lora", backend, optim="paged_adamw_8bit"), "optimizer"),
        "name": told(misspelt, "name"),
    }


def main(folder: Path, backend: str) -> None:
    """Train every job with a backend and write what came of it."""
    from runtime.backends import loader

    loader(backend)  # first of all: it may patch what comes next
    base = save_base(folder / f"base-{backend}")
    told: dict[str, Any] = {}
    for job in JOBS:
        plan = plan_for(job, backend, max_steps=STEPS, eval_strategy="no", save_strategy="no")
        told[job] = trained(work(plan, base, folder / backend / job))
    short = plan_for("nf4", backend, max_steps=STEPS, eval_strategy="no", save_strategy="no")
    pickled = pickle_model(base, folder / backend / "pickled-base", shards=2)
    told["pickled"] = trained(work(of_pickles(short), pickled, folder / backend / "pickled"))
    told["resumed"] = resumed(base, folder / backend / "resumed", backend, packed=False)
    told["packed"] = resumed(base, folder / backend / "packed", backend, packed=True)
    told["refused"] = refusals(base, folder / backend / "refused", backend)
    (folder / f"{backend}.json").write_text(json.dumps(told, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
