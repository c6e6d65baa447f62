"""What was wrong with a request. The answer's body is

    {"error": {"code": "unknown-field", "message": "…", "hint": "…"}}

`code` is for programs and does not change; the texts are for people.
"""

from __future__ import annotations

from collections.abc import Iterable

from keepalive_py.config.spelling import nearest


class Fault(Exception):
    """`status` is HTTP's."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint

    def as_json(self) -> dict[str, dict[str, str]]:
        body = {"code": self.code, "message": self.message}
        return {"error": {**body, "hint": self.hint} if self.hint else body}


def bad(code: str, message: str, hint: str = "") -> Fault:
    return Fault(400, code, message, hint)


def not_found(what: str, name: str, known: Iterable[str] = ()) -> Fault:
    """With the nearest of the names that there are."""
    close = nearest(name, list(known))
    return Fault(
        404, "not-found", f"there is no {what} `{name}`", f"did you mean `{close}`?" if close else ""
    )


def unavailable(message: str, hint: str = "") -> Fault:
    return Fault(503, "unavailable", message, hint)
