"""MISC_CHECK: the server is well when a command says so. keepalived.conf(5).

Exit status 0 is success. Without `misc_dynamic` all others are failures; with it 1 is, and
2..255 are success with a weight of status - 2. Killed or not done in `misc_timeout`: failure.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from keepalive_py.checkers.wishes import Checker, Exit, Probe, Run
from keepalive_py.config.check import CheckConfig
from keepalive_py.config.kinds import Account, Flag, Integer, Script, ScriptLine
from keepalive_py.config.schema import Draft, Empty, keyword, loose
from keepalive_py.health.verdict import PASSED, Failed, Passed, Reason, Verdict

__all__ = ["CHECKER", "MiscCheck", "judge", "misc_check"]

TIMEOUT: Final = Integer(0, 4294)


@dataclass(frozen=True, slots=True, kw_only=True)
class MiscCheck(CheckConfig):
    """The MISC_CHECK block."""

    KIND: ClassVar[str] = "MISC_CHECK"
    DEFAULTS: ClassVar = {"retry": 0}
    LOOSE: ClassVar = (loose("user", Account(), empty=Empty.ERROR, doc="Who the command runs as."),)

    script: Script = keyword(
        "misc_path",
        ScriptLine(account=False),
        empty=Empty.QUIET,
        default=Script((), ""),
        doc="The command, with its arguments in one quoted string.",
    )
    timeout: int = keyword(
        "misc_timeout",
        TIMEOUT,
        default=0,
        unit="s",
        doc="Time for the command; not given or 0: the virtual server's delay_loop.",
    )
    dynamic: bool = keyword(
        "misc_dynamic", Flag(), default=False, doc="The exit status sets the weight (status - 2)."
    )
    service_delay_loop: float = 60.0

    @classmethod
    def finish(cls, draft: Draft) -> None:
        script = draft.values.get("script")
        if script is None or not script.argv:
            draft.refuse("check-without-command", "MISC_CHECK has no misc_path", "the check is left out")
            return
        draft.values["script"] = _with_account(draft, _through_shell(script))
        draft.values["service_delay_loop"] = draft.context.service_delay_loop

    def loose_values(self) -> Iterator[tuple[str, Any]]:
        if self.script.user is not None:
            yield "user", (self.script.user, self.script.group)

    def identity(self) -> tuple[object, ...]:
        return (self.KIND, self.dynamic, self.script.argv, self.script.user, self.script.group)

    def label(self) -> str:
        return self.script.argv[0]


def _through_shell(script: Script) -> Script:
    """`<FILE` asks whether a file can be opened: only a shell can say."""
    if not script.argv[0].startswith("<"):
        return script
    return replace(script, argv=("/bin/sh", "-c", script.command))


def _with_account(draft: Draft, script: Script) -> Script:
    account = draft.values.get("user")
    if account is None:
        return script
    user, group = account
    for name, database in ((user, pwd.getpwnam), (group, grp.getgrnam)):
        if name is not None and not _exists(name, database):
            draft.refuse("unknown-account", f"`{name}` is not an account here", field="user")
    return replace(script, user=user, group=group)


def _exists(name: str, database: Callable[[str], object]) -> bool:
    try:
        database(name)
    except (KeyError, ValueError):
        return False
    return True


def misc_check(config: MiscCheck) -> Probe:
    ended: Exit = yield Run(config.script, config.timeout or config.service_delay_loop)
    return judge(ended, config.dynamic)


def judge(ended: Exit, dynamic: bool) -> Verdict:
    """How a command ended, as a verdict."""
    if ended.timed_out:
        return Failed(Reason.TIMEOUT, "not done in time", ended.status, ended.signal)
    if ended.signal is not None:
        return Failed(Reason.KILLED, f"killed by signal {ended.signal}", signal=ended.signal)
    status = ended.status or 0
    if status == 0:
        return PASSED
    if dynamic and status > 1:
        return Passed(weight=status - 2)
    return Failed(Reason.EXIT_STATUS, f"exit status {status}", exit_status=status)


def identical(config: MiscCheck) -> object:
    return (config.identity(), config.timeout or config.service_delay_loop)


CHECKER: Final = Checker("MISC_CHECK", MiscCheck, misc_check, identical=identical, child=True)
