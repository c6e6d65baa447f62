"""`GET /v1/events`: what happens, as it happens (server-sent events), or what happened lately."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable
from typing import Final

from keepalive_py.control.faults import unavailable
from keepalive_py.control.fields import Field
from keepalive_py.control.journal import Entry, Journal
from keepalive_py.control.resource import Answer, Call, Resource, Stream

QUIET: Final = 15.0  # seconds without an event after which a comment is sent
MOST_READERS: Final = 64
SSE: Final = "text/event-stream"

KIND: Final = Field(name="kind", default="", doc="Only this kind.", example="server_down")
FOLLOW: Final = Field(
    name="follow", type="boolean", default=True, doc="false: no stream, but the latest events as JSON."
)
OLDEST: Final = Field(
    name="oldest",
    type="boolean",
    default=False,
    doc="Begin with the oldest that is still known, not with the next.",
)
LIMIT: Final = Field(
    name="limit", type="integer", default=100, least=1, most=4096, doc="Without follow: at most so many."
)


async def events(call: Call) -> Answer:
    journal, kind = call.host.journal, call.query["kind"]
    if not call.query["follow"]:
        latest = [entry for entry in journal.ring if not kind or entry.kind == kind][-call.query["limit"] :]
        return {"events": [{"id": journal.id_of(entry.number), **entry.said} for entry in latest]}
    if journal.readers >= MOST_READERS:
        raise unavailable(f"{MOST_READERS} clients follow the events already", "close one of them")
    last = call.header.get("last-event-id")
    start = journal.place_of(last) if last else 0 if call.query["oldest"] else journal.number
    return Stream(stream(journal, start, kind), SSE, lasting=True)


async def stream(journal: Journal, number: int, kind: str) -> AsyncGenerator[bytes, None]:
    """From after entry `number` on. Who is slower than the ring is told how much was missed."""
    journal.readers += 1
    try:
        yield b"retry: 2000\n\n"
        while True:
            entries, missed = journal.after(number)
            if missed:
                yield message("", "lost", {"missed": missed})
            if entries:
                number = entries[-1].number
                yield b"".join(told(journal, entries, kind)) or b": \n\n"
            try:
                await asyncio.wait_for(journal.news(number), QUIET)
            except TimeoutError:
                yield b": quiet\n\n"
    finally:
        journal.readers -= 1


def told(journal: Journal, entries: Iterable[Entry], kind: str) -> Iterable[bytes]:
    for entry in entries:
        if not kind or entry.kind == kind:
            yield message(journal.id_of(entry.number), entry.kind, entry.said)


def message(identity: str, kind: str, value: object) -> bytes:
    """As HTML's server-sent events are; JSON has no line breaks."""
    head = f"id: {identity}\n" if identity else ""
    return f"{head}event: {kind}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode(
        "utf-8", "replace"
    )


EVENTS = Resource(
    method="GET",
    path="/v1/events",
    summary="Every change of state with its reason, as a stream of server-sent events.",
    answer="A stream; the header Last-Event-ID goes on after that event. With follow=false: JSON.",
    query=(KIND, FOLLOW, OLDEST, LIMIT),
    type=SSE,
    handler=events,
    faults=(503,),
)
