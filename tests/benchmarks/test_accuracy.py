"""The harness on measurements of its own, and on the published ones where they lie beside the checkout."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from benchmarks.accuracy import USUAL, run
from benchmarks.accuracy.lengths import Lengths
from benchmarks.accuracy.rows import Row, read_rows
from benchmarks.accuracy.score import Left, Scored, score
from benchmarks.accuracy.stacks import Declared, declared

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
