"""The harness on measurements of its own, and on the published ones where they lie beside the checkout."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.accuracy import USUAL, run
from benchmarks.accuracy.lengths import Lengths
from benchmarks.accuracy.rows import Row, read_rows
from benchmarks.accuracy.score import Left, Scored, score
from benchmarks.accuracy.stacks import Declared, declared
from compiler.estimate.memory import memory_on
from compiler.estimate.outside import workspaces
from compiler.estimate.result import Memory

ROW = {
    "id": "one",
    "source": "fitcheck-llm",
    "trust": "A",
    "model": "HuggingFaceTB/SmolLM2-1.7B",
    "method": "lora",
    "rank": 32,
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "micro_batch": 1,
    "seq_len": 2048,
    "seq_len_kind": "fixed (synthetic tokens)",
    "grad_checkpoint": True,
    "dtype": "fp16",
    "framework": "transformers+PEFT (own loop)",
    "attn": "sdpa:EFFICIENT_ATTENTION",
    "gpu": "Tesla T4",
    "gpu_count": 1,
    "peak_mem_metric": "torch.cuda.max_memory_allocated (MiB)",
    "peak_mem_gib": 4.86,
    "extra": {
        "arch": {
            "hidden_size": 2048,
            "num_hidden_layers": 24,
            "num_attention_heads": 32,
            "num_kv_heads": 32,
            "intermediate_size": 8192,
            "vocab_size": 49152,
            "head_dim": 64,
            "tie_word_embeddings": True,
        }
    },
}


def test_rows_are_scored_or_left_with_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "measurements.jsonl"
    rows = [ROW, {**ROW, "framework": "newcomer"}, {**ROW, "peak_mem_gib": None}, {**ROW, "oom": True}]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    found = [result for row in read_rows(file) for result in score(row)]
    assert len(found) == 2
    assert isinstance(found[0], Scored)
    assert abs(found[0].error) < 0.01
    assert isinstance(found[1], Left)
    assert "newcomer" in found[1].why


def test_without_measurements_it_says_so(tmp_path: Path) -> None:
    assert "nothing to score" in run(tmp_path / "none.jsonl")[0]


@pytest.mark.skipif(not USUAL.is_file(), reason="no measurements beside this checkout")
def test_published_runs_of_peft_are_met() -> None:
    """Allocated memory within 1 % (median) and never below what was measured by more than the band."""
    rows = [row for row in read_rows(USUAL) if row.source.startswith(("fitcheck", "vramcalc"))][::4]
    scored = [each for row in rows for each in score(row) if isinstance(each, Scored) and each.metric == "allocated"]
    errors = sorted(abs(each.error) for each in scored)
    assert errors[len(errors) // 2] < 0.01
    assert all(each.inside for each in scored)


LITGPT = {
    **ROW,
    "source": "LitGPT resource-tables.md",
    "framework": "litgpt (lit-gpt)",
    "model": "meta-llama/Llama-2-7b-hf",
    "rank": 8,
    "target_modules": ["q_proj", "v_proj"],
    "seq_len": 1304,
    "grad_checkpoint": False,
    "dtype": "bf16-true",
    "grad_accum": 128,
    "gpu": "NVIDIA A100-SXM4-40GB",
    "extra": None,
}
HUB = {**LITGPT, "source": "LitGPT config_hub README", "framework": "litgpt", "seq_len": 512, "rank": 32}


@pytest.mark.parametrize(
    ("values", "traced"),
    [
        (LITGPT, 21.228e9),
        ({**LITGPT, "method": "qlora", "quant": "bnb-nf4-dq"}, 13.774e9),
        ({**LITGPT, "model": "microsoft/phi-1_5", "seq_len": 1044, "micro_batch": 2}, 6.747e9),
        ({**LITGPT, "model": "tiiuae/falcon-7b", "seq_len": 1079}, 23.317e9),
        ({**HUB, "model": "meta-llama/Meta-Llama-3-8B"}, 19.628e9),
        ({**HUB, "model": "tiiuae/falcon-7b", "method": "qlora", "quant": "bnb-nf4"}, 9.361e9),
        (
            {
                **HUB,
                "model": "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T",
                "method": "full",
                "micro_batch": 4,
                "target_modules": None,
            },
            14.056e9,
        ),
    ],
    ids=["lora", "nf4-dq", "layer-norm", "one-key-for-all-heads", "steps-in-a-row", "packed-in-a-row", "full"],
)
def test_litgpt_takes_what_its_own_code_took_on_fake_tensors(values: dict[str, object], traced: float) -> None:
    """Bytes asked for by LitGPT's own model, adapters and loss (8641822, 29de2828, 0.3.0), run on fake tensors.

    PyTorch 2.1's mean and its attention by score, and bitsandbytes 0.41's layer, were put in as these had them.
    """
    found = declared(read_rows_of(values))
    assert isinstance(found, Declared)
    memory = memory_on(found.work, found.stack)
    assert isinstance(memory, Memory)
    assert memory.allocated.bytes - workspaces(8.0) == pytest.approx(traced, rel=0.005)


def test_inputs_of_packed_layers_stay_while_the_next_step_goes_forward() -> None:
    """bitsandbytes before 0.44 held them as attributes: with the graph that the loop still names, a GiB and more."""
    packed = read_rows_of({**HUB, "method": "qlora", "quant": "bnb-nf4"})
    found = declared(packed)
    assert isinstance(found, Declared)
    held, let_go = memory_on(found.work, found.stack), memory_on(found.work, replace(found.stack, graph_held=False))
    assert isinstance(held, Memory)
    assert isinstance(let_go, Memory)
    inputs = 32 * 512 * 2 * (3 * 4096 + 11008)  # of query, key and value, of the output, of gate and up, of down
    assert held.allocated.bytes - let_go.allocated.bytes > 0.8 * inputs


def test_unsloth_of_2024_1_on_a_t4_has_logits_in_float32_and_keys_for_each_head() -> None:
    """Its model returned logits; xformers' kernel has no heads that share keys (models/llama.py)."""
    values = {
        **LITGPT,
        "model": "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T",
        "method": "qlora",
        "quant": "bnb-nf4",
        "rank": 32,
        "micro_batch": 2,
        "seq_len": 4096,
        "seq_len_kind": "packed",
        "gpu": "Tesla T4",
    }

    def allocated(version: str, gpu: str = "Tesla T4") -> int:
        found = declared(read_rows_of({**values, "framework": f"Unsloth {version}", "gpu": gpu}))
        assert isinstance(found, Declared)
        memory = memory_on(found.work, found.stack)
        assert isinstance(memory, Memory)
        return memory.allocated.bytes

    tokens = 2 * 4096
    assert allocated("2024.1") - allocated("2024.4") == tokens * 32000 * 4
    assert allocated("2024.4") - allocated("2024.4", "NVIDIA L4") == 22 * 2 * tokens * (2048 - 256) * 2


def test_lengths_of_a_run_go_up_to_its_limit() -> None:
    lengths = Lengths(3234, 2547, "news").drawn(2048)
    assert lengths == sorted(lengths)
    assert lengths[-1] == 2048
    assert 0 < lengths[0] < 1024


def test_what_is_not_known_of_a_stack_widens_its_band_and_is_told() -> None:
    asked = read_rows_of(
        {**ROW, "framework": "ms-swift 1.x", "seq_len_kind": "max_truncation", "model": "Qwen/Qwen-7B"}
    )
    found = declared(asked)
    assert isinstance(found, Declared)
    assert "lengths" in found.doubts
    (scored,) = score(asked)
    assert isinstance(scored, Scored)
    (known,) = score(read_rows_of(ROW))
    assert isinstance(known, Scored)
    assert not known.said.doubts

    def width(each: Scored) -> float:
        return (each.predicted.high - each.predicted.low) / each.predicted.bytes

    assert width(scored) > 3 * width(known)


def read_rows_of(values: dict[str, object]) -> Row:
    """The row as the harness reads it from a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "one.jsonl"
        file.write_text(json.dumps(values), encoding="utf-8")
        (row,) = read_rows(file)
    return row
