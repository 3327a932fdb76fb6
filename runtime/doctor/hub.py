"""The model hub: can it be reached, and is there a token? The token itself is never read."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.doctor.finding import Finding

SECONDS = 5.0


def reached(*, offline: bool) -> Finding:
    """Whether the hub answers within a few seconds; not asked when that is not wanted."""
    if offline or os.environ.get("HF_HUB_OFFLINE") in {"1", "true", "True"}:
        return Finding("hub", "note", "not asked")
    import httpx

    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        status = httpx.head(address, timeout=SECONDS, follow_redirects=True).status_code
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        said = f"{address} cannot be reached ({type(error).__name__})"
        return Finding("hub", "warning", said, "check the connection, or work with local models and --offline")
    if status >= 500:
        return Finding("hub", "warning", f"{address} answers {status}", "try again later")
    return Finding("hub", "ok", f"{address} answers")


def token() -> Finding:
    """Whether a token is there, for gated models; only its place is looked at."""
    if os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"):
        return Finding("hub token", "ok", "in the environment")
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    place = Path(os.environ.get("HF_TOKEN_PATH") or home / "token")
    try:
        there = place.is_file() and place.stat().st_size > 0
    except OSError:
        there = False
    if there:
        return Finding("hub token", "ok", f"in {place}")
    return Finding("hub token", "note", "none; gated models need one", "hf auth login")
