"""What operators ask for, taken apart, checked against what there is, and carried out.

A real server is steered by `steering`; an announced address or the whole node by the announcer's own
drains, which `keepalive-ctl announcer` knows too.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from keepalive_py.announcer.drains import ALL, Drain
from keepalive_py.control.faults import Fault, bad, not_found, unavailable
from keepalive_py.daemon.listing import TURN
from keepalive_py.daemon.selection import Choice, is_server, is_service, meant
from keepalive_py.daemon.snapshot import Moment, server_counters, slots_of
from keepalive_py.health.names import vs_name
from keepalive_py.health.override import Action, Key, Override, Overrides, usable
from keepalive_py.health.service_state import ServiceState
from keepalive_py.net import parse_address

if TYPE_CHECKING:
    from keepalive_py.daemon.supervisor import Supervisor

PATIENCE: Final = 5.0  # seconds for the table to follow
MOST_NAMED: Final = 5

Json = dict[str, Any]


async def give(supervisor: Supervisor, wanted: Mapping[str, Any], by: str) -> Json:
    """Raises Fault."""
    if target(wanted) != "server":
        return drain_addresses(supervisor, wanted, by)
    action = Action(wanted["action"])
    if (action is Action.WEIGHT) != (wanted["weight"] is not None):
        raise bad("bad-value", "`weight` belongs to the action weight, and to no other")
    now, seconds = time.time(), wanted["seconds"]
    new = [
        Override(
            action=action,
            service=service,
            server=server,
            weight=wanted["weight"] or 0,
            by=by,
            reason=wanted["reason"],
            since=round(now, 3),
            until=round(now + seconds, 3) if seconds else 0.0,
        )
        for service, server in keys(supervisor, wanted)
    ]
    if not wanted["force"]:
        refuse_to_empty(supervisor, new)
    remembered = await supervisor.steering.put(*new)
    return {
        "overrides": [each.as_json() for each in new],
        "remembered": remembered,
        "in_table": await followed(supervisor),
    }


async def lift(supervisor: Supervisor, wanted: Mapping[str, Any], by: str) -> Json:
    """Raises Fault."""
    if target(wanted) != "server":
        return undrain_addresses(supervisor, wanted, by)
    gone = await supervisor.steering.lift(known_keys(supervisor, wanted), by)
    if not gone:
        raise not_found(
            "order about", str(wanted["server"]), [each for _, each in supervisor.steering.overrides.by_key]
        )
    return {
        "lifted": [each.as_json() for each in gone],
        "in_table": await followed(supervisor),
        "remembered": not supervisor.steering.unsaved,
    }


def target(wanted: Mapping[str, Any]) -> str:
    """Of the three that may be meant the one that is. Raises Fault."""
    given = [name for name in ("server", "vip", "node") if wanted[name]]
    if len(given) != 1:
        raise bad("bad-target", "give one of `server`, `vip` and `node`" + (", and no more" if given else ""))
    if wanted["service"] and given[0] != "server":
        raise bad("bad-target", f"`service` belongs to a `server`, not to a {given[0]}")
    return given[0]


async def followed(supervisor: Supervisor) -> bool:
    """Whether the table is as wanted now; at most `PATIENCE`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(supervisor.writer.settled(), PATIENCE)
    return supervisor.table_settled


# Real servers.


def keys(supervisor: Supervisor, wanted: Mapping[str, Any]) -> list[Key]:
    """Which overrides are meant: on each virtual server that was named, or on all. Raises Fault."""
    service, server = str(wanted["service"]), str(wanted["server"])
    services = [each for each in supervisor.services if not service or is_service(each.vs, service)]
    if not services:
        raise not_found("virtual server", service, [vs_name(each.vs) for each in supervisor.services[:200]])
    found = matching(services, server)
    if not found:
        raise not_found("real server", server, near(services))
    if not service:
        return [("", name) for name in dict.fromkeys(name for _, name in found)]
    return list(dict.fromkeys(found))


def matching(services: list[ServiceState], text: str) -> list[Key]:
    """The names of the virtual servers that have it, each with its canonical name there."""
    wanted = meant(text)
    alone = str(wanted.address) if wanted.address is not None and wanted.port is None else ""
    return [
        (vs_name(service.vs), alone or str(server.rs.endpoint))
        for service in services
        for server in service.servers
        if is_server(service.vs, server.rs.endpoint, text)
    ]


def near(services: list[ServiceState]) -> list[str]:
    return [str(server.rs.endpoint) for service in services[:50] for server in service.servers][:200]


def known_keys(supervisor: Supervisor, wanted: Mapping[str, Any]) -> list[Key]:
    """Which of the overrides that there are; also of servers that are no longer configured. An address
    alone means those of its ports, too."""
    service, server = str(wanted["service"]), str(wanted["server"])
    names = {vs_name(each.vs) for each in supervisor.services if service and is_service(each.vs, service)}
    shown_names = {name for _, name in matching(supervisor.services, server)}
    return [
        key
        for key in supervisor.steering.overrides.by_key
        if key[0] in names | {service} and (key[1] in shown_names or is_same(server, key[1]))
    ]


def is_same(text: str, server: str) -> bool:
    """Whether `text` means the server of an override; an address alone means every port."""
    wanted, known = meant(text), meant(server)
    if wanted.address is None:
        return text == server
    return wanted.address == known.address and wanted.port in (None, known.port)


