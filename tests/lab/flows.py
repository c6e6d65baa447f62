"""Connections that live long and are never silent, and the servers that they talk to.

A server says first who it is and what address it sees, then echoes. So a flow knows from its
first answer which real server it has and by which local address it got there, and proves with
every word it sends that both are still the same.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Iterator
from concurrent.futures import Future

from lab.namespace import Namespace
from lab.waiting import eventually

PAUSE = 0.2  # s between an answer and the next word
PATIENCE = 20.0  # s for an answer: TCP may have to repeat a word
AGAIN = 1.0  # s until a datagram is repeated
# Of datagrams, and none twice: the node would take a new flow from the port of one that ended for
# the old one, for minutes. Below the ports that the kernel gives by itself.
_ports = itertools.count(10_000)


class Greeter:
    """A server on every address of its host, over TCP and UDP."""

    def __init__(self, host: Namespace, port: int) -> None:
        self.host = host
        self.port = port
        self.alive = False
        self._listeners: list[asyncio.Server] = []
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def name(self) -> str:
        return self.host.name

    def live(self) -> None:
        self.alive = True
        self.host.run(self._live())

    def die(self) -> None:
        """Connections are reset, new ones refused."""
        self.alive = False
        self.host.run(self._die())

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        for family in (socket.AF_INET, socket.AF_INET6):
            stream, datagram = (self._bound(family, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))
            self._listeners.append(await asyncio.start_server(self._talk, sock=stream, backlog=512))
            transport, _ = await loop.create_datagram_endpoint(lambda: Ear(self.name), sock=datagram)
            self._datagrams.append(transport)

    def _bound(self, family: int, kind: int) -> socket.socket:
        made = socket.socket(family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", self.port))
        made.setblocking(False)
        return made

    async def _die(self) -> None:
        for listener in self._listeners:
            listener.close()
        for transport in self._datagrams:
            transport.close()
        for writer in self._open:
            writer.transport.abort()
        self._listeners, self._datagrams = [], []

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            writer.write(f"{self.name} {writer.get_extra_info('peername')[0]}\n".encode())
            while line := await reader.readline():
                writer.write(line)
        except ConnectionError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()


class Ear(asyncio.DatagramProtocol):
    """Answers with who it is, whom it sees, and what was said."""

    def __init__(self, name: str) -> None:
        self.name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        said = f"{self.name} {address[0]} {data.decode()}"
        self.transport.sendto(said.encode(), address)  # type: ignore[attr-defined]


class Flow:
    """One connection of `client`. `lost` says why it ended, if it did not end by `stop`."""

    def __init__(self, client: Namespace, address: str, port: int, *, udp: bool = False) -> None:
        self.title = f"{'UDP' if udp else 'TCP'} {f'[{address}]' if ':' in address else address}:{port}"
        self.server = ""
        self.local = ""
        self.answers = 0
        self.lost = ""
        self._client = client
        self._end = (address, port)
        self._udp = udp
        self._work: Future[None] | None = None

    def __str__(self) -> str:
        return f"{self.title} on {self.server or 'nobody'} by {self.local or '-'}, {self.answers} answers"

    def start(self) -> None:
        self._work = asyncio.run_coroutine_threadsafe(self._run(), self._client.loop)

    def stop(self) -> None:
        """At once, also when an answer is awaited."""
        if self._work is not None:
            self._work.cancel()

    async def _run(self) -> None:
        try:
            await (self._datagrams() if self._udp else self._stream())
        except TimeoutError:
            self.lost = "no answer"
        except (OSError, EOFError) as error:
            self.lost = str(error) or type(error).__name__

    async def _stream(self) -> None:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(*self._end), PATIENCE)
        try:
            greeting = await asyncio.wait_for(reader.readline(), PATIENCE)
            self.server, self.local = greeting.decode().split()
            for word in self._words():
                writer.write(word.encode() + b"\n")
                answer = await asyncio.wait_for(reader.readline(), PATIENCE)
                if answer.decode().strip() != word:
                    raise EOFError(f"{answer!r} for {word}")
                self.answers += 1
                await asyncio.sleep(PAUSE)
        except ValueError:
            raise EOFError("closed before a greeting") from None
        finally:
            writer.transport.abort()

    async def _datagrams(self) -> None:
        mouth = Mouth()
        anywhere = "::" if ":" in self._end[0] else "0.0.0.0"
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: mouth, local_addr=(anywhere, next(_ports)), remote_addr=self._end
        )
        try:
            for word in self._words():
                server, local = await asyncio.wait_for(mouth.ask(transport, word), PATIENCE)
                if self.answers and (server, local) != (self.server, self.local):
                    raise EOFError(f"moved to {server} by {local}")
                self.server, self.local = server, local
                self.answers += 1
                await asyncio.sleep(PAUSE)
        finally:
            transport.close()

    def _words(self) -> Iterator[str]:
        return (f"{number:08d}" for number in itertools.count(1))


class Mouth(asyncio.DatagramProtocol):
    """Repeats what was not answered, as whoever speaks over UDP must."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.heard.put_nowait(data)

    async def ask(self, transport: asyncio.DatagramTransport, word: str) -> tuple[str, str]:
        while True:
            transport.sendto(word.encode())
            try:
                async with asyncio.timeout(AGAIN):
                    while True:
                        server, local, said = (await self.heard.get()).decode().split()
                        if said == word:
                            return server, local
            except TimeoutError:
                continue


class Load:
    """Many flows. Flows to a server that died are forgotten; all others must live."""

    def __init__(self, client: Namespace) -> None:
        self.client = client
        self.flows: list[Flow] = []
        self.proven = 0  # answers of flows that were let go

    def open(self, address: str, port: int, count: int, *, udp: bool = False) -> list[Flow]:
        """Flows more; each has its real server now."""
        new = [Flow(self.client, address, port, udp=udp) for _ in range(count)]
        for flow in new:
            flow.start()
        eventually(
            lambda: all(flow.answers or flow.lost for flow in new), within=40, what="a first answer to each"
        )
        self._none_lost(new)
        self.flows += new
        return new

    def forget(self, server: str) -> None:
        self._let_go([flow for flow in self.flows if flow.server == server])

    def thin(self, most: int) -> None:
        """Let the oldest go, so that a long story does not drown the machine."""
        self._let_go(self.flows[: max(0, len(self.flows) - most)])

    def _let_go(self, going: list[Flow]) -> None:
        self.flows = [flow for flow in self.flows if flow not in going]
        for flow in going:
            flow.stop()
            self.proven += flow.answers

    def lives(self) -> None:
        """Every flow has had an answer to something that was said after now."""
        before = {id(flow): flow.answers for flow in self.flows}

        def heard() -> bool:
            return all(flow.lost or flow.answers > before[id(flow)] + 1 for flow in self.flows)

        eventually(heard, within=60, what="an answer to each flow")
        self._none_lost(self.flows)

    def _none_lost(self, flows: list[Flow]) -> None:
        lost = [f"{flow}: {flow.lost}" for flow in flows if flow.lost]
        if lost:
            raise AssertionError("lost:\n" + "\n".join(lost))
