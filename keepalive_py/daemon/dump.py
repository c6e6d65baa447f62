"""What SIGUSR1 writes: configuration and state as text, in keepalived's outline.

Two files, as there: one of the daemon itself, one of its checkers. Two blanks a level.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Iterator, Mapping

from keepalive_py.checkers.http import HttpCheckConfig
from keepalive_py.checkers.misc import MiscCheck
from keepalive_py.config.check import CheckConfig, NetworkCheckConfig
from keepalive_py.config.kinds import Script
from keepalive_py.config.model import (
    Config,
    Forwarding,
    GlobalDefs,
    RealServer,
    SchedulerFlag,
    VirtualServer,
    VirtualServerGroup,
)
from keepalive_py.health.checker_state import CheckerState
from keepalive_py.health.names import rs_name, vs_name
from keepalive_py.health.service_state import ServerState, ServiceState
from keepalive_py.health.verdict import Failed, Passed, Unknown, Verdict
from keepalive_py.net import Family

Lines = Iterator[str]
Facts = Mapping[str, object]  # other things worth dumping, by name


def parent_data(config: Config, facts: Facts) -> str:
    return joined(global_definitions(config.global_defs), section("Process"), values(facts))


def check_data(config: Config, services: Iterable[ServiceState]) -> str:
    services = list(services)
    return joined(
        global_definitions(config.global_defs),
        section("LVS Topology"),
        groups(config),
        (line for service in services for line in virtual_server(service)),
        section("Health checkers"),
        (line for service in services for server in service.servers for line in checkers(service, server)),
        track_files(config),
    )


def joined(*parts: Iterable[str]) -> str:
    return "".join(f"{line}\n" for part in parts for line in part)


def section(title: str, indent: str = "") -> Lines:
    yield f"{indent}------< {title} >------"


def values(facts: Facts) -> Lines:
    for name, value in facts.items():
        yield f" {name} = {value}"


def global_definitions(settings: GlobalDefs) -> Lines:
    """Those that keepalived names in other words first, then all that are set."""
    yield from section("Global definitions")
    yield f" Network namespace = {settings.net_namespace or '(default)'}"
    yield f" Network namespace ipvs = {ipvs_namespace(settings)}"
    if settings.router_id:
        yield f" Router ID = {settings.router_id}"
    yield from mail_definitions(settings)
    yield f" LVS flush = {'true' if settings.lvs_flush else 'false'}"
    yield f" LVS flush on stop = {settings.lvs_flush_on_stop.value}"
    yield f" Script security {'enabled' if settings.enable_script_security else 'disabled'}"
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value != field.default and field.name not in WORDED:
            yield f" {field.name} = {shown(value)}"


WORDED = {
    "net_namespace",
    "net_namespace_ipvs",
    "router_id",
    "mail",
    "lvs_flush",
    "lvs_flush_on_stop",
    "enable_script_security",
}


def ipvs_namespace(settings: GlobalDefs) -> str:
    name: str | None = settings.net_namespace_ipvs
    return "(main namespace)" if name is None else name or "(default)"


def mail_definitions(settings: GlobalDefs) -> Lines:
    mail = settings.mail
    if mail.server is not None:
        yield f" Smtp server = {mail.server.address}"
        yield f" Smtp server port = {mail.server.port}"
    elif mail.server_name:
        yield f" Smtp server = {mail.server_name}"
        yield f" Smtp server port = {mail.server_port}"
    if mail.helo_name:
        yield f" Smtp HELO name = {mail.helo_name}"
    yield f" Smtp server connection timeout = {mail.connect_timeout:g}"
    if mail.sender:
        yield f" Email notification from = {mail.sender}"
    for address in mail.to:
        yield f" Email notification = {address}"


def shown(value: object) -> str:
    if isinstance(value, Script):
        return quoted(value)
    return str(value)


def quoted(script: Script) -> str:
    return " ".join(f"'{word}'" for word in script.argv)


# Topology.


def groups(config: Config) -> Lines:
    for group in config.groups.values():
        yield from section("Virtual server group", " ")
        yield from virtual_server_group(group)


def virtual_server_group(group: VirtualServerGroup) -> Lines:
    yield f" Virtual Server Group = {group.name}"
    for member in group.members:
        if member.addresses is None:
            yield f"   FWMARK = {member.fwmark}"
        elif len(member.addresses) == 1:
            yield f"   VIP = {member.addresses.first}, VPORT = {member.port}"
        else:
            span = member.addresses
            yield f"   VIP Range = {span.first}-{span.last}, VPORT = {member.port}"


def virtual_server(service: ServiceState) -> Lines:
    yield from section("Virtual server", " ")
    vs = service.vs
    yield f" {head(vs)}"
    yield f"   Address family = {'inet6' if vs.family is Family.INET6 else 'inet'}"
    yield f"   delay_loop = {vs.delay_loop:f}"
    yield f"   lvs_sched = {vs.scheduler}"
    for number, flag in enumerate((SchedulerFlag.SCHED1, SchedulerFlag.SCHED2, SchedulerFlag.SCHED3), 1):
        yield f"   flag-{number} = {enabled(flag in vs.scheduler_flags)}"
    yield f"   One packet scheduling = {enabled(SchedulerFlag.ONE_PACKET in vs.scheduler_flags)}"
    if vs.persistence_timeout:
        yield f"   persistence timeout = {vs.persistence_timeout}"
    if vs.persistence_netmask is not None:
        yield f"   persistence granularity = {vs.persistence_netmask}"
    if vs.persistence_engine:
        yield f"   persistence engine = {vs.persistence_engine}"
    yield f"   protocol = {vs.protocol.name}"
    yield f"   alpha is {on(vs.alpha)}"
    yield f"   omega is {on(vs.omega)}"
    yield f"   Inhibit on failure is {on(vs.inhibit_on_failure)}"
    yield f"   quorum = {vs.quorum}, hysteresis = {vs.hysteresis}"
    yield from scripts("   Quorum up notify script", vs.quorum_up)
    yield from scripts("   Quorum down notify script", vs.quorum_down)
    if vs.ha_suspend:
        yield f"   Using HA suspend, {'suspended' if service.suspended else 'active'}"
    yield f"   Using smtp notification = {yes(vs.smtp_alert)}"
    if vs.virtualhost:
        yield f"   VirtualHost = '{vs.virtualhost}'"
    yield f"   default forwarding method = {forwarding(vs)}"
    yield from sorry_server(service)
    yield "   alive = 1"
    yield f"   quorum_state_up = {int(service.quorum_up)}"
    for server in service.servers:
        yield from real_server(server)


def head(vs: VirtualServer) -> str:
    if vs.group is not None:
        return f"VS GROUP = {vs_name(vs)}"
    if vs.endpoint is None:
        return f"VS FWMARK = {vs.fwmark}"
    return f"VS VIP = {vs.endpoint.address}, VPORT = {vs.endpoint.port}"


def forwarding(where: VirtualServer | RealServer) -> str:
    if where.forwarding is not Forwarding.TUN:
        return str(where.forwarding.value)
    tunnel = where.tunnel
    port = f", port = {tunnel.port}" if tunnel.port else ""
    return f"TUN, type = {tunnel.type.name}{port}, csum = {tunnel.checksum.name}"


def sorry_server(service: ServiceState) -> Lines:
    sorry = service.vs.sorry_server
    if sorry is not None:
        yield f"   sorry server = {rs_name(service.vs, sorry.endpoint)}"
        yield f"     forwarding method = {sorry.forwarding.value}"
        yield f"     Inhibit on failure is {on(sorry.inhibit)}"
        yield f"     in use = {yes(service.sorry_in_use)}"


def real_server(server: ServerState) -> Lines:
    rs = server.rs
    yield from section("Real server", "   ")
    yield (
        f"   RIP = {rs.endpoint.address}, RPORT = {rs.endpoint.port}, "
        f"WEIGHT = {rs.weight} EFF WEIGHT = {server.weight}"
    )
    yield f"   forwarding method = {forwarding(rs)}"
    yield f"   Alpha is {on(rs.alpha)}"
    yield f"   connection limit range = {rs.lthreshold} -> {rs.uthreshold}"
    yield f"   Inhibit on failure is {on(rs.inhibit_on_failure)}"
    yield from scripts("     RS up notify script", rs.notify_up)
    yield from scripts("     RS down notify script", rs.notify_down)
    yield f"   Using smtp notification = {yes(rs.smtp_alert)}"
    yield f"   initial weight = {rs.weight}"
    yield f"   effective weight = {server.weight}"
    yield f"   alive = {int(server.alive)}"
    yield f"   num failed checkers = {server.failed}"
    yield f"   RS set = {int(is_set(server))}"


def is_set(server: ServerState) -> bool:
    return server.service is not None and server.service.pool_weight(server) is not None


def scripts(title: str, script: Script | None) -> Lines:
    if script is not None:
        yield f"{title} = {quoted(script)}"


# Checkers.


def checkers(service: ServiceState, server: ServerState) -> Lines:
    for checker in server.checkers:
        yield f" {vs_name(service.vs)} -> {rs_name(service.vs, server.rs.endpoint)}"
        yield from health_checker(service, checker)


def health_checker(service: ServiceState, checker: CheckerState) -> Lines:
    check = checker.config
    yield f"   Enabled = {yes(not service.suspended)}"
    yield f"   Up = {yes(checker.up)}"
    yield f"   Has run = {yes(checker.has_run)}"
    yield f"   Current weight = {'none' if checker.asked is None else checker.asked}"
    yield f"   Alpha = {yes(check.alpha)}"
    yield f"   Delay loop = {microseconds(check.delay_loop)}"
    yield f"   Warmup = {microseconds(check.warmup)}"
    yield f"   Retries = {check.retry}"
    yield f"   Delay before retry = {microseconds(check.delay_before_retry)}"
    yield f"   Retries iterations = {checker.failures}"
    yield f"   Log all failures = {yes(check.log_all_failures)}"
    if isinstance(check, NetworkCheckConfig):
        yield from connection(check)
    yield f"   Keepalive method = {check.KIND}"
    yield from own_part(check)
    yield f"   Last verdict = {verdict_text(checker.last)}"


def connection(check: NetworkCheckConfig) -> Lines:
    yield "   Connection"
    yield f"     Dest = [{check.target.address}]:{check.target.port}"
    if check.bindto is not None:
        yield f"     Bind to = [{check.bindto}]:{check.bind_port}"
    if check.bind_if is not None:
        yield f"     Bind i/f = {check.bind_if}"
    if check.fwmark:
        yield f"     Mark = {check.fwmark}"
    yield f"     Timeout = {check.connect_timeout:f}"


def own_part(check: CheckConfig) -> Lines:
    if isinstance(check, MiscCheck):
        yield f"   script = {quoted(check.script)}"
        yield f"   timeout = {check.timeout}"
        yield f"   dynamic = {'YES' if check.dynamic else 'NO'}"
    elif isinstance(check, HttpCheckConfig):
        yield from http_part(check)
    else:
        yield from other_part(check)


def http_part(check: HttpCheckConfig) -> Lines:
    yield f"   http protocol = {check.http_protocol}"
    yield f"   Fast recovery = {yes(check.fast_recovery)}"
    for url in check.urls:
        yield f"   Checked url = {url.path}"
        if url.digest is not None:
            yield f"     digest = {url.digest.hex()}"
        if url.regex is not None:
            yield f'     regex = "{url.regex}"{" (no match wanted)" if url.regex_no_match else ""}'
        yield "     HTTP Status Code(s)"
        for first, last in url.status:
            yield f"       {first}" if first == last else f"       {first}-{last}"


def other_part(check: CheckConfig) -> Lines:
    """What the kinds without a form of their own have beyond timing and connection."""
    known = {field.name for field in dataclasses.fields(NetworkCheckConfig)}
    for field in dataclasses.fields(check):
        if field.name not in known:
            yield f"   {field.name} = {shown(getattr(check, field.name))}"


def verdict_text(verdict: Verdict | None) -> str:
    match verdict:
        case None:
            return "none yet"
        case Passed(detail=detail):
            return f"passed {detail}".rstrip()
        case Failed(reason=reason, detail=detail):
            return f"failed {reason.value} {detail}".rstrip()
        case Unknown(reason=reason, detail=detail):
            return f"unknown {reason.value} {detail}".rstrip()


def track_files(config: Config) -> Lines:
    if config.track_files:
        yield from section("Track files")
    for file in config.track_files.values():
        yield f" Track file = {file.name}"
        yield f"   File = {file.path}"
        yield f"   Weight = {file.weight}{' reverse' if file.reverse else ''}"


def process_facts(started: float) -> dict[str, object]:
    return {
        "Process ID": os.getpid(),
        "User ID": os.geteuid(),
        "Running since": time.ctime(started),
        "Resident memory": f"{resident_kilobytes()} kB",
    }


def resident_kilobytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def microseconds(seconds: float) -> str:
    return f"{round(seconds * 1e6)} us"


def on(value: bool) -> str:
    return "ON" if value else "OFF"


def yes(value: bool) -> str:
    return "yes" if value else "no"


def enabled(value: bool) -> str:
    return "enabled" if value else "disabled"
