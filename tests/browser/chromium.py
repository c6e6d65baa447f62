"""A real Chromium without a window, spoken to in its own protocol (chromedevtools.github.io).

Everything waits for a condition in the page, with a limit.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WITHIN = 60.0  # seconds
OPTIONS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--mute-audio",
    "--force-device-scale-factor=1",
)


class Broken(AssertionError):
    """The page did not do as it should."""


class Page:
    """One tab. `complaints` are what its console, its policy and its exceptions say, `asked` every
    address that it asked for."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for message in self.socket:
            if message.type is WSMsgType.TEXT:
                self._heard(json.loads(message.data))

    def _heard(self, said: dict[str, Any]) -> None:
        number = said.get("id")
        if number is not None and number in self._answers:
            self._answers.pop(number).set_result(said)
            return
        about = said.get("params", {})
        match said.get("method"):
            case "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                self.complaints.append(str(details.get("exception", {}).get("description", details["text"])))
            case "Runtime.consoleAPICalled" if about["type"] in ("error", "assert"):
                self.complaints.append(" ".join(str(each.get("value")) for each in about["args"]))
            case "Log.entryAdded" if about["entry"]["level"] == "error":
                self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.asked.append(about["request"]["url"])

    async def do(self, method: str, **about: Any) -> Any:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": about})
        said = await asyncio.wait_for(answer, WITHIN)
        if "error" in said:
            raise Broken(f"{method}: {said['error']['message']}")
        return said["result"]

    async def begin(self) -> None:
        for room in ("Page", "Runtime", "Log", "Network"):
            await self.do(f"{room}.enable")

    async def open(self, address: str) -> None:
        await self.do("Page.navigate", url=address)

    async def eval(self, script: str) -> Any:
        """The value of an expression, or of the promise that it is."""
        found = await self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise Broken(f"{script}: {details.get('exception', {}).get('description', details['text'])}")
        return found["result"].get("value")

    async def until(self, script: str, within: float = WITHIN) -> Any:
        """Wait until an expression is true. Broken shows the page's text."""
        limit = asyncio.get_running_loop().time() + within
        while asyncio.get_running_loop().time() < limit:
            with contextlib.suppress(Broken):
                found = await self.eval(script)
                if found or found == {}:  # an element comes as an empty object
                    return found
            await asyncio.sleep(0.05)
        text = await self.eval("document.body.innerText")
        raise Broken(f"not within {within:g} s: {script}\n{self.complaints}\n{text[:3000]}")

    async def press(self, key: str, **more: Any) -> None:
        """A key as DOM names it; one character is typed."""
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        code = {
            "Enter": 13,
            "Escape": 27,
            "ArrowDown": 40,
            "ArrowUp": 38,
            "Tab": 9,
            "End": 35,
            "Home": 36,
        }.get(key, 0)
        await self.do(
            "Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text, **more
        )
        await self.do("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code, **more)

    async def type(self, text: str) -> None:
        await self.do("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        """With the mouse, where it is."""
        where = await self.until(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return null;"
            " e.scrollIntoView({block: 'nearest'}); const b = e.getBoundingClientRect();"
            " return b.width ? [b.x + b.width / 2, b.y + b.height / 2] : null })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.do(
                "Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1
            )

    async def look(self, *, width: int, height: int, dark: bool = False, phone: bool = False) -> None:
        """Be of that size, in that light."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.do("Emulation.setEmulatedMedia", features=scheme)
        await self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip

    async def picture(self) -> bytes:
        """PNG of what is in sight."""
        return base64.b64decode((await self.do("Page.captureScreenshot", format="png"))["data"])

    async def close(self) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)


@contextlib.asynccontextmanager
async def chromium(home: Path) -> AsyncIterator[Page]:
    """A browser with one tab, and a profile of its own in `home`."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    assert program, "chromium is missing: tests/install-debian-packages"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        program, *OPTIONS, *sandbox, f"--user-data-dir={home}", "about:blank",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    try:
        port = await asyncio.wait_for(port_of(process), WITHIN)
        async with ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                tab = next(each for each in await answer.json() if each["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                await page.begin()
                yield page
                await page.close()
    finally:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def port_of(process: asyncio.subprocess.Process) -> int:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        found = re.search(rb"DevTools listening on ws://[^:]+:(\d+)/", line)
        if found:
            asyncio.create_task(drained(process.stderr))  # noqa: RUF006 - until the process ends
            return int(found[1])
    raise Broken("chromium did not start")


async def drained(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass
