"""One thing that was looked at, how it is, and what to type where it is not well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "note", "warning", "error"]
"""``note`` is what is not needed for everything; ``error`` is what nothing can be trained without."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of ``subject``, and the remedy, empty where there is nothing to mend."""

    subject: str
    state: State
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain data for programs."""
        return {"subject": self.subject, "state": self.state, "found": self.found, "remedy": self.remedy}
