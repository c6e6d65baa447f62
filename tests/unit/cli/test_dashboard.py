"""`keepalive-ctl dashboard`: a browser's way to the control socket, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession

from keepalive_py.daemon.options import Options
from keepalive_py.pytest_plugin import Start

CONFIG = (
    "virtual_server 192.0.2.10 80 {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n"
    " real_server 127.0.0.1 9 {\n }\n}\n"
)


@asynccontextmanager
async def dashboard(control: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """The process, its address and the token of its link."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "keepalive_py.cli.ctl", "dashboard", "--control", control,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        said = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        found = re.fullmatch(r"open (http://127\.0\.0\.1:\d+)/#once=([\w-]+)\n", said)
        assert found, said
        yield process, found[1], found[2]
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 30)


async def test_a_link_is_exchanged_once_for_a_token(live_daemon: Start, tmp_path: Path) -> None:
    control = str(tmp_path / "control.sock")
    await live_daemon(CONFIG, options=Options(control=control))
    async with dashboard(control) as (process, address, once), ClientSession() as session:
        async with session.get(address) as page:
            assert page.status == 200
            assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        async with session.get(f"{address}/v1/status") as refused:
            assert refused.status == 401
        async with session.post(f"{address}/session", json={"once": once}) as exchange:
            token = (await exchange.json())["token"]
        async with session.post(f"{address}/session", json={"once": once}) as again:
            assert again.status == 401
        header = {"Authorization": f"Bearer {token}"}
        async with session.get(f"{address}/v1/caller", headers=header) as caller:
            assert (await caller.json())["role"] == "operator"
        for bad in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            async with session.get(f"{address}/v1/caller", headers={**header, **bad}) as foreign:
                assert foreign.status == 403
        async with session.post(f"{address}/session", data=b"[]") as odd:
            assert odd.status == 400
        assert process.returncode is None


async def test_without_a_daemon_it_says_so(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "keepalive_py.cli.ctl", "dashboard", "--control", str(tmp_path / "none"),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert b"no daemon answers" in said
