"""HTTP_GET: the server is well when its urls answer as they should. keepalived.conf(5).

One run asks for one url. `Sequence` remembers which is next: all urls in file order, each in a
run of its own; one that fails is repeated alone, and when it passes the sequence begins anew
(so a server with one url must answer twice to come back, as with keepalived 2.2.7).
A url that passes before the last one gives a `Passed` that is `partial`.

Timeouts: `connect_timeout` for the connection, and again for every read. A whole run may last
`delay_loop`, or three times `connect_timeout` where that is more, so that a server which sends
a byte now and then does not hold a check forever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from keepalive_py.checkers.regex import IGNORED, OPTIONS, TooSlow, UnusablePattern, compile_pattern
from keepalive_py.checkers.wishes import (
    Checker,
    Connect,
    Probe,
    ProbeFailed,
    Receive,
    Send,
    StartTls,
    Wish,
    connection,
)
from keepalive_py.config.check import NetworkCheckConfig
from keepalive_py.config.kinds import (
    Block,
    Choice,
    Digest,
    Flag,
    Integer,
    LogOnly,
    Names,
    Ranges,
    RegexLine,
    StatusCodes,
    Switch,
    Text,
    Word,
)
from keepalive_py.config.schema import Again, Custom, Draft, Empty, keyword, loose
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown
from keepalive_py.net import Endpoint
from keepalive_py.wire.http import ResponseReader, encode_get

__all__ = ["BODY_LIMIT", "CHECKER", "HttpCheckConfig", "HttpGet", "Request", "Sequence", "Url", "http_get"]

READ: Final = 16384
BODY_LIMIT: Final = 1 << 20  # a regex sees this much of the body
OFFSET: Final = Integer(0)


def _two_numbers(line: Any) -> tuple[int, int]:
    return OFFSET.read(line.text(1) or "", 1), OFFSET.read(line.text(2) or "", 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """One `url` block of HTTP_GET."""

    path: str = keyword("path", Word(), default="", doc="Path to ask for.")
    digest: bytes | None = keyword(
        "digest", Digest(), default=None, again=Again.REFUSED, doc="MD5 that the body must have."
    )
    status: Ranges = keyword(
        "status_code",
        StatusCodes(),
        default=((200, 299),),
        empty=Empty.QUIET,
        doc="Status codes that are good.",
    )
    virtualhost: str | None = keyword(
        "virtualhost", Text(), default=None, empty=Empty.ERROR, doc="Host field of the request."
    )
    regex: str | None = keyword(
        "regex", RegexLine(), default=None, empty=Empty.QUIET, doc="Pattern to find in the body."
    )
    regex_no_match: bool = keyword(
        "regex_no_match", Flag(), default=False, doc="Good is when the pattern is not found."
    )
    regex_options: frozenset[str] = keyword(
        "regex_options", Names(OPTIONS), default=frozenset(), doc="Options of PCRE2 for the pattern."
    )
    regex_min_offset: int = keyword(
        "regex_min_offset",
        LogOnly(OFFSET),
        default=0,
        empty=Empty.QUIET,
        unit="bytes",
        doc="A match may begin here or later.",
    )
    regex_max_offset: int | None = keyword(
        "regex_max_offset",
        LogOnly(OFFSET),
        default=None,
        empty=Empty.QUIET,
        unit="bytes",
        doc="A match may begin here or earlier.",
    )
    regex_stack: tuple[int, int] | None = keyword(
        "regex_stack",
        Custom("two numbers", _two_numbers, lambda value: f"{value[0]} {value[1]}"),
        default=None,
        unit="bytes",
        compare=False,
        doc="First and largest stack of PCRE2's compiler.",
        idle="patterns need no stack here; a search is bounded by its time",
    )

    @classmethod
    def finish(cls, draft: Draft) -> None:
        if not draft.values.get("path"):
            draft.refuse("url-without-path", "the url has no path", "it is left out")
        _check_pattern(draft)

    def identity(self) -> tuple[object, ...]:
        return (
            self.path,
            self.digest,
            self.virtualhost,
            self.status,
            self.regex,
            self.regex_options,
            self.regex_no_match,
            self.regex_min_offset,
            self.regex_max_offset,
        )


def _check_pattern(draft: Draft) -> None:
    options = draft.values.get("regex_options", frozenset())
    ignored = sorted(options & IGNORED)
    if ignored:
        draft.warn("regex-option-ignored", f"{', '.join(ignored)}: without effect", field="regex_options")
    pattern = draft.values.get("regex")
    if pattern is None:
        return
    try:
        compile_pattern(pattern, options)
    except UnusablePattern as error:
        note = "the check will always fail, as in keepalived with a pattern that PCRE2 refuses"
        draft.warn("regex-unusable", f"the pattern cannot be used: {error}", note, field="regex")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheckConfig(NetworkCheckConfig):
    """What HTTP_GET and SSL_GET share."""

    DEFAULTS: ClassVar = {"delay_before_retry": 3.0}
    LOOSE: ClassVar = (
        loose("nb_get_retry", Integer(0), into="retry", deprecated="retry", doc="Old name of retry."),
    )

    virtualhost: str | None = keyword(
        "virtualhost",
        Text(),
        default=None,
        inherit=True,
        empty=Empty.ERROR,
        doc="Host field of the requests.",
    )
    http_protocol: str = keyword(
        "http_protocol",
        Choice({"1.0": "1.0", "1.0C": "1.0C", "1.0c": "1.0C", "1.1": "1.1"}),
        default="1.0",
        empty=Empty.ERROR,
        doc="Version of HTTP; 1.0C and 1.1 ask the server to close the connection.",
    )
    enable_sni: bool = keyword("enable_sni", Switch(), default=False, doc="Send a server name in TLS.")
    sni_name: str | None = keyword(
        "sni_name", Text(), default=None, since="2.4.4", doc="Server name to send in TLS."
    )
    fast_recovery: bool = keyword(
        "fast_recovery", Switch(), default=False, doc="While down, ask for the next url without waiting."
    )
    urls: tuple[Url, ...] = ()

    @classmethod
    def finish(cls, draft: Draft) -> None:
        if not draft.values.get("urls"):
            draft.refuse("check-without-url", f"{cls.KIND} has no url", "the check is left out")

    def identity(self) -> tuple[object, ...]:
        urls = tuple(url.identity() for url in self.urls)
        return (*NetworkCheckConfig.identity(self), self.virtualhost, self.sni_name, urls)

    def partial_delay(self) -> float:
        return 0.0 if self.fast_recovery else self.delay_loop


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpGet(HttpCheckConfig):
    """The HTTP_GET block."""

    KIND: ClassVar[str] = "HTTP_GET"

    urls: tuple[Url, ...] = keyword("url", Block(Url), repeated=True, default=(), doc="A request.")


class Request:
    """What asking for one url takes, made once: these values never change."""

    __slots__ = ("first", "further", "hello", "part", "send", "url", "whole")

    def __init__(self, config: HttpCheckConfig, url: Url, further: float, hello: StartTls | None) -> None:
        host = url.virtualhost or config.virtualhost or host_of(config.target)
        self.url = url
        self.hello = hello
        self.send = Send(encode_get(url.path, host, config.http_protocol), config.connect_timeout)
        self.first = Receive(READ, config.connect_timeout)
        self.further = Receive(READ, further)
        self.whole = Passed(criterion(url), part=url.path)
        self.part = Passed(criterion(url), partial=True, part=url.path)


class Sequence:
    """Which url is next, from one run to the next."""

    __slots__ = ("_position", "_repeating", "_requests", "connect")

    def __init__(self, connect: Connect, requests: tuple[Request, ...]) -> None:
        self.connect = connect
        self._requests = requests
        self._repeating = False
        self._position = 0

    @property
    def request(self) -> Request:
        return self._requests[self._position]

    def passed(self) -> Passed:
        """The url has passed: with the last of all, the whole check has."""
        request = self.request
        whole = not self._repeating and self._position == len(self._requests) - 1
        self._position = 0 if self._repeating or whole else self._position + 1
        self._repeating = False
        return request.whole if whole else request.part

    def failed(self) -> None:
        self._repeating = True


def sequence(config: HttpGet) -> Sequence:
    requests = tuple(Request(config, url, config.connect_timeout, None) for url in config.urls)
    return Sequence(connection(config), requests)


def http_get(config: HttpCheckConfig, memory: Sequence) -> Probe:
    """One url of HTTP_GET or SSL_GET."""
    try:
        verdict = yield from ask(memory.connect, memory.request)
    except ProbeFailed:
        memory.failed()
        raise
    if verdict is None:
        return memory.passed()
    memory.failed()
    return verdict


def ask(connect: Connect, request: Request) -> Generator[Wish, Any, Failed | Unknown | None]:
    """Send the request, read the answer to its end, judge it. None: good."""
    yield connect
    if request.hello is not None:
        yield request.hello
    yield request.send
    reader = ResponseReader()
    body = Body(request.url)
    body.take(reader.feed((yield request.first)))
    while not reader.complete:
        body.take(reader.feed((yield request.further)))
    return judge(request.url, reader, body)


def host_of(target: Endpoint) -> str:
    """The Host field when nobody has named one: keepalived always writes the port."""
    return str(target)


class Body:
    """As much of the body as the criteria of a url need."""

    __slots__ = ("_digest", "_kept")

    def __init__(self, url: Url) -> None:
        self._digest = None if url.digest is None else hashlib.md5(usedforsecurity=False)
        self._kept = None if url.regex is None else bytearray()

    def take(self, piece: bytes) -> None:
        if self._digest is not None:
            self._digest.update(piece)
        if self._kept is not None and len(self._kept) < BODY_LIMIT:
            self._kept += piece[: BODY_LIMIT - len(self._kept)]

    def digest(self) -> bytes:
        assert self._digest is not None
        return self._digest.digest()

    def kept(self) -> bytes:
        assert self._kept is not None
        return bytes(self._kept)


def judge(url: Url, reader: ResponseReader, body: Body) -> Failed | Unknown | None:
    """All criteria that the url has, in keepalived's order: data, status, digest, regex."""
    if reader.empty:
        return Failed(Reason.NO_DATA, "the connection was closed without an answer")
    failed: Failed | Unknown | None = _wrong_status(url, reader.status)
    if failed is None and url.digest is not None:
        failed = _wrong_digest(url.digest, body.digest())
    if failed is None and url.regex is not None:
        failed = _wrong_text(url, body)
    return failed


