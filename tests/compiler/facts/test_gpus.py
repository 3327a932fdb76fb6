"""The catalogue of GPUs, and the many ways in which people and drivers write a name of it."""

from __future__ import annotations

import pytest

from compiler.facts.gpus import catalogue, gpu_meant
from compiler.facts.machine import WITHOUT_BF16, gpu_has_bf16


@pytest.mark.parametrize("name", catalogue())
def test_a_name_of_the_catalogue_means_itself_however_it_is_spelt(name: str) -> None:
    assert gpu_meant(name) == (name, True)
    for spelling in (name.upper(), name.replace("-", " "), name.replace("-", ""), f"NVIDIA {name}"):
        assert gpu_meant(spelling) == (name, True), spelling


@pytest.mark.parametrize("name", catalogue())
def test_the_rule_for_unknown_gpus_agrees_with_the_catalogue(name: str) -> None:
    assert catalogue()[name].bf16 is (WITHOUT_BF16.search(name) is None) is gpu_has_bf16(name)


@pytest.mark.parametrize("name", catalogue())
def test_the_drivers_names_are_understood(name: str) -> None:
    for written in catalogue()[name].driver_names:
        assert gpu_meant(f"NVIDIA {written}") == (name, True)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("4090", "rtx-4090"),
        ("NVIDIA A100-SXM4-80GB", "a100-80"),
        ("Tesla T4", "t4"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
        ("Quadro RTX 8000", "quadro-rtx-8000"),
    ],
)
def test_what_drivers_and_people_write_is_understood(written: str, meant: str) -> None:
    assert gpu_meant(written) == (meant, True)


@pytest.mark.parametrize("written", ["A100", "H100"])
def test_a_name_that_fits_several_is_not_taken_for_one(written: str) -> None:
    meant, sure = gpu_meant(written)
    assert meant is not None
    assert meant.startswith(written.lower())
    assert not sure


@pytest.mark.parametrize("written", ["", "2", "abc", "banana 9000", "rtx-4091", "x" * 1000])
def test_what_is_no_gpu_means_none(written: str) -> None:
    assert gpu_meant(written) == (None, False)
