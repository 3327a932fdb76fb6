"""What a run costs: money by provider, energy, and what full fine-tuning of the same rows would have cost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from msgspec import Struct

from compiler.estimate.duration import Duration
from compiler.phrases import phrase

HOUR = 3600.0
WITHOUT_A_GPU = 65.0
"""Watts of a processor under load where nobody says: a desktop's, as sold."""

REST_OF_MACHINE = 100.0
"""Watts of what is around a GPU: processor, memory, fans, and the power supply's loss."""


class Offer(Struct, frozen=True):
    """What an hour of one GPU costs: at whom, how much, when that was read, and where."""

    provider: str
    per_hour: float
    read: date | None = None
    source: str = ""


class Money(Struct, frozen=True):
    """What a run costs at one provider, in one currency."""

    provider: str
    expected: float
    low: float
    high: float
    read: date | None = None
    source: str = ""


class Cost(Struct, frozen=True):
    """Money cheapest first, kilowatt-hours, and the currency."""

    offers: tuple[Money, ...]
    kwh: float
    currency: str

    @property
    def cheapest(self) -> Money | None:
        """The least that the run can cost; None without a price."""
        return self.offers[0] if self.offers else None


def cost(
    taken: Duration,
    offers: Iterable[Offer],
    *,
    devices: int,
    watts: float,
    currency: str,
    per_kwh: float | None = None,
) -> Cost:
    """The run's cost. Offers are per GPU and hour in ``currency``; ``per_kwh`` is what one's own electricity costs."""
    total = taken.total

    def money(provider: str, per_hour: float, read: date | None, source: str) -> Money:
        expected, low, high = (per_hour * seconds / HOUR for seconds in (total.seconds, total.low, total.high))
        return Money(provider, expected, low, high, read, source)

    rented = [money(offer.provider, offer.per_hour * devices, offer.read, offer.source) for offer in offers]
    drawn = (watts * devices + REST_OF_MACHINE if watts else WITHOUT_A_GPU) / 1000
    if per_kwh is not None:
        rented.append(money(phrase("own electricity"), drawn * per_kwh, None, "electricity_per_kwh"))
    ordered = sorted(rented, key=lambda found: (found.expected, found.provider))
    return Cost(tuple(ordered), drawn * total.seconds / HOUR, currency)
