"""Which virtual servers, real servers and checks somebody means by a few words.

| words | a virtual server | a real server |
|---|---|---|
| a name as it is shown, `[192.0.2.1]:tcp:80` | that one | that one |
| `192.0.2.1:80`, `[2001:db8::1]:80` | of any protocol | |
| `192.0.2.1`, `2001:db8::1` | every port | every port |
| a group's name, with or without `:0`; `fwm 1` | that one | |

Nothing here is a pattern: what could match too much by accident does not belong where servers are
taken out of service.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from keepalive_py.config.model import VirtualServer
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.service_state import ServerState, ServiceState
from keepalive_py.net import Address, Endpoint, parse_address


@dataclass(frozen=True, slots=True)
class Meant:
    """A text, taken apart. `port` None: any."""

    name: str
    address: Address | None = None
    port: int | None = None


@lru_cache(maxsize=256)
def meant(text: str) -> Meant:
    text = text.strip()
    try:
        return Meant(text, parse_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    head, colon, port = text.rpartition(":")
    if colon and port.isdecimal():
        try:
            return Meant(text, parse_address(head.removeprefix("[").removesuffix("]")), int(port))
        except ValueError:
            pass
    return Meant(text)


def is_service(vs: VirtualServer, text: str) -> bool:
    wanted = meant(text)
    if wanted.address is not None:
        return vs.endpoint is not None and is_endpoint(vs.endpoint, wanted)
    name = vs_name(vs)
    return name.lower() == wanted.name.lower() or (vs.group is not None and vs.group == wanted.name)


def is_server(vs: VirtualServer, endpoint: Endpoint, text: str) -> bool:
    wanted = meant(text)
    if wanted.address is not None:
        return is_endpoint(endpoint, wanted)
    return rs_name(vs, endpoint) == wanted.name


def is_endpoint(endpoint: Endpoint, wanted: Meant) -> bool:
    return endpoint.address == wanted.address and wanted.port in (None, endpoint.port)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a question is about; "" leaves it open. `state`: up or down."""

    service: str = ""
    server: str = ""
    state: str = ""

    def services(self, services: Iterable[ServiceState]) -> Iterator[ServiceState]:
        return (each for each in services if not self.service or is_service(each.vs, self.service))

    def servers(self, service: ServiceState) -> Iterator[ServerState]:
        for each in service.servers:
            if self.server and not is_server(service.vs, each.rs.endpoint, self.server):
                continue
            if not self.state or (self.state == "up") == each.alive:
                yield each
