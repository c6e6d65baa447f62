"""The state of the daemon as metrics for Prometheus. Nothing is counted for this: every number is
taken from the snapshot at the time of asking.

The text format is written here and not by prometheus_client: its one call holds the interpreter for
more than a second with ten thousand servers, and probes wait meanwhile; this is made in short turns.
The tests read it with that library's parser.

`service` and `server` are the names of logs and notifications. Two virtual servers of one name (one
address twice in a configuration) share their row: a name is there once.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Json = Mapping[str, Any]

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
PREFIX: Final = "keepalive_"

FAMILIES: Final[Mapping[str, tuple[str, str]]] = {
    "build_info": (GAUGE, "1; the version is a label."),
    "start_time_seconds": (GAUGE, "When the daemon started, in seconds since 1970."),
    "resident_memory_bytes": (GAUGE, "Memory of the daemon."),
    "reloads_total": (COUNTER, "Configurations taken over at run time."),
    "transitions_total": (COUNTER, "Changes of state by kind and reason."),
    "notify_scripts_total": (COUNTER, "Notify scripts started."),
    "fifo_lines_lost_total": (COUNTER, "Lines that a FIFO's reader did not take."),
    "internal_errors_total": (COUNTER, "Mistakes of ours, by where; the log has a traceback of each."),
    "mails_waiting": (GAUGE, "Mails that are not sent yet."),
    "overrides": (GAUGE, "Orders of operators about real servers that hold."),
    "webhook_events_total": (COUNTER, "Events for a webhook, by what became of them."),
    "webhook_failures_total": (COUNTER, "Requests to a webhook that failed."),
    "webhook_waiting": (GAUGE, "Events that a webhook has not taken yet."),
    # the configuration
    "config_info": (GAUGE, "1; digest and generation of what runs are labels."),
    "config_since_seconds": (GAUGE, "When it began to run, in seconds since 1970."),
    "config_is_of_files": (GAUGE, "1: it is what the files said when they were read; 0: an older one runs."),
    "config_refused": (GAUGE, "1: what the files said last is refused or held back."),
    "config_held": (GAUGE, "1: it waits for a confirmation."),
    # the kernel's table
    "table_settled": (GAUGE, "1: the table is as wanted, as far as we know."),
    "table_refused_steps": (GAUGE, "Steps that the kernel refused at the last comparison."),
    "table_repairs_total": (COUNTER, "Changes of somebody else that were repaired."),
    "table_drift": (GAUGE, "Differences that the last reading found."),
    "drift_total": (COUNTER, "What somebody else changed in our part of the kernel, by reason."),
    "table_foreign_services": (GAUGE, "Services of the table that are not in the configuration."),
    # probes
    "probes_total": (COUNTER, "Probes that ended, by result."),
    "probes_started_total": (COUNTER, "Probes that began."),
    "probes_shared_total": (COUNTER, "Verdicts that came from another check's probe."),
    "probes_in_flight": (GAUGE, "Probes under way."),
    "probe_lag_seconds": (HISTOGRAM, "How long after its due time each probe began."),
    "check_duration_seconds": (HISTOGRAM, "How long probes with a verdict lasted, by kind of check."),
    # virtual servers
    "service_quorum_up": (GAUGE, "1: the virtual server has its quorum."),
    "service_alive_weight": (GAUGE, "Weight of the servers that are alive."),
    "service_quorum": (GAUGE, "Weight that it needs."),
    "service_suspended": (GAUGE, "1: ha_suspend, and its address is not here."),
    "service_held_servers": (GAUGE, "Servers held in although down; of services with depool_threshold."),
    "service_suppressed_servers": (GAUGE, "Servers left out for flapping; of services with damping."),
    "service_sorry_server_in_use": (GAUGE, "1: the sorry server serves."),
    "service_connections_total": (COUNTER, "Connections scheduled."),
    "service_packets_total": (COUNTER, "Packets by direction."),
    "service_bytes_total": (COUNTER, "Bytes by direction."),
    # real servers
    "server_up": (GAUGE, "1: none of its checks is down."),
    "server_weight": (GAUGE, "Weight in the table; -1: not in it."),
    "server_configured_weight": (GAUGE, "Weight in the configuration."),
    "server_held": (GAUGE, "1: it is held in although down."),
    "server_suppressed": (GAUGE, "1: it is up, and left out for flapping."),
    "server_override": (GAUGE, "1: an operator's order holds; which one is a label."),
    "server_active_connections": (GAUGE, "Connections that are open."),
    "server_inactive_connections": (GAUGE, "Connections that are ending, or without a state."),
    "server_persistent_connections": (GAUGE, "Clients bound to it by persistence."),
    "server_connections_total": (COUNTER, "Connections scheduled."),
    "server_packets_total": (COUNTER, "Packets by direction."),
    "server_bytes_total": (COUNTER, "Bytes by direction."),
    "check_up": (GAUGE, "1: the check finds the server well."),
    "check_last_duration_seconds": (GAUGE, "How long its latest probe lasted."),
    # the announcer
    "vip_state": (GAUGE, "1: the state in which the virtual address is."),
    "uplink_up": (GAUGE, "1: the uplink is up."),
    "bgp_session_established": (GAUGE, "1: the routing daemon's session is."),
    "announcer_disagreements": (GAUGE, "Addresses that are not exported as they should be."),
    # the modules of the toa block
    "module_loaded": (GAUGE, "1: the kernel module is loaded."),
    "module_works": (GAUGE, "1: a handshake proved that it works; 0: that it does not; absent: not known."),
    "module_layout_works": (GAUGE, "The same for a layout of the option and a kind of listener."),
    "module_counter_total": (COUNTER, "What the module has counted, on each processor."),
}  # fmt: skip
UNTRIED: Final = "could not be tried"  # a verdict on a module
GAUGES: Final = ("active_connections", "inactive_connections", "persistent_connections")
ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Exposition:
    """Rows by family, in the order of `FAMILIES`. A KeyError is a family without a description."""

    def __init__(self) -> None:
        self.rows: dict[str, list[str]] = {name: [] for name in FAMILIES}
        self.known: set[str] = set()

    def add(self, name: str, value: float, labels: str = "") -> None:
        self.rows[name].append(
            f"{PREFIX}{name}{{{labels}}} {number(value)}\n" if labels else f"{PREFIX}{name} {number(value)}\n"
        )

    def histogram(self, name: str, by_bound: Json, total: float, labels: str = "") -> None:
        """`by_bound` counts up to each bound and above the one before."""
        rows, count, comma = self.rows[name], 0, "," if labels else ""
        for bound, here in by_bound.items():
            count += here
            edge = "+Inf" if bound == "inf" else bound
            rows.append(f'{PREFIX}{name}_bucket{{{labels}{comma}le="{edge}"}} {count}\n')
        ends = f"{{{labels}}}" if labels else ""
        rows.append(f"{PREFIX}{name}_sum{ends} {number(total)}\n{PREFIX}{name}_count{ends} {count}\n")

    def is_new(self, labels: str) -> bool:
        """Whether these labels were not there yet."""
        if labels in self.known:
            return False
        self.known.add(labels)
        return True

    def pieces(self) -> Iterator[bytes]:
        """A family at a time; what was taken is gone here."""
        for name, rows in self.rows.items():
            if rows:
                kind, doc = FAMILIES[name]
                head = f"# HELP {PREFIX}{name} {doc}\n# TYPE {PREFIX}{name} {kind}\n"
                yield (head + "".join(rows)).encode("utf-8", "replace")
                rows.clear()


def number(value: float) -> str:
    return str(int(value)) if isinstance(value, bool) else repr(value)


def labelled(**values: object) -> str:
    return ",".join(f'{name}="{str(value).translate(ESCAPES)}"' for name, value in values.items())


def daemon_metrics(out: Exposition, found: Json) -> None:
    """All but the virtual servers."""
    out.add("build_info", 1, labelled(version=found["version"]))
    out.add("start_time_seconds", found["started"])
    out.add("resident_memory_bytes", found["resident_kilobytes"] * 1024)
    out.add("reloads_total", found["reloads"])
    for name in ("notify_scripts", "fifo_lines_lost"):
        out.add(f"{name}_total", found[name])
    out.add("mails_waiting", found["mails_waiting"])
    out.add("overrides", len(found["steering"]["overrides"]))
    for where, count in sorted(found["internal_errors"].items()):
        out.add("internal_errors_total", count, labelled(where=where))
    for kind, reasons in found["transitions"].items():
        for reason, count in reasons.items():
            out.add("transitions_total", count, labelled(kind=kind, reason=reason))
    for name, hook in found["webhooks"].items():
        for what in ("sent", "lost"):
            out.add("webhook_events_total", hook[what], labelled(webhook=name, result=what))
        out.add("webhook_failures_total", hook["failures"], labelled(webhook=name))
        out.add("webhook_waiting", hook["waiting"], labelled(webhook=name))
    table_metrics(out, found["table"])
    probe_metrics(out, found["probes"])
    if found["announcer"]:
        announcer_metrics(out, found["announcer"])
    module_metrics(out, found["modules"].values())


def config_metrics(out: Exposition, found: Json) -> None:
    """`found` is the summary of `daemon.configuring`."""
    generation = "" if found["generation"] is None else found["generation"]
    out.add("config_info", 1, labelled(digest=found["digest"], generation=generation))
    out.add("config_since_seconds", found["since"])
    out.add("config_is_of_files", not found["instead_of_files"])
    out.add("config_refused", found["refused"] is not None)
    out.add("config_held", found["held"])


def table_metrics(out: Exposition, table: Json) -> None:
    out.add("table_settled", table["settled"])
    out.add("table_refused_steps", table["refused_steps"])
    out.add("table_repairs_total", table["repaired"])
    out.add("table_drift", len(table["drift"]))
    for reason, count in sorted(table["drift_counts"].items()):
        out.add("drift_total", count, labelled(reason=reason))
    out.add("table_foreign_services", len(table["foreign_services"]))


def probe_metrics(out: Exposition, probes: Json) -> None:
    for result in ("passed", "failed", "unknown", "aborted"):
        out.add("probes_total", probes[result], labelled(result=result))
    out.add("probes_started_total", probes["started"])
    out.add("probes_shared_total", probes["shared"])
    out.add("probes_in_flight", probes["in_flight"])
    out.histogram("probe_lag_seconds", probes["late_by_seconds"], probes["late_total_seconds"])
    for kind, took in probes["took_by_kind"].items():
        out.histogram(
            "check_duration_seconds", took["by_seconds"], took["total_seconds"], labelled(check=kind)
        )


def announcer_metrics(out: Exposition, announcer: Json) -> None:
    for vip, each in announcer.get("vips", {}).items():
        out.add("vip_state", 1, labelled(vip=vip, state=each["state"]))
    for name, each in announcer.get("uplinks", {}).items():
        out.add("uplink_up", each["state"] == "up", labelled(uplink=name))
    for name, each in announcer.get("sessions", {}).items():
        established = each["state"].lower() == "established"
        out.add("bgp_session_established", established, labelled(session=name, neighbour=each["neighbour"]))
    out.add("announcer_disagreements", len(announcer.get("disagreements", ())))


def module_metrics(out: Exposition, modules: Iterable[Json]) -> None:
    for each in modules:
        labels = labelled(module=each["name"])
        version = (each["loaded"] or {}).get("version", "")
        out.add("module_loaded", each["loaded"] is not None, f"{labels},{labelled(version=version)}")
        if each["standing"] != "unknown":
            out.add("module_works", each["standing"] == "yes", labels)
        for result in each["verification"] or ():
            if result["verdict"] != UNTRIED:
                which = labelled(layout=result["layout"], listener=result["listener"])
                out.add("module_layout_works", result["verdict"] == "works", f"{labels},{which}")
        for name, processors in each["counters_by_processor"].items():
            for cpu, count in enumerate(processors):
                out.add("module_counter_total", count, f"{labels},{labelled(name=name, cpu=cpu)}")


def service_metrics(out: Exposition, row: Json) -> None:
    """A virtual server and all below it."""
    labels = labelled(service=row["name"])
    if out.is_new(labels):
        out.add("service_quorum_up", row["quorum_up"], labels)
        out.add("service_alive_weight", row["alive_weight"], labels)
        out.add("service_quorum", row["quorum"], labels)
        out.add("service_suspended", row["suspended"], labels)
        if row["guards"]["depool_threshold"]:
            out.add("service_held_servers", row["guards"]["held"], labels)
        if row["guards"]["damping_half_life"]:
            out.add("service_suppressed_servers", row["guards"]["suppressed"], labels)
        if row["sorry_server"] is not None:
            out.add("service_sorry_server_in_use", row["sorry_server"]["in_use"], labels)
        counter_metrics(out, "service", row["counters"], labels)
    for server in row["real_servers"]:
        below = f"{labels},{labelled(server=server['name'])}"
        if out.is_new(below):
            server_metrics(out, server, below)


def server_metrics(out: Exposition, server: Json, labels: str) -> None:
    weight = server["effective_weight"]
    out.add("server_up", server["alive"], labels)
    out.add("server_weight", -1 if weight is None else weight, labels)
    out.add("server_configured_weight", server["configured_weight"], labels)
    for guard in ("held", "suppressed"):
        if server[guard]:
            out.add(f"server_{guard}", 1, labels)
    if server["override"] is not None:
        out.add("server_override", 1, f"{labels},{labelled(action=server['override']['action'])}")
    if server["counters"] is not None:
        for name in GAUGES:
            out.add(f"server_{name}", server["counters"][name], labels)
        counter_metrics(out, "server", server["counters"], labels)
    for place, check in enumerate(server["checks"]):
        mine = f'{labels},check="{check["kind"]}",place="{place}"'
        out.add("check_up", check["up"], mine)
        if check["took"] is not None:
            out.add("check_last_duration_seconds", check["took"], mine)


def counter_metrics(out: Exposition, what: str, counters: Json | None, labels: str) -> None:
    if counters is None:
        return
    out.add(f"{what}_connections_total", counters["connections"], labels)
    for unit in ("packets", "bytes"):
        for direction in ("in", "out"):
            out.add(
                f"{what}_{unit}_total", counters[f"{unit}_{direction}"], f'{labels},direction="{direction}"'
            )
