"""A hub of data sets on this machine: the part of its HTTP interface that a download asks for."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Answers(BaseHTTPRequestHandler):
    files: ClassVar[dict[str, bytes]] = {}
    gated: ClassVar[bool] = False
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        about = re.fullmatch(r"/api/datasets/org/rows/revision/([^?]+)(\?.*)?", self.path)
        if about and about[1] not in {"main", COMMIT}:
            self._refuse(404, "RevisionNotFound")
        elif about:
            siblings = [{"rfilename": name} for name in self.files]
            self._send(json.dumps({"id": "org/rows", "sha": COMMIT, "siblings": siblings}).encode())
        elif self.path.startswith(f"/datasets/org/rows/resolve/{COMMIT}/"):
            self._file(self.path.split(f"{COMMIT}/")[1])
        else:
            self._refuse(401, "RepoNotFound")

    do_HEAD = do_GET  # noqa: N815

    def _file(self, name: str) -> None:
        if self.gated:
            self._refuse(403, "GatedRepo")
            return
        if name not in self.files:
            self._refuse(404, "EntryNotFound")
            return
        self._send(self.files[name])

    def _send(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass


@contextmanager
def hub_of_data(
    monkeypatch: pytest.MonkeyPatch, cache: Path, files: dict[str, bytes], *, gated: bool = False
) -> Iterator[list[str]]:
    """A hub with the data set ``org/rows``, asked instead of the real one; yields what it is asked."""
    asked: list[str] = []
    handler = type("Answers", (_Answers,), {"files": files, "gated": gated, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    point_at(monkeypatch, f"http://127.0.0.1:{server.server_address[1]}", cache)
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


def point_at(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    """Make huggingface_hub ask ``endpoint``, and keep what it gets in ``cache``."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("RECIPE_CACHE_DIR", str(cache / "recipec"))
