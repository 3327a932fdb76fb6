"""The exact keyword arguments for Transformers, bitsandbytes, HQQ, PEFT and TRL, from resolved values.

Paths of this machine (the output folder, where the weights lie) are the executor's to add.
"""

from __future__ import annotations

from typing import Any

from compiler.decide import loss_type, scheduler_kwargs, target_modules
from compiler.facts.architecture import Architecture
from compiler.facts.machine import Target
from compiler.language.recipe import Recipe
from compiler.plan import LibraryCall
from compiler.resolve import Resolved
from compiler.two_bits import CONFIG, QUANTIZATION


def load_call(recipe: Recipe, resolved: Resolved, target: Target, *, pickled: bool) -> LibraryCall:
    """``from_pretrained`` of the backend; safetensors only, unless the weights are ``pickled`` and that is allowed.

    Of a pickle, Transformers reads plain tensors and nothing else: ``weights_only`` of ``torch.load`` is its default.
    It is said as well, so that no other default can ever run what is in one.
    """
    kwargs: dict[str, Any] = {
        "attn_implementation": resolved.attn_implementation,
        "dtype": resolved.dtype,
        "trust_remote_code": recipe.model.trust_remote_code,
        "use_safetensors": not pickled,
    }
    if pickled:
        kwargs["weights_only"] = True
    if resolved.backend == "peft":
        return LibraryCall(name="transformers.AutoModelForCausalLM.from_pretrained", kwargs=kwargs)
    kwargs |= {
        "full_finetuning": resolved.method == "full",
        "load_in_4bit": resolved.quantization == "nf4",
        "load_in_8bit": resolved.quantization == "int8",
        "max_seq_length": resolved.max_length,
        "use_exact_model_name": True,  # else it may take another upload of the same model
        "use_gradient_checkpointing": _unsloth_checkpointing(resolved, target),
    }
    return LibraryCall(name="unsloth.FastLanguageModel.from_pretrained", kwargs=dict(sorted(kwargs.items())))


def _unsloth_checkpointing(resolved: Resolved, target: Target) -> bool | str:
    """Its own kind of checkpoints, kept in the machine's memory, is for GPUs."""
    return "unsloth" if resolved.gradient_checkpointing and target.device == "cuda" else resolved.gradient_checkpointing


def quantization_call(recipe: Recipe, resolved: Resolved) -> LibraryCall | None:
    """``BitsAndBytesConfig`` for a quantised base, HQQ's for 2 bits, None for plain weights."""
    if resolved.quantization in {"nf4", "fp4"}:
        kwargs: dict[str, Any] = {
            "bnb_4bit_compute_dtype": resolved.dtype,
            "bnb_4bit_quant_type": resolved.quantization,
            "bnb_4bit_use_double_quant": recipe.model.bnb_4bit_use_double_quant,
            "load_in_4bit": True,
        }
        return LibraryCall(name="transformers.BitsAndBytesConfig", kwargs=kwargs)
    if resolved.quantization == "int8":
        return LibraryCall(name="transformers.BitsAndBytesConfig", kwargs={"load_in_8bit": True})
    if resolved.quantization == QUANTIZATION:
        return LibraryCall(name="hqq.core.quantize.BaseQuantizeConfig", kwargs=dict(CONFIG))
    return None


def peft_call(recipe: Recipe, resolved: Resolved, architecture: Architecture | None) -> LibraryCall | None:
    """``LoraConfig`` or ``AdaLoraConfig``; None for full fine-tuning."""
    return adapter_call(
        recipe,
        architecture,
        method=resolved.method,
        r=resolved.r,
        lora_alpha=resolved.lora_alpha,
        steps=resolved.schedule.steps,
    )


def adapter_call(
    recipe: Recipe, architecture: Architecture | None, *, method: str, r: int, lora_alpha: int, steps: int
) -> LibraryCall | None:
    """The same of a method and a rank that are only looked at."""
    if method == "full":
        return None
    adapter = recipe.adapter
    kwargs: dict[str, Any] = {
        "bias": adapter.bias,
        "init_lora_weights": True if adapter.init_lora_weights == "default" else adapter.init_lora_weights,
        "lora_alpha": lora_alpha,
        "lora_dropout": adapter.lora_dropout,
        "target_modules": target_modules(adapter, architecture),
        "task_type": "CAUSAL_LM",
    }
    if adapter.modules_to_save:
        kwargs["modules_to_save"] = list(adapter.modules_to_save)
    if method == "adalora":
        # Ranks are pruned between tinit and total_step - tfinal (AdaLoRA, 2303.10512).
        kwargs |= {
            "deltaT": max(1, steps // 50),
            "init_r": r,
            "target_r": adapter.target_r or max(1, r // 2),
            "tfinal": steps // 2,
            "tinit": steps // 10,
            "total_step": steps,
        }
        name = "peft.AdaLoraConfig"
    else:
        kwargs |= {"r": r, "use_dora": method == "dora", "use_rslora": adapter.use_rslora}
        name = "peft.LoraConfig"
    return LibraryCall(name=name, kwargs=dict(sorted({**kwargs, **adapter.peft}.items())))


def sft_call(recipe: Recipe, resolved: Resolved, target: Target, *, held_out: int, eval_rows: int) -> LibraryCall:
    """``SFTConfig``, but for output_dir. Rows arrive as token ids and labels, so TRL prepares nothing.

    ``eval_rows`` held-out rows are measured at once.
    """
    training, schedule = recipe.training, resolved.schedule
    measures = held_out > 0
    kwargs: dict[str, Any] = {
        "bf16": resolved.dtype == "bfloat16",
        "data_seed": training.seed,
        "dataloader_pin_memory": target.device == "cuda",
        "disable_tqdm": True,
        "eval_strategy": "steps" if measures else "no",
        "fp16": resolved.dtype == "float16",
        "gradient_accumulation_steps": schedule.accumulation,
        "gradient_checkpointing": resolved.gradient_checkpointing,
        "learning_rate": resolved.learning_rate,
        "logging_nan_inf_filter": False,  # a NaN must be seen, not averaged away
        "logging_steps": 1,
        "loss_type": loss_type(recipe, resolved.backend),
        "lr_scheduler_type": training.lr_scheduler_type,
        "max_grad_norm": training.max_grad_norm,
        "max_length": resolved.max_length,
        "max_steps": schedule.steps,
        "optim": resolved.optim,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "per_device_eval_batch_size": eval_rows,
        "per_device_train_batch_size": schedule.micro_batch,
        "report_to": list(training.report_to) or "none",
        "save_steps": resolved.save_steps,
        "save_strategy": "steps",
        "seed": training.seed,
        "use_cpu": target.device == "cpu",
        "warmup_steps": schedule.warmup_steps,
        "weight_decay": training.weight_decay,
    }
    if resolved.gradient_checkpointing:
        kwargs["gradient_checkpointing_kwargs"] = {"use_reentrant": False}
    if measures:
        kwargs["eval_steps"] = resolved.eval_steps
    if training.neftune_noise_alpha is not None:
        kwargs["neftune_noise_alpha"] = training.neftune_noise_alpha
    if training.early_stopping_patience is not None:
        kwargs |= {
            "greater_is_better": False,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "restore_callback_states_from_checkpoint": True,  # a resume must not begin to be patient anew
        }
    kwargs |= training.sft
    shape = scheduler_kwargs(training, steps=schedule.steps)
    if shape:
        kwargs["lr_scheduler_kwargs"] = shape
    return LibraryCall(name="trl.SFTConfig", kwargs=dict(sorted(kwargs.items())))
