"""Arguments of TRL's and PEFT's config classes that recipec sets itself, and what decides them instead."""

from __future__ import annotations

from compiler.phrases import phrase

_BATCH = phrase("batch_size in [training] is the effective batch; the compiler splits it")
_FOLDER = phrase("each run writes into its own folder; choose where with --runs-dir")
_HUB = phrase("a run uploads nothing; upload the adapter folder yourself: hf upload")
_TOKENISED = phrase("rows reach TRL as the token ids that were audited; [data] and [training] say how they are made")
_GPUS = phrase("training on several GPUs is not built into this version")
_DTYPE = phrase("dtype in [model] decides the precision")
_JOURNAL = phrase("every optimizer step is written to the journal")
_EVERY_STEP = phrase("eval_steps and save_steps in [training] decide when")
_BEST = phrase("early_stopping_patience in [training] keeps the best measured step")
_STEPS = phrase("it follows from the number of steps")

SFT = {
    **dict.fromkeys(["output_dir", "overwrite_output_dir", "logging_dir"], _FOLDER),
    **dict.fromkeys(["bf16", "fp16", "bf16_full_eval", "fp16_full_eval", "tf32", "half_precision_backend"], _DTYPE),
    "data_seed": phrase("seed in [training] decides it"),
    **dict.fromkeys(["use_cpu", "no_cuda", "use_mps_device"], phrase("device in [hardware] decides it")),
    **dict.fromkeys(["eval_strategy", "evaluation_strategy", "save_strategy", "eval_delay"], _EVERY_STEP),
    **dict.fromkeys(["logging_steps", "logging_strategy", "logging_first_step", "logging_nan_inf_filter"], _JOURNAL),
    **dict.fromkeys(["disable_tqdm", "log_level", "log_level_replica", "log_on_each_node"], _JOURNAL),
    **dict.fromkeys(["gradient_accumulation_steps", "auto_find_batch_size", "per_device_eval_batch_size"], _BATCH),
    **dict.fromkeys(["load_best_model_at_end", "metric_for_best_model", "greater_is_better"], _BEST),
    **dict.fromkeys(
        [
            "do_train",
            "do_eval",
            "do_predict",
            "resume_from_checkpoint",
            "ignore_data_skip",
            "save_only_model",
            "restore_callback_states_from_checkpoint",
            "save_on_each_node",
        ],
        phrase("a run always trains, measures, and makes checkpoints that can be resumed exactly"),
    ),
    **dict.fromkeys(
        [
            "dataset_kwargs",
            "dataset_text_field",
            "dataset_num_proc",
            "chat_template_path",
            "eos_token",
            "pad_token",
            "completion_only_loss",
            "assistant_only_loss",
            "remove_unused_columns",
            "shuffle_dataset",
            "truncation_mode",
            "padding_free",
            "eval_packing",
            "packing_strategy",
            "pad_to_multiple_of",
            "label_names",
            "include_for_metrics",
        ],
        _TOKENISED,
    ),
    "model_init_kwargs": phrase("[model] says how the model is loaded"),
    "trust_remote_code": phrase("trust_remote_code in [model] decides it, together with --trust-remote-code"),
    **dict.fromkeys(
        [
            "push_to_hub",
            "hub_model_id",
            "hub_strategy",
            "hub_token",
            "hub_private_repo",
            "hub_always_push",
            "hub_revision",
            "push_to_hub_token",
            "push_to_hub_model_id",
            "push_to_hub_organization",
        ],
        _HUB,
    ),
    **dict.fromkeys(
        [
            "fsdp",
            "fsdp_config",
            "deepspeed",
            "local_rank",
            "ddp_backend",
            "ddp_bucket_cap_mb",
            "ddp_timeout",
            "ddp_broadcast_buffers",
            "ddp_find_unused_parameters",
            "parallelism_config",
            "accelerator_config",
        ],
        _GPUS,
    ),
    "run_name": phrase("name in [recipe] names the run"),
}

PEFT = {
    **dict.fromkeys(["task_type", "peft_type"], phrase("method in [adapter] decides it")),
    **dict.fromkeys(
        ["inference_mode", "base_model_name_or_path", "auto_mapping", "revision", "peft_version"],
        phrase("the executor writes it into the adapter's files"),
    ),
    **dict.fromkeys(["use_dora", "use_qalora"], phrase("method in [adapter] decides it")),
    "loftq_config": phrase('init_lora_weights = "loftq" in [adapter] decides it, with one pass'),
    "init_r": phrase("r in [adapter] is the rank that AdaLoRA starts from"),
    "total_step": _STEPS,
}


def advice_for(config: str, argument: str) -> str:
    """What decides an argument of a config class instead; an empty text for one that may be passed on."""
    return (SFT if config == "SFTConfig" else PEFT).get(argument, "")
