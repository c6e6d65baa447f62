"""Which services of the kernel's table are ours, remembered over a restart.

Without it a daemon that was killed while it removed a service, or whose configuration changed
while it was away, would leave that service in the table for ever: to the next one it is a
stranger's. Written before a reload touches the table, with the services of both configurations,
and again after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from keepalive_py.config.model import Config
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.net import Endpoint, Family, Protocol, parse_address
from keepalive_py.plan.desired import slots
from keepalive_py.plan.marks import NO_MARKS, Marks
from keepalive_py.plan.table import ServiceKey

__all__ = ["keys_of", "owned_before", "remember_owned"]

FILE: Final = "owned_services.json"


def keys_of(*configs: Config, marks: Marks = NO_MARKS) -> list[ServiceKey]:
    """Every service that these ask for, each once. `marks`: of groups that are served by mark."""
    found = (
        slot.service.key
        for config in configs
        for vs in config.virtual_servers
        for slot in slots(vs, config, marks)
    )
    return list(dict.fromkeys(found))


def remember_owned(directory: StateDirectory, keys: Iterable[ServiceKey]) -> None:
    directory.write_json(FILE, {"services": [_as_json(key) for key in keys]})


def owned_before(directory: StateDirectory) -> list[ServiceKey]:
    """Those of the last run; none when there was none, or nobody can read what it left."""
    found = directory.read_json(FILE).get("services", [])
    try:
        return [_from_json(each) for each in found]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return []


def _as_json(key: ServiceKey) -> dict[str, Any]:
    if key.endpoint is None or key.protocol is None:
        return {"family": key.family.name, "fwmark": key.fwmark}
    where = {"address": str(key.endpoint.address), "port": key.endpoint.port}
    return {"protocol": key.protocol.name, **where}


def _from_json(value: Mapping[str, Any]) -> ServiceKey:
    if "fwmark" in value:
        return ServiceKey(Family[value["family"]], fwmark=int(value["fwmark"]))
    endpoint = Endpoint(parse_address(value["address"]), int(value["port"]))
    return ServiceKey(endpoint.family, Protocol[value["protocol"]], endpoint)
