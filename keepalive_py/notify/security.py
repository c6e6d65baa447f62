"""Which scripts may run, and as whom: keepalived's rules, checked once when a configuration
is loaded.

A script that would run as root must lie on a path that only root can change; with
`enable_script_security` it is disabled when it does not, otherwise it is only named. Where
keepalived refuses a path that leads through a symbolic link to a directory (all of /bin on
merged-/usr systems), we judge what the link leads to as well as the link.
"""

from __future__ import annotations

import dataclasses
import enum
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from keepalive_py.config.kinds import Script
from keepalive_py.config.model import GlobalDefs

DEFAULT_USER = "keepalived_script"
SHELL = "/bin/sh"
NO_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Account:
    """Who a script runs as. `groups` are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @property
    def is_root(self) -> bool:
        return self.uid == 0 or self.gid == 0


class Fate(enum.Enum):
    """What becomes of a script."""

    RUNS = "runs"
    INSECURE = "runs although insecure"
    OPENS = "a file that a shell tries to open"
    NOT_FOUND = "disabled, not found"
    NOT_EXECUTABLE = "disabled, not executable"
    REFUSED = "disabled, insecure"
    NO_USER = "disabled, no user to run it as"


NO_SCRIPT = frozenset({Fate.NOT_FOUND, Fate.NO_USER, Fate.OPENS})  # to script security


@dataclass(frozen=True, slots=True)
class Vetted:
    """`script` has its path resolved, and is None when it must not run. `remarks` are log lines."""

    fate: Fate
    script: Script | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScriptPolicy:
    """`default` is who runs a script that names nobody; None: such a script is disabled.
    `unknown_user` says that the configuration names an account that does not exist."""

    default: Account | None
    enforce: bool = False
    symlink_paths: bool = False
    supplementary: bool = False
    remarks: tuple[str, ...] = ()
    unknown_user: bool = False

    @classmethod
    def of(cls, settings: GlobalDefs) -> ScriptPolicy:
        """script_user; else the account `keepalived_script`; else, unless script security is
        on, the daemon's own."""
        user, group = settings.script_user or DEFAULT_USER, settings.script_group
        remarks: tuple[str, ...] = ()
        unknown_user = False
        try:
            default: Account | None = account(user, group, supplementary=settings.set_supplementary_groups)
        except LookupError:
            unknown_user = settings.script_user is not None
            remarks = (absent(user, group),)
            fallback = not unknown_user and not settings.enable_script_security
            default = daemon_account() if fallback else None
        return cls(
            default,
            settings.enable_script_security,
            settings.use_symlink_paths,
            settings.set_supplementary_groups,
            remarks,
            unknown_user,
        )

    def account_of(self, script: Script) -> Account | None:
        """Who `script` runs as; None: nobody. LookupError: an account that does not exist."""
        if script.user is None:
            return self.default
        return account(script.user, script.group, supplementary=self.supplementary)


def account(user: str, group: str | None = None, *, supplementary: bool = False) -> Account:
    """By name or number. A group written `:group` asks for the supplementary groups.
    LookupError: there is no such account."""
    entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    supplementary = supplementary or (group or "").startswith(":")
    name = (group or "").removeprefix(":")
    gid = entry.pw_gid if not name else int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    groups = tuple(os.getgrouplist(entry.pw_name, gid)) if supplementary else ()
    return Account(entry.pw_uid, gid, groups)


def absent(user: str, group: str | None) -> str:
    """Which of the two does not exist, for the log."""
    try:
        account(user, None)
    except LookupError:
        return f"Script user '{user}' does not exist"
    return f"Script group '{(group or '').removeprefix(':')}' does not exist"


def daemon_account() -> Account:
    return Account(os.geteuid(), os.getegid(), tuple(os.getgroups()))


