"""Mistakes of ours: said, and the daemon goes on."""

from __future__ import annotations

from daemon_rig import Start, virtual_server

A, B = "192.0.2.1", "192.0.2.2"


async def test_a_mistake_in_a_comparison_leaves_the_writer_at_work(start: Start) -> None:
    rig = await start(virtual_server(A, B))
    apply = rig.dataplane.apply

    async def mistaken(steps):  # type: ignore[no-untyped-def]
        raise ZeroDivisionError

    rig.dataplane.apply = mistaken  # type: ignore[method-assign]
    await rig.fails(A)
    assert any(line.startswith("internal error: Traceback") for line in rig.lines)
    assert rig.supervisor.writing
    rig.dataplane.apply = apply  # type: ignore[method-assign]
    await rig.reads_again()
    assert await rig.table() == {"TCP 10.0.0.1:80": {f"{B}:80": 1}}


async def test_a_mistake_in_a_notification_leaves_the_writer_at_work(start: Start) -> None:
    rig = await start(virtual_server(A, B))

    def mistaken(events):  # type: ignore[no-untyped-def]
        raise ZeroDivisionError

    rig.supervisor.notifier.tell = mistaken  # type: ignore[method-assign]
    await rig.fails(A)
    await rig.fails(B)
    assert rig.supervisor.writing
    assert await rig.table() == {"TCP 10.0.0.1:80": {}}
