"""What a query or a body may hold: declared once, used to check and to document."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from keepalive_py.config.spelling import nearest
from keepalive_py.control.faults import Fault, bad

TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
LONGEST: Final = 1024  # characters of a string
WORDS: Final = {"true": True, "1": True, "": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One value. `type` is JSON's. A field that may be absent has its `default` then."""

    name: str
    doc: str
    type: str = "string"
    required: bool = False
    default: object = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    example: object = None

    def schema(self) -> dict[str, object]:
        """As JSON Schema."""
        found: dict[str, object] = {"type": self.type, "description": self.doc}
        if self.choices:
            found["enum"] = list(self.choices)
        if self.type == "string" and not self.choices:
            found["maxLength"] = LONGEST
        if self.least is not None:
            found["minimum"] = self.least
        if self.most is not None:
            found["maximum"] = self.most
        if self.default is not None:
            found["default"] = self.default
        if self.example is not None:
            found["examples"] = [self.example]
        return found

    def checked(self, value: object) -> object:
        """Raises Fault."""
        right = isinstance(value, TYPES[self.type]) and (isinstance(value, bool) == (self.type == "boolean"))
        if not right:
            raise self.bad(f"must be a JSON {self.type}, not {json_type(value)}")
        if isinstance(value, str):
            self.check_text(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            self.check_number(value)
        return value

    def check_text(self, value: str) -> None:
        if self.choices and value not in self.choices:
            close = nearest(value, list(self.choices))
            raise self.bad(
                f"is `{value[:80]}`, but must be one of {', '.join(self.choices)}",
                f"did you mean `{close}`?" if close else "",
            )
        if len(value) > LONGEST:
            raise self.bad(f"has {len(value)} characters, at most {LONGEST} are allowed")

    def check_number(self, value: float) -> None:
        if not math.isfinite(value):
            raise self.bad("must be a finite number")
        if self.least is not None and value < self.least:
            raise self.bad(f"is {value}, but must be at least {self.least:g}")
        if self.most is not None and value > self.most:
            raise self.bad(f"is {value}, but must be at most {self.most:g}")

    def bad(self, text: str, hint: str = "") -> Fault:
        return bad("bad-value", f"`{self.name}` {text}", hint)

    def from_text(self, text: str) -> object:
        """A value of a query string."""
        if self.type == "string":
            return self.checked(text)
        if self.type == "boolean":
            if text.lower() not in WORDS:
                raise self.bad("must be true or false")
            return WORDS[text.lower()]
        try:
            number = int(text) if self.type == "integer" else float(text)
        except ValueError:
            raise self.bad(f"is `{text[:80]}`, but must be a number") from None
        return self.checked(number)


def json_type(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def checked_body(fields: Sequence[Field], body: object) -> dict[str, Any]:
    """Raises Fault."""
    if not isinstance(body, dict):
        raise bad("bad-body", f"the body must be a JSON object, not {json_type(body)}")
    known = {field.name: field for field in fields}
    refuse_unknown("field", body, known)
    return filled(fields, {name: known[name].checked(value) for name, value in body.items()})


def checked_query(fields: Sequence[Field], query: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Raises Fault."""
    known = {field.name: field for field in fields}
    refuse_unknown("parameter", [name for name, _ in query], known)
    given: dict[str, Any] = {}
    for name, text in query:
        if name in given:
            raise bad("repeated-parameter", f"`{name}` is given twice")
        given[name] = known[name].from_text(text)
    return filled(fields, given)


def refuse_unknown(what: str, given: Sequence[str] | Mapping[str, Any], known: Mapping[str, Field]) -> None:
    for name in given:
        if name not in known:
            close = nearest(name, list(known))
            hint = f"did you mean `{close}`?" if close else f"known: {', '.join(known) or 'none'}"
            raise bad(f"unknown-{what}", f"`{name[:80]}` is not a {what} here", hint)


def filled(fields: Sequence[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    for field in fields:
        if field.required and field.name not in given:
            raise bad("missing-field", f"`{field.name}` is missing", field.doc)
    return {field.name: given.get(field.name, field.default) for field in fields}
