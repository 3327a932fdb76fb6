"""Memory against real steps on a CPU, and what must hold for any work."""

from __future__ import annotations

import pytest

from compiler.estimate.memory import memory, memory_on
from compiler.estimate.result import Memory, Unknown
from compiler.estimate.stack import Stack
from tests.compiler.estimate.works import SMALL, work

PLAIN = Stack(base_width=4, kept_width=4, adapter_width=4, autocast=0, loss="whole")
CHECKPOINTED = Stack(base_width=4, kept_width=4, adapter_width=4, autocast=0, loss="whole", checkpoint="layer")


@pytest.mark.parametrize(
    ("stack", "rows", "length", "measured"),
    [(PLAIN, 4, 512, 1_670_003_108), (CHECKPOINTED, 4, 512, 1_350_900_000), (CHECKPOINTED, 8, 1024, 3_798_700_000)],
)
def test_full_fine_tuning_takes_what_a_real_step_took(stack: Stack, rows: int, length: int, measured: int) -> None:
    """Peaks of torch.profiler's memory events on a CPU, torch 2.13, transformers 5.17 and 5.23."""
    asked = work(
        SMALL,
        method="full",
        quantization="none",
        dtype="float32",
        optim="adamw_torch_fused",
        micro_batch=rows,
        length=length,
        device="cpu",
        target_modules=(),
    )
    found = memory_on(asked, stack)
    assert isinstance(found, Memory)
    assert found.allocated.bytes == pytest.approx(measured, rel=0.0005)


def test_the_terms_are_all_of_it() -> None:
    found = memory(work())
    assert isinstance(found, Memory)
    assert sum(term.bytes for term in found.terms) == found.allocated.bytes
    assert found.allocated.bytes < found.reserved.bytes < found.process.bytes
    assert all(term.what and term.source for term in found.terms)


def test_a_family_that_is_not_known_is_refused() -> None:
    from msgspec.structs import replace

    asked = work()
    found = memory(replace(asked, architecture=replace(asked.architecture, model_type="newcomer")))
    assert isinstance(found, Unknown)
    assert "newcomer" in found.reason
