"""How the configuration language is declared: the only schema language of the project. Pure.

A block is a frozen dataclass. A field made with `keyword(...)` is set by that keyword; parsing,
errors, suggestions, the writer, the differ and docs/reference.md all derive from it. A keyword
without a field of its own (several feed one field, or it only guides others) is a `loose(...)`
entry of the class attribute `LOOSE`.

```python
@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    path: str = keyword("path", Word(), doc="Path to ask for.")
    status: Ranges = keyword("status_code", StatusCodes(), default=((200, 299),), doc="Good codes.")

    @classmethod
    def finish(cls, draft: Draft) -> None:
        if "path" not in draft.written:
            draft.refuse("url-without-path", "url has no path", "the url is left out")

@dataclass(frozen=True, slots=True, kw_only=True)
class HttpGet(NetworkCheckConfig):           # retry, delay_loop, connect_ip, bindto ... come from it
    KIND = "HTTP_GET"                        # the block's name
    DEFAULTS = {"delay_before_retry": 3.0}   # this type's own defaults of inherited keywords
    LOOSE = (loose("nb_get_retry", Integer(0), into="retry", deprecated="retry", doc="Old name."),)
    urls: tuple[Url, ...] = keyword("url", Block(Url), repeated=True, default=(), doc="A request.")
    virtualhost: str | None = keyword("virtualhost", Word(), default=None, inherit=True, doc="Host.")
```

What a field may say, besides its kind of value (`kinds.py`):

- `default`: the value when nothing is written. Without it the field must come from `finish`.
- `inherit=True`: not written here -> what the real server says -> what the virtual server says ->
  `DEFAULTS` of the class -> `default`. A value of `DEFAULTS` may be `SameAs("delay_loop")`.
- `repeated=True`: each line adds one value, the field is a tuple.
- `again`: what a second line does: `Again.REPLACES` (silently), `Again.WARNS` (replaces, with
  keepalived's overwriting message), `Again.REFUSED` (error, the first is kept), `Again.KEEPS`
  (the first is kept, keepalived is silent).
- `empty`: what the keyword without a value is: `Empty.FATAL` (keepalived ends at once, rc 2: the
  rule), `Empty.ERROR` (rc 5) or `Empty.QUIET` (only logged, rc 0); it is ignored in all three.
- `check`: called with the value and the draft as soon as the line is read; returns the value to
  store, or raises `BadValue`. This is where order matters in keepalived.
- `aliases` (silent), `deprecated` (what to use instead; keepalived counts it as an error, rc 5,
  unless `quietly`), `since` (first version that knows it; "ours" for our own).
- `idle`: why the keyword is accepted and has no effect here; it is noted, and in the reference.

`finish(draft)` of a checker runs once the whole file is known and inheritance is resolved;
that of a block inside it (`Url`) when it closes. `draft.values` has what the fields will be
(of a checker every field, `target` too; of others what was written); change it to repair,
`draft.report(...)` or `draft.warn(...)` to tell, `draft.refuse(...)` to drop the block.
`draft.written` has the fields that were written. A checker finds its real server in
`draft.context`: `CheckContext` of `config/check.py`.

`loose_values(self)` answers (name, value) of each `LOOSE` keyword that must be written to get
`self` again, in order; a class whose fields all have keywords of their own needs none.

Frozen slotted dataclasses cannot use `super()` without arguments: write
`NetworkCheckConfig.identity(self)`.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from keepalive_py.config.diagnostics import Diagnostic, Diagnostics, ExitClass, Severity, Span
from keepalive_py.config.lines import LogicalLine

__all__ = [
    "Again",
    "BadValue",
    "Custom",
    "Draft",
    "Empty",
    "Keyword",
    "Kind",
    "MissingValue",
    "NOTHING",
    "SameAs",
    "constructed",
    "field_names",
    "finished",
    "hook",
    "keyword",
    "keywords_of",
    "loose",
]


class _Nothing:
    """Marks the absence of a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final[Any] = _Nothing()


@dataclass(frozen=True, slots=True)
class SameAs:
    """A default that is the value of another field of the same block."""

    field: str


