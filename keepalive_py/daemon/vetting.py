"""Every script of a configuration, found and judged before anything runs.

A MISC_CHECK whose script cannot run is taken out, as keepalived does: a script that was
never there says nothing of the server. The same script under ten thousand servers is
judged once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from keepalive_py.config.check import CheckConfig
from keepalive_py.config.kinds import Script
from keepalive_py.config.model import Config, GlobalDefs, NotifyFifo, RealServer, VirtualServer
from keepalive_py.notify.security import NO_SCRIPT, Fate, ScriptPolicy, Vetted, vet

VIOLATION: Final = "SECURITY VIOLATION - check scripts are being executed but script_security not enabled."
WHY_REMOVED: Final = {
    Fate.NOT_FOUND: "Disabling misc script {} since not found/accessible",
    Fate.NOT_EXECUTABLE: "Disabling misc script {} since not found/accessible",
    Fate.REFUSED: "Disabling misc script {} due to insecure",
    Fate.NO_USER: "Unable to set default user for misc script {} - removing",
}

CANNOT_RUN: Final = frozenset({Fate.NOT_FOUND, Fate.NOT_EXECUTABLE, Fate.REFUSED})

T = TypeVar("T")


@dataclass(slots=True)
class Vetting:
    """One pass over a configuration. `remarks` are log lines, each once; `disabled` those about checks
    that are left out. `wrong`: the configuration asks for an account that this host does not have, where
    keepalived counts that as a mistake (not for notify scripts that name one)."""

    policy: ScriptPolicy
    remarks: dict[str, None] = field(default_factory=dict)
    disabled: dict[str, None] = field(default_factory=dict)
    known: dict[Script, Vetted] = field(default_factory=dict)
    wrong: bool = False
    unproven: int = 0

    def remark(self, text: str) -> None:
        self.remarks[text] = None

    def run(self, config: Config) -> Config:
        """`config` with every script resolved, and without those that may not run."""
        settings = self.settings(config.global_defs)
        servers = tuple(self.virtual_server(vs) for vs in config.virtual_servers)
        if self.unproven:
            self.remark(f"{self.unproven} real servers with alpha stay down: their checks cannot run")
        fates = {vetted.fate for vetted in self.known.values()}
        if fates or self.policy.unknown_user:
            for text in self.policy.remarks:
                self.remark(text)
        self.wrong |= self.policy.unknown_user
        if not self.policy.enforce and fates - NO_SCRIPT:
            self.remark(f"{VIOLATION} There are insecure scripts." if Fate.INSECURE in fates else VIOLATION)
        return dataclasses.replace(config, global_defs=settings, virtual_servers=servers)

    def settings(self, settings: GlobalDefs) -> GlobalDefs:
        return changed(
            settings,
            startup_script=self.boundary_script(settings.startup_script),
            shutdown_script=self.boundary_script(settings.shutdown_script),
            notify_fifo=self.fifo(settings.notify_fifo),
            lvs_notify_fifo=self.fifo(settings.lvs_notify_fifo),
        )

    def boundary_script(self, script: Script | None) -> Script | None:
        vetted = self.script(script)
        self.wrong |= script is not None and self.judge(script).fate is Fate.NO_USER
        return vetted

    def fifo(self, fifo: NotifyFifo | None) -> NotifyFifo | None:
        return None if fifo is None else changed(fifo, script=self.script(fifo.script))

    def virtual_server(self, vs: VirtualServer) -> VirtualServer:
        return changed(
            vs,
            quorum_up=self.script(vs.quorum_up, "quorum"),
            quorum_down=self.script(vs.quorum_down, "quorum"),
            real_servers=each(vs.real_servers, self.real_server),
        )

    def real_server(self, rs: RealServer) -> RealServer:
        unproven = any(map(self.never_passes, rs.checks))
        self.unproven += unproven
        return changed(
            rs,
            unproven=unproven,
            notify_up=self.script(rs.notify_up),
            notify_down=self.script(rs.notify_down),
            checks=each(rs.checks, self.check),
        )

    def check(self, check: CheckConfig) -> CheckConfig | None:
        """None: its script cannot run, so it is no check."""
        script = getattr(check, "script", None)
        if not isinstance(script, Script):
            return check
        vetted = self.judge(script)
        if vetted.script is None:
            words = " ".join(f"'{word}'" for word in script.argv)
            why = WHY_REMOVED[vetted.fate].format(words)
            self.remark(why)
            self.disabled[why] = None
            self.wrong |= vetted.fate is Fate.NO_USER
        return None if vetted.script is None else changed(check, script=vetted.script)

    def never_passes(self, check: CheckConfig) -> bool:
        """A check that starts as down and cannot run. Without an account to run as it is none for
        keepalived, and its server up."""
        script = getattr(check, "script", None)
        return check.alpha and isinstance(script, Script) and self.judge(script).fate in CANNOT_RUN

    def script(self, script: Script | None, use: str = "notify") -> Script | None:
        if script is None:
            return None
        vetted = self.judge(script)
        if vetted.fate is Fate.NO_USER:
            self.remark(f"Failed to set default user for {use} script {script.command} - ignoring")
        return vetted.script

    def fate(self, script: Script) -> Fate:
        """What becomes of it, without a word: it may be one that keepalived runs beside us."""
        return (self.known.get(script) or vet(script, self.policy)).fate

    def judge(self, script: Script) -> Vetted:
        vetted = self.known.get(script)
        if vetted is None:
            vetted = self.known[script] = vet(script, self.policy)
            for text in vetted.remarks:
                self.remark(text)
        return vetted


def each(values: tuple[T, ...], change: Callable[[T], T | None]) -> tuple[T, ...]:
    """`values` changed, without those that became None; the same tuple when nothing changed."""
    after = tuple(result for value in values if (result := change(value)) is not None)
    if len(after) == len(values) and all(new is old for new, old in zip(after, values, strict=True)):
        return values
    return after


def changed(value: T, **fields: object) -> T:
    """`value` with other fields; the same object when they all are as they were."""
    if all(getattr(value, name) is new for name, new in fields.items()):
        return value
    return dataclasses.replace(value, **fields)  # type: ignore[type-var]
