"""An event loop that looks names up in threads of their own, for which nobody waits.

A name server that is silent keeps getaddrinfo(3) for half a minute and more, and nothing ends it. In
the loop's usual threads it would take the places of whatever else is done there, such as a reload, and
the end of the daemon would wait for it. resolv.conf(5): timeout, attempts.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["LookupLoop"]


class LookupLoop(asyncio.SelectorEventLoop):
    async def getaddrinfo(self, host: Any, port: Any, **more: Any) -> Any:
        return await self._apart(lambda: socket.getaddrinfo(host, port, **more))

    def _apart(self, look: Callable[[], Any]) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = self.create_future()

        def settle(found: Any, error: Exception | None) -> None:
            if answer.done():  # nobody wants it any more
                return
            if error is None:
                answer.set_result(found)
            else:
                answer.set_exception(error)

        def work() -> None:
            found, failure = None, None
            try:
                found = look()
            except Exception as error:  # whoever asked hears of it
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.call_soon_threadsafe(settle, found, failure)

        try:
            threading.Thread(target=work, name="lookup", daemon=True).start()
        except RuntimeError as error:  # there are no more threads
            answer.set_exception(OSError(errno.EAGAIN, str(error)))
        return answer
