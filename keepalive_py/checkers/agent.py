"""AGENT_CHECK: a program on the server says how much of the load it wants.

It is connected to (`connect_port`), perhaps sent something (`agent_send`), and answers one line of
words, separated by blanks, tabs or commas, as HAProxy's `agent-check` has them:

| word | means |
|---|---|
| `75%` | this share of the configured weight; 0% is drain; above 100% is possible |
| `up`, `ready` | all of the weight, unless a share says otherwise |
| `drain` | weight 0: connections go on, new ones do not come |
| `down`, `fail`, `failed`, `stopped`, `maint` | out; what stands behind a `#` is the reason |
| `maxconn:N` | is left out: thresholds of a server are configured |

What the agent says is all there is: a line without a share means the whole weight. An agent that is
not there, or that nobody can understand, says nothing, and the server stays as it is, since whether
it works is for another check to find out; with `agent_required` it counts as a failure.

Source: HAProxy's configuration manual, `agent-check`.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from keepalive_py.checkers.wishes import (
    REMAINING,
    Checker,
    Probe,
    ProbeFailed,
    Receive,
    Send,
    Wish,
    connection,
)
from keepalive_py.config.check import NetworkCheckConfig
from keepalive_py.config.guards import SOURCE
from keepalive_py.config.kinds import Flag, Text
from keepalive_py.config.schema import Draft, keyword
from keepalive_py.health.service_state import MAX_WEIGHT
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown, Verdict

__all__ = ["CHECKER", "AgentCheck", "agent_check", "judge"]

LONGEST_LINE: Final = 1024  # bytes
PIECE: Final = 512
OUT: Final = frozenset({"down", "fail", "failed", "stopped", "maint"})
IN: Final = frozenset({"up", "ready"})
SHARE: Final = re.compile(r"([0-9]{1,7})%")
END: Final = re.compile(rb"[\r\n]")
IGNORED: Final = "maxconn:"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCheck(NetworkCheckConfig):
    KIND: ClassVar[str] = "AGENT_CHECK"
    DEFAULTS: ClassVar = {"retry": 0}

    send: str = keyword(
        "agent_send",
        Text(),
        default="",
        since="ours",
        source=SOURCE,
        doc="Sent to the agent when it is connected; `\\n` at its end is a line feed.",
    )
    required: bool = keyword(
        "agent_required",
        Flag(),
        default=False,
        since="ours",
        source=SOURCE,
        doc="An agent that does not answer counts as a failure.",
    )
    server_weight: int = 1

    @classmethod
    def finish(cls, draft: Draft) -> None:
        assert draft.parent is not None
        draft.values["server_weight"] = draft.parent.values.get("weight", 1)
        if "connect_port" not in draft.values:
            draft.warn(
                "agent-without-port",
                "AGENT_CHECK asks the port of the service itself",
                "an agent has a port of its own: set connect_port",
            )

    def identity(self) -> tuple[object, ...]:
        return (*NetworkCheckConfig.identity(self), self.send, self.required)

    def same_probe(self) -> tuple[object, ...]:
        return (self.identity(), self.server_weight)


def agent_check(config: AgentCheck) -> Probe:
    try:
        line = yield from _asked(config)
    except ProbeFailed as failed:
        return _silent(config, failed.reason, failed.detail)
    verdict = judge(line, config.server_weight)
    if verdict is None:
        return _silent(config, Reason.BAD_ANSWER, f"said {line[:60]!r}, which is no word of an agent")
    return verdict


def _asked(config: AgentCheck) -> Generator[Wish, Any, str]:
    """The agent's line; the end of the stream ends it too."""
    yield connection(config)
    if config.send:
        yield Send(config.send.replace("\\n", "\n").encode(), config.connect_timeout)
    said, timeout = b"", config.connect_timeout
    while len(said) < LONGEST_LINE and not END.search(said):
        piece = yield Receive(PIECE, timeout)
        if not piece:
            break
        said, timeout = said + piece, REMAINING
    return END.split(said, maxsplit=1)[0][:LONGEST_LINE].decode("ascii", "replace")


def judge(line: str, weight: int) -> Verdict | None:
    """What the line means for a server of this weight; None: nothing."""
    words, _, why = line.partition("#")
    known = False
    share: int | None = None
    for word in re.split(r"[ \t,]+", words.strip().lower()):
        percent = SHARE.fullmatch(word)
        if word in OUT:
            return Failed(Reason.AGENT, why.strip() or word)
        if word == "drain":
            share, known = 0, True
        elif percent and share != 0:
            share, known = int(percent[1]), True
        known = known or word in IN or bool(percent) or word.startswith(IGNORED)
    if not known:
        return None
    if share is None or share == 100:
        return Passed(line.strip())
    return Passed(line.strip(), weight=_part(weight, share))


def _part(weight: int, share: int) -> int:
    """Never nothing of something, unless it is to be nothing."""
    part = (weight * share + 50) // 100
    return min(max(part, 1) if weight and share else part, MAX_WEIGHT)


def _silent(config: AgentCheck, reason: Reason, detail: str) -> Verdict:
    detail = f"agent {config.target}: {detail}"
    return Failed(reason, detail) if config.required else Unknown(reason, detail)


CHECKER: Final = Checker("AGENT_CHECK", AgentCheck, agent_check, identical=AgentCheck.same_probe)
