"""What a refusal of the kernel means for what was wanted. Pure.

A table is wanted, not a history: an entry that is there already is edited, one that is
gone already needs no delete, and an edit of what is not there adds it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from ipaddress import IPv4Address

from keepalive_py.config.model import LvsSyncDaemon
from keepalive_py.dataplane.hints import hint
from keepalive_py.dataplane.port import Refusal
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
from keepalive_py.plan.table import ServiceKey
from keepalive_py.wire.netlink import Outcome

DAEMON_PORT, DAEMON_TTL, DAEMON_GROUP = 8848, 1, IPv4Address("224.0.0.81")

# Errors after which the table is as wanted.
_AS_WANTED = {
    (DeleteService, errno.ESRCH),
    (DeleteDestination, errno.ENOENT),
    (DeleteDestination, errno.ESRCH),
    (AddLocalAddress, errno.EEXIST),
    (DeleteLocalAddress, errno.ENOENT),
    (DeleteLocalAddress, errno.ESRCH),
}


def remedy(step: Step, number: int) -> Step | None:
    """The other step that leads to the same table, after `step` failed with `number`."""
    match step, number:
        case AddService(service), errno.EEXIST:
            return EditService(service)
        case EditService(service), errno.ESRCH:
            return AddService(service)
        case AddDestination(key, destination), errno.EEXIST:
            return EditDestination(key, destination)
        case EditDestination(key, destination), errno.ENOENT:
            return AddDestination(key, destination)
    return None


def is_as_wanted(step: Step, number: int) -> bool:
    """Whether the table is as `step` wants it, although it failed with `number`."""
    return (type(step), number) in _AS_WANTED


def refusal(step: Step, outcome: Outcome) -> Refusal | None:
    """The refusal to report for what a step came to, or None."""
    if outcome.errno == 0 or is_as_wanted(step, outcome.errno):
        return None
    return Refusal(step, outcome.errno, hint(step, outcome.errno, outcome.text))


def attempt(step: Step, run: Callable[[Step], Outcome]) -> Refusal | None:
    """Run `step`, then its remedy where there is one."""
    outcome = run(step)
    other = remedy(step, outcome.errno)
    if other is not None:
        outcome = run(other)
    return refusal(step, outcome)


def service_of(step: Step) -> ServiceKey:
    return step.service.key if isinstance(step, AddService | EditService) else step.key


def same_daemon(wanted: LvsSyncDaemon, running: LvsSyncDaemon) -> bool:
    """Whether a running synchronisation daemon is the wanted one, with the kernel's defaults
    for what was left open."""
    return (
        (wanted.interface, wanted.syncid) == (running.interface, running.syncid)
        and wanted.maxlen in (0, running.maxlen)
        and (wanted.port or DAEMON_PORT, wanted.ttl or DAEMON_TTL) == (running.port, running.ttl)
        and (wanted.group or DAEMON_GROUP) == running.group
    )
