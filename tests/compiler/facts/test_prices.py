"""Prices: dated and sourced, in the currency that is asked for, cheapest first; today's through gpuhunt alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date
from types import ModuleType
from typing import Any

import pytest

from compiler.facts import prices
from compiler.facts.gpus import catalogue
from compiler.facts.prices import NoLivePrices, live_quotes, quotes, rate

TODAY = date(2026, 11, 25)
PRICED = {offer["gpu"] for offer in prices._table()["offers"]}


def test_every_price_is_of_a_known_gpu_dated_and_sourced() -> None:
    assert set(catalogue()) >= PRICED
    for gpu in PRICED:
        found = quotes(gpu, "USD")
        assert found
        assert [quote.per_hour for quote in found] == sorted(quote.per_hour for quote in found)
        for quote in found:
            assert quote.provider
            assert quote.source
            assert 0 < quote.per_hour < 20
            assert date(2026, 1, 1) <= quote.read <= TODAY


def test_euros_are_dollars_at_a_dated_rate() -> None:
    exchange = rate()
    assert exchange.read <= TODAY
    assert exchange.source
    for dollars, euros in zip(quotes("a100-80", "USD"), quotes("a100-80", "EUR"), strict=True):
        assert dollars.provider == euros.provider
        assert euros.per_hour * exchange.usd_per_eur == pytest.approx(dollars.per_hour)


def test_a_gpu_without_a_price_has_none() -> None:
    assert quotes("p100", "EUR") == ()
    assert quotes("no such card", "EUR") == ()


# --- today's ----------------------------------------------------------------------------------------------------


@dataclass
class Item:
    provider: str
    price: float
    gpu_name: str | None
    gpu_memory: float | None
    gpu_count: int = 1
    spot: bool = False


ITEMS = [
    Item("lambdalabs", 1.79, "A100", 80),
    Item("lambdalabs", 1.29, "A100", 40),
    Item("runpod", 1.19, "A100", 80),
    Item("runpod", 1.39, "A100", 80),
    Item("vastai", 0.10, "A100", 80, spot=True),
    Item("aws", 20.0, "A100", 80, gpu_count=8),
    Item("runpod", 0.34, "RTX4090", 24),
    Item("cpu", 0.05, None, None, gpu_count=0),
    Item("odd", 0.01, "XYZ9000", 1),
]


def with_gpuhunt(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[dict[str, Any]]:
    """Put a library of that name in its place; returns what it is asked."""
    asked: list[dict[str, Any]] = []
    module = ModuleType("gpuhunt")

    def query(**wanted: Any) -> Any:
        asked.append(wanted)
        if isinstance(answer, Exception):
            raise answer
        return answer

    module.query = query  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpuhunt", module)
    monkeypatch.setattr(prices, "find_spec", lambda _: object())
    return asked


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        ("a100-80", [("runpod", 1.19), ("lambdalabs", 1.79)]),
        ("a100-40", [("lambdalabs", 1.29)]),
        ("rtx-4090", [("runpod", 0.34)]),
        ("h200", []),
    ],
)
def test_today_s_least_price_of_each_provider(
    monkeypatch: pytest.MonkeyPatch, gpu: str, expected: list[tuple[str, float]]
) -> None:
    asked = with_gpuhunt(monkeypatch, ITEMS)
    found = live_quotes(gpu, "USD", today=TODAY)
    assert [(quote.provider, quote.per_hour) for quote in found] == expected
    assert all((quote.read, quote.source) == (TODAY, "gpuhunt") for quote in found)
    assert asked == [{"min_gpu_count": 1, "max_gpu_count": 1, "spot": False}]


def test_without_the_library_or_a_connection_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpuhunt(monkeypatch, ConnectionError("no route to host"))
    with pytest.raises(NoLivePrices, match="no route to host") as told:
        live_quotes("a100-80", "EUR", today=TODAY)
    assert told.value.remedy
    monkeypatch.setattr(prices, "find_spec", lambda _: None)
    with pytest.raises(NoLivePrices, match="gpuhunt") as told:
        live_quotes("a100-80", "EUR", today=TODAY)
    assert "pip install" in told.value.remedy
