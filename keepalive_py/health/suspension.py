"""Which checks are at work: armed at a start or reload, asleep under ha_suspend. Pure.

With `ha_suspend` a virtual server is checked only while one of its addresses is on this host (the
VRRP master has it); otherwise its state is frozen. keepalived never wakes such checks when the
virtual server is a group; here any address of the group does.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final

from keepalive_py.health.events import CheckArmed
from keepalive_py.health.service_state import ServiceState
from keepalive_py.health.verdict import Reason
from keepalive_py.net import Address

# Nobody arms these: files and sessions tell by themselves.
EVENT_DRIVEN: Final = frozenset({"FILE_CHECK", "BFD_CHECK"})


def is_suspended(service: ServiceState, present: AbstractSet[Address]) -> bool:
    """Whether its checks must sleep while this host has the addresses `present`."""
    vs = service.vs
    if not vs.ha_suspend:
        return False
    if vs.endpoint is not None:
        return vs.endpoint.address not in present
    ranges = [member.addresses for member in service.members if member.addresses is not None]
    return not any(address in span for span in ranges for address in present)


def addresses_changed(
    services: Iterable[ServiceState], present: AbstractSet[Address], now: float
) -> list[CheckArmed]:
    """This host now has the addresses `present`: put checks to sleep and wake them."""
    events: list[CheckArmed] = []
    for service in services:
        asleep = is_suspended(service, present)
        if asleep != service.suspended:
            service.suspended = asleep
            events += _armed(service, now, Reason.SUSPENDED)
    return events


def armed(services: Iterable[ServiceState], now: float, reason: Reason) -> list[CheckArmed]:
    """The line for every check that is armed, or left asleep, at a start or reload.
    Ten thousand checks make ten thousand of them."""
    return [event for service in services for event in _armed(service, now, reason)]


def _armed(service: ServiceState, now: float, reason: Reason) -> list[CheckArmed]:
    active = not service.suspended
    return [
        CheckArmed(at=now, reason=reason, vs=service.vs, rs=server.rs, check=checker.config, active=active)
        for server in service.servers
        for checker in server.checkers
        if checker.config.KIND not in EVENT_DRIVEN
    ]
