"""What a run may take beside memory: hours and money, as a recipe's [budget] grants them."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from compiler.estimate.cost import Cost
from compiler.estimate.duration import Duration
from compiler.estimate.lengths import RowLengths
from compiler.estimate.work import Work
from compiler.search.choose import Room

Takes = Callable[[Work, Room, RowLengths], tuple[Duration, Cost]]
"""How long a whole run of a work takes on a device, with rows of these lengths, and what it costs."""


class Limits(Struct, frozen=True):
    """Most seconds and most money, None where there is no limit. A run holds them if what is expected does.

    Money is the cheapest offer's on another card than ``gpu``; on that one only one's own price counts, as others'
    prices limit nobody.
    """

    seconds: float | None
    money: float | None
    gpu: str
    takes: Takes

    def hold(self, work: Work, room: Room, lengths: RowLengths) -> bool:
        """Whether a run is expected to take no more."""
        taken, cost = self.takes(work, room, lengths)
        if self.seconds is not None and taken.total.seconds > self.seconds:
            return False
        if self.money is None:
            return True
        offers = [offer for offer in cost.offers if offer.read is None] if room.gpu == self.gpu else cost.offers
        if not offers:
            return room.gpu == self.gpu
        return offers[0].expected <= self.money
