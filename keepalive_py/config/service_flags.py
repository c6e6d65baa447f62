"""Schedulers and the flags of a virtual server. Pure."""

from __future__ import annotations

import enum
from typing import Any, Final

from keepalive_py.config.kinds import Flag
from keepalive_py.config.schema import BadValue, Check, Draft, Keyword, loose

__all__ = ["FLAG_KEYWORDS", "OTHER_SCHEDULERS", "PLAIN_FLAGS", "SCHEDULERS", "SchedulerFlag"]

SCHEDULERS: Final = (
    "rr", "wrr", "lc", "wlc", "lblc", "sh", "mh",
    "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos",
)  # fmt: skip
OTHER_SCHEDULERS: Final = ("conhash",)  # of DPVS
HASHING: Final = ("sh", "mh")


class SchedulerFlag(enum.IntFlag):
    """Flags of a virtual server: IP_VS_SVC_F_* of linux/ip_vs.h."""

    NONE = 0
    PERSISTENT = 0x01
    ONE_PACKET = 0x04
    SCHED1 = 0x08
    SCHED2 = 0x10
    SCHED3 = 0x20


def raises(flag: SchedulerFlag, scheduler: str = "") -> Check:
    """Adds `flag`, which is for `scheduler` only; that must stand above the line."""

    def check(value: Any, draft: Draft) -> Any:
        known = draft.values.get("scheduler")
        if scheduler and known not in HASHING:
            raise BadValue(f"needs `lb_algo {scheduler}` above it", word=0, code="order")
        if scheduler and known != scheduler:
            raise BadValue(f"does nothing with lb_algo {known}", word=0, code="order", exit_class=None)
        draft.values["scheduler_flags"] = draft.values.get("scheduler_flags", SchedulerFlag.NONE) | flag
        return value

    return check


def flag(name: str, bit: SchedulerFlag, doc: str, scheduler: str = "", idle: str = "") -> Keyword:
    return loose(name, Flag(), check=raises(bit, scheduler), doc=doc, idle=idle)


PLAIN_FLAGS: Final = {
    "ops": SchedulerFlag.ONE_PACKET,
    "flag-1": SchedulerFlag.SCHED1,
    "flag-2": SchedulerFlag.SCHED2,
    "flag-3": SchedulerFlag.SCHED3,
}
FLAG_KEYWORDS: Final = (
    flag("ops", SchedulerFlag.ONE_PACKET, "One-packet scheduling, of UDP only."),
    flag("flag-1", SchedulerFlag.SCHED1, "First flag of the scheduler."),
    flag("flag-2", SchedulerFlag.SCHED2, "Second flag of the scheduler."),
    flag("flag-3", SchedulerFlag.SCHED3, "Third flag of the scheduler."),
    flag("sh-fallback", SchedulerFlag.SCHED1, "sh: take another server when the hashed one is down.", "sh"),
    flag("sh-port", SchedulerFlag.SCHED2, "sh: hash the source port too.", "sh"),
    flag("mh-fallback", SchedulerFlag.SCHED1, "mh: take another server when the hashed one is down.", "mh"),
    flag("mh-port", SchedulerFlag.SCHED2, "mh: hash the source port too.", "mh"),
    flag("hashed", SchedulerFlag.NONE, "Obsolete.", "sh", "sh always hashes; keepalived does nothing either"),
)
