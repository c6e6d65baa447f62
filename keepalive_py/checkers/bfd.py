"""BFD_CHECK: a real server follows a BFD session. keepalived.conf(5).

Driven by events: the `bfd` room reports each change of the session, and the state it starts in,
which is down; `bfd_verdict` says what that means here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from keepalive_py.checkers.wishes import Checker
from keepalive_py.config.check import TIMING, CheckConfig
from keepalive_py.config.kinds import Word
from keepalive_py.config.schema import Again, Draft, Empty, keyword
from keepalive_py.health.verdict import Failed, Passed, Reason, Verdict

__all__ = ["CHECKER", "BfdCheck", "bfd_verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BfdCheck(CheckConfig):
    KIND: ClassVar[str] = "BFD_CHECK"
    WITHOUT: ClassVar[tuple[str, ...]] = tuple(name for name in TIMING if name != "alpha")

    name: str = keyword(
        "name",
        Word(alone=True),
        again=Again.REFUSED,
        empty=Empty.ERROR,
        doc="Name of the bfd_instance to follow.",
    )

    @classmethod
    def finish(cls, draft: Draft) -> None:
        draft.values["retry"] = 0  # the session's own multiplier has done the waiting
        name = draft.values.get("name")
        if name is None:
            return draft.refuse("no-bfd-name", "BFD_CHECK has no name: it is left out")
        if name not in draft.context.bfd_instances:
            summary = f"bfd_instance `{name}` is not declared before this virtual_server"
            return draft.refuse("unknown-bfd-instance", summary, "the check is left out", field="name")
        return None

    def identity(self) -> tuple[object, ...]:
        return (self.KIND, self.name)

    def label(self) -> str:
        return self.name


def bfd_verdict(up: bool, why: str) -> Verdict:
    """`why` are the words of the session's last change."""
    return Passed(why) if up else Failed(Reason.PEER_DOWN, why)


CHECKER: Final = Checker("BFD_CHECK", BfdCheck, None)
