"""The proof by traffic: a handshake that carries the option, in a network namespace of its own.

A socket listens on the namespace's loopback, and `Client` of wire/tcp.py connects to it with
segments made by hand. What accept(2) and getpeername(2) then give is what any application on this
host would get. Nothing of it is seen outside, and the namespace is gone with the last socket.

One thread does both sides, one step after the other. Needs CAP_SYS_ADMIN (a namespace),
CAP_NET_ADMIN (its loopback) and CAP_NET_RAW (segments of our own).
"""

from __future__ import annotations

import fcntl
import itertools
import secrets
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from ipaddress import IPv6Address
from typing import Any, Final

from keepalive_py.net import Endpoint, parse_address
from keepalive_py.rawtcp import RawPort
from keepalive_py.toa.verdict import Listener, Place, Result, Seen, Trial, Verdict, judge
from keepalive_py.wire import tcp, toa
from keepalive_py.wire.toa import Layout

__all__ = ["InNamespace", "lacking", "loopback_up", "verify"]

InNamespace = Callable[[Callable[[], Any]], Any]  # runs a function in a fresh network namespace

PATIENCE: Final = 2.0  # seconds for a step that takes microseconds
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # netdevice(7)
SEGMENTS: Final = {
    Place.ALL: tuple(tcp.Place),
    Place.SYN: (tcp.Place.SYN,),
    Place.ACK: (tcp.Place.ACK,),
    Place.DATA: (tcp.Place.DATA,),
}
ADDRESSES: Final = {
    Listener.V4: (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
    Listener.DUAL: (socket.AF_INET6, "::", "127.0.0.1"),
    Listener.V6: (socket.AF_INET6, "::1", "::1"),
}


def verify(layouts: Iterable[Layout], in_namespace: InNamespace, *, loaded: bool) -> list[Result]:
    """A result for each layout and kind of listener. Nothing is raised: what could not be tried
    is a result as well, with what was lacking."""
    wanted = [(layout, listener) for layout in layouts for listener in _listeners(layout)]
    if not wanted:
        return []
    try:
        tried: list[list[Trial]] = in_namespace(lambda: _all(wanted))
    except OSError as error:
        why = lacking(error)
        return [Result(layout.name, listener, Verdict.UNTRIED, why) for layout, listener in wanted]
    return [judge(trials, loaded=loaded) for trials in tried]


def lacking(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "not permitted: it needs CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW, as root has"
    return error.strerror or str(error)


def _listeners(layout: Layout) -> tuple[Listener, ...]:
    return (Listener.V4, Listener.DUAL) if layout.version == 4 else (Listener.V6,)


def _all(wanted: Sequence[tuple[Layout, Listener]]) -> list[list[Trial]]:
    """In the namespace."""
    loopback_up()
    return [[_trial(layout, listener, place) for place in Place] for layout, listener in wanted]


def loopback_up() -> None:
    """In a fresh namespace it is down."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as asking:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("16xh", fcntl.ioctl(asking, SIOCGIFFLAGS, request))
        fcntl.ioctl(asking, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def _trial(layout: Layout, listener: Listener, place: Place) -> Trial:
    told = toa.client_for_tests(layout.version, secrets.randbits(128))
    try:
        seen, trouble = _conversation(listener, toa.encode(layout, told), SEGMENTS[place]), ""
    except TimeoutError as error:
        seen, trouble = None, str(error)
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
        seen, trouble = None, error.strerror or str(error)
    return Trial(layout.name, listener, place, told, seen, trouble)


def _conversation(listener: Listener, option: bytes, places: Sequence[tcp.Place]) -> Seen:
    family, bound, towards = ADDRESSES[listener]
    with closing(socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)) as server:
        if listener is Listener.DUAL:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind((bound, 0))
        server.listen(1)
        server.settimeout(PATIENCE)
        target = Endpoint(parse_address(towards), server.getsockname()[1])
        with closing(RawPort(target)) as port:
            return _as_seen(server, port, option, places)


def _as_seen(server: socket.socket, port: RawPort, option: bytes, places: Sequence[tcp.Place]) -> Seen:
    client = tcp.Client(port.source, port.target, option, places, secrets.randbits(32), time.monotonic())
    _until(client, port, lambda: client.state is not tcp.State.OPENING, "no answer to the SYN")
    if client.state is not tcp.State.OPEN:
        raise TimeoutError("the connection was refused")
    try:
        connection, accepted = server.accept()
    except TimeoutError:
        raise TimeoutError("the handshake's ACK was not taken: nothing to accept") from None
    with connection:
        connection.settimeout(PATIENCE)
        peer = connection.getpeername()
        client.send(b"?", time.monotonic())
        port.send(client.outgoing)
        if connection.recv(1) != b"?":
            raise TimeoutError("the data did not arrive")
        later = connection.getpeername()
        client.leave()
        port.send(client.outgoing)
    return Seen(_endpoint(accepted), _endpoint(peer), _endpoint(later))


def _until(client: tcp.Client, port: RawPort, done: Callable[[], bool], otherwise: str) -> None:
    """Pass segments on until `done`."""
    watch = select.poll()
    watch.register(port, select.POLLIN)
    end = time.monotonic() + PATIENCE
    for _ in itertools.count():
        port.send(client.outgoing)
        now = time.monotonic()
        if done():
            return
        if now >= end:
            raise TimeoutError(otherwise)
        if now >= client.deadline:
            client.resend(now)
            continue
        watch.poll(max(1, round((min(end, client.deadline) - now) * 1000)))
        for segment in port.receive():
            client.receive(segment, time.monotonic())


def _endpoint(name: tuple[Any, ...]) -> Endpoint:
    """A socket's name; an IPv4 address that was mapped into IPv6 as what it is."""
    address = parse_address(str(name[0]).partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return Endpoint(mapped or address, int(name[1]))