def vet(script: Script, policy: ScriptPolicy) -> Vetted:
    """Find the script and judge whether it may run."""
    try:
        who = policy.account_of(script)
    except LookupError:
        return Vetted(Fate.NO_USER, None, (absent(script.user or "", script.group),))
    if who is None:
        return Vetted(Fate.NO_USER, None)
    if script.command.startswith("<"):  # "can this file be opened?", for a shell to answer
        return Vetted(Fate.OPENS, dataclasses.replace(script, argv=(SHELL, "-c", script.command)))
    written, remarks = located(script.argv[0])
    if written is None:
        return Vetted(Fate.NOT_FOUND, None, remarks)
    return judged(script, written, who, policy, remarks)


def judged(
    script: Script, written: str, who: Account, policy: ScriptPolicy, remarks: tuple[str, ...]
) -> Vetted:
    try:
        real = os.path.realpath(written, strict=True)
        status = os.stat(real)
    except OSError as error:
        text = f"Script {written} cannot be accessed - {error.strerror}"
        return Vetted(Fate.NOT_FOUND, None, (*remarks, text))
    if not stat.S_ISREG(status.st_mode):
        return Vetted(Fate.REFUSED, None, (*remarks, f"Wrong file type found in script path '{written}'."))
    if not may_execute(real, status, who):
        text = f"WARNING - script '{written}' is not executable for uid:gid {who.uid}:{who.gid} - disabling."
        return Vetted(Fate.NOT_EXECUTABLE, None, (*remarks, text))
    path = written if policy.symlink_paths else real
    usable = dataclasses.replace(script, argv=(path, *script.argv[1:]))
    if not runs_with_root(status, who) or (is_safe(written) and is_safe(real)):
        return Vetted(Fate.RUNS, usable, remarks)
    unsafe = f"Unsafe permissions found for script '{written}'"
    if policy.enforce:
        return Vetted(Fate.REFUSED, None, (*remarks, f"{unsafe} - disabling."))
    return Vetted(Fate.INSECURE, usable, (*remarks, f"{unsafe}."))


def located(command: str) -> tuple[str | None, tuple[str, ...]]:
    """A command with a slash is a path; a bare name is searched in PATH."""
    if "/" in command:
        return os.path.abspath(command), ()
    for directory in os.environ.get("PATH", NO_PATH).split(":"):
        path = os.path.join(directory or ".", command)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            text = (
                f"WARNING - script `{command}` resolved by path search to `{path}`. Please specify full path."
            )
            return os.path.abspath(path), (text,)
    return None, (f"Cannot find script {command} in path - disabling",)


def runs_with_root(status: os.stat_result, who: Account) -> bool:
    """As root, or as root's group, or set-user-ID or set-group-ID to them."""
    set_uid = bool(status.st_mode & stat.S_ISUID) and status.st_uid == 0
    set_gid = bool(status.st_mode & stat.S_ISGID) and status.st_gid == 0
    return who.is_root or set_uid or set_gid


def may_execute(path: str, status: os.stat_result, who: Account) -> bool:
    """Whether that account may search every directory above and execute the file."""
    if not allows_execution(status, who):
        return False
    return all(allows_execution(os.stat(above), who) for above in prefixes(os.path.dirname(path)))


def allows_execution(status: os.stat_result, who: Account) -> bool:
    if who.uid == 0:
        return stat.S_ISDIR(status.st_mode) or bool(status.st_mode & 0o111)
    if status.st_uid == who.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid in {who.gid, *who.groups}:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def is_safe(path: str) -> bool:
    """Only root can change what `path` leads to."""
    return all(only_root_writes(os.lstat(prefix)) for prefix in prefixes(path))


def only_root_writes(status: os.stat_result) -> bool:
    if status.st_uid != 0:
        return False
    if stat.S_ISLNK(status.st_mode):
        return True  # its own mode says nothing; the directory that holds it is judged too
    if stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX:
        return True
    group_writes = bool(status.st_mode & stat.S_IWGRP) and status.st_gid != 0
    return not group_writes and not status.st_mode & stat.S_IWOTH


def prefixes(path: str) -> Iterator[str]:
    """/a/b -> /, /a, /a/b."""
    yield "/"
    at = 0
    while (at := path.find("/", at + 1)) > 0:
        yield path[:at]
    if path != "/":
        yield path
