"""Sockets as probes need them: non-blocking, leaving from where the operator said."""

from __future__ import annotations

import socket
from socket import SocketType
from typing import Any, Final

from keepalive_py.checkers.wishes import ANYWHERE, Source
from keepalive_py.net import Endpoint
from keepalive_py.probing.trouble import own

__all__ = ["SockAddr", "open_socket", "sockaddr"]

# socket.SocketType is the C class under socket.socket: it saves most of a microsecond a probe.
FLAGS: Final = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
IP_BIND_ADDRESS_NO_PORT: Final = 24  # linux/in.h; in Python's socket module from 3.12

SockAddr = tuple[Any, ...]


def sockaddr(target: Endpoint, interface: str | None) -> SockAddr:
    """`target` for connect(2); a link-local IPv6 address gets the interface as its scope."""
    if target.address.version == 4:
        return (str(target.address), target.port)
    scope = 0
    if interface is not None and target.address.is_link_local:
        scope = interface_index(interface)
    return (str(target.address), target.port, 0, scope)


def interface_index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise own(error.errno or 0, f"interface {name}") from None


def open_socket(family: int, kind: int, source: Source, protocol: int = 0) -> SocketType:
    """A socket with its source set; ProbeUnknown when the host refuses."""
    try:
        sock = SocketType(family, kind | FLAGS, protocol)
    except OSError as error:
        raise own(error.errno or 0, "socket") from None
    if source is not ANYWHERE:
        _leave_from(sock, source)
    return sock


def _leave_from(sock: SocketType, source: Source) -> None:
    doing = "socket option"
    try:
        if source.interface is not None:
            doing = f"interface {source.interface}"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, source.interface.encode())
        if source.mark:
            doing = f"fwmark {source.mark}"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, _signed(source.mark))
        if source.address is not None:
            doing = f"source address {source.address}"
            _bind(sock, source)
    except OSError as error:
        sock.close()
        raise own(error.errno or 0, doing) from None


def _signed(number: int) -> int:
    """Marks are unsigned; a C int is what Python lets through to the kernel."""
    return number - (1 << 32) if number >= 1 << 31 else number


def _bind(sock: SocketType, source: Source) -> None:
    assert source.address is not None
    if source.port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    elif sock.type == socket.SOCK_STREAM:
        # Lets the port be chosen at connect(2), so that one port serves many targets.
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind(sockaddr(Endpoint(source.address, source.port), source.interface))
