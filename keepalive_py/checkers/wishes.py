"""What a checker may ask of the probing engine, as values.

A checker is a generator. It yields a wish and gets the answer back; the engine does the
I/O and owns descriptors, time and limits. A wish that fails is thrown into the generator
as `ProbeFailed`; a checker that does not catch it has failed for that reason, so the
straight-line code of a protocol needs no error handling. Trouble of our own (`ProbeUnknown`,
not thrown into checkers) ends the probe with an `Unknown` verdict.

Every wish has a `timeout` in seconds, counted from when it is made; `REMAINING` means
what is left of the wish before it. The socket belongs to the engine, one per probe, and is
closed when the generator ends.

```python
def smtp_check(config: SmtpCheck) -> Probe:
    yield Connect(config.target, config.connect_timeout, source_of(config))
    greeting = yield Receive(512, config.connect_timeout)
    ...
    return PASSED
```
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final

from keepalive_py.config.check import CheckConfig, NetworkCheckConfig
from keepalive_py.config.kinds import Script
from keepalive_py.config.model import SslFiles
from keepalive_py.health.verdict import Reason, Verdict
from keepalive_py.net import Address, Endpoint

REMAINING: Final = -1.0


class ProbeFailed(Exception):
    """A wish failed because of the other side. `str()` is the detail."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail or reason.value)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Source:
    """Where a probe leaves from: keepalived's bindto, bind_port, bind_if and fwmark."""

    address: Address | None = None
    port: int = 0
    interface: str | None = None
    mark: int = 0


ANYWHERE: Final = Source()


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a TCP connection. Answer: None."""

    target: Endpoint
    timeout: float
    source: Source = ANYWHERE


@dataclass(frozen=True, slots=True)
class OpenDatagram:
    """Open a UDP socket connected to the target. Answer: None. ICMP errors come out of the
    next Send or Receive as ProbeFailed(REFUSED / UNREACHABLE)."""

    target: Endpoint
    source: Source = ANYWHERE
    timeout: float = REMAINING


@dataclass(frozen=True, slots=True)
class StartTls:
    """TLS handshake on the open connection, without verification of the peer (as keepalived).
    `files` is the client's own certificate, None the engine's. Answer: None."""

    timeout: float = REMAINING
    server_name: str | None = None
    files: SslFiles | None = None
    clean_close: bool = False  # send close_notify and wait for the peer's


@dataclass(frozen=True, slots=True)
class Send:
    """Send all of `data` (a datagram on a UDP socket). Answer: None."""

    data: bytes
    timeout: float = REMAINING


@dataclass(frozen=True, slots=True)
class Receive:
    """At most `limit` bytes, as soon as there are any; b"" at end of stream. One datagram
    on a UDP socket (b"" is then an empty datagram). Answer: bytes."""

    limit: int
    timeout: float = REMAINING


@dataclass(frozen=True, slots=True)
class Ping:
    """One ICMP echo request and its reply. Answer: round-trip time in seconds."""

    target: Address
    timeout: float
    payload_size: int = 128
    source: Source = ANYWHERE


@dataclass(frozen=True, slots=True)
class AskCarrying:
    """One request over a TCP connection whose first segments carry `option` (bytes of a TCP header).
    Answer: what the peer sent until it closed, at most `limit` bytes. The segments are made by hand,
    which needs CAP_NET_RAW; without it the probe is Unknown."""

    target: Endpoint
    option: bytes
    request: bytes
    limit: int
    timeout: float
    source: Source = ANYWHERE


@dataclass(frozen=True, slots=True)
class Run:
    """A child process in its own process group. Answer: `Exit`. At `timeout` the group gets
    SIGTERM, 2 s later SIGKILL (keepalived's ladder: again after 2 s, then 10 s)."""

    script: Script
    timeout: float


@dataclass(frozen=True, slots=True)
class Exit:
    """How a child ended: exactly one of `status` and `signal`; `timed_out` as well when we
    ended it. A child that could not be executed raises ProbeFailed(FAULT)."""

    status: int | None = None
    signal: int | None = None
    timed_out: bool = False


Wish = Connect | OpenDatagram | StartTls | Send | Receive | Ping | AskCarrying | Run
Probe = Generator[Wish, Any, Verdict]


@dataclass(frozen=True, slots=True)
class Checker:
    """A registered kind of check: its block's name, its config class, its generator.

    `probe(config)` is None for kinds that are driven by events (FILE_CHECK, BFD_CHECK).
    `identical(config)` gives the key under which checks of several real servers are one probe
    (same kind, target, source and parameters); None: never shared.
    `memory(config)` makes what a check has to remember from one run to the next (which url is
    the next one); its generator is then called as `probe(config, memory)`. The engine keeps
    one memory for all subscribers of a shared probe and forgets it with the last of them.
    `at_most(config)` is a bound in seconds on a whole run, over the timeouts of its wishes.
    `child`: the probe is a child process: limited apart from sockets, and the next run counts
    from the start of the last one instead of its end (keepalived.conf(5), MISC_CHECK).
    """

    kind: str
    config: type[CheckConfig]
    probe: Callable[..., Probe] | None
    identical: Callable[[Any], object] | None = None
    memory: Callable[[Any], Any] | None = None
    at_most: Callable[[Any], float] | None = None
    child: bool = False


def source_of(config: NetworkCheckConfig) -> Source:
    """Where a network check leaves from. bind_port means nothing without bindto."""
    if config.bindto is None and config.bind_if is None and not config.fwmark:
        return ANYWHERE
    port = config.bind_port if config.bindto is not None else 0
    return Source(config.bindto, port, config.bind_if, config.fwmark)


def connection(config: NetworkCheckConfig) -> Connect:
    """What a check over TCP begins with."""
    return Connect(config.target, config.connect_timeout, source_of(config))
