"""What an operator can do about an error number of the kernel's. Pure."""

from __future__ import annotations

import errno
from collections.abc import Callable

from keepalive_py.config.model import Forwarding, TunnelType
from keepalive_py.net import Family
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteLocalAddress,
    EditDestination,
    EditService,
    Step,
)
from keepalive_py.plan.table import Destination, Service
from keepalive_py.wire.ipvs import Command

PRIVILEGE = "run as root, or with CAP_NET_ADMIN in the initial user namespace"
INT_MAX = 0x7FFFFFFF


def hint(step: Step, number: int, kernel_text: str = "") -> str:
    """Why the kernel may have refused `step`, and what would help; "" when nobody knows."""
    if kernel_text:
        return kernel_text
    rule = _RULES.get(number, "")
    return rule(step) if callable(rule) else rule


def _missing(step: Step) -> str:
    if not isinstance(step, AddService | EditService):
        return ""
    service = step.service
    scheduler = f"the kernel may have no scheduler {service.scheduler} (modprobe ip_vs_{service.scheduler})"
    if not service.persistence_engine:
        return scheduler
    engine = service.persistence_engine
    return f"{scheduler} or no persistence engine {engine} (modprobe ip_vs_pe_{engine})"


def _invalid(step: Step) -> str:
    if isinstance(step, AddService | EditService):
        return _invalid_service(step.service)
    if isinstance(step, AddDestination | EditDestination):
        return _invalid_destination(step.key.family, step.destination)
    return ""


def _invalid_service(service: Service) -> str:
    if service.key.family is Family.INET6 and not 1 <= service.netmask <= 128:
        return f"persistence granularity of an IPv6 service is a prefix length 1-128, not {service.netmask}"
    if service.key.endpoint is None and not service.key.fwmark:
        return "0 is no firewall mark"
    return "a name of a scheduler has at most 15 letters, one of a persistence engine 16"


def _invalid_destination(family: Family, destination: Destination) -> str:
    if destination.weight > INT_MAX:
        return f"a weight is at most {INT_MAX}"
    if destination.endpoint.family is not family and destination.forwarding is not Forwarding.TUN:
        return "only TUN forwards to a server of the other address family"
    if destination.tunnel.type is TunnelType.GUE and not destination.tunnel.port:
        return "tunnel type gue needs a port"
    if destination.u_threshold > INT_MAX:
        return f"uthreshold is at most {INT_MAX}"
    if destination.endpoint.family is not family:
        return "a running connection-synchronisation daemon cannot carry servers of the other address family"
    return (
        f"{destination.endpoint.address} is no unicast address (or a link-local one that is not our own),"
        " or this network namespace has its loopback interface down"
    )


def _out_of_range(step: Step) -> str:
    if not isinstance(step, AddDestination | EditDestination):
        return ""
    if step.destination.weight < 0:
        return "a weight is at least 0"
    return "lthreshold may not be above uthreshold"


def _unsupported(step: Step) -> str:
    if isinstance(step, AddLocalAddress | DeleteLocalAddress):
        return "local addresses need a dataplane for FULLNAT; this kernel's IPVS has none"
    if isinstance(step, AddDestination | EditDestination):
        return f"this kernel's IPVS does not forward by {step.destination.forwarding.value}"
    return "this kernel's IPVS does not know it"


_RULES: dict[int, str | Callable[[Step], str]] = {
    errno.EPERM: PRIVILEGE,
    errno.ENOENT: _missing,
    errno.ESRCH: "the service is not in the kernel; see why it was refused",
    errno.EINVAL: _invalid,
    errno.ERANGE: _out_of_range,
    errno.EOPNOTSUPP: _unsupported,
    errno.EAFNOSUPPORT: "the kernel has no IPv6 (booted with ipv6.disable=1, or IPVS built without it)",
    errno.ENOMEM: "the kernel is out of memory",
    errno.ENOBUFS: "the kernel's answers did not fit the socket's buffer (lvs_netlink_cmd_rcv_bufs)",
    errno.EBUSY: "another program is using that part of IPVS; it will be tried again",
    errno.ENOPROTOOPT: "the ip_vs module is being unloaded",
}

# For what is not a step.
COMMAND_HINTS: dict[tuple[Command, int], str] = {
    (Command.FLUSH, errno.EPERM): PRIVILEGE,
    (Command.SET_CONFIG, errno.EPERM): PRIVILEGE,
    (Command.SET_CONFIG, errno.EINVAL): "a timeout is too long for the kernel's clock",
    (Command.NEW_DAEMON, errno.EPERM): PRIVILEGE,
    (Command.NEW_DAEMON, errno.ENODEV): "there is no such interface",
    (Command.NEW_DAEMON, errno.EADDRNOTAVAIL): "the interface has no address to send from",
    (Command.NEW_DAEMON, errno.EINVAL): "the group must be a multicast address, and no server may"
    " have another address family than its service",
}
