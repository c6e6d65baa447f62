"""The ring of events, and readers who come, go, and are slow."""

from __future__ import annotations

import asyncio
import sys

from daemon_rig import config_of, virtual_server

from keepalive_py.control.journal import CHANGES, Journal
from keepalive_py.health.events import CheckReported, ServerDown
from keepalive_py.health.verdict import PASSED, Reason

(VS,) = config_of(virtual_server("10.1.0.1", "10.1.0.2")).virtual_servers
DOWN = ServerDown(at=1.0, reason=Reason.REFUSED, vs=VS, rs=VS.real_servers[0])
NAMES = ("[10.0.0.1]:tcp:80", "[10.1.0.1]:tcp:80")


def filled(count: int, size: int = 10) -> Journal:
    journal = Journal(size, clock=lambda: 100.0)
    for number in range(count):
        journal.say("something", f"number {number + 1}")
    return journal


def test_an_event_in_words() -> None:
    journal = filled(0)
    journal.add([DOWN])
    ((entry,), missed) = journal.after(0)
    assert missed == 0
    assert entry.said == {
        "at": 100.0,
        "kind": "server_down",
        "reason": "refused",
        "vs": NAMES[0],
        "rs": NAMES[1],
        "text": "Removing service [10.1.0.1]:tcp:80 from VS [10.0.0.1]:tcp:80",
    }
    assert journal.counts == {("server_down", "refused"): 1}


def test_a_mail_that_is_due_is_no_news() -> None:
    journal = filled(0)
    check = VS.real_servers[0].checks[0]
    journal.add(
        [
            CheckReported(
                at=1.0,
                reason=Reason.RECOVERED,
                vs=VS,
                rs=VS.real_servers[0],
                check=check,
                verdict=PASSED,
                server_up=True,
                server_changed=True,
            )
        ]
    )
    assert journal.number == 0


def test_the_latest_changes_of_a_server() -> None:
    journal = filled(0)
    journal.add([DOWN] * (CHANGES + 3))
    assert len(journal.changes_of(*NAMES)) == CHANGES
    journal.forget_others([NAMES])
    assert len(journal.changes_of(*NAMES)) == CHANGES
    journal.forget_others([])
    assert journal.changes_of(*NAMES) == []


async def test_what_is_written_down_keeps_no_configuration() -> None:
    """Not even what the ring has lost and a server's latest changes still have."""
    config = config_of(virtual_server("10.1.0.1", "10.1.0.2"))
    vs = config.virtual_servers[0]
    alone = sys.getrefcount(vs)
    journal = filled(0)
    journal.add(ServerDown(at=1.0, reason=Reason.REFUSED, vs=vs, rs=vs.real_servers[0]) for _ in range(3))
    for number in range(20):
        journal.say("something", f"number {number + 1}")
    assert sys.getrefcount(vs) == alone + 3
    await journal.write_down()
    assert sys.getrefcount(vs) == alone
    assert [change["kind"] for change in journal.changes_of(*NAMES)] == ["server_down"] * 3


def test_a_reader_goes_on_where_it_was() -> None:
    entries, missed = filled(5).after(3)
    assert [entry.number for entry in entries] == [4, 5]
    assert missed == 0


def test_a_slow_reader_is_told_what_it_missed() -> None:
    entries, missed = filled(25).after(3)
    assert [entry.number for entry in entries] == list(range(16, 26))
    assert missed == 12


def test_ids_of_another_boot_and_nonsense_begin_anew() -> None:
    journal = filled(5)
    assert journal.place_of(journal.id_of(3)) == 3
    for text in ("", "abc", "other-3", f"{journal.boot}-", f"{journal.boot}-x", f"{journal.boot}-²"):
        assert journal.place_of(text) == 0, text


async def test_all_who_wait_are_woken() -> None:
    journal = filled(2)
    waiting = [asyncio.create_task(journal.news(2)) for _ in range(3)]
    await asyncio.sleep(0)
    journal.say("something", "new")
    await asyncio.wait_for(asyncio.gather(*waiting), 10)
