"""Where the daemon's own files are: pid files and dumps, with keepalived's names."""

from __future__ import annotations

import os
from dataclasses import dataclass

from keepalive_py.config.model import GlobalDefs
from keepalive_py.daemon.options import Options

RUN_DIR = "/run"
PID_DIR = "/run/keepalived"
CONTROL_DIR = "/run/keepalive_py"
NO_CONTROL = "none"
# Pid files by role. A real server may be a balancer as well.
NAMES = {"balancer": ("keepalived", "checkers"), "realserver": ("keepalive_py_rs", "keepalive_py_rs")}


@dataclass(frozen=True, slots=True)
class Paths:
    """`parent_data`, `check_data`, `check_json`, `statistics` are overwritten at each dump."""

    pid: str
    checkers_pid: str
    reload_flag: str
    parent_data: str
    check_data: str
    check_json: str
    statistics: str
    control: str | None  # None: no control socket


def paths(options: Options, settings: GlobalDefs) -> Paths:
    namespace = options.namespace or settings.net_namespace
    data, suffix = dump_base(options, settings, namespace)
    main, checkers = NAMES[options.role]
    return Paths(
        pid=options.pid_file or pid_path(main, settings, namespace),
        checkers_pid=options.checkers_pid_file or pid_path(checkers, settings, namespace),
        reload_flag=f"{run_directory(settings, namespace)}/keepalived.reload",
        parent_data=f"{data}_parent{suffix}.data",
        check_data=state_file(settings) or f"{data}_check{suffix}.data",
        check_json=settings.json_dump_file or f"{data}_check{suffix}.json",
        statistics=settings.stats_dump_file or f"{data}_check{suffix}.stats",
        control=control_path(options, settings, namespace),
    )


def control_path(options: Options, settings: GlobalDefs, namespace: str | None) -> str | None:
    """The namespace and the instance are in the name, as they are in the pid files'."""
    if options.control is not None:
        return None if options.control == NO_CONTROL else options.control
    return control_name(namespace, settings.instance)


def control_name(namespace: str | None = None, instance: str | None = None) -> str:
    directory = f"{CONTROL_DIR}/{namespace}" if namespace else CONTROL_DIR
    return f"{directory}/control{f'_{instance}' if instance else ''}.sock"


def run_directory(settings: GlobalDefs, namespace: str | None) -> str:
    """With a namespace, an instance or use_pid_dir: /run/keepalived, per namespace."""
    if namespace:
        return f"{PID_DIR}/{namespace}"
    return PID_DIR if settings.instance or settings.use_pid_dir else RUN_DIR


def pid_path(process: str, settings: GlobalDefs, namespace: str | None) -> str:
    instance = f"_{settings.instance}" if settings.instance else ""
    return f"{run_directory(settings, namespace)}/{process}{instance}.pid"


def dump_base(options: Options, settings: GlobalDefs, namespace: str | None) -> tuple[str, str]:
    directory = options.state_dir or os.environ.get("TMPDIR") or "/tmp"
    if not settings.data_use_instance:
        return f"{directory}/keepalived", ""
    words = [word for word in (namespace, settings.instance) if word]
    return f"{directory}/keepalived", f".{'_'.join(words)}" if words else ""


def state_file(settings: GlobalDefs) -> str | None:
    """`state_dump_file PATH`: the checkers' part gets `_check` before the extension."""
    if not settings.state_dump_file:
        return None
    base, extension = os.path.splitext(settings.state_dump_file)
    return f"{base}_check{extension}"
