"""Steps that the kernel refused, in keepalived's words, and each of them said once.

A refused step is tried again at every comparison with the kernel; the same refusal is not
news the second time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from keepalive_py.dataplane.port import Refusal
from keepalive_py.net import Address, Endpoint
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteLocalAddress,
    DeleteService,
    EditDestination,
    EditService,
    SetMarked,
    Step,
)
from keepalive_py.plan.table import ServiceKey

MOST_SAID: Final = 20  # refusals of one batch

# The names and numbers of linux/ip_vs.h's socket options, which keepalived logs whatever the
# way to the kernel. Local addresses of FULLNAT and marks by nf_tables have none there.
COMMANDS: Final[Mapping[type[Step], str]] = {
    AddService: "IP_VS_SO_SET_ADD(1154)",
    EditService: "IP_VS_SO_SET_EDIT(1155)",
    DeleteService: "IP_VS_SO_SET_DEL(1156)",
    AddDestination: "IP_VS_SO_SET_ADDDEST(1159)",
    DeleteDestination: "IP_VS_SO_SET_DELDEST(1160)",
    EditDestination: "IP_VS_SO_SET_EDITDEST(1161)",
    AddLocalAddress: "IP_VS_SO_SET_ADDLADDR(0)",
    DeleteLocalAddress: "IP_VS_SO_SET_DELLADDR(0)",
    SetMarked: "NF_TABLES_SET_MARKED(0)",
}
TEXTS: Final[Mapping[tuple[type[Step], int], str]] = {
    (AddService, errno.ENOENT): "Scheduler or persistence engine not found",
    (EditService, errno.ENOENT): "Scheduler or persistence engine not found",
    (EditService, errno.ESRCH): "No such service",
    (DeleteService, errno.ESRCH): "No such service",
    (AddDestination, errno.ESRCH): "Service not defined",
    (EditDestination, errno.ENOENT): "No such destination",
    (DeleteDestination, errno.ENOENT): "No such destination",
}


def refusal_line(refusal: Refusal) -> str:
    """`IPVS cmd NAME(NUMBER) error: TEXT(ERRNO) (SERVICE -> DESTINATION)`, and the hint."""
    step, number = refusal.step, refusal.errno
    text = TEXTS.get((type(step), number)) or os.strerror(number)
    line = f"IPVS cmd {COMMANDS[type(step)]} error: {text}({number}) ({place(step)})"
    return f"{line}: {refusal.hint}" if refusal.hint else line


def place(step: Step) -> str:
    match step:
        case AddService(service) | EditService(service):
            return service_name(service.key)
        case DeleteService(key) | SetMarked(key):
            return service_name(key)
        case AddDestination(key, destination) | EditDestination(key, destination):
            return f"{service_name(key)} -> {destination.endpoint}"
        case DeleteDestination(key, endpoint):
            return f"{service_name(key)} -> {endpoint}"
        case AddLocalAddress(key, address) | DeleteLocalAddress(key, address):
            return f"{service_name(key)} -> {address}"


def service_name(key: ServiceKey) -> str:
    if key.endpoint is None or key.protocol is None:
        return f"Fwm {key.fwmark}"
    return f"{bracketed(key.endpoint)}:{key.protocol.name.lower()}:{key.endpoint.port}"


def bracketed(endpoint: Endpoint) -> str:
    address: Address = endpoint.address
    return f"[{address}]" if address.version == 6 else str(address)


class RefusalNews:
    """Which refusals have been said, until the step is accepted or not wanted any more."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.heard: Callable[[str, str], None] = lambda reason, text: None  # whoever else wants to know
        self.known: set[tuple[Step, int]] = set()
        self._lately: set[tuple[Step, int]] = set()  # since everything began to be compared

    def begin(self) -> None:
        """All that is wanted is about to be compared, and what is not there to be tried."""
        self._lately = set()

    def end(self) -> None:
        """What was not refused meanwhile is not wanted any more. Services that go are apart: those
        of others are tried after the comparison."""
        self.known = {each for each in self.known if each in self._lately or type(each[0]) is DeleteService}

    def told(self, steps: Sequence[Step], refusals: Sequence[Refusal]) -> None:
        """What came of a batch."""
        self._lately |= {(each.step, each.errno) for each in refusals}
        if self.known:
            tried = set(steps)
            self.known = {entry for entry in self.known if entry[0] not in tried} | {
                entry for entry in self.known if entry in {(each.step, each.errno) for each in refusals}
            }
        news = [each for each in refusals if (each.step, each.errno) not in self.known]
        self.known |= {(each.step, each.errno) for each in news}
        for refusal in news[:MOST_SAID]:
            self.say(refusal_line(refusal))
            self.heard(errno.errorcode.get(refusal.errno, str(refusal.errno)), refusal_line(refusal))
        if len(news) > MOST_SAID:
            self.say(f"and {len(news) - MOST_SAID} more IPVS commands were refused")
