"""What every `*_CHECK` block has: timing, and where a network check goes and leaves from. Pure.

The classes of the checkers themselves live in `checkers/`; they inherit from these two and reach
the parser through a registry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final

from keepalive_py.config import guards
from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import UINT32, Integer, Interface, IpAddress, Seconds, Switch
from keepalive_py.config.schema import (
    NOTHING,
    BadValue,
    Draft,
    Keyword,
    SameAs,
    field_names,
    finished,
    keyword,
    keywords_of,
    loose,
)
from keepalive_py.net import Address, Endpoint, family_of

if TYPE_CHECKING:
    from keepalive_py.config.bfd_instance import BfdInstance
    from keepalive_py.config.track_file import TrackFile

INTERVAL: Final = Seconds(0.000001, lenient=True)
DELAY: Final = Seconds(0.0, lenient=True)
TIMEOUT: Final = Seconds(0.000001, 4294.967295, lenient=True)

TIMING: Final = (
    "delay_loop",
    "retry",
    "fall",
    "rise",
    "delay_before_retry",
    "warmup",
    "alpha",
    "log_all_failures",
)


@dataclass(slots=True)
class CheckContext:
    """What a checker may know beyond its own block: `draft.context` in its `finish`.

    `server` is the real server (port 0 already replaced by the virtual server's);
    `service_delay_loop` the virtual server's delay_loop in seconds (only in `finish`);
    the mappings hold what was declared before this virtual server.
    """

    server: Endpoint
    track_files: Mapping[str, TrackFile]
    bfd_instances: Mapping[str, BfdInstance]
    service_delay_loop: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """What every `*_CHECK` block has. Each checker's own class lives in `checkers/`.

    `KIND` is the block's name in the file. `identity()` is what keepalived compares at a
    reload to decide that a checker is the same and keeps its state: timing is not part of it.
    `DEFAULTS` are the type's own defaults of inherited keywords, over those of its bases.
    `WITHOUT` names keywords of the base classes that this type does not know (`TIMING`: all here).
    """

    KIND: ClassVar[str] = ""
    DEFAULTS: ClassVar[Mapping[str, Any]] = {"warmup": SameAs("delay_loop")}
    LOOSE: ClassVar[tuple[Keyword, ...]] = (guards.FALL,)
    WITHOUT: ClassVar[tuple[str, ...]] = ()
    PORTLESS: ClassVar[bool] = False  # a network check that needs no port

    delay_loop: float = keyword(
        "delay_loop", INTERVAL, default=60.0, inherit=True, unit="s", doc="Time from one check to the next."
    )
    retry: int = keyword(
        "retry",
        Integer(0, lenient=True),
        default=1,
        inherit=True,
        doc="Failures in a row, beyond the first, before the server counts as down.",
    )
    delay_before_retry: float = keyword(
        "delay_before_retry", DELAY, default=1.0, inherit=True, unit="s", doc="Wait before such a retry."
    )
    rise: int = keyword(
        "rise",
        guards.RISE,
        default=1,
        inherit=True,
        since="ours",
        source=guards.SOURCE,
        doc="So many successes in a row bring a server that is down back.",
    )
    warmup: float = keyword(
        "warmup",
        DELAY,
        default=60.0,
        inherit=True,
        unit="s",
        doc="The first check comes at a random time within this; 0: at once.",
    )
    alpha: bool = keyword(
        "alpha", Switch(), default=False, inherit=True, doc="Start as down, until the first success."
    )
    log_all_failures: bool = keyword(
        "log_all_failures", Switch(), default=False, inherit=True, doc="Log failures that only cause a retry."
    )
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def opened(cls, draft: Draft) -> None:
        """The block shares the context of its real server."""
        assert draft.parent is not None
        draft.context = draft.parent.context

    @classmethod
    def finish(cls, draft: Draft) -> None:
        """The checker's own last word on its block; see `schema.py`."""

    def identity(self) -> tuple[object, ...]:
        return (self.KIND,)

    def label(self) -> str:
        """What log lines call this check besides its real server: the program of MISC_CHECK,
        the instance of BFD_CHECK, the file of FILE_CHECK. Empty for all others."""
        return ""

    def spread(self) -> tuple[CheckConfig, ...]:
        """The checks that one block means; usually itself. SMTP_CHECK: one for each `host`."""
        return (self,)

    def partial_delay(self) -> float:
        """Seconds until the next part of a check that is down and has several (the urls of
        HTTP_GET, where `fast_recovery` makes it 0)."""
        return self.delay_loop


def reachable(address: Address, draft: Draft) -> Address:
    """A connect_ip must fit the bindto above it."""
    source = draft.values.get("bindto")
    if source is not None and family_of(source) is not family_of(address):
        raise BadValue(
            f"`{address}` cannot be reached from {source}", expected="an address of the same family"
        )
    return address


def same_family(address: Address, draft: Draft) -> Address:
    """A bindto must fit the destination as known at that line."""
    target = draft.values.get("connect_ip", draft.context.server.address)
    if family_of(address) is not family_of(target):
        raise BadValue(f"`{address}` cannot reach {target}", expected="an address of the same family")
    return address


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCheckConfig(CheckConfig):
    """A check that goes over the network. `target` is connect_ip/connect_port resolved."""

    LOOSE: ClassVar[tuple[Keyword, ...]] = (
        loose("connect_ip", IpAddress(), check=reachable, doc="Address to check, if not the real server's."),
        loose("connect_port", Integer(1, 65535), doc="Port to check, if not the real server's."),
    )

    target: Endpoint
    bindto: Address | None = keyword(
        "bindto", IpAddress(), default=None, check=same_family, doc="Source address of the check."
    )
    bind_port: int = keyword(
        "bind_port", Integer(1, 65535), default=0, doc="Source port; only used together with bindto."
    )
    bind_if: str | None = keyword(
        "bind_if", Interface(), default=None, doc="Interface to check through; needed for link-local IPv6."
    )
    connect_timeout: float = keyword(
        "connect_timeout",
        TIMEOUT,
        default=5.0,
        inherit=True,
        unit="s",
        doc="Time for connecting and each answer.",
    )
    fwmark: int = keyword(
        "fwmark", Integer(0, UINT32), default=0, doc="Firewall mark of the check's packets."
    )

    def identity(self) -> tuple[object, ...]:
        return (
            self.KIND,
            self.target,
            self.bindto,
            self.bind_port,
            self.bind_if,
            self.connect_timeout,
            self.fwmark,
        )


def complete(draft: Draft, outer: Sequence[Mapping[str, Any]]) -> CheckConfig | None:
    """The check, or None when it is refused. `outer` is where inherited values are sought:
    the real server, the virtual server, the globals."""
    inherit(draft.block, draft.values, outer)
    if issubclass(draft.block, NetworkCheckConfig) and not _aim(draft):
        return None
    result: CheckConfig | None = finished(draft)
    return result


def inherit(block: type, values: dict[str, Any], outer: Sequence[Mapping[str, Any]]) -> None:
    """Adds to `values` what the block does not say itself."""
    later: list[tuple[str, str]] = []
    for name, inherits, value in _defaults(block):
        if name in values:
            continue
        if inherits:
            for around in outer:
                if name in around:
                    value = around[name]
                    break
        if isinstance(value, SameAs):
            later.append((name, value.field))
        elif value is not NOTHING:
            values[name] = value
    for name, other in later:
        values[name] = values[other]


@cache
def _defaults(block: type) -> tuple[tuple[str, bool, Any], ...]:
    """Of each field: its name, whether it inherits, and the type's default."""
    own: dict[str, Any] = {}
    for owner in reversed(block.__mro__):
        own.update(vars(owner).get("DEFAULTS", {}))
    fields = field_names(block)
    return tuple(
        (
            keyword.into,
            keyword.inherit and keyword.name not in getattr(block, "WITHOUT", ()),
            own.get(keyword.into, keyword.default),
        )
        for keyword in keywords_of(block)
        if keyword.into in fields
    )


def _aim(draft: Draft) -> bool:
    """Sets `target`; False when the check cannot go there."""
    values, context = draft.values, draft.context
    address = values.get("connect_ip", context.server.address)
    port = values.get("connect_port", context.server.port)
    default_target = address is context.server.address and port == context.server.port
    values["target"] = target = context.server if default_target else Endpoint(address, port)
    if address.is_link_local and address.version == 6 and values["bind_if"] is None:
        draft.refuse("no-bind-if", f"{address} is link-local and needs bind_if", "the check is left out")
    elif target.port == 0 and not getattr(draft.block, "PORTLESS", False):
        draft.warn("port-zero", f"{draft.title} goes to port 0", "set connect_port, or a port of the server")
    return not draft.refused
