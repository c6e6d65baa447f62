"""Events as JSON by HTTP POST, to whoever the configuration's `webhook` blocks name.

    {"node": "lvs1", "events": [{"id": "…", "at": …, "kind": "server_down", "reason": "refused", …}]}

A hook has no queue of its own: like any reader it has a place in the journal's ring, and sends what
came after it, many events in one request when there are many. What cannot be delivered is tried again
at growing intervals, for `retry` seconds; then, or when the place is more than `queue` events behind, the
oldest are lost, counted, and said once. Nobody waits for a hook but the hook.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keepalive_py import __version__
from keepalive_py.config.control import Webhook
from keepalive_py.control.journal import Entry, Journal
from keepalive_py.control.listening import Say, load

if TYPE_CHECKING:
    from aiohttp import ClientSession

MOST: Final = 100  # events of one request
BACKOFF: Final = (1.0, 60.0)  # seconds: the first and the longest
AGAIN: Final = frozenset({408, 425, 429})  # of 4xx: it may go well later
CLIENT: Final = "aiohttp"


@dataclass(slots=True)
class Deliveries:
    """Since the hook was configured."""

    sent: int = 0
    lost: int = 0
    failures: int = 0
    last_failure: str = ""


class Refused(Exception):
    """The receiver will not have it, now or later."""


class Hook:
    """One receiver."""

    def __init__(self, block: Webhook, journal: Journal, warn: Say) -> None:
        self.block = block
        self.journal = journal
        self.warn = warn
        self.place = journal.number
        self.deliveries = Deliveries()
        self.troubled = False
        self.task = asyncio.get_running_loop().create_task(self.run(), name=f"webhook {block.name}")

    async def run(self) -> None:
        await load(CLIENT)
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar

        async with ClientSession(
            timeout=ClientTimeout(total=self.block.timeout),
            headers=headers_of(self.block),
            cookie_jar=DummyCookieJar(),
        ) as session:
            while True:
                await self.journal.news(self.place)
                await self.deliver(session, self.next_ones())

    def next_ones(self) -> list[Entry]:
        """The next request's events; the place moves behind them."""
        entries, missed = self.journal.after(self.place)
        too_many = max(0, len(entries) - self.block.queue)
        self.lose(missed + sum(map(self.wants, entries[:too_many])), "there are too many")
        wanted: list[Entry] = []
        for entry in entries[too_many:]:
            self.place = entry.number
            if self.wants(entry):
                wanted.append(entry)
                if len(wanted) == MOST:
                    break
        return wanted

    def wants(self, entry: Entry) -> bool:
        return not self.block.events or entry.kind in self.block.events

    async def deliver(self, session: ClientSession, entries: Sequence[Entry]) -> None:
        """Until it went well, or is given up."""
        if not entries:
            return
        body = body_of(self.journal, entries)
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self.block.retry, BACKOFF[0]
        while True:
            try:
                await post(session, self.block.url, body)
            except Refused as error:
                self.failed(str(error))
                self.lose(len(entries), str(error))
                return
            except Exception as error:  # whatever is wrong with the receiver is no trouble of ours
                self.failed(str(error) or type(error).__name__)
                if loop.time() + pause > deadline:
                    self.lose(len(entries), f"not delivered in {self.block.retry:g} s")
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, BACKOFF[1])
            else:
                self.well(len(entries))
                return

    def well(self, count: int) -> None:
        self.deliveries.sent += count
        if self.troubled:
            self.troubled = False
            self.warn(f"Webhook {self.block.name} is delivered again")

    def failed(self, why: str) -> None:
        self.deliveries.failures += 1
        self.deliveries.last_failure = why
        if not self.troubled:
            self.troubled = True
            self.warn(f"Webhook {self.block.name} cannot be delivered: {why}; trying again")

    def lose(self, count: int, why: str) -> None:
        if count:
            self.deliveries.lost += count
            self.warn(f"Webhook {self.block.name}: {count} event(s) are lost: {why}")

    def state(self) -> dict[str, Any]:
        return {
            "url": self.block.url.partition("?")[0],
            "waiting": self.journal.number - self.place,
            "sent": self.deliveries.sent,
            "lost": self.deliveries.lost,
            "failures": self.deliveries.failures,
            "last_failure": self.deliveries.last_failure,
        }


async def post(session: ClientSession, url: str, body: bytes) -> None:
    """Raises Refused, and whatever the network has."""
    async with session.post(url, data=body, allow_redirects=False) as response:
        if 200 <= response.status < 300:
            return
        text = f"HTTP status {response.status}"
        if response.status < 500 and response.status not in AGAIN:
            raise Refused(text)
        raise OSError(text)


def body_of(journal: Journal, entries: Iterable[Entry]) -> bytes:
    events = [{"id": journal.id_of(entry.number), **entry.said} for entry in entries]
    return json.dumps({"node": os.uname().nodename, "events": events}).encode()


def headers_of(block: Webhook) -> dict[str, str]:
    found = {"Content-Type": "application/json", "User-Agent": f"keepalive_py/{__version__}"}
    for header in block.headers:
        name, _, value = header.partition(":")
        found[name.strip()] = value.strip()
    return found


class Webhooks:
    """Those of one configuration after the other. One that is as before goes on, with its place."""

    def __init__(self, warn: Say) -> None:
        self.warn = warn
        self.hooks: dict[str, Hook] = {}

    async def follow(self, blocks: Iterable[Webhook], journal: Journal) -> None:
        wanted = {block.name: block for block in blocks}
        gone = [name for name, hook in self.hooks.items() if wanted.get(name) != hook.block]
        await self.end([self.hooks.pop(name) for name in gone])
        for name, block in wanted.items():
            if name not in self.hooks:
                self.hooks[name] = Hook(block, journal, self.warn)

    async def close(self, patience: float = 0.5) -> None:
        """What has just happened may still go out, within `patience` seconds."""
        hooks, self.hooks = list(self.hooks.values()), {}
        deadline = asyncio.get_running_loop().time() + patience
        while any(hook.place < hook.journal.number and not hook.troubled for hook in hooks):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.02)
        await self.end(hooks)

    async def end(self, hooks: Iterable[Hook]) -> None:
        for hook in hooks:
            hook.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await hook.task

    def state(self) -> dict[str, Any]:
        return {name: hook.state() for name, hook in self.hooks.items()}
