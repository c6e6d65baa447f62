"""A daemon in memory, the page's proxy, and one browser for all tests."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from aiohttp import web
from chromium import Page, chromium

from keepalive_py.cli.proxy import Proxy
from keepalive_py.daemon.options import Options
from keepalive_py.testing import Daemon, running

# Ten thousand lines of log take longer than all the rest.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

pytest_plugins = ["keepalive_py.pytest_plugin"]

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for all here, and so one browser. Pytest shows every suite's tests, not only ours."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def page(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    async with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@dataclass
class Seen:
    """`address` is where the page is, with a link's token that was not used yet."""

    daemon: Daemon
    proxy: Proxy
    runner: web.AppRunner
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/#once={self.proxy.once}"


Show = Callable[[str], Awaitable[Seen]]


@pytest_asyncio.fixture(loop_scope="session")
async def show(tmp_path: Path, page: Page) -> AsyncIterator[Show]:
    """Runs a configuration and opens its page, with nothing left of earlier ones."""
    async with AsyncExitStack() as stack:

        async def shown(config: str) -> Seen:
            control = str(tmp_path / "control.sock")
            options = Options(control=control, reconcile_interval=0.0)
            daemon = await stack.enter_async_context(
                running(config, sockets=False, directory=tmp_path, options=options)
            )
            proxy = Proxy(control)
            runner = web.AppRunner(proxy.application(), shutdown_timeout=0.2, handler_cancellation=True)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            channel = socket.create_server(("127.0.0.1", 0))
            await web.SockSite(runner, channel).start()
            seen = Seen(daemon, proxy, runner, channel.getsockname()[1])
            page.complaints.clear()
            page.asked.clear()
            await page.look(width=1440, height=900)
            await page.open(seen.address)
            await page.until("document.querySelector('#link.live') && document.querySelector('.tile .value')")
            return seen

        yield shown
        await page.open("about:blank")