def criterion(url: Url) -> str:
    """What has passed, in the words of keepalived's log."""
    if url.regex is not None:
        return "Regex match"
    return "HTTP status code" if url.digest is None else "MD5 digest"


def _wrong_status(url: Url, status: int | None) -> Failed | None:
    if status is None:
        return Failed(Reason.STATUS, "no HTTP status in the answer")
    for first, last in url.status:
        if first <= status <= last:
            return None
    wanted = " ".join(str(a) if a == b else f"{a}-{b}" for a, b in url.status)
    return Failed(Reason.STATUS, f"status {status}, wanted {wanted}")


def _wrong_digest(wanted: bytes, found: bytes) -> Failed | None:
    if wanted == found:
        return None
    return Failed(Reason.DIGEST, f"digest {found.hex()}, wanted {wanted.hex()}")


def _wrong_text(url: Url, body: Body) -> Failed | Unknown | None:
    assert url.regex is not None
    try:
        pattern = compile_pattern(url.regex, url.regex_options)
    except UnusablePattern as error:
        return Failed(Reason.REGEX, f"the pattern cannot be used: {error}")
    try:
        found = pattern.matches(body.kept(), url.regex_min_offset, url.regex_max_offset)
    except TooSlow as slow:
        return Unknown(Reason.LOCAL_ERROR, f"the pattern was still searching after {slow.args[0]:g} s")
    if found is not url.regex_no_match:
        return None
    return Failed(Reason.REGEX, "the pattern was found" if found else "the pattern was not found")


def identical(config: HttpCheckConfig) -> object:
    """A check of several urls is never shared: its subscribers would each see only some."""
    if len(config.urls) != 1:
        return None
    return (config.identity(), config.http_protocol, config.enable_sni, config.urls)


def at_most(config: HttpCheckConfig) -> float:
    """Seconds that a whole run may last."""
    return max(config.delay_loop, 3.0 * config.connect_timeout)


CHECKER: Final = Checker("HTTP_GET", HttpGet, http_get, identical=identical, memory=sequence, at_most=at_most)
