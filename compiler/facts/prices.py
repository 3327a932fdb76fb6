"""What GPUs are rented for: a dated table, and today's prices where someone asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache
from importlib import resources
from importlib.util import find_spec
from typing import Any, Literal, Protocol

import tomli
from msgspec import Struct

from compiler.facts.gpus import gpu_meant
from compiler.phrases import phrase

Currency = Literal["EUR", "USD"]


class Quote(Struct, frozen=True):
    """What one provider takes for an hour of one GPU, when that was read and where it was said."""

    provider: str
    per_hour: float
    read: date
    source: str


class Rate(Struct, frozen=True):
    """US dollars for a euro, when that was and who said so."""

    usd_per_eur: float
    read: date
    source: str

    def converted(self, usd: float, currency: Currency) -> float:
        """Dollars in a currency."""
        return usd if currency == "USD" else usd / self.usd_per_eur

    def other(self, amount: float, currency: str) -> tuple[float, Currency]:
        """An amount in euros in dollars, and the other way round."""
        if currency == "USD":
            return amount / self.usd_per_eur, "EUR"
        return amount * self.usd_per_eur, "USD"


class NoLivePrices(Exception):  # noqa: N818 - told as a diagnostic by the caller
    """Why today's prices cannot be had; ``remedy`` is what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@cache
def _table() -> dict[str, Any]:
    return tomli.loads(resources.files("compiler.facts").joinpath("prices.toml").read_text(encoding="utf-8"))


def rate() -> Rate:
    """The rate of exchange that the table's prices are told at."""
    table = _table()
    return Rate(table["usd_per_eur"], table["rate_read"], table["rate_source"])


def quotes(gpu: str, currency: Currency) -> tuple[Quote, ...]:
    """What the table has for a GPU of the catalogue, cheapest first; empty for one that it has no price of."""
    exchange = rate()
    found = [
        Quote(quote["provider"], exchange.converted(quote["usd"], currency), quote["read"], quote["source"])
        for offer in _table()["offers"]
        if offer["gpu"] == gpu
        for quote in offer["quotes"]
    ]
    return _cheapest_first(found)


def _cheapest_first(found: Iterable[Quote]) -> tuple[Quote, ...]:
    return tuple(sorted(found, key=lambda quote: (quote.per_hour, quote.provider)))


# --- today's ----------------------------------------------------------------------------------------------------


class _Item(Protocol):
    """What of gpuhunt's ``CatalogItem`` is used: an instance with its GPUs, its price in dollars an hour."""

    provider: str
    price: float
    gpu_count: int
    gpu_name: str | None
    gpu_memory: float | None
    spot: bool


def live_quotes(gpu: str, currency: Currency, *, today: date) -> tuple[Quote, ...]:
    """Today's prices of one GPU by provider, cheapest first, through the library gpuhunt and its published catalogue.

    Raises NoLivePrices when the library is not installed, or its catalogue cannot be reached.
    """
    if find_spec("gpuhunt") is None:
        raise NoLivePrices(phrase("live prices need the package gpuhunt"), "pip install 'recipec[prices]'")
    import gpuhunt

    try:
        items = gpuhunt.query(min_gpu_count=1, max_gpu_count=1, spot=False)
    except Exception as error:  # it asks many providers by many libraries, each with errors of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise NoLivePrices(
            phrase("live prices cannot be had: {reason}", reason=reason),
            phrase("check the connection, or leave it out"),
        ) from error
    return _of_items(items, gpu, currency, today)


def _of_items(items: Iterable[_Item], gpu: str, currency: Currency, today: date) -> tuple[Quote, ...]:
    """The least that each provider asks for a GPU of that name."""
    exchange = rate()
    least: dict[str, float] = {}
    for item in items:
        if item.gpu_count != 1 or item.spot or _catalogue_name(item) != gpu:
            continue
        price = exchange.converted(item.price, currency)
        least[item.provider] = min(price, least.get(item.provider, price))
    return _cheapest_first(Quote(provider, price, today, "gpuhunt") for provider, price in least.items())


def _catalogue_name(item: _Item) -> str | None:
    """The GPU as the catalogue calls it; sizes of memory tell the models of one name apart."""
    if not item.gpu_name:
        return None
    spellings = [f"{item.gpu_name}-{item.gpu_memory:.0f}"] if item.gpu_memory else []
    for spelling in (*spellings, item.gpu_name):
        name, sure = gpu_meant(spelling)
        if name is not None and sure:
            return name
    return None
