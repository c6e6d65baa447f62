"""A live table, or the output of `ipvsadm -Sn`, as a configuration. Pure.

What a table does not know, checks above all, cannot come out of it; what was found is written
with the checks the caller wants.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, ip_address

from keepalive_py.config.diagnostics import Diagnostic, Origin, Severity, Span

__all__ = ["Found", "Real", "from_ipvsadm", "text_of"]


@dataclass(frozen=True, slots=True)
class Real:
    """A destination; `forwarding` as in `lvs_method`, with its tunnel options."""

    address: str
    port: int
    forwarding: str = "NAT"
    weight: int = 1
    upper: int = 0
    lower: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A service as the words of a configuration. `head` is what follows `virtual_server`."""

    head: str
    protocol: str | None
    family: str | None = None
    scheduler: str = "wlc"
    flags: tuple[str, ...] = ()
    persistence: int = 0
    netmask: str | None = None
    engine: str | None = None
    reals: tuple[Real, ...] = field(default=())


_PROTOCOLS = {"-t": "TCP", "-u": "UDP", "--sctp-service": "SCTP"}
_METHODS = {"-m": "NAT", "-g": "DR", "-i": "TUN"}
_TUNNELS = {"--tun-nocsum": "nocsum", "--tun-csum": "csum", "--tun-remcsum": "remcsum"}


def from_ipvsadm(text: str, file: str = "-") -> tuple[list[Found], list[Diagnostic]]:
    """Services in the order of the text, and what of it was not understood (ipvsadm(8), --save)."""
    found: dict[str, Found] = {}
    trouble: list[Diagnostic] = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            words = shlex.split(line, comments=True)
            if words:
                name, entry = _service(words) if words[0] == "-A" else _with_real(words, found)
                found[name] = entry
        except (ValueError, IndexError, StopIteration) as error:
            why = str(error) if isinstance(error, ValueError) else "a value is missing"
            summary = f"this is not understood: {line.strip()} ({why})"
            where = Span(Origin(file), number, 1, len(line) + 1)
            trouble.append(Diagnostic(Severity.ERROR, "not-ipvsadm", summary, subject=where))
    return list(found.values()), trouble


def _service(words: list[str]) -> tuple[str, Found]:
    kind, name = words[1], words[2]
    options = words[3:]
    if kind == "-f":
        family = "inet6" if "-6" in options else "inet"
        entry = Found(f"fwmark {_number(name)}", None, family)
        name = f"{name} {family}"
    else:
        if kind not in _PROTOCOLS:
            raise ValueError(f"unknown option {kind}")
        entry = Found(_head(name), _PROTOCOLS[kind])
        name = f"{kind} {name}"
    return name, _settings(entry, options)


def _settings(entry: Found, options: list[str]) -> Found:
    rest = iter(options)
    for option in rest:
        match option:
            case "-s":
                entry = replace(entry, scheduler=next(rest))
            case "-p":
                entry = replace(entry, persistence=_number(next(rest)))
            case "-M":
                entry = replace(entry, netmask=_granularity(next(rest)))
            case "-o":
                entry = replace(entry, flags=(*entry.flags, "ops"))
            case "-b":
                entry = replace(entry, flags=(*entry.flags, *next(rest).split(",")))
            case "--pe":
                entry = replace(entry, engine=next(rest))
            case "-6":
                continue
            case _:
                raise ValueError(f"unknown option {option}")
    return entry


def _with_real(words: list[str], found: dict[str, Found]) -> tuple[str, Found]:
    if words[0] != "-a":
        raise ValueError(f"unknown command {words[0]}")
    kind, name, options = words[1], words[2], words[3:]
    if kind == "-f":
        name = f"{name} {'inet6' if '-6' in options else 'inet'}"
    else:
        name = f"{kind} {name}"
    if name not in found:
        raise ValueError("there is no such service above it")
    entry = found[name]
    return name, replace(entry, reals=(*entry.reals, _real(options)))


def _real(options: list[str]) -> Real:
    address, port, method, weight, upper, lower = "", 0, "NAT", 1, 0, 0
    tunnel: list[str] = []
    rest = iter(options)
    for option in rest:
        if option == "-r":
            address, port = _endpoint(next(rest))
        elif option in _METHODS:
            method = _METHODS[option]
        elif option == "-w":
            weight = _number(next(rest))
        elif option == "-x":
            upper = _number(next(rest))
        elif option == "-y":
            lower = _number(next(rest))
        elif option == "--tun-type":
            tunnel += ["type", next(rest)]
        elif option == "--tun-port":
            tunnel += ["port", next(rest)]
        elif option in _TUNNELS:
            tunnel.append(_TUNNELS[option])
        elif option != "-6":
            raise ValueError(f"unknown option {option}")
    if not address:
        raise ValueError("no real server")
    words = [method, *tunnel] if method == "TUN" and tunnel[:2] != ["type", "ipip"] else [method]
    return Real(address, port, " ".join(words), weight, upper, lower)


def _endpoint(text: str) -> tuple[str, int]:
    """Raises ValueError."""
    address, _, port = text.rpartition(":")
    if not address:
        return str(ip_address(text)), 0
    if _number(port) > 65535:
        raise ValueError(f"{port} is no port")
    return str(ip_address(address.strip("[]"))), _number(port)


def _number(text: str) -> int:
    """Raises ValueError for what is no number of the kernel's."""
    if not (text.isascii() and text.isdecimal() and int(text[:20]) <= 0xFFFFFFFF):
        raise ValueError(f"{text} is no number")
    return int(text)


def _head(text: str) -> str:
    address, port = _endpoint(text)
    return f"{address} {port}"


def _granularity(text: str) -> str:
    """A v4 mask stays one, a v6 prefix length is a number."""
    return text if text.isdecimal() else str(IPv4Network((0, str(IPv4Address(text)))).netmask)


def text_of(services: Iterable[Found], check: str | None = None) -> str:
    """keepalived.conf with these services; `check` (such as TCP_CHECK) for every real server."""
    return "\n".join(_block(service, check) for service in services)


def _block(service: Found, check: str | None) -> str:
    lines = [f"virtual_server {service.head} {{"]
    if service.family is not None:
        lines.append(f"    ip_family {service.family}")
    lines.append(f"    lvs_sched {service.scheduler}")
    lines += [f"    {flag}" for flag in service.flags]
    methods = {real.forwarding for real in service.reals}
    common = next(iter(methods)) if len(methods) == 1 else "NAT"
    lines.append(f"    lvs_method {common}")
    if service.engine:
        lines.append(f"    persistence_engine {service.engine}")
    if service.persistence:
        lines.append(f"    persistence_timeout {service.persistence}")
    if service.netmask:
        lines.append(f"    persistence_granularity {service.netmask}")
    if service.protocol:
        lines.append(f"    protocol {service.protocol}")
    for real in service.reals:
        lines += _real_block(real, common, check)
    return "\n".join([*lines, "}", ""])


def _real_block(real: Real, common: str, check: str | None) -> list[str]:
    lines = ["", f"    real_server {real.address} {real.port} {{", f"        weight {real.weight}"]
    if real.forwarding != common:
        lines.append(f"        lvs_method {real.forwarding}")
    if real.upper:
        lines.append(f"        uthreshold {real.upper}")
    if real.lower:
        lines.append(f"        lthreshold {real.lower}")
    if check:
        lines += [f"        {check} {{", "        }"]
    return [*lines, "    }"]
