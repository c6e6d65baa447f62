"""Play the engine for one checker: feed it answers, note what it wished for."""

from __future__ import annotations

from typing import Any

from keepalive_py.checkers.wishes import Probe, ProbeFailed, Wish
from keepalive_py.health.verdict import Failed, Verdict


def converse(probe: Probe, *answers: Any) -> tuple[list[Wish], Verdict]:
    """All wishes and the verdict. An answer that is a ProbeFailed is thrown in; more wishes than
    answers, or fewer, is an error."""
    wishes: list[Wish] = []
    waiting = list(answers)
    try:
        wish = next(probe)
        while True:
            wishes.append(wish)
            answer = waiting.pop(0)
            wish = probe.throw(answer) if isinstance(answer, ProbeFailed) else probe.send(answer)
    except StopIteration as stop:
        assert not waiting, f"answers left over: {waiting}"
        return wishes, stop.value
    except ProbeFailed as failed:
        assert not waiting, f"answers left over: {waiting}"
        return wishes, Failed(failed.reason, failed.detail)
