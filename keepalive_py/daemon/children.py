"""Notify scripts on the probing engine's launcher: one way to start a process in the daemon."""

from __future__ import annotations

from collections.abc import Callable

from keepalive_py.checkers.wishes import ProbeFailed
from keepalive_py.config.kinds import Script
from keepalive_py.notify.scripts import LaunchFailed
from keepalive_py.notify.security import ScriptPolicy
from keepalive_py.probing import Credentials, Engine
from keepalive_py.probing.children import Child, Launcher, Outcome
from keepalive_py.probing.trouble import ProbeUnknown

NO_LIMIT = 10 * 365 * 86400.0  # seconds: notify scripts are not ended for taking long


class Credentialed:
    """Who scripts run as under the present policy; accounts are looked up once a reload."""

    def __init__(self, policy: ScriptPolicy) -> None:
        self.replace(policy)

    def replace(self, policy: ScriptPolicy) -> None:
        self.policy = policy
        self.known: dict[tuple[str | None, str | None], Credentials | None] = {}

    def __call__(self, script: Script) -> Credentials | None:
        """LookupError: an account that does not exist (any more)."""
        key = (script.user, script.group)
        if key not in self.known:
            account = self.policy.account_of(script)
            if account is None:
                raise LookupError("no user to run it as")
            self.known[key] = Credentials(account.uid, account.gid, account.groups)
        return self.known[key]


class NotifyLauncher:
    """A launcher of its own on the engine, so that notify scripts and checks are counted apart."""

    def __init__(self, engine: Engine, resolve: Credentialed) -> None:
        self.launcher = Launcher(engine, resolve)

    def launch(self, script: Script, ended: Callable[[], None]) -> Child:
        def done(_outcome: Outcome) -> None:
            ended()

        try:
            return self.launcher.launch(script, NO_LIMIT, done)
        except (ProbeFailed, ProbeUnknown) as error:
            raise LaunchFailed(str(error)) from None
