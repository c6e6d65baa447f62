"""Child processes: scripts of MISC_CHECK, and anything else that must not stop the loop.

Each has its own process group, /dev/null on all three standard streams, the environment
without what could change how a program loads, and no descriptors of ours (Python opens all of
them close-on-exec). Its end is an event on its pidfd: no SIGCHLD handler, so children of
others stay theirs.

Python starts a child with vfork(2), in 0.2 ms, unless the user changes: then it copies the page
tables, which takes 6 ms where the daemon has 150 MB, and every probe waits. So chroot(1) of GNU
coreutils, told to stay in `/`, changes the user where there is one: setgroups(2), setgid(2),
setuid(2), execvp(3), and no more. (setpriv(1) keeps the right to execute anything until it has
executed.) Its own failure is told from the command's by the name the ended process still bears.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from keepalive_py.checkers.wishes import Exit, ProbeFailed
from keepalive_py.config.kinds import Script
from keepalive_py.health.verdict import Reason
from keepalive_py.probing.trouble import ProbeUnknown, own
from keepalive_py.probing.wheel import NOWHERE

if TYPE_CHECKING:
    from keepalive_py.probing.flight import Home

__all__ = ["Child", "Credentials", "Launcher", "Outcome", "Resolver", "by_account", "clean_environment"]

EPOLLIN: Final = 1
WITHHELD: Final = ("IFS", "LD_PRELOAD", "LD_LIBRARY_PATH")
# Seconds from one step to the next once time is up: SIGTERM, SIGKILL, and SIGKILL again.
LADDER: Final = (2.0, 2.0, 10.0)
SHELL: Final = "/bin/sh"
WRAPPER: Final = "chroot"
WRAPPER_FAILED, COULD_NOT_EXECUTE, NOT_FOUND = 125, 126, 127  # chroot(1)
EXEC_FAULTS: Final = frozenset(
    (
        errno.ENOENT,
        errno.EACCES,
        errno.ENOEXEC,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.E2BIG,
        errno.ETXTBSY,
        errno.ELIBBAD,
    )
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who a child runs as. `groups`: its supplementary groups."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


# Whose rights a script gets; None: ours. Raises LookupError for an account that does not exist.
Resolver = Callable[[Script], Credentials | None]
# ProbeFailed: it could not be executed, as was found out late. ProbeUnknown: our own trouble.
Outcome = Exit | ProbeFailed | ProbeUnknown
Ended = Callable[[Outcome], None]


def by_account(script: Script) -> Credentials | None:
    """The script's own user and group, without supplementary groups (keepalived's default)."""
    if script.user is None:
        return None
    account = pwd.getpwnam(script.user)
    group = account.pw_gid if script.group is None else grp.getgrnam(script.group).gr_gid
    return Credentials(account.pw_uid, group)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in WITHHELD}


class Launcher:
    """Starts children and knows all that live. `ladder` are the steps after SIGTERM."""

    def __init__(
        self, home: Home, resolve: Resolver = by_account, ladder: tuple[float, ...] = LADDER
    ) -> None:
        self._home = home
        self._resolve = resolve
        self._environment = clean_environment(os.environ)
        self.ladder = ladder
        self.alive: set[Child] = set()

    def launch(self, script: Script, timeout: float, ended: Ended) -> Child:
        """Start `script`; `ended` is called once, from the engine.

        ProbeFailed(FAULT) when it cannot be executed, ProbeUnknown when we cannot start any.
        """
        process = self._start(script)
        try:
            pidfd = os.pidfd_open(process.pid)
        except OSError as error:
            process.kill()
            process.wait()
            raise own(error.errno or 0, "pidfd_open") from None
        child = Child(self._home, self, process, pidfd, timeout, ended)
        self.alive.add(child)
        return child

    def _start(self, script: Script) -> subprocess.Popen[bytes]:
        try:
            credentials = _other_than_ours(self._resolve(script))
        except LookupError as error:
            raise ProbeUnknown(Reason.LOCAL_ERROR, f"{script.command}: {error}") from None
        try:
            if credentials is not None and (chroot := coreutils_chroot()):
                _look_before(script.argv[0])
                return self._spawn((*_changing(chroot, credentials), *script.argv), None)
            return self._spawn_or_shell(script.argv, credentials)
        except OSError as error:
            raise _refusal(error, script) from None

    def _spawn_or_shell(
        self, argv: tuple[str, ...], credentials: Credentials | None
    ) -> subprocess.Popen[bytes]:
        """A file without a `#!` line goes to the shell, as execvp(3) and keepalived have it."""
        try:
            return self._spawn(argv, credentials)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
        return self._spawn((SHELL, *argv), credentials)

    def _spawn(self, argv: tuple[str, ...], wanted: Credentials | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            env=self._environment,
            process_group=0,
            user=None if wanted is None else wanted.uid,
            group=None if wanted is None else wanted.gid,
            extra_groups=None if wanted is None else wanted.groups,
        )


@cache
def coreutils_chroot() -> str | None:
    """The path of chroot(1), if it is one that knows the options used here."""
    path = shutil.which("chroot")
    if path is None:
        return None
    try:
        told = subprocess.run([path, "--version"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if b"coreutils" in told.stdout else None


def _changing(chroot: str, wanted: Credentials) -> tuple[str, ...]:
    """The command that becomes another one under `wanted`; `+` says that a number is no name."""
    groups = ",".join(f"+{group}" for group in wanted.groups)
    user = f"--userspec=+{wanted.uid}:+{wanted.gid}"
    return (chroot, "--skip-chdir", user, f"--groups={groups}", "/")


def _look_before(program: str) -> None:
    """OSError for what nobody could execute."""
    found = os.stat(program)
    if not stat.S_ISREG(found.st_mode) or not found.st_mode & 0o111:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _other_than_ours(credentials: Credentials | None) -> Credentials | None:
    if credentials is None or (credentials.uid, credentials.gid) == (os.geteuid(), os.getegid()):
        return None
    return credentials


def _refusal(error: OSError, script: Script) -> ProbeFailed | ProbeUnknown:
    number = error.errno or 0
    if number in EXEC_FAULTS:
        return ProbeFailed(Reason.FAULT, f"cannot execute {script.argv[0]}: {os.strerror(number)}")
    return own(number, f"starting {script.argv[0]}")


class Child:
    """A running child: an entry of the wheel (its time) and of epoll (its end)."""

    __slots__ = (
        "_ended",
        "_home",
        "_launcher",
        "_pidfd",
        "_process",
        "_step",
        "_timed_out",
        "slot",
    )

    def __init__(
        self,
        home: Home,
        launcher: Launcher,
        process: subprocess.Popen[bytes],
        pidfd: int,
        timeout: float,
        ended: Ended,
    ) -> None:
        self._home = home
        self._launcher = launcher
        self._process = process
        self._pidfd = pidfd
        self._step = 0
        self._timed_out = False
        self._ended: Ended | None = ended
        self.slot = NOWHERE
        home.descriptors[pidfd] = self
        home.poller.register(pidfd, EPOLLIN)
        home.wheel.put(self, home.clock() + timeout)

    def disown(self) -> None:
        """Nobody waits for it any more: stop it."""
        self._ended = None
        if self._step == 0:
            self.expire(self._home.clock())

    def expire(self, now: float) -> None:
        """Time is up: the next step of the ladder."""
        self._timed_out = True
        self.kill(signal.SIGTERM if self._step == 0 else signal.SIGKILL)
        ladder = self._launcher.ladder
        self._home.wheel.put(self, now + ladder[min(self._step, len(ladder) - 1)])
        self._step += 1

    def kill(self, number: signal.Signals) -> None:
        """A signal for the whole group. Until we reap it the group cannot be another's."""
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            self._process.send_signal(number)

    def ready(self, events: int) -> None:
        """It has ended. What is left of a group that was told to end is ended here."""
        if self._timed_out:
            self.kill(signal.SIGKILL)
        outcome = self._reap()
        self._home.wheel.take(self)
        self._home.descriptors.pop(self._pidfd, None)
        os.close(self._pidfd)
        self._launcher.alive.discard(self)
        if self._ended is not None:
            self._ended(outcome)

    def _name(self) -> str:
        """What the process is called, which it is until it is reaped."""
        try:
            with open(f"/proc/{self._process.pid}/comm") as file:
                return file.read().strip()
        except OSError:
            return ""

    def _reap(self) -> Outcome:
        """How it ended. Not by `Popen.wait`, to which a child that another one has reaped (or
        that SIGCHLD's being ignored has thrown away) would look like a success."""
        name = self._name()
        try:
            found = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        except ChildProcessError as error:
            self._process.returncode = 0
            return own(error.errno or 0, "exit status of a child")
        assert found is not None
        self._process.returncode = found.si_status
        if found.si_code != os.CLD_EXITED:
            return Exit(signal=found.si_status, timed_out=self._timed_out)
        if name == WRAPPER and found.si_status in (COULD_NOT_EXECUTE, NOT_FOUND):
            return ProbeFailed(Reason.FAULT, f"cannot be executed (status {found.si_status} of chroot)")
        if name == WRAPPER and found.si_status == WRAPPER_FAILED:
            return ProbeUnknown(Reason.LOCAL_ERROR, "chroot could not change the user")
        return Exit(status=found.si_status, timed_out=self._timed_out)
