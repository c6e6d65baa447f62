"""Who asks, and what they may do."""

from __future__ import annotations

import enum
import pwd
import socket
import struct
from dataclasses import dataclass
from typing import Final

UCRED: Final = struct.Struct("=iII")  # pid, uid, gid: unix(7), SO_PEERCRED


class Role(enum.IntEnum):
    """What a caller may: look, or change things too."""

    NOBODY = 0
    READER = 1
    OPERATOR = 2

    @property
    def word(self) -> str:
        return {0: "nobody", 1: "read-only", 2: "operator"}[self]


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` goes into the log and into whatever this caller changes."""

    name: str
    role: Role


NOBODY: Final = Caller("nobody", Role.NOBODY)


def peer_of(channel: socket.socket) -> Caller:
    """Who is at the other end of a unix socket: whoever may connect to it may do everything."""
    packed = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
    _pid, uid, _gid = UCRED.unpack(packed)
    return Caller(user_name(uid), Role.OPERATOR)


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
