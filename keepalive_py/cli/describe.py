"""What the commands that show live state say about a service or a server: a colour and a word."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

Row = dict[str, Any]


ORDERED = {"drain": "drained", "disable": "disabled"}


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
    servers, held = service["real_servers"], service["guards"]["held"]
    alive, total = sum(server["alive"] for server in servers), len(servers)
    orders = Counter(
        ORDERED.get(each["override"]["action"], "weighed") for each in servers if each["override"]
    )
    more = f", {held} held in although down" if held else ""
    more += "".join(f", {number} {words}" for words, number in orders.items())
    if servers and not any(server["effective_weight"] for server in servers):
        return "red", f"nobody gets connections, {alive} of {total} servers up{more}"
    good = alive == total and not orders
    return ("green" if good else "yellow"), f"up, {alive} of {total} servers{more}"


def server_state(server: Row) -> tuple[str, str]:
    if server["held"]:
        return "red", "held in"
    if not server["alive"]:
        return "red", "down"
    if server["suppressed"]:
        return "yellow", "damped"
    if server["override"] is not None:
        return "yellow", ORDERED.get(server["override"]["action"], "weighed")
    if server["pool_weight"] is None:
        return "yellow", "waiting"
    if server["share"] < 100:
        return "yellow", "starting"
    return "green", "up"


def since(server: Row) -> float:
    """For how many seconds it has been in the state that `server_state` tells."""
    state = server_state(server)[1]
    ordered = server["override"] is not None and state in (*ORDERED.values(), "weighed")
    return max(0.0, time.time() - server["override"]["since"]) if ordered else float(server["since"])


def why(server: Row) -> str:
    """Of one that is not simply up, in a few words."""
    if not server["alive"]:
        return failing(server)
    if server["suppressed"]:
        return f"it flaps: penalty {server['penalty']:.1f}"
    if server["override"] is not None:
        return order(server["override"])
    if server["pool_weight"] is None:
        return "the sorry server serves"
    if server["share"] < 100:
        return f"slow start, {server['share']} %"
    unwanted = server["effective_weight"] == 0 and server["configured_weight"] > 0
    return "its checks want weight 0" if unwanted else ""


def failing(server: Row) -> str:
    """The first check that is down."""
    for check in server["checks"]:
        if check["up"]:
            continue
        last = check["last"]
        if last is not None and last["result"] == "failed":
            return f"{check['kind']} {reasons(last)}"
        return f"{check['kind']} {recovering(check) or verdict(last)}"
    return "a check of it cannot run here (alpha)"


def recovering(check: Row) -> str:
    """Of one that passes again, and not yet often enough; else ""."""
    last = check["last"]
    if check["up"] or last is None or last["result"] != "passed":
        return ""
    return f"passed {check['successes']} of {check['rise']} times in a row"


def reasons(last: Row) -> str:
    """`refused: Connection refused`; of a check that passed just the detail."""
    return ": ".join(str(last[each]) for each in ("reason", "detail") if last.get(each))


def verdict(last: Row | None) -> str:
    """`failed, refused: Connection refused`."""
    if last is None:
        return "not yet run"
    return ", ".join(each for each in (str(last["result"]), reasons(last)) if each)


def order(override: Row) -> str:
    """`by root: new kernel`."""
    return f"by {override['by'] or 'somebody'}" + (f": {override['reason']}" if override["reason"] else "")