class BadValue(ValueError):
    """The words of a line do not make a value.

    `word` is the index of the one at fault. `used`: the value that is taken all the same
    (a clamped number, the leading digits of a lenient one); without it the line is ignored.
    """

    def __init__(
        self,
        summary: str,
        *,
        expected: str = "",
        word: int = 1,
        code: str = "bad-value",
        exit_class: ExitClass | None = ExitClass.GENERAL,
        used: Any = NOTHING,
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.expected = expected
        self.word = word
        self.code = code
        self.exit_class = exit_class
        self.used = used
        self.notes = notes


class MissingValue(BadValue):
    """A keyword without its value; how bad that is, `Keyword.empty` says, unless it is always
    fatal: of an option inside a line."""

    def __init__(self, name: str, expected: str = "", *, always_fatal: bool = False) -> None:
        super().__init__(
            f"`{name}` needs a value",
            expected=expected,
            word=0,
            code="missing-parameter",
            exit_class=ExitClass.MISSING_PARAMETER,
        )
        self.always_fatal = always_fatal


class Kind:
    """A kind of value: how the words of a line become it, and how it is written."""

    name: str

    def parse(self, line: LogicalLine) -> Any:
        """The value, or BadValue."""
        raise NotImplementedError

    def write(self, value: Any) -> str:
        """The words after the keyword; `parse` of them gives `value` again."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Custom(Kind):
    """A kind of its own: `read` gets the line and returns the value or raises BadValue."""

    name: str
    read: Callable[[LogicalLine], Any]
    text: Callable[[Any], str] = str

    def parse(self, line: LogicalLine) -> Any:
        return self.read(line)

    def write(self, value: Any) -> str:
        return self.text(value)


class Again(enum.Enum):
    """What a second line of the same keyword in one block does."""

    REPLACES = "replaces"
    WARNS = "replaces, with a message"
    REFUSED = "is refused, the first is kept"
    KEEPS = "is left out without a word"


class Empty(enum.Enum):
    """What keepalived makes of a keyword whose value is missing."""

    FATAL = ExitClass.MISSING_PARAMETER
    ERROR = ExitClass.GENERAL
    QUIET = None


Check = Callable[[Any, "Draft"], Any]


@dataclass(frozen=True, slots=True)
class Keyword:
    """Everything there is to know of one keyword. `into` is the field that it sets."""

    name: str
    kind: Kind
    doc: str = ""
    unit: str = ""
    aliases: tuple[str, ...] = ()
    repeated: bool = False  # each line adds one value; the field is a tuple
    required: bool = False
    since: str = ""  # first keepalived version that knows it; "ours" for our own
    deprecated: str = ""  # what to use instead
    source: str = "keepalived.conf(5)"
    inherit: bool = False
    again: Again = Again.REPLACES
    check: Check | None = None
    empty: Empty = Empty.FATAL
    quietly: bool = False  # deprecated, but keepalived only logs it
    into: str = ""
    default: Any = NOTHING
    idle: str = ""  # why it has no effect here; "" when it has


def keyword(
    name: str,
    kind: Kind,
    *,
    default: Any = dataclasses.MISSING,
    factory: Callable[[], Any] | None = None,
    doc: str = "",
    unit: str = "",
    aliases: tuple[str, ...] = (),
    repeated: bool = False,
    required: bool = False,
    since: str = "",
    deprecated: str = "",
    source: str = "keepalived.conf(5)",
    inherit: bool = False,
    again: Again = Again.REPLACES,
    check: Check | None = None,
    empty: Empty = Empty.FATAL,
    quietly: bool = False,
    compare: bool = True,
    idle: str = "",
) -> Any:
    """A dataclass field that is set by the keyword `name`."""
    declared = Keyword(
        name,
        kind,
        doc,
        unit,
        aliases,
        repeated,
        required,
        since,
        deprecated,
        source,
        inherit,
        again,
        check,
        empty,
        quietly,
        idle=idle,
    )
    metadata = {"keyword": declared}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata, compare=compare)
    if default is dataclasses.MISSING:
        return field(metadata=metadata, compare=compare)
    return field(default=default, metadata=metadata, compare=compare)


def loose(name: str, kind: Kind, *, into: str = "", default: Any = NOTHING, **more: Any) -> Keyword:
    """A keyword without a field of its own, for a class's `LOOSE`. Its value is found in
    `draft.values` under `into` (the keyword itself if that is not given)."""
    return Keyword(name, kind, into=into or name, default=default, **more)


def keywords_of(block: type) -> Iterator[Keyword]:
    """Every keyword of a block class: those of its fields, then its loose ones, bases included."""
    for member in dataclasses.fields(block):
        declared = member.metadata.get("keyword")
        if declared is not None:
            default = NOTHING if member.default is dataclasses.MISSING else member.default
            yield dataclasses.replace(declared, into=member.name, default=default)
    seen: set[str] = set()
    for owner in block.__mro__:
        for declared in vars(owner).get("LOOSE", ()):
            if declared.name not in seen:
                seen.add(declared.name)
                yield declared


EXTENSION: Final = "extension "  # before the names of extra blocks, in the values of the top level


class Draft:
    """A block while it is being read.

    `values` holds field name -> value; `written` where each written field was set; `head` what
    stood behind the block's own keyword; `parent` the enclosing block; `context` what its
    kind of block needs from outside; `ours` says that keepalived does not know the block.
    """

    __slots__ = (
        "block",
        "context",
        "diagnostics",
        "head",
        "ours",
        "parent",
        "refused",
        "title",
        "values",
        "where",
        "written",
    )

    def __init__(
        self,
        block: type,
        title: str,
        where: Span | None,
        diagnostics: Diagnostics,
        head: Any = None,
        parent: Draft | None = None,
    ) -> None:
        self.block = block
        self.title = title
        self.where = where
        self.diagnostics = diagnostics
        self.head = head
        self.parent = parent
        self.ours = False
        self.context: Any = None
        self.values: dict[str, Any] = {}
        self.written: dict[str, Span] = {}
        self.refused = False

    def report(
        self,
        code: str,
        summary: str,
        *notes: str,
        field: str = "",
        severity: Severity = Severity.ERROR,
        exit_class: ExitClass | None = ExitClass.GENERAL,
    ) -> None:
        """Tell the operator, at the line that set `field` (else at the block's head)."""
        self.diagnostics.add(
            Diagnostic(
                severity=severity,
                code=code,
                summary=summary,
                subject=self.written.get(field, self.where),
                context=self.where,
                context_title=self.title,
                notes=notes,
                exit_class=exit_class,
            )
        )

    def warn(self, code: str, summary: str, *notes: str, field: str = "") -> None:
        """Tell what keepalived is silent about."""
        self.report(code, summary, *notes, field=field, severity=Severity.WARNING, exit_class=None)

    def refuse(self, code: str, summary: str, *notes: str, field: str = "") -> None:
        """Report an error and drop the block."""
        self.report(code, summary, *notes, field=field)
        self.refused = True

    def is_second(self, name: str) -> bool:
        """Whether the file already has this extra block; asked by one that there is once."""
        return self.parent is not None and bool(self.parent.values.get(f"{EXTENSION}{name}"))


def span_of(line: LogicalLine, word: int) -> Span:
    """Where word `word` of the line stands; the whole line when it is shorter."""
    return line.words[word].span if 0 <= word < len(line.words) else line.span


def hook(draft: Draft, name: str) -> None:
    """Calls the block class's own `opened`, `closed` or `finish`, if it has one."""
    own = getattr(draft.block, name, None)
    if own is not None:
        own(draft)


def finished(draft: Draft) -> Any:
    """The block's value, or None when its `finish` refuses it."""
    hook(draft, "finish")
    return None if draft.refused else constructed(draft)


def constructed(draft: Draft) -> Any:
    """The dataclass from the values of its draft. Lists become tuples."""
    names = field_names(draft.block)
    values = {
        name: tuple(value) if type(value) is list else value
        for name, value in draft.values.items()
        if name in names
    }
    if "where" in names:
        values["where"] = draft.where
    return draft.block(**values)


@cache
def field_names(block: type) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(block))
