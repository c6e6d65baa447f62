"""The quorum of one virtual server, with hysteresis. Pure.

| quorum | condition on the alive weight S | result |
|---|---|---|
| down | S ≥ quorum + hysteresis, and S > 0 | gained |
| up | S = 0 or S < quorum - hysteresis | lost |

A virtual server whose weights are all 0 never has quorum. keepalived.conf(5), `quorum` and
`hysteresis`; the order of the events is that of keepalived 2.2.7 and 2.4.3, as observed.
"""

from __future__ import annotations

from keepalive_py.health.events import (
    Event,
    PoolEmptied,
    PoolRestored,
    QuorumGained,
    QuorumLost,
    SorryServerIn,
    SorryServerOut,
)
from keepalive_py.health.service_state import ServiceState
from keepalive_py.health.verdict import Reason


def has_lost(service: ServiceState) -> bool:
    vs, weight = service.vs, service.alive_weight
    return service.quorum_up and (weight == 0 or weight < vs.quorum - vs.hysteresis)


def has_gained(service: ServiceState) -> bool:
    vs = service.vs
    return not service.quorum_up and service.alive_weight >= max(1, vs.quorum + vs.hysteresis)


def still_has(service: ServiceState) -> bool:
    """Whether a quorum that is up stays so."""
    vs = service.vs
    return service.alive_weight >= max(1, vs.quorum - vs.hysteresis)


def weigh(service: ServiceState, now: float, reason: Reason) -> list[Event]:
    """Compare the alive weight with the quorum, and swap pool and sorry server if it moved."""
    if has_lost(service):
        return _lose(service, now, reason)
    if has_gained(service):
        return _gain(service, now, reason, sorry_in_use=service.sorry_in_use)
    return []


def settle(service: ServiceState, now: float, reason: Reason, *, sorry_in_use: bool) -> list[Event]:
    """The same after a start or reload, in its wording. `sorry_in_use`: whether the sorry server
    was serving before; if it only now begins to, that is told as a lost quorum."""
    if has_gained(service):
        return _gain(service, now, reason, sorry_in_use=sorry_in_use, initial=True)
    if has_lost(service) or (service.sorry_in_use and not sorry_in_use):
        return _lose(service, now, reason, initial=True)
    return []


def _gain(
    service: ServiceState, now: float, reason: Reason, *, sorry_in_use: bool, initial: bool = False
) -> list[Event]:
    vs = service.vs
    service.quorum_up, service.since = True, now
    gained = QuorumGained(at=now, reason=reason, vs=vs, weight=service.alive_weight, initial=initial)
    if vs.sorry_server is None or not sorry_in_use:
        return [gained]
    return [
        gained,
        SorryServerOut(at=now, reason=Reason.QUORUM, vs=vs, sorry=vs.sorry_server),
        PoolRestored(at=now, reason=Reason.QUORUM, vs=vs),
    ]


def _lose(service: ServiceState, now: float, reason: Reason, *, initial: bool = False) -> list[Event]:
    vs = service.vs
    service.quorum_up, service.since = False, now
    lost = QuorumLost(at=now, reason=reason, vs=vs, weight=service.alive_weight, initial=initial)
    if vs.sorry_server is None:
        return [lost]
    return [
        lost,
        SorryServerIn(at=now, reason=Reason.QUORUM, vs=vs, sorry=vs.sorry_server),
        PoolEmptied(at=now, reason=Reason.QUORUM, vs=vs),
    ]
