"""Settings that are allowed and doubtful. Pure.

keepalived runs them without a word. Each rule looks at the model and says what will happen;
`keepalive-ctl config lint` shows them, with the place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from keepalive_py.config.check import CheckConfig, NetworkCheckConfig
from keepalive_py.config.diagnostics import Diagnostic, Severity, Span
from keepalive_py.config.diff import service_name
from keepalive_py.config.forwarding import Forwarding
from keepalive_py.config.model import Config, RealServer, VirtualServer
from keepalive_py.config.virtual_server_group import LocalSpan
from keepalive_py.net import Protocol

__all__ = ["RULES", "lint"]

Rule = Callable[[Config, VirtualServer], Iterator[Diagnostic]]

# Checks that say something of a UDP service; a TCP connection to the same port does not.
UDP_WORTHY: Final = frozenset({"UDP_CHECK", "DNS_CHECK", "MISC_CHECK", "BFD_CHECK", "FILE_CHECK"})
# Schedulers of ip_vs that look at weights beyond zero or not (ipvsadm(8)).
WEIGHING: Final = frozenset({"wrr", "wlc", "sed", "nq", "lblc", "lblcr", "fo", "ovf", "mh", "twos", "sh"})
MOST_STEPS: Final = 10  # of a slow start
SHORTEST_INTERVAL: Final = 0.2  # s


def lint(config: Config) -> list[Diagnostic]:
    """Every doubtful setting, service by service."""
    return [
        *(found for vs in config.virtual_servers for rule in RULES for found in rule(config, vs)),
        *_same_service_twice(config),
        *_uneven_across_services(config),
    ]


def _doubt(code: str, summary: str, where: Span | None, *notes: str) -> Diagnostic:
    return Diagnostic(Severity.WARNING, code, summary, subject=where, notes=notes)


def _unreachable_quorum(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    total = sum(rs.weight for rs in vs.real_servers)
    if vs.quorum + vs.hysteresis > total:
        yield _doubt(
            "quorum-out-of-reach",
            f"quorum {vs.quorum} and hysteresis {vs.hysteresis} are more than all weights together ({total})",
            vs.where,
            "the quorum can never be gained",
        )


def _no_checks(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    bare = [rs for rs in vs.real_servers if not rs.checks]
    for rs in bare:
        yield _doubt("no-check", f"real server {rs.endpoint} has no check", rs.where, "it is always up")


def _timeout_over_interval(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    for rs, check in _checks(vs):
        timeout = check.connect_timeout if isinstance(check, NetworkCheckConfig) else 0.0
        if timeout > check.delay_loop:
            yield _doubt(
                "timeout-over-interval",
                f"{check.KIND} of {rs.endpoint} waits {timeout:g} s, its interval is {check.delay_loop:g} s",
                check.where or rs.where,
                "the next check starts after the last: a silent server is found later than it seems",
            )


def _hectic(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    for rs, check in _checks(vs):
        if check.delay_loop < SHORTEST_INTERVAL:
            yield _doubt(
                "hectic-check",
                f"{check.KIND} of {rs.endpoint} runs every {check.delay_loop:g} s",
                check.where or rs.where,
                "`delay_loop` is in seconds",
            )


def _fullnat_alone(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    fullnat = any(rs.forwarding is Forwarding.FNAT for rs in vs.real_servers)
    if fullnat and vs.local_address_group is None:
        yield _doubt(
            "fullnat-without-addresses",
            "FNAT without local addresses",
            vs.where,
            "real servers see the client's address, as with NAT: give it a `laddr_group_name`",
        )
    if not fullnat and vs.local_address_group is not None:
        yield _doubt(
            "addresses-without-fullnat",
            f"local_address_group {vs.local_address_group} is not used: no real server is FNAT",
            vs.where,
        )


def _unbound_sources(config: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    group = config.local_address_groups.get(vs.local_address_group or "")
    if group is None or not vs.check_from_local_address:
        return
    loose = [span for span in group.addresses if not isinstance(span, LocalSpan)]
    if loose:
        yield _doubt(
            "checks-from-unbound-addresses",
            f"checks leave from {', '.join(map(str, loose))}, which no line of the group has bound",
            vs.where,
            f"name an interface in local_address_group {group.name} (`lo` will do), or bind them yourself",
        )


def _udp_unchecked(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    if vs.protocol is not Protocol.UDP or vs.fwmark is not None:
        return
    for rs in vs.real_servers:
        kinds = {check.KIND for check in rs.checks}
        if kinds and not kinds & UDP_WORTHY:
            yield _doubt(
                "udp-checked-by-tcp",
                f"{', '.join(sorted(kinds))} says nothing of the UDP service of {rs.endpoint}",
                rs.where,
                "UDP_CHECK with `require_reply`, DNS_CHECK or MISC_CHECK ask the service itself",
            )


def _sorry_is_real(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    if vs.sorry_server is not None and any(rs.endpoint == vs.sorry_server.endpoint for rs in vs.real_servers):
        yield _doubt(
            "sorry-is-real",
            f"sorry server {vs.sorry_server.endpoint} is a real server too",
            vs.sorry_server.where,
        )


def _all_idle(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    if vs.real_servers and all(rs.weight == 0 for rs in vs.real_servers):
        yield _doubt("no-weight", "every real server has weight 0: nothing is balanced", vs.where)


def _uneven_intervals(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    for rs in vs.real_servers:
        intervals = defaultdict(set)
        for check in rs.checks:
            intervals[check.identity()].add(check.delay_loop)
        for identity, found in intervals.items():
            if len(found) > 1:
                shown = " and ".join(f"{each:g} s" for each in sorted(found))
                yield _doubt(
                    "same-check-twice",
                    f"{identity[0]} of {rs.endpoint} is there twice, every {shown}",
                    rs.where,
                )


def _always_in(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    size = sum(rs.weight > 0 for rs in vs.real_servers)
    if vs.depool_threshold and size * vs.depool_threshold > 100 * (size - 1):
        yield _doubt(
            "checks-without-effect",
            f"depool_threshold {vs.depool_threshold}% of {size} servers: checks never take one out",
            vs.where,
        )


def _idle_sorry_server(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    """Those that have to stay count for the quorum, and the lightest may be the ones."""
    weights = sorted(rs.weight for rs in vs.real_servers if rs.weight)
    stay = sum(weights[: -(-len(weights) * vs.depool_threshold // 100)])
    if vs.sorry_server is not None and stay and stay >= vs.quorum - vs.hysteresis:
        yield _doubt(
            "idle-sorry-server",
            f"depool_threshold {vs.depool_threshold}% leaves a quorum: the sorry server never serves",
            vs.sorry_server.where or vs.where,
            "servers that are held in although down count for the quorum",
        )


def _slow_start_without_steps(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    if not vs.slow_start:
        return
    if vs.scheduler not in WEIGHING:
        yield _doubt(
            "slow-start-unweighed",
            f"slow_start has no effect with lb_algo {vs.scheduler}, which does not look at weights",
            vs.where,
        )
    elif any(0 < rs.weight < MOST_STEPS for rs in vs.real_servers):
        yield _doubt(
            "slow-start-in-few-steps",
            f"slow_start has {MOST_STEPS} steps, and a weight below {MOST_STEPS} has fewer (1: none)",
            vs.where,
            "weights are relative: multiply all of this virtual server by 100",
        )


def _damped_in_vain(_: Config, vs: VirtualServer) -> Iterator[Diagnostic]:
    """Three failures must fit into little more than a half life to be noticed."""
    pauses = [check.delay_loop * check.rise for _, check in _checks(vs)]
    if vs.damping_half_life and pauses and vs.damping_half_life < 2 * min(pauses):
        yield _doubt(
            "damping-too-short",
            f"damping_half_life {vs.damping_half_life:g} s is short beside checks every {min(pauses):g} s",
            vs.where,
            "what a failure is charged is forgotten before the server can fail again",
        )


def _uneven_across_services(config: Config) -> Iterator[Diagnostic]:
    """The same check of the same server under several services runs once, as often as the most
    eager of them asks; it is rarely meant to differ."""
    first: dict[object, tuple[VirtualServer, RealServer, CheckConfig]] = {}
    told: set[object] = set()
    for vs in config.virtual_servers:
        for rs, check in _checks(vs):
            subject = (rs.endpoint, check.identity())
            other, _, known = first.setdefault(subject, (vs, rs, check))
            if other is vs or known.delay_loop == check.delay_loop or subject in told:
                continue
            told.add(subject)
            place = f" (line {known.where.line})" if known.where is not None else ""
            yield _doubt(
                "uneven-intervals",
                f"{check.KIND} of {rs.endpoint} runs every {check.delay_loop:g} s here and every"
                f" {known.delay_loop:g} s in {service_name(other)}{place}",
                check.where or rs.where,
            )


def _same_service_twice(config: Config) -> Iterator[Diagnostic]:
    seen: dict[object, VirtualServer] = {}
    for vs in config.virtual_servers:
        if vs.endpoint is None and vs.fwmark is None:
            continue
        identity = (vs.endpoint, vs.fwmark, vs.family, vs.protocol if vs.endpoint else None)
        if identity in seen:
            first = seen[identity].where
            yield _doubt(
                "same-service-twice",
                f"the same virtual server as in {first.file}:{first.line}"
                if first
                else "the same virtual server",
                vs.where,
                "the first decides the settings; a real server is there while either wants it",
            )
        seen.setdefault(identity, vs)


def _checks(vs: VirtualServer) -> Iterator[tuple[RealServer, CheckConfig]]:
    for rs in vs.real_servers:
        for check in rs.checks:
            yield rs, check


RULES: Final[tuple[Rule, ...]] = (
    _unreachable_quorum,
    _all_idle,
    _no_checks,
    _timeout_over_interval,
    _hectic,
    _uneven_intervals,
    _udp_unchecked,
    _fullnat_alone,
    _unbound_sources,
    _sorry_is_real,
    _always_in,
    _idle_sorry_server,
    _slow_start_without_steps,
    _damped_in_vain,
)
