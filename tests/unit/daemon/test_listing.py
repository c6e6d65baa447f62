"""Long lists: made in turns, shared, kept for a moment."""

from __future__ import annotations

import asyncio
import json

import pytest

from keepalive_py.daemon import listing
from keepalive_py.daemon.listing import Kept, joined


async def test_the_form() -> None:
    assert json.loads(b"".join(await joined({"at": 1}, "rows", [{"a": 1}, {"b": "ü"}]))) == {
        "at": 1,
        "rows": [{"a": 1}, {"b": "ü"}],
    }
    assert json.loads(b"".join(await joined({}, "rows", []))) == {"rows": []}


async def test_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PIECE", 50)
    rows = [{"number": number} for number in range(100)]
    pieces = await joined({}, "rows", rows)
    assert len(pieces) > 10
    assert json.loads(b"".join(pieces)) == {"rows": rows}


async def test_others_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "TURN", 0.0)
    turns = 0

    async def counting() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(counting())
    await joined({}, "rows", ({"n": n} for n in range(100)))
    other.cancel()
    assert turns >= 100


async def test_all_who_ask_at_once_share_one_making() -> None:
    made = 0

    async def make() -> list[bytes]:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return [b"answer"]

    kept = Kept()
    assert await asyncio.gather(*(kept.get("a", make) for _ in range(50))) == [[b"answer"]] * 50
    assert await kept.get("a", make) == [b"answer"]
    assert made == 1
    await kept.get("b", make)
    assert made == 2


async def test_a_mistake_is_not_kept() -> None:
    async def fail() -> list[bytes]:
        raise RuntimeError

    async def make() -> list[bytes]:
        return [b"well"]

    kept = Kept()
    with pytest.raises(RuntimeError):
        await kept.get("a", fail)
    assert await kept.get("a", make) == [b"well"]


async def test_who_stops_waiting_does_not_stop_the_others() -> None:
    free = asyncio.Event()

    async def make() -> list[bytes]:
        await free.wait()
        return [b"answer"]

    kept = Kept()
    first, second = (asyncio.create_task(kept.get("a", make)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    free.set()
    assert await second == [b"answer"]
