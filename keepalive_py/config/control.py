"""The top-level blocks `control { }` and `webhook NAME { }`, our own: the API on TCP, and who is told by
HTTP. Pure.

```
control {
    listen 192.0.2.1:9443
    certificate /etc/keepalive_py/cert.pem
    key /etc/keepalive_py/key.pem
    tokens /etc/keepalive_py/tokens
}
webhook chat {
    url https://hooks.example.org/lb
    event server_down
    event quorum_lost
}
```

The unix socket needs no block; it is always there unless `--control none`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import Integer, Seconds, Text, Word, only_word
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import BadValue, Draft, Kind, keyword
from keepalive_py.net import Endpoint, parse_address

__all__ = ["ControlApi", "EndpointKind", "UrlKind", "Webhook"]

OURS: Final = "docs/control.md"


@dataclass(frozen=True, slots=True)
class EndpointKind(Kind):
    """ADDRESS:PORT, an IPv6 address in brackets; or the two as words."""

    name: str = "ADDRESS:PORT"

    def parse(self, line: LogicalLine) -> Endpoint:
        head, _, port = only_word(line, self.name).rpartition(":")
        if line.text(2) is not None:
            head, port = only_word(line, self.name), line.text(2) or ""
        try:
            address = parse_address(head.removeprefix("[").removesuffix("]"))
        except ValueError:
            raise BadValue(
                f"`{only_word(line, self.name)}` is no address with a port",
                expected="as 192.0.2.1:9443 or [2001:db8::1]:9443",
            ) from None
        return Endpoint(address, Integer(1, 65535).read(port, 1))


@dataclass(frozen=True, slots=True)
class UrlKind(Kind):
    """An http or https URL with a host."""

    name: str = "http(s) URL"

    def parse(self, line: LogicalLine) -> str:
        text = only_word(line, self.name)
        try:
            parts = urlsplit(text)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise BadValue(f"`{text}` is not an http or https URL", expected="as https://host/path")
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlApi:
    """The API on TCP, for those who cannot reach the unix socket."""

    listen: Endpoint = keyword(
        "listen", EndpointKind(), since="ours", source=OURS, doc="Where the API is on TCP."
    )
    certificate: str = keyword(
        "certificate", Text(), default="", since="ours", source=OURS,
        doc="File with the certificate and its chain; without it only loopback may be listened on.",
    )  # fmt: skip
    key: str = keyword(
        "key", Text(), default="", since="ours", source=OURS,
        doc="File with the certificate's key; default: it is in the certificate's file.",
    )  # fmt: skip
    tokens: str = keyword(
        "tokens", Text(), default="", since="ours", source=OURS,
        doc="File with who may ask, and what: lines NAME ROLE TOKEN; only its owner may read it.",
    )  # fmt: skip
    connections: int = keyword(
        "connections", Integer(1, 4096), default=128, since="ours", source=OURS,
        doc="How many connections there may be at a time.",
    )  # fmt: skip
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def finish(cls, draft: Draft) -> None:
        values = draft.values
        if draft.is_second("control"):
            draft.refuse("duplicate", "there already is a control block: this one is left out")
        elif values.get("listen") is None:
            draft.refuse("no-listen", "control has no `listen`: the block is left out")
        elif not values.get("tokens"):
            draft.refuse(
                "no-tokens",
                "the API is not opened on TCP without tokens: the block is left out",
                "name a file: tokens /etc/keepalive_py/tokens",
                "keepalive-ctl token makes a line for it",
                field="listen",
            )
        elif not values.get("certificate") and not values["listen"].address.is_loopback:
            draft.refuse(
                "no-certificate",
                f"{values['listen']} is not on loopback: tokens would go over the network in the clear",
                "the block is left out; name a certificate, or listen on loopback",
                field="listen",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Who is told by HTTP."""

    name: str
    url: str = keyword(
        "url", UrlKind(), since="ours", source=OURS, doc="Where each event is posted, as JSON."
    )
    events: tuple[str, ...] = keyword(
        "event", Word(), repeated=True, default=(), since="ours", source=OURS,
        doc="Only events of this kind, as in `keepalive-ctl events`; without any: all.",
    )  # fmt: skip
    headers: tuple[str, ...] = keyword(
        "header", Text(), repeated=True, default=(), since="ours", source=OURS,
        doc="A header of each request, as \"Authorization: Bearer ...\".",
    )  # fmt: skip
    timeout: float = keyword(
        "timeout", Seconds(0.1, 300), default=5.0, unit="s", since="ours", source=OURS,
        doc="Patience with one request.",
    )  # fmt: skip
    retry: float = keyword(
        "retry", Seconds(0, 86400), default=300.0, unit="s", since="ours", source=OURS,
        doc="How long an event is tried again, at growing intervals, before it is given up.",
    )  # fmt: skip
    queue: int = keyword(
        "queue", Integer(1, 100000), default=1000, since="ours", source=OURS,
        doc="So many events may wait; with more the oldest are lost, and counted.",
    )  # fmt: skip
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def finish(cls, draft: Draft) -> None:
        draft.values["name"] = draft.head
        if not draft.values.get("url"):
            draft.refuse("no-url", f"webhook {draft.head} has no url: it is left out")
        for header in draft.values.get("headers", ()):
            name, colon, value = header.partition(":")
            if not colon or not name.strip() or any(letter in header for letter in "\r\n"):
                draft.refuse("bad-header", f'`{name}` is no header: write "NAME: VALUE"', field="headers")
