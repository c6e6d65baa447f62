"""Services and real servers as the JSON of DPVS's agent. Pure.

One service has the name ADDRESS-PORT-PROTOCOL, which is part of the path. The agent leaves out
of its answers what is 0 or empty. It takes a scheduler that it does not know for `wrr`, and a
protocol that it does not know for TCP; so what it has no words for is refused here.

Standards: tools/dpvs-agent/dpvs-agent-api.yaml of iqiyi/dpvs (base path /v2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from keepalive_py.config.model import Forwarding, SchedulerFlag, Tunnel
from keepalive_py.errors import WireError
from keepalive_py.net import Address, Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteLocalAddress,
    DeleteService,
    EditDestination,
    EditService,
    Step,
)
from keepalive_py.plan.table import Destination, Service, ServiceKey, ServiceOptions
from keepalive_py.wire.ipvs import Foreign, Inexpressible, OutOfRange

Json = dict[str, Any]

SERVICES: Final = "/v2/vs"
LARGEST_WEIGHT: Final = 65535
LARGEST: Final = 0xFFFFFFFF
SCHEDULERS: Final = ("rr", "wrr", "wlc", "conhash")
MODES: Final = {
    Forwarding.FNAT: "FNAT", Forwarding.NAT: "NAT", Forwarding.DR: "DR", Forwarding.TUN: "TUNNEL",
}  # fmt: skip
METHODS: Final = {mode: method for method, mode in MODES.items()}
PROXY_NUMBERS: Final = {1: "v1", 2: "v2", 17: "v1-insecure", 18: "v2-insecure"}
HOST_NETMASK: Final = {Family.INET: LARGEST, Family.INET6: 128}
MOST_SERVERS: Final = 256  # of one request


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of the agent, and for which steps."""

    method: str
    path: str
    body: Json | None
    steps: tuple[Step, ...]


# ---------------------------------------------------------------- to the agent


def name_of(key: ServiceKey) -> str:
    """How the agent calls a service. Raises Inexpressible."""
    if key.endpoint is None or key.protocol is None:
        raise Inexpressible("DPVS's agent knows services by address only, not by firewall mark")
    if key.protocol not in (Protocol.TCP, Protocol.UDP):
        raise Inexpressible("DPVS's agent knows TCP and UDP only")
    return f"{key.endpoint.address}-{key.endpoint.port}-{key.protocol.name.lower()}"


def request(step: Step, device: str = "") -> Request:
    """`device`: of local addresses that name none. Raises Inexpressible, OutOfRange."""
    key = step.service.key if isinstance(step, AddService | EditService) else step.key
    path = f"{SERVICES}/{name_of(key)}"
    match step:
        case AddService(service) | EditService(service):
            return Request("PUT", path, service_body(service), (step,))
        case DeleteService():
            return Request("DELETE", path, None, (step,))
        case AddDestination(_, destination) | EditDestination(_, destination):
            return Request("PUT", f"{path}/rs", {"Items": [server_body(destination, key.family)]}, (step,))
        case DeleteDestination(_, endpoint):
            body = {"ip": str(endpoint.address), "port": endpoint.port, "weight": 0}
            return Request("DELETE", f"{path}/rs", {"Items": [body]}, (step,))
        case AddLocalAddress(_, address, interface) | DeleteLocalAddress(_, address, interface):
            method = "PUT" if isinstance(step, AddLocalAddress) else "DELETE"
            body = local_body(address, key.family, interface or device)
            return Request(method, f"{path}/laddr", body, (step,))
    raise TypeError(step)


def merged(requests: Iterable[Request]) -> Iterator[Request]:
    """Neighbours that add or delete servers of one service as one request."""
    last: Request | None = None
    for each in requests:
        if last is not None and _together(last, each):
            body = {"Items": [*(last.body or {})["Items"], *(each.body or {})["Items"]]}
            last = Request(last.method, last.path, body, (*last.steps, *each.steps))
            continue
        if last is not None:
            yield last
        last = each
    if last is not None:
        yield last


def _together(one: Request, other: Request) -> bool:
    return (
        one.path.endswith("/rs")
        and (one.method, one.path) == (other.method, other.path)
        and len(one.steps) < MOST_SERVERS
    )


def service_body(service: Service) -> Json:
    """Raises Inexpressible."""
    _refuse_foreign(service)
    options = service.options
    body: Json = {
        "SchedName": service.scheduler,
        "Timeout": service.persistence_timeout,
        "ConnTimeout": options.established_timeout,
        "Bps": options.bps,
        "LimitProportion": options.limit_proportion,
        "SynProxy": options.syn_proxy,
        "ExpireQuiescent": options.expire_quiescent_conn,
        "Quic": options.quic,
        "ProxyProtocol": options.proxy_protocol or "disable",
    }
    if any(isinstance(value, int) and value > LARGEST for value in body.values()):
        raise OutOfRange("a number of the service has more than 32 bits")
    return body


