"""`lvs_method`, alias `lb_kind`: how packets reach a real server. Pure.

Spelling: NAT | DR | TUN | FNAT [type ipip|gue|gre] [port N] [nocsum|csum|remcsum].
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from keepalive_py.config.kinds import Integer
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import BadValue, Draft, Kind, MissingValue

__all__ = ["Forwarding", "Method", "MethodKind", "Tunnel", "TunnelChecksum", "TunnelType", "split_method"]


class Forwarding(enum.Enum):
    """Forwarding method (keepalived `lvs_method`, alias `lb_kind`)."""

    NAT = "NAT"
    DR = "DR"
    TUN = "TUN"
    FNAT = "FNAT"


class TunnelType(enum.IntEnum):
    """IP_VS_CONN_F_TUNNEL_TYPE_* of linux/ip_vs.h."""

    IPIP = 0
    GUE = 1
    GRE = 2


class TunnelChecksum(enum.IntFlag):
    """IP_VS_TUNNEL_ENCAP_FLAG_* of linux/ip_vs.h."""

    NOCSUM = 0
    CSUM = 1
    REMCSUM = 2


@dataclass(frozen=True, slots=True)
class Tunnel:
    """Encapsulation of forwarding method TUN. `port` is only for GUE."""

    type: TunnelType = TunnelType.IPIP
    port: int = 0
    checksum: TunnelChecksum = TunnelChecksum.NOCSUM


@dataclass(frozen=True, slots=True)
class Method:
    """A forwarding method with its tunnel; `tunnel` None: its options are bad, as it was before."""

    forwarding: Forwarding
    tunnel: Tunnel | None = None


_METHODS: Final = {method.value: method for method in Forwarding}
_TYPES: Final = {tunnel.name.lower(): tunnel for tunnel in TunnelType}
_CHECKSUMS: Final = {checksum: TunnelChecksum[checksum.upper()] for checksum in ("nocsum", "csum", "remcsum")}
_PORT: Final = Integer(1, 65535)


@dataclass(frozen=True, slots=True)
class MethodKind(Kind):
    """A bad tunnel option is an error, but the method before it counts."""

    name: str = "NAT | DR | TUN | FNAT [type ipip | gue | gre] [port N] [nocsum | csum | remcsum]"

    def parse(self, line: LogicalLine) -> Method:
        text = line.text(1)
        if text is None:
            raise MissingValue(line.keyword, ", ".join(_METHODS))
        forwarding = _METHODS.get(text)
        if forwarding is None:
            raise BadValue(
                f"`{text}` is not a forwarding method", expected=", ".join(_METHODS), code="unknown-choice"
            )
        try:
            return Method(forwarding, _read_tunnel(line))
        except BadValue as bad:
            bad.used = Method(forwarding)
            bad.notes = (f"{text} is used, its options are not",)
            raise

    def write(self, value: Method) -> str:
        return " ".join([value.forwarding.value, *_tunnel_words(value.tunnel or Tunnel())])


def _read_tunnel(line: LogicalLine) -> Tunnel:
    kind, port, checksum = TunnelType.IPIP, 0, None
    words = iter(enumerate([word.text for word in line.words[2:]], 2))
    for index, option in words:
        if option in _CHECKSUMS:
            checksum = _CHECKSUMS[option]
            continue
        if option not in ("type", "port"):
            raise BadValue(f"`{option}` is not a tunnel option", expected="type, port, csum", word=index)
        index, text = next(words, (index, ""))
        if option == "port":
            port = _PORT.read(text, index)
        elif text in _TYPES:
            kind = _TYPES[text]
        else:
            raise BadValue(f"`{text}` is not a tunnel type", expected=", ".join(_TYPES), word=index)
    _refuse_nonsense(kind, port, checksum)
    return Tunnel(kind, port, checksum or TunnelChecksum.NOCSUM)


def _refuse_nonsense(kind: TunnelType, port: int, checksum: TunnelChecksum | None) -> None:
    if (kind is TunnelType.GUE) != bool(port):
        raise BadValue("a gue tunnel needs a port, other tunnels have none")
    if kind is TunnelType.IPIP and checksum is not None:
        raise BadValue("an ipip tunnel has no checksum option")
    if kind is TunnelType.GRE and checksum is TunnelChecksum.REMCSUM:
        raise BadValue("a gre tunnel cannot do remcsum")


def _tunnel_words(tunnel: Tunnel) -> list[str]:
    if tunnel == Tunnel():
        return []
    words = ["type", tunnel.type.name.lower()]
    if tunnel.port:
        words += ["port", str(tunnel.port)]
    if tunnel.checksum:
        words.append("remcsum" if tunnel.checksum & TunnelChecksum.REMCSUM else "csum")
    return words


def split_method(method: Method, draft: Draft) -> Forwarding:
    """Sets `tunnel` of the draft too, when the line has a good one."""
    if method.tunnel is not None:
        draft.values["tunnel"] = method.tunnel
    return method.forwarding
