"""`global_defs { }` and the single-line globals of the top level. Pure.

Blocks given several times add up. Keywords of VRRP and BFD are known by name (`elsewhere.py`) and
do nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from keepalive_py.config.elsewhere import ELSEWHERE
from keepalive_py.config.global_kinds import (
    Cpus,
    FifoLine,
    FlushKind,
    HostPort,
    LvsFlushOnStop,
    LvsSyncDaemon,
    LvsTimeouts,
    OptionalNumber,
    OptionalWord,
    SyncDaemonLine,
    TimeoutsLine,
    UmaskKind,
)
from keepalive_py.config.kinds import (
    UINT32,
    Account,
    Flag,
    Integer,
    Lines,
    Report,
    Script,
    ScriptLine,
    Seconds,
    Switch,
    Text,
    Word,
    literal_address,
    words_of,
)
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import Again, BadValue, Custom, Draft, Empty, Keyword, keyword, loose
from keepalive_py.net import Endpoint

__all__ = ["GlobalDefs", "Mail", "NotifyFifo", "TOP_LEVEL_GLOBALS"]

PROCESS_NAME_LIMIT: Final = 15  # TASK_COMM_LEN of the kernel, less the NUL
TABLE_NAME_LIMIT: Final = 255
NEWER: Final = "after 2.2.7"

# Why some keywords have no effect here.
NO_CHILDREN: Final = "there are no child processes to wait for; scripts and mails get a second at stop"
NO_LIMIT: Final = "the kernel would end the balancer for being busy"
ONE_FORM: Final = "it is for the JSON of VRRP; ours has one form"
NO_SEED: Final = "keepalived does not use it either"
ONE_PROCESS: Final = "there is one process, so nothing is copied for others"
LARGE_BUFFER: Final = "the buffer is large already, and answers that are lost are asked for again"
SYSTEM_BUFFER: Final = "the listener for addresses keeps the buffer that the system gives"
NO_SNMP: Final = "there is no SNMP agent: docs/migration.md says what replaces it"


@dataclass(frozen=True, slots=True)
class NotifyFifo:
    path: str
    user: str | None = None
    group: str | None = None
    script: Script | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """`notification_email` and the smtp_* keywords of global_defs. `server` None and
    `server_name` set: a host name, still to be looked up; it listens on `server_port`."""

    to: tuple[str, ...] = ()
    sender: str | None = None
    server: Endpoint | None = None
    helo_name: str | None = None
    connect_timeout: float = 30.0
    server_name: str | None = None
    server_port: int = 25

    def loose_values(self) -> Iterator[tuple[str, Any]]:
        if self.to:
            yield "notification_email", list(self.to)
        if self.sender is not None:
            yield "notification_email_from", self.sender
        host = self.server_name if self.server is None else str(self.server.address)
        if host is not None:
            yield "smtp_server", (host, self.server_port)
        if self.helo_name is not None:
            yield "smtp_helo_name", self.helo_name
        if self.connect_timeout != 30:
            yield "smtp_connect_timeout", int(self.connect_timeout)


def _words(line: LogicalLine) -> list[str]:
    return [word.text for word in line.words]


def _recipients(head: None, lines: list[Any], report: Report) -> list[str] | None:
    addresses = [address for words in lines for address in words]
    if not addresses:
        report("empty-block", "notification_email has no addresses")
    return addresses or None


def at_least_one(value: int, draft: Draft) -> int:
    if value == 0:
        raise BadValue("0 is no time", used=1, notes=("1 is used",))
    return value


def not_one(value: int, draft: Draft) -> int:
    """A limit of 1 would kill the process at once; keepalived takes 2."""
    return max(value, 2)


def add_timeouts(found: dict[str, int], draft: Draft) -> dict[str, int]:
    return {**draft.values.get("timeouts", {}), **found}


def forget_options(table: str, draft: Draft) -> str:
    """Of nftables_ipvs, which resets what was set above it."""
    for name in ("nftables_ipvs_priority", "nftables_ipvs_start_fwmark"):
        draft.values.pop(name, None)
    return table


def set_include_level(words: list[str], draft: Draft) -> list[str]:
    """Acts on the reader at once: the includes that follow are read under it."""
    assert draft.parent is not None
    level = draft.parent.context
    problems = level.set(words[1:]) if level is not None else []
    if problems:
        index, summary = problems[0]
        raise BadValue(summary, word=index + 1, code="unknown-choice")
    return words


def _sender(line: LogicalLine) -> str:
    sender = Word().parse(line)
    if len(line.words) > 2:
        raise BadValue("a name with blanks must be quoted", word=2, code="extra-words", used=sender)
    return sender


TOP_LEVEL_GLOBALS: Final = (
    loose(
        "net_namespace", Word(), again=Again.REFUSED, empty=Empty.ERROR, doc="Network namespace to run in."
    ),
    loose(
        "net_namespace_ipvs",
        OptionalWord(""),
        again=Again.REFUSED,
        doc="Network namespace of the IPVS table; no name: the default one.",
    ),
    loose("use_pid_dir", Flag(), doc="Pid files in their own directory."),
    loose(
        "instance", Word(), again=Again.REFUSED, empty=Empty.ERROR, doc="Name of this daemon among several."
    ),
    loose(
        "child_wait_time",
        Integer(0, UINT32),
        unit="s",
        doc="Time for scripts to end at stop.",
        idle=NO_CHILDREN,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalDefs:
    """`global_defs` and the single-line globals, process and LVS side. None: not set."""

    LOOSE: ClassVar[tuple[Keyword, ...]] = (
        loose(
            "script_user",
            Account(),
            into="script_account",
            empty=Empty.ERROR,
            doc="Who scripts run as, unless they say.",
        ),
        loose("include_check", Custom("words", _words, " ".join), check=set_include_level, doc=
              "Which problems of includes are errors: read, match, wildcard_match, brace_match; all."),
        loose(
            "lvs_process_name",
            OptionalWord("", PROCESS_NAME_LIMIT),
            into="checker_process_name",
            deprecated="checker_process_name",
            quietly=True,
            doc="Older name.",
        ),
        loose(
            "checker_rlimit_rtime",
            Integer(1, UINT32),
            into="checker_rlimit_rttime",
            check=not_one,
            deprecated="checker_rlimit_rttime",
            quietly=True,
            doc="Older name.", idle=NO_LIMIT),
        loose(
            "notification_email",
            Lines(Custom("addresses", _words, words_of), _recipients),
            into="recipients",
            repeated=True,
            doc="Who gets mail: addresses in a block.",
        ),
        loose(
            "notification_email_from",
            Custom("address", _sender, words_of),
            into="sender",
            empty=Empty.ERROR,
            doc="Sender of mail.",
        ),
        loose("smtp_server", HostPort(), doc="Where mail is handed over."),
        loose("smtp_helo_name", OptionalWord(""), doc="Our name in HELO; not set: this host's name."),
        loose(
            "smtp_connect_timeout",
            Integer(0, 4294),
            check=at_least_one,
            unit="s",
            doc="Time for connecting and each answer of it.",
        ),
        loose("notify_fifo", FifoLine(), into="fifo", again=Again.REFUSED, empty=Empty.ERROR, doc=
              "FIFO that all events are written to."),
        loose("notify_fifo_script", ScriptLine(), into="fifo_script", again=Again.REFUSED, empty=Empty.ERROR,
              doc="Reader of that FIFO, started by the daemon; the path is its last argument."),
        loose("lvs_notify_fifo", FifoLine(), into="lvs_fifo", again=Again.REFUSED, empty=Empty.ERROR, doc=
              "FIFO that events of virtual and real servers are written to."),
        loose("lvs_notify_fifo_script", ScriptLine(), into="lvs_fifo_script", again=Again.REFUSED,
              empty=Empty.ERROR, doc="Reader of that FIFO."),
        loose("lvs_timeouts", TimeoutsLine(), into="timeouts", check=add_timeouts, unit="s",
              doc="IPVS timeouts of the kernel; 0 leaves one as it is."),
        *ELSEWHERE,
    )  # fmt: skip

    # process
    net_namespace: str | None = None
    net_namespace_ipvs: str | None = None  # "" is the default namespace
    use_pid_dir: bool = False
    instance: str | None = None
    child_wait_time: int = 5
    process_names: bool = keyword(
        "process_names", Flag(), default=False, doc="Processes are named for what they do."
    )
    process_name: str | None = keyword(
        "process_name",
        OptionalWord("", PROCESS_NAME_LIMIT),
        default=None,
        doc="Name of the process.",
    )
    checker_process_name: str | None = keyword(
        "checker_process_name",
        OptionalWord("", PROCESS_NAME_LIMIT),
        default=None,
        doc="Name of the checker process.",
    )
    router_id: str | None = keyword(
        "router_id", Word(), default=None, empty=Empty.ERROR, doc="Name of this host in mail."
    )
    script_user: str | None = None
    script_group: str | None = None
    set_supplementary_groups: bool = keyword(
        "set_supplementary_groups",
        Switch(),
        default=False,
        since=NEWER,
        doc="Scripts get all groups of their user.",
    )
    enable_script_security: bool = keyword(
        "enable_script_security", Flag(), default=False, doc="Do not run scripts that others could change."
    )
    use_symlink_paths: bool = keyword(
        "use_symlink_paths",
        Switch(),
        default=False,
        since=NEWER,
        doc="Run scripts under the path as written.",
    )
    checker_priority: int | None = keyword(
        "checker_priority", Integer(-20, 19, lenient=True), default=None, empty=Empty.ERROR, doc="Nice value."
    )
    checker_no_swap: bool = keyword("checker_no_swap", Flag(), default=False, doc="Stay in memory.")
    checker_rt_priority: int | None = keyword(
        "checker_rt_priority",
        Integer(1, 99, clamp=True),
        default=None,
        empty=Empty.ERROR,
        doc="Realtime priority.",
    )
    checker_rlimit_rttime: int | None = keyword(
        "checker_rlimit_rttime", Integer(1, UINT32), default=None, check=not_one, unit="us",
        doc="Longest time on the processor without a pause, at realtime priority.", idle=NO_LIMIT,
    )  # fmt: skip
    checker_cpu_affinity: tuple[int, ...] = keyword(
        "checker_cpu_affinity", Cpus(), default=(), empty=Empty.ERROR, doc="Processors to run on."
    )
    max_auto_priority: int = keyword(
        "max_auto_priority",
        OptionalNumber(-1, 99, 99),
        default=0,
        doc="Raise the realtime priority up to this when late; 0: never.",
    )
    min_auto_priority_delay: int = keyword(
        "min_auto_priority_delay", Integer(1, 10_000_000), default=1_000_000, empty=Empty.ERROR, unit="us",
        doc="How late that is.",
    )  # fmt: skip
    umask: int | None = keyword("umask", UmaskKind(), default=None, doc="Rights that new files do not get.")
    startup_script: Script | None = keyword(
        "startup_script",
        ScriptLine(),
        default=None,
        again=Again.REFUSED,
        empty=Empty.ERROR,
        doc="Run before all.",
    )
    startup_script_timeout: int = keyword(
        "startup_script_timeout", Integer(1, 1000), default=10, empty=Empty.ERROR, unit="s", doc="Its time."
    )
    shutdown_script: Script | None = keyword(
        "shutdown_script",
        ScriptLine(),
        default=None,
        again=Again.REFUSED,
        empty=Empty.ERROR,
        doc="Run after all.",
    )
    shutdown_script_timeout: int = keyword(
        "shutdown_script_timeout", Integer(1, 1000), default=10, empty=Empty.ERROR, unit="s", doc="Its time."
    )
    config_save_dir: str | None = keyword(
        "config_save_dir", Text(), default=None, doc="Directory for copies of the configuration as read."
    )
    tmp_config_directory: str | None = keyword(
        "tmp_config_directory", Text(), default=None, again=Again.REFUSED, empty=Empty.ERROR,
        doc="Directory for the copy that processes share.", idle=ONE_PROCESS)  # fmt: skip
    data_use_instance: bool = keyword(
        "data_use_instance", Switch(), default=False, doc="Names of dump files get the instance."
    )
    state_dump_file: str | None = keyword(
        "state_dump_file",
        Text(alone=True),
        default=None,
        empty=Empty.ERROR,
        since=NEWER,
        doc="What SIGUSR1 writes.",
    )
    stats_dump_file: str | None = keyword(
        "stats_dump_file",
        Text(alone=True),
        default=None,
        empty=Empty.ERROR,
        since=NEWER,
        doc="What SIGUSR2 writes.",
    )
    json_dump_file: str | None = keyword(
        "json_dump_file", Text(alone=True), default=None, empty=Empty.ERROR, since=NEWER, doc="State as JSON."
    )
    json_version: int = keyword(
        "json_version", Integer(1, 2), default=1, since=NEWER, doc="Form of that JSON.", idle=ONE_FORM
    )
    random_seed: int | None = keyword(
        "random_seed", Integer(0, UINT32), default=None, doc="Seed of chance.", idle=NO_SEED
    )
    # reload control
    reload_check_config: str | None = keyword(
        "reload_check_config",
        OptionalWord("/dev/null"),
        default=None,
        doc="Test before a reload; log of the test.",
    )
    reload_time_file: str | None = keyword(
        "reload_time_file",
        Text(alone=True),
        default=None,
        empty=Empty.ERROR,
        doc="File that says when to reload.",
    )
    reload_repeat: bool = keyword("reload_repeat", Flag(), default=False, doc="At that time every day.")
    reload_file: str | None = keyword(
        "reload_file",
        OptionalWord(""),
        default=None,
        doc="File that exists while we read; bare: the usual place.",
    )
    # mail and notification
    mail: Mail = Mail()
    smtp_alert: bool | None = keyword("smtp_alert", Switch(), default=None, doc="Mail by default.")
    smtp_alert_checker: bool | None = keyword(
        "smtp_alert_checker", Switch(), default=None, doc="The same, of virtual and real servers."
    )
    no_checker_emails: bool = keyword(
        "no_checker_emails", Switch(), default=False, doc="Mail of real servers, not of single checks."
    )
    notify_fifo: NotifyFifo | None = None
    lvs_notify_fifo: NotifyFifo | None = None
    rs_init_notifies: bool = keyword(
        "rs_init_notifies", Switch(), default=False, doc="Run notify_up of servers that start as up."
    )
    checker_log_all_failures: bool = keyword(
        "checker_log_all_failures", Switch(), default=False, doc="Default of log_all_failures."
    )
    # IPVS
    lvs_timeouts: LvsTimeouts | None = None
    lvs_flush: bool = keyword("lvs_flush", Flag(), default=False, doc="Empty the kernel's table at start.")
    lvs_flush_on_stop: LvsFlushOnStop = keyword(
        "lvs_flush_on_stop", FlushKind(), default=LvsFlushOnStop.NO, aliases=("lvs_flush_onstop",),
        doc="At stop empty the table at once; VS: delete services with all they have.",
    )  # fmt: skip
    lvs_sync_daemon: LvsSyncDaemon | None = keyword(
        "lvs_sync_daemon", SyncDaemonLine(), default=None, again=Again.REFUSED, empty=Empty.ERROR,
        doc="Tell other hosts of connections.",
    )  # fmt: skip
    nftables_ipvs: str | None = keyword(
        "nftables_ipvs",
        OptionalWord("keepalived_ipvs", TABLE_NAME_LIMIT),
        default=None,
        check=forget_options,
        doc="Groups by firewall marks; name of the nftables table.",
    )  # fmt: skip
    nftables_ipvs_priority: int = keyword(
        "nftables_ipvs_priority",
        Integer(-(2**31), 2**31 - 1),
        default=-1,
        doc="Priority of its chain. A change needs a restart.",
    )
    nftables_ipvs_start_fwmark: int = keyword(
        "nftables_ipvs_start_fwmark",
        Integer(1, UINT32),
        default=1000,
        doc="First mark to use.",
    )
    nftables_counters: bool = keyword(
        "nftables_counters", Flag(), default=False, doc="Count in its rules. A change needs a restart."
    )
    lvs_netlink_cmd_rcv_bufs: int | None = keyword(
        "lvs_netlink_cmd_rcv_bufs",
        Integer(0, UINT32),
        default=None,
        empty=Empty.ERROR,
        unit="bytes",
        doc="Buffer.",
        idle=LARGE_BUFFER,
    )
    lvs_netlink_cmd_rcv_bufs_force: bool = keyword(
        "lvs_netlink_cmd_rcv_bufs_force",
        Switch(),
        default=False,
        doc="Beyond the system's limit.",
        idle=LARGE_BUFFER,
    )
    lvs_netlink_monitor_rcv_bufs: int | None = keyword(
        "lvs_netlink_monitor_rcv_bufs", Integer(0, UINT32), default=None, empty=Empty.ERROR, unit="bytes",
        doc="Buffer of the listener.", idle=SYSTEM_BUFFER)  # fmt: skip
    lvs_netlink_monitor_rcv_bufs_force: bool = keyword(
        "lvs_netlink_monitor_rcv_bufs_force",
        Switch(),
        default=False,
        doc="Beyond the system's limit.",
        idle=SYSTEM_BUFFER,
    )
    snmp_socket: str | None = keyword(
        "snmp_socket",
        Text(alone=True),
        default=None,
        again=Again.REFUSED,
        empty=Empty.ERROR,
        doc="Socket of the SNMP master agent.",
        idle=NO_SNMP,
    )
    enable_traps: bool = keyword("enable_traps", Flag(), default=False, doc="Send SNMP traps.", idle=NO_SNMP)
    enable_snmp_checker: bool = keyword(
        "enable_snmp_checker", Flag(), default=False, doc="Answer SNMP.", idle=NO_SNMP
    )
    snmp_vs_stats_update_interval: float = keyword(
        "snmp_vs_stats_update_interval", Seconds(0.001, 30), default=5.0, since=NEWER, unit="s",
        doc="Age of statistics of virtual servers.", idle=NO_SNMP)  # fmt: skip
    snmp_rs_stats_update_interval: float | None = keyword(
        "snmp_rs_stats_update_interval", Seconds(0.001, 30), default=None, since=NEWER, unit="s",
        doc="Age of statistics of real servers; not set: the same.", idle=NO_SNMP)  # fmt: skip

    def loose_values(self) -> Iterator[tuple[str, Any]]:
        if self.script_user is not None:
            yield "script_user", (self.script_user, self.script_group)
        yield from self.mail.loose_values()
        for name, fifo in (("notify_fifo", self.notify_fifo), ("lvs_notify_fifo", self.lvs_notify_fifo)):
            if fifo is not None:
                yield name, (fifo.path, fifo.user, fifo.group)
                if fifo.script is not None:
                    yield f"{name}_script", fifo.script
        if self.lvs_timeouts is not None:
            yield "lvs_timeouts", self.lvs_timeouts

    @classmethod
    def finish(cls, draft: Draft) -> None:
        """Composes what several keywords set."""
        values = draft.values
        values["script_user"], values["script_group"] = values.get("script_account", (None, None))
        values["mail"] = _mail(values)
        values["notify_fifo"] = _fifo(draft, "fifo", "notify_fifo")
        values["lvs_notify_fifo"] = _fifo(draft, "lvs_fifo", "lvs_notify_fifo")
        if "timeouts" in values:
            values["lvs_timeouts"] = LvsTimeouts(**values["timeouts"])
        for name in ("process_name", "checker_process_name"):
            values[name] = values.get(name) or None


def _mail(values: dict[str, Any]) -> Mail:
    host, port = values.get("smtp_server", (None, 25))
    server = None
    with suppress(BadValue):
        server = Endpoint(literal_address(host), port) if host else None
    return Mail(
        to=tuple(address for block in values.get("recipients", ()) for address in block),
        sender=values.get("sender"),
        server=server,
        helo_name=values.get("smtp_helo_name") or None,
        connect_timeout=float(values.get("smtp_connect_timeout", 30)),
        server_name=None if server else host,
        server_port=port,
    )


def _fifo(draft: Draft, name: str, title: str) -> NotifyFifo | None:
    script = draft.values.get(f"{name}_script")
    if name not in draft.values:
        if script is not None:
            draft.warn("no-fifo", f"{title}_script without {title} does nothing", field=f"{name}_script")
        return None
    path, user, group = draft.values[name]
    return NotifyFifo(path, user, group, script)