def _refuse_foreign(service: Service) -> None:
    if service.scheduler not in SCHEDULERS:
        raise Inexpressible(f"DPVS's agent has no scheduler {service.scheduler}: {', '.join(SCHEDULERS)}")
    if service.flags & ~SchedulerFlag.PERSISTENT:
        raise Inexpressible("DPVS's agent has no one-packet scheduling and no flags of schedulers")
    if service.persistence_engine:
        raise Inexpressible("DPVS has no persistence engines")
    if service.netmask != HOST_NETMASK[service.key.family]:
        raise Inexpressible("DPVS's agent knows persistence of single clients only, not of networks")


def server_body(destination: Destination, family: Family) -> Json:
    """Raises Inexpressible, OutOfRange."""
    if not 0 <= destination.weight <= LARGEST_WEIGHT:
        raise OutOfRange(f"DPVS's agent takes weights up to {LARGEST_WEIGHT}")
    if destination.endpoint.family is not family:
        raise OutOfRange("DPVS's agent takes real servers of the service's family only")
    if destination.u_threshold or destination.l_threshold:
        raise Inexpressible("DPVS's agent has no uthreshold and lthreshold")
    if destination.forwarding is Forwarding.TUN and destination.tunnel != Tunnel():
        raise Inexpressible("DPVS's agent knows ipip tunnels only")
    return {
        "ip": str(destination.endpoint.address),
        "port": destination.endpoint.port,
        "weight": destination.weight,
        "mode": MODES[destination.forwarding],
    }


def local_body(address: Address, family: Family, interface: str) -> Json:
    if Endpoint(address, 0).family is not family:
        raise OutOfRange("a local address must be of the service's family")
    if not interface:
        raise Inexpressible("DPVS must know the device of a local address: `device` in dpvs { }")
    return {"addr": str(address), "device": interface}


# ---------------------------------------------------------------- from the agent


def items(document: object) -> list[Json]:
    """The list in an answer; entries that the agent could not read itself are null, and left out."""
    if document is None:
        return []
    if not isinstance(document, dict):
        raise WireError("DPVS's agent: an object was expected")
    found = document.get("Items") or []
    if not isinstance(found, list):
        raise WireError("DPVS's agent: a list was expected")
    return [each for each in found if isinstance(each, dict)]


def read_service(found: Json) -> Service:
    """Raises WireError, Foreign."""
    if found.get("Fwmark") or found.get("Proto") not in (Protocol.TCP, Protocol.UDP):
        raise Foreign("a service by mark, or of another protocol")
    try:
        endpoint = Endpoint(parse_address(found["Addr"]), int(found.get("Port", 0)))
        family = endpoint.family
        return Service(
            key=ServiceKey(family, Protocol(found["Proto"]), endpoint),
            scheduler=found.get("SchedName", ""),
            persistence_timeout=int(found.get("Timeout", 0)),
            netmask=int(found.get("Netmask", 0)) or HOST_NETMASK[family],
            options=_options(found),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"DPVS's agent: not a service: {error!r}") from None


def _options(found: Json) -> ServiceOptions:
    return ServiceOptions(
        syn_proxy=found.get("SynProxy") == "true",
        established_timeout=int(found.get("ConnTimeout", 0)),
        bps=int(found.get("Bps", 0)),
        limit_proportion=int(found.get("LimitProportion", 0)),
        proxy_protocol=PROXY_NUMBERS.get(found.get("ProxyProto", 0), ""),
        quic=found.get("Quic") == "true",
        expire_quiescent_conn=found.get("ExpireQuiescent") == "true",
    )


def read_servers(found: Json) -> Iterator[Destination]:
    """The real servers of a service, in the agent's order. Raises WireError, Foreign."""
    for each in items(found.get("RSs")):
        try:
            spec = each["Spec"]
            if spec["mode"] not in METHODS:
                raise Foreign(f"a real server by {spec['mode']}")
            yield _server(spec)
        except (KeyError, TypeError, ValueError) as error:
            raise WireError(f"DPVS's agent: not a real server: {error!r}") from None


def _server(spec: Json) -> Destination:
    return Destination(
        endpoint=Endpoint(parse_address(spec["ip"]), int(spec["port"])),
        forwarding=METHODS[spec["mode"]],
        weight=int(spec["weight"]),
    )


def read_local(document: object) -> dict[Address, str]:
    """Local addresses, each with its device. Raises WireError."""
    try:
        return {parse_address(each["addr"]): str(each.get("device", "")) for each in items(document)}
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"DPVS's agent: not a local address: {error!r}") from None
