"""The text UI in a browser: served on this machine, opened in headless Chromium, with keys pressed there."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import short_recipe

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

Page = Callable[..., Awaitable[dict[str, Any]]]
"""Sends a command of the DevTools protocol (chromedevtools.github.io) and gives its result."""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[int]:
    """The port at which the UI is served, of a folder with a recipe."""
    pytest.importorskip("textual_serve")
    short_recipe(tmp_path / "mine")
    port = free_port()
    command = [sys.executable, "-c", "from tui.cli import main; main()", "tui", "--web", "--port", str(port)]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    yield port
    process.terminate()
    process.wait(20)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[int]:
    """The port at which a browser listens."""
    port = free_port()
    assert CHROMIUM is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,800", "--no-first-run"]
    # The served page names a font of another host: nothing but this machine is asked here.
    options += ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", f"--user-data-dir={tmp_path / 'profile'}"]
    process = subprocess.Popen(
        [CHROMIUM, *options, f"--remote-debugging-port={port}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield port
    process.terminate()
    process.wait(20)


async def asked(client: Any, url: str, seconds: float = 60.0) -> Any:
    """The answer of a server that is still starting."""
    import aiohttp

    deadline = time.monotonic() + seconds
    while True:
        try:
            async with client.get(url) as answer:
                return await answer.json() if "json" in answer.content_type else await answer.text()
        except aiohttp.ClientError:
            assert time.monotonic() < deadline, url
            await asyncio.sleep(0.2)


async def until(holds: Callable[[], Awaitable[object]], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.2)


async def visit(served: int, browser: int, folder: Path) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as client:
        await asked(client, f"http://127.0.0.1:{served}/")
        tabs = await asked(client, f"http://127.0.0.1:{browser}/json/list")
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        async with client.ws_connect(address, max_msg_size=0) as line:
            number = 0

            async def page(method: str, **parameters: Any) -> dict[str, Any]:
                nonlocal number
                number += 1
                await line.send_json({"id": number, "method": method, "params": parameters})
                while (answer := await line.receive_json()).get("id") != number:
                    pass
                assert "error" not in answer, answer
                return dict(answer["result"])

            await page("Page.navigate", url=f"http://127.0.0.1:{served}/?fontsize=14")
            await use(page, folder)


async def use(page: Page, folder: Path) -> None:
    async def drawn() -> object:
        told = await page("Runtime.evaluate", expression="document.body && document.body.className")
        return "-first-byte" in str(told["result"].get("value"))

    async def pictured() -> object:
        """Press ctrl+e, which writes what the UI shows as SVG, until it shows the recipe."""
        for kind in ("rawKeyDown", "keyUp"):
            await page("Input.dispatchKeyEvent", type=kind, key="e", code="KeyE", windowsVirtualKeyCode=69, modifiers=2)
        await asyncio.sleep(0.5)
        return any("mine" in file.read_text() and "valid" in file.read_text() for file in folder.glob("recipe-*.svg"))

    await until(drawn, "the UI never drew anything")
    for kind in ("mousePressed", "mouseReleased"):
        await page("Input.dispatchMouseEvent", type=kind, x=600, y=500, button="left", clickCount=1)
    await until(pictured, "a key in the browser never came to the UI")
    shot = await page("Page.captureScreenshot", format="png")
    picture = base64.b64decode(shot["data"])
    assert picture.startswith(b"\x89PNG")
    if os.environ.get("KEEP_PICTURE"):
        Path(os.environ["KEEP_PICTURE"]).write_bytes(picture)


def test_the_ui_in_a_browser(served: int, browser: int, tmp_path: Path) -> None:
    asyncio.run(visit(served, browser, tmp_path))


def test_it_is_served_on_this_machine_alone(served: int) -> None:
    deadline = time.monotonic() + 60
    while not listening(served):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert listening(served) == ["127.0.0.1"]


def listening(port: int) -> list[str]:
    """The addresses on which a port of TCP is listened on (proc(5))."""
    found = []
    for name in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            address, state = row.split()[1], row.split()[3]
            where, _, number = address.partition(":")
            if state == "0A" and int(number, 16) == port:
                found.append(socket.inet_ntoa(bytes.fromhex(where)[::-1]) if len(where) == 8 else where)
    return found
