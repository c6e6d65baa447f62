"""What the commands that show live state say about a service or a server: a colour and a word."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def service_where(service: Row) -> str:
    """`TCP 192.0.2.1:80`, as an operator would write it."""
    if "address" in service:
        address = f"[{service['address']}]" if ":" in service["address"] else service["address"]
        return f"{service['protocol']} {address}:{service['port']}"
    if "fwmark" in service:
        return f"fwmark {service['fwmark']}"
    return f"group {service['group']} ({', '.join(service['members'])})"


def service_state(service: Row) -> tuple[str, str]:
    if service["suspended"]:
        return "grey", "suspended"
    if not service["quorum_up"]:
        sorry = service["sorry_server"]
        return "red", "no quorum" + (", sorry server serves" if sorry and sorry["in_use"] else "")
    alive = sum(server["alive"] for server in service["real_servers"])
    total, held = len(service["real_servers"]), service["guards"]["held"]
    more = f", {held} held in although down" if held else ""
    return ("green" if alive == total else "yellow"), f"up, {alive} of {total} servers{more}"


def server_state(server: Row) -> tuple[str, str]:
    if server["held"]:
        return "red", "held in"
    if not server["alive"]:
        return "red", "down"
    if server["suppressed"]:
        return "yellow", "damped"
    if server["override"] is not None:
        return "yellow", {"drain": "drained", "disable": "disabled"}.get(
            server["override"]["action"], "weighed"
        )
    if server["pool_weight"] is None:
        return "yellow", "waiting"
    if server["share"] < 100:
        return "yellow", "starting"
    return "green", "up"