def refuse_to_empty(supervisor: Supervisor, new: list[Override]) -> None:
    """Raises Fault when a virtual server would have nobody left who gets connections."""
    present, after = supervisor.steering.overrides, Overrides()
    after.by_key = {**present.by_key, **{each.key: each for each in new}}
    empty = [
        vs_name(service.vs)
        for service in supervisor.services
        if (weights := after.weights(service))
        and not usable(service, weights)
        and usable(service, present.weights(service))
    ]
    if empty:
        more = f" and {len(empty) - MOST_NAMED} more" if len(empty) > MOST_NAMED else ""
        raise Fault(
            409,
            "would-empty",
            f"no server would be left that gets connections: {', '.join(empty[:MOST_NAMED])}{more}",
            "bring another server up first, or force it",
        )


async def shown(moment: Moment, supervisor: Supervisor, choice: Choice) -> Json:
    """All that hold, with how many connections are left on their servers."""
    overrides = supervisor.steering.overrides
    found: dict[Key, Counter[str]] = {key: Counter() for key in overrides.by_key}
    if found:
        await count(moment, overrides, found)
    announcer = supervisor.announcer_state() or {}
    vips: Mapping[str, Json] = announcer.get("vips", {})
    return {
        "remembered": bool(supervisor.steering.state),
        "overrides": [
            {**each.as_json(), **{name: found[key][name] for name in COUNTED}}
            for key, each in overrides.by_key.items()
            if is_meant(each, choice)
        ],
        "addresses": [
            {"vip": "" if name == ALL else name, "node": name == ALL, **drain_json(drain),
             "states": {vip: one["state"] for vip, one in vips.items() if name in (vip, ALL)}}
            for name, drain in supervisor.announcing.drains().items()
            if drain.holds(time.time())
        ],
    }  # fmt: skip


COUNTED: Final = ("servers", "active_connections", "inactive_connections")


def is_meant(override: Override, choice: Choice) -> bool:
    fits = not choice.server or is_same(choice.server, override.server)
    return fits and (not choice.service or override.service in ("", choice.service))


async def count(moment: Moment, overrides: Overrides, found: dict[Key, Counter[str]]) -> None:
    """In turns: there may be many servers."""
    began = time.perf_counter()
    for service in moment.source.services:
        places = None
        for server in service.servers:
            override = overrides.of(service.vs, server.rs.endpoint)
            if override is None or override.key not in found:
                continue
            places = slots_of(service.vs, moment) if places is None else places
            counters = server_counters(server.rs, places, moment) or {}
            found[override.key].update(servers=1, **{name: counters.get(name, 0) for name in COUNTED[1:]})
        if time.perf_counter() - began > TURN:
            await asyncio.sleep(0)
            began = time.perf_counter()


# Addresses.


def drain_addresses(supervisor: Supervisor, wanted: Mapping[str, Any], by: str) -> Json:
    """Raises Fault."""
    if wanted["action"] != "drain" or wanted["weight"] is not None:
        raise bad(
            "bad-target", f"an address and the node can be drained; `{wanted['action']}` is for a server"
        )
    name, now = address_name(supervisor, wanted), time.time()
    until = now + wanted["seconds"] if wanted["seconds"] else 0.0
    new = Drain(by, wanted["reason"], now, until)
    change(supervisor, {**supervisor.announcing.drains(), name: new})
    why = f": {new.reason}" if new.reason else ""
    supervisor.journal.say("address_drained", f"{by} drains {worded(name)}{why}", reason="operator", by=by)
    return {
        "addresses": [{"vip": wanted["vip"], "node": wanted["node"], **drain_json(new)}],
        "remembered": True,
    }


def undrain_addresses(supervisor: Supervisor, wanted: Mapping[str, Any], by: str) -> Json:
    """Raises Fault."""
    name, known = address_name(supervisor, wanted), supervisor.announcing.drains()
    if name not in known:
        raise Fault(404, "not-found", f"{worded(name)} is not drained")
    change(supervisor, {each: drain for each, drain in known.items() if each != name})
    supervisor.journal.say(
        "address_undrained", f"{by} drains {worded(name)} no more", reason="operator", by=by
    )
    return {"lifted": [{"vip": wanted["vip"], "node": wanted["node"], **drain_json(known[name])}]}


def address_name(supervisor: Supervisor, wanted: Mapping[str, Any]) -> str:
    """As the announcer's drains have it. Raises Fault."""
    state = supervisor.announcer_state()
    if state is None:
        raise unavailable(
            "no address is announced here: there is no bgp_announcer",
            "drain real servers instead, or configure the announcer",
        )
    if wanted["node"]:
        return ALL
    try:
        name = str(parse_address(str(wanted["vip"])))
    except ValueError:
        raise bad("bad-value", f"`vip` is `{wanted['vip']}`, which is no address") from None
    vips = state.get("vips", {})
    if name not in vips:
        raise not_found("announced address", name, list(vips)[:200])
    return name


def change(supervisor: Supervisor, drains: Mapping[str, Drain]) -> None:
    """Raises Fault."""
    try:
        supervisor.announcing.change_drains(drains)
    except OSError as error:
        raise unavailable(f"the drain cannot be written down: {error.strerror}") from None


def drain_json(drain: Drain) -> Json:
    return {
        "action": "drain",
        "by": drain.by,
        "reason": drain.reason,
        "since": drain.since,
        "until": drain.until,
    }


def worded(name: str) -> str:
    return "the node" if name == ALL else f"VIP {name}"
