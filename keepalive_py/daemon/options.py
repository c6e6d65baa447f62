"""What the command line asks of the daemon, as a value."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_CONFIG = "/etc/keepalived/keepalived.conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """keepalived(8)'s options and our own. Times are in seconds."""

    # what to read
    config_file: str = DEFAULT_CONFIG
    extra_file: str | None = None  # ours: a side file with our own keywords
    template: str | None = None  # ours: made from this, with `values`, in place of config_file
    values: str | None = None
    config_id: str | None = None  # None: the node name
    all_config: bool = False  # a missing include is an error
    watch: bool = False  # ours: reload by itself when the files change
    strict: bool = False  # ours: any error in the configuration refuses it
    max_removals: float | None = None  # ours: percent; a reload that removes more waits for a word
    roll_back: bool = False  # ours: a reload of which the kernel refuses a step is undone
    last_good: bool = False  # ours: start with the last good configuration if this one is not
    config_history: int = 10  # ours: good configurations that are kept
    # what to do
    role: str = "balancer"  # ours: balancer or realserver
    config_test: bool = False
    config_test_log: str | None = None  # None: stderr
    dry_run: bool = False  # ours: print the plan, change nothing
    serve_checkers: bool = True  # -P: only VRRP
    speak_bfd: bool = True  # -B: no BFD
    # the process
    foreground: bool = False
    pid_file: str | None = None
    checkers_pid_file: str | None = None
    umask: int | None = None
    namespace: str | None = None
    ignore_sigint: bool = False
    core_dump: bool = False
    core_pattern: str | None = None
    state_dir: str | None = None  # ours: where dumps go; None: $TMPDIR or /tmp
    state_directory: str | None = None  # ours: what is remembered; None: $STATE_DIRECTORY, or nothing
    control: str | None = None  # ours: the control socket's path, "none" for none; None: the usual one
    # the kernel's table
    dataplane: str = "auto"  # ours: auto, ipvs, memory, dpvs
    keep_table: bool = False  # -I
    reconcile_interval: float = 60.0  # ours: seconds between re-reads of the table; 0: never
    # logging
    log_console: bool = False
    log_detail: int = 0
    log_facility: str = "daemon"
    log_file: str | None = None
    log_syslog: bool = True
    log_format: str = "text"  # ours: text or json
    log_ident: str = "Keepalived_healthcheckers"
    dump_config: bool = False
