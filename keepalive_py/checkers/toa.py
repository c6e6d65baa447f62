"""TOA_CHECK: does the real server see the client that the option tells? Ours.

It connects as a FULLNAT balancer would: the option is in the first segments and tells a client that
cannot be (a new address for tests each time). Then it asks by HTTP who the peer is, and the answer
must have that address in it. `keepalive-py --role realserver` answers at /peer; anything that shows
the address of its client will do, such as nginx with `return 200 $remote_addr`.

The segments are made by hand over a raw socket, so the daemon needs CAP_NET_RAW; without it the
verdict is Unknown, which moves no server. The server takes our address of tests for the client, so
its access log and its limits by address see that one.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import secrets
from dataclasses import dataclass
from typing import ClassVar, Final

from keepalive_py.checkers.wishes import AskCarrying, Checker, Probe, source_of
from keepalive_py.config.check import NetworkCheckConfig
from keepalive_py.config.kinds import Choice, Flag, Integer, IpAddress, Word
from keepalive_py.config.schema import Draft, keyword
from keepalive_py.config.toa import LAYOUT_NAMES
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason, Verdict
from keepalive_py.net import Address, Endpoint, parse_address
from keepalive_py.wire.toa import Layout, Layouts, client_for_tests, encode

__all__ = ["CHECKER", "ToaCheck", "toa_check"]

OURS: Final = "docs/toa.md"
LARGEST: Final = 16384  # bytes of an answer that are read
ADDRESSES: Final = re.compile(rb"[0-9A-Fa-f:.]{2,45}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToaCheck(NetworkCheckConfig):
    KIND: ClassVar[str] = "TOA_CHECK"

    layout: str = keyword(
        "layout", Choice({name: name for name in LAYOUT_NAMES}), default="", since="ours", source=OURS,
        doc="How the option is laid out; without it toa4, to an IPv6 address toa6.",
    )  # fmt: skip
    option_kind: int = keyword(
        "option_kind", Integer(1, 255), default=0, since="ours", source=OURS,
        doc="The number of the TCP option, if it is not that of the layout.",
    )  # fmt: skip
    page: str = keyword(
        "page", Word(), default="/peer", since="ours", source=OURS,
        doc="What is asked for: a page that has the client's address in it.",
    )  # fmt: skip
    host: str = keyword(
        "virtualhost", Word(), default="", since="ours", source=OURS,
        doc="The Host header; without it the real server's address.",
    )  # fmt: skip
    client: Address | None = keyword(
        "client", IpAddress(), default=None, since="ours", source=OURS,
        doc="The client that the option tells; without it a new one of 198.18.0.0/15 or 2001:db8::/32.",
    )  # fmt: skip
    report_only: bool = keyword(
        "report_only", Flag(), default=False, since="ours", source=OURS,
        doc="A server that sees the wrong client is shown as such and stays in service.",
    )  # fmt: skip

    @classmethod
    def finish(cls, draft: Draft) -> None:
        layout, client = draft.values.get("layout", ""), draft.values.get("client")
        version = _layout(layout, draft.values["target"]).version
        if client is not None and client.version != version:
            name = layout or f"toa{version}"
            draft.report("family", f"layout {name} cannot carry {client}: left out", field="client")
            draft.values["client"] = None

    def same_probe(self) -> tuple[object, ...]:
        asked = (self.layout, self.option_kind, self.page, self.host, self.client, self.report_only)
        return (*NetworkCheckConfig.identity(self), *asked)


def _layout(name: str, target: Endpoint) -> Layout:
    return Layouts[(name or f"toa{target.address.version}").upper()].value


def toa_check(config: ToaCheck) -> Probe:
    layout = _layout(config.layout, config.target)
    if config.option_kind:
        layout = dataclasses.replace(layout, kind=config.option_kind)
    told = client_for_tests(layout.version, secrets.randbits(128))
    if config.client is not None:
        told = Endpoint(config.client, told.port)
    answer = yield AskCarrying(
        config.target,
        encode(layout, told),
        _request(config),
        LARGEST,
        config.connect_timeout,
        source_of(config),
    )
    return _judged(answer, told.address, config)


def _request(config: ToaCheck) -> bytes:
    address = config.target.address
    host = config.host or (f"[{address}]" if address.version == 6 else str(address))
    return f"GET {config.page} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def _judged(answer: bytes, told: Address, config: ToaCheck) -> Verdict:
    """The status is not looked at: a page that is not there shows no address."""
    head, _blank, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/"):
        return Failed(Reason.NO_DATA if not answer else Reason.BAD_ANSWER, "no HTTP answer")
    seen = _addresses(body)
    if told in seen:
        return PASSED
    detail = f"told client {told}, the server saw {_listed(seen)}"
    return Passed(f"wrong client: {detail}") if config.report_only else Failed(Reason.BAD_ANSWER, detail)


def _addresses(text: bytes) -> list[Address]:
    """Those in a text, IPv4 ones that are mapped into IPv6 as what they are."""
    found: list[Address] = []
    for word in ADDRESSES.findall(text):
        try:
            address = parse_address(word.decode().strip("."))
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        found.append(mapped or address)
    return list(dict.fromkeys(found))


def _listed(addresses: list[Address]) -> str:
    return ", ".join(map(str, addresses[:3])) or "none that it would say"


CHECKER: Final = Checker("TOA_CHECK", ToaCheck, toa_check, identical=ToaCheck.same_probe)
