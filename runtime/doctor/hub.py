"""The model hub: can it be reached, and is there a token? The token itself is never read."""

from __future__ import annotations

import os
from pathlib import Path

from compiler.phrases import phrase
from runtime.doctor.finding import Finding

SECONDS = 5.0


def reached(*, offline: bool) -> Finding:
    """Whether the hub answers within a few seconds; not asked when that is not wanted."""
    if offline or os.environ.get("HF_HUB_OFFLINE") in {"1", "true", "True"}:
        return Finding(phrase("hub"), "note", phrase("not asked"))
    import httpx

    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        status = httpx.head(address, timeout=SECONDS, follow_redirects=True).status_code
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        said = phrase("{address} cannot be reached ({name})", address=address, name=type(error).__name__)
        return Finding(
            phrase("hub"), "warning", said, phrase("check the connection, or work with local models and --offline")
        )
    if status >= 500:
        return Finding(
            phrase("hub"),
            "warning",
            phrase("{address} answers {status}", address=address, status=status),
            phrase("try again later"),
        )
    return Finding(phrase("hub"), "ok", phrase("{address} answers", address=address))


def token() -> Finding:
    """Whether a token is there, for gated models; only its place is looked at."""
    if os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"):
        return Finding(phrase("hub token"), "ok", phrase("in the environment"))
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    place = Path(os.environ.get("HF_TOKEN_PATH") or home / "token")
    try:
        there = place.is_file() and place.stat().st_size > 0
    except OSError:
        there = False
    if there:
        return Finding(phrase("hub token"), "ok", phrase("in {place}", place=place))
    return Finding(phrase("hub token"), "note", phrase("none; gated models need one"), "hf auth login")
