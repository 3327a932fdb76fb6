"""How fast a device is, in the few numbers that a training step's time is made of."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Device(Struct, frozen=True):
    """A GPU, or the processor of this machine.

    ``flops`` are floating-point operations per second that large 16-bit matrix products really reach,
    ``float_flops`` those of float32; ``bandwidth`` bytes per second between memory and kernels; ``launch`` seconds
    that PyTorch takes to have one kernel started; ``attention`` the share of ``flops`` that causal attention reaches,
    ``attention_start`` seconds that its kernel takes of each token and head beside (forwards and backwards), and
    ``float_attention`` and ``float_attention_start`` the same in float32; ``watts`` what the device draws under load, 0
    where not known.
    """

    kind: Literal["cpu", "cuda"]
    flops: float
    float_flops: float
    bandwidth: float
    launch: float
    attention: float = 0.65
    attention_start: float = 0.0
    float_attention: float = 0.65
    float_attention_start: float = 0.0
    watts: float = 0.0


LAUNCH = 14.5e-6
"""Seconds per operation of eager PyTorch with autograd and Python around it.

4.7 to 5.2 ms per layer and micro-step were published for Qwen's 1.8B, 7B and 14B alike at 256 tokens with
checkpointing (QwenLM/Qwen, README): 344 operations, as ``time.py`` counts them.
"""

_REACHED = {7.0: 0.75, 7.5: 0.40, 8.0: 0.87, 9.0: 0.80, 10.0: 0.78, 10.3: 0.78}
"""Share of the dense peak that the best matrix product reaches, by compute capability.

A100 271 of 312, H100 795 of 989, B200 1,745 of 2,250 TFLOPS (stas00/ml-engineering, "MAMF"). Turing's cards are held
to their power long before their peak: some two fifths of it are left to a T4.
"""

_LOW_POWER_WATTS = 75
"""Cards without a power connector cannot keep their clock while tensor cores work."""

_BANDWIDTH_REACHED = 0.85
_BANDWIDTH_REACHED_BEFORE_AMPERE = 0.69
"""Share of the memory's rate that streaming kernels reach: A100 1,380 of 1,555 GB/s (BabelStream), T4 220 of 320 GB/s
(Jia et al., 1903.07486, table 3.1)."""

_ATTENTION = 0.65
_ATTENTION_BEFORE_AMPERE = 0.25
"""Share of a large product's rate in causal attention: FlashAttention 2 on an A100 does 170 to 200 TFLOPS forward and
back (2307.08691, figures 5 and 6); older cards have the memory-efficient kernel only."""


def gpu_device(
    *, tflops: float, float_tflops: float, bandwidth_gb: float, compute_capability: float, watts: float
) -> Device:
    """A GPU from its data sheet: dense 16-bit and float32 TFLOPS, GB/s, compute capability, and power in watts."""
    reached = _REACHED.get(compute_capability, 0.87)
    if 0 < watts <= _LOW_POWER_WATTS:
        reached = min(reached, 0.5)
    ampere = compute_capability >= 8.0
    attention = _ATTENTION if ampere else _ATTENTION_BEFORE_AMPERE
    return Device(
        kind="cuda",
        flops=tflops * 1e12 * reached,
        float_flops=float_tflops * 1e12 * min(0.8, 2 * reached),
        bandwidth=bandwidth_gb * 1e9 * (_BANDWIDTH_REACHED if ampere else _BANDWIDTH_REACHED_BEFORE_AMPERE),
        launch=LAUNCH,
        attention=attention,
        float_attention=attention,
        watts=watts,
    )


_FLOAT = (("avx512f", 146e9), ("avx2", 90e9), ("avx", 20e9))
"""Operations per second of one core in large float32 products, by its instructions: what an Intel Xeon with AVX-512 and
an AMD EPYC with AVX2 reach on two (``python -m benchmarks packing``), and half of two units of its width at 2.5 GHz for
the rest, which was not measured, no more than AVX-512 by others."""

_OLDEST = 10e9

_EMULATED = (("avx512f", 73e9), ("avx2", 0.15e9), ("avx", 0.15e9))
"""The same in bfloat16 on x86 where no instruction has it. oneDNN emulates it with AVX-512 only, taken here as half of
float32 for want of a measurement; PyTorch's own loop reaches 0.3 billion operations a second on that EPYC's two cores.
Other processors (Arm's have instructions for it) are taken to be as quick as in float32."""


class Core(Struct, frozen=True):
    """What a core reaches in bfloat16.

    Operations per second in large products (``flops``) and of attention's pairs in PyTorch's kernel (``attention``),
    bytes per second; ``launch`` the seconds to have an operation done.
    """

    flops: float
    bandwidth: float
    attention: float
    launch: float = LAUNCH


_AMX, _AVX512 = Core(950e9, 10e9, 98e9, 30e-6), Core(400e9, 20e9, 66e9)
_AVX512_BY_INTEL = Core(81e9, 20e9, 35e9)
"""Measured, two cores each: Intel Xeons with AMX and with AVX-512 BF16 alone, and an AMD EPYC with that (``python -m
benchmarks packing``; tensors of 4 to 64 MiB, once their memory is the process's own, ``runtime.launcher.KEPT_MEMORY``).
Intel's own instruction for bfloat16 is half as quick as its float32. With AMX, a step of SmolLM2-135M's layers with
adapters takes 0.24 s for a row of 8 tokens: 7,700 operations, as ``time.py`` counts them.
"""

_BANDWIDTH = 20e9
_ATTENTION_START = 2.2e-6
"""Seconds that PyTorch's kernel takes of each token and head whatever the row's length, forwards and backwards."""

_FLOAT_ATTENTION, _FLOAT_ATTENTION_START = 0.6, 0.6e-6
"""Attention's share of the rate of products in float32, and that start: measured in the same way on the EPYC with AVX2;
on the Xeon with AVX-512 0.6 as well."""


def cpu_device(flags: frozenset[str], cores: int, vendor: str = "") -> Device:
    """A processor from the instructions it has, the cores that the process may use and who made it: rough."""
    of_float = _rate_of(flags, _FLOAT, _OLDEST)
    core = _in_bfloat16(flags, vendor)
    if core is None:
        core = Core(_rate_of(flags, _EMULATED, of_float), _BANDWIDTH, _FLOAT_ATTENTION * of_float)
    return Device(
        kind="cpu",
        flops=core.flops * cores,
        float_flops=of_float * cores,
        bandwidth=core.bandwidth * cores,
        launch=core.launch,
        attention=core.attention / core.flops,
        attention_start=_ATTENTION_START / cores,
        float_attention=_FLOAT_ATTENTION,
        float_attention_start=_FLOAT_ATTENTION_START / cores,
    )


def _in_bfloat16(flags: frozenset[str], vendor: str) -> Core | None:
    """What a core does in bfloat16, if it has instructions for it."""
    if "amx_bf16" in flags:
        return _AMX
    if "avx512_bf16" in flags:
        return _AVX512_BY_INTEL if vendor == INTEL else _AVX512
    return None


INTEL = "GenuineIntel"
"""What /proc/cpuinfo calls the maker."""


def _rate_of(flags: frozenset[str], rates: tuple[tuple[str, float], ...], otherwise: float) -> float:
    return next((rate for flag, rate in rates if flag in flags), otherwise)
