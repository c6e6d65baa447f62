"""What virtual and real servers are called in logs, FIFO lines and mails. Pure."""

from __future__ import annotations

from keepalive_py.config.model import VirtualServer
from keepalive_py.net import Endpoint


def vs_name(vs: VirtualServer) -> str:
    """`[ADDRESS]:tcp:PORT`, `FWM MARK` or `[GROUP]:INDEX`."""
    if vs.group is not None:
        return f"[{vs.group}]:{vs.group_index}"
    if vs.endpoint is not None:
        return _name(vs.endpoint, vs.protocol.name.lower())
    return f"FWM {vs.fwmark}"


def rs_name(vs: VirtualServer, endpoint: Endpoint) -> str:
    """`[ADDRESS]:tcp:PORT` of a server of `vs`; firewall marks know no protocol: `none`."""
    return _name(endpoint, "none" if vs.only_marks or vs.fwmark is not None else vs.protocol.name.lower())


def _name(endpoint: Endpoint, protocol: str) -> str:
    return f"[{endpoint.address}]:{protocol}:{endpoint.port}"
