"""What differs between two configurations, by meaning: order and spelling do not count. Pure."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from keepalive_py.config.check import CheckConfig
from keepalive_py.config.model import Config, RealServer, VirtualServer
from keepalive_py.config.schema import keywords_of
from keepalive_py.config.virtual_server import Service, ServiceHead
from keepalive_py.config.virtual_server_group import MemberLine

__all__ = ["Change", "ChangeKind", "diff", "service_name", "shown"]


class ChangeKind(enum.Enum):
    """The values are the marks that lines begin with."""

    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `place` names the blocks from the outside in; of a CHANGED one `field` is
    the keyword (or field) and `old` and `new` its values as text."""

    kind: ChangeKind
    place: tuple[str, ...]
    field: str = ""
    old: str = ""
    new: str = ""

    def __str__(self) -> str:
        line = f"{self.kind.value} {': '.join(self.place)}"
        return f"{line}: {self.field} {self.old} -> {self.new}" if self.field else line


Place = tuple[str, ...]


def diff(old: Config, new: Config) -> list[Change]:
    """Every difference: globals first, then services with their servers and checks."""
    return [
        *_fields(old.global_defs, new.global_defs, ("global_defs",)),
        *_optional(old.ssl, new.ssl, ("SSL",)),
        *_named(old.track_files, new.track_files, "track_file"),
        *_named(old.bfd_instances, new.bfd_instances, "bfd_instance"),
        *_lists(_group_lines(old), _group_lines(new), "virtual_server_group"),
        *_lists(_local_lines(old), _local_lines(new), "local_address_group"),
        *_plain(_by_title(old.kept_blocks), _by_title(new.kept_blocks)),
        *_plain(_extensions(old), _extensions(new)),
        *_pairs(_services(old), _services(new), _service_place, _service_changes),
    ]


def service_name(service: VirtualServer) -> str:
    """What a virtual server is called: its head line, and its protocol where it has one."""
    head = ServiceHead().write(Service(service.endpoint, service.fwmark, service.group))
    if service.fwmark is not None:
        return f"virtual_server {head}"
    return f"virtual_server {head} {service.protocol.name}"


# what is compared with what


def _numbered(names: Iterable[Hashable], values: Iterable[Any]) -> dict[Hashable, Any]:
    """By name; the second of the same name gets a number, and so on."""
    result: dict[Hashable, Any] = {}
    for name, value in zip(names, values, strict=True):
        count = 1
        while (name, count) in result:
            count += 1
        result[name, count] = value
    return result


def _services(config: Config) -> dict[Hashable, VirtualServer]:
    return _numbered(map(service_name, config.virtual_servers), config.virtual_servers)


def _servers(service: VirtualServer) -> dict[Hashable, RealServer]:
    return _numbered((server.endpoint for server in service.real_servers), service.real_servers)


def _by_title(blocks: Iterable[Any]) -> dict[Hashable, Any]:
    blocks = tuple(blocks)
    return _numbered((block.title for block in blocks), blocks)


def _extensions(config: Config) -> dict[Hashable, Any]:
    pairs = [(name, block) for name, blocks in config.extensions.items() for block in blocks]
    return _numbered((name for name, _ in pairs), (block for _, block in pairs))


def _group_lines(config: Config) -> dict[str, list[str]]:
    kind = MemberLine()
    return {name: [kind.write(each) for each in group.members] for name, group in config.groups.items()}


def _local_lines(config: Config) -> dict[str, list[str]]:
    groups = config.local_address_groups
    return {name: [str(each) for each in group.addresses] for name, group in groups.items()}


# comparing


def _pairs(
    old: Mapping[Hashable, Any],
    new: Mapping[Hashable, Any],
    place: Callable[[Any], Place],
    inside: Callable[[Any, Any, Place], Iterable[Change]],
) -> Iterator[Change]:
    for key, value in old.items():
        if key not in new:
            yield Change(ChangeKind.REMOVED, place(value))
    for key, value in new.items():
        if key not in old:
            yield Change(ChangeKind.ADDED, place(value))
        elif old[key] != value:
            yield from inside(old[key], value, place(value))


def _fields(old: Any, new: Any, place: Place, skip: tuple[str, ...] = ()) -> Iterator[Change]:
    """The fields of two blocks of one class."""
    block: type = type(new)
    for name, label in _labels(block):
        before, after = getattr(old, name), getattr(new, name)
        if before != after and name not in skip:
            yield Change(ChangeKind.CHANGED, place, label, shown(before), shown(after))


@cache
def _labels(block: type) -> tuple[tuple[str, str], ...]:
    """Of each field that counts: its name, and its keyword."""
    keywords = {keyword.into: keyword for keyword in reversed(list(keywords_of(block)))}  # own ones win
    return tuple(
        (field.name, keywords[field.name].name if field.name in keywords else field.name)
        for field in dataclasses.fields(block)
        if field.compare
    )


def shown(value: Any) -> str:
    """A value for people: members of enumerations by name, commands as written."""
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, enum.Enum):
        return value.name or str(value.value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, (tuple, frozenset)):
        return (
            " ".join(sorted(map(shown, value)) if isinstance(value, frozenset) else map(shown, value)) or "()"
        )
    if dataclasses.is_dataclass(value) and type(value).__str__ is object.__str__:
        return _block_shown(value)
    return str(value)


def _block_shown(value: Any) -> str:
    """Only what is not the default, as KEYWORD=VALUE."""
    parts = []
    for field in dataclasses.fields(value):
        found = getattr(value, field.name)
        if field.compare and found != field.default:
            parts.append(f"{field.name}={shown(found)}")
    return f"({', '.join(parts)})"


def _optional(old: Any, new: Any, place: Place) -> Iterator[Change]:
    if old is None or new is None:
        if old is not new:
            yield Change(ChangeKind.ADDED if old is None else ChangeKind.REMOVED, place)
    else:
        yield from _fields(old, new, place)


def _named(old: Mapping[str, Any], new: Mapping[str, Any], keyword: str) -> Iterator[Change]:
    return _pairs(old, new, lambda block: (f"{keyword} {block.name}",), _fields)  # type: ignore[arg-type]


def _lists(old: Mapping[str, list[str]], new: Mapping[str, list[str]], keyword: str) -> Iterator[Change]:
    """Groups: a change for each line."""
    for name in dict.fromkeys([*old, *new]):
        place = (f"{keyword} {name}",)
        if name not in new:
            yield Change(ChangeKind.REMOVED, place)
        elif name not in old:
            yield Change(ChangeKind.ADDED, place)
        else:
            yield from _line_changes(old[name], new[name], place)


def _line_changes(old: list[str], new: list[str], place: Place) -> Iterator[Change]:
    for line in dict.fromkeys(old):
        if line not in new:
            yield Change(ChangeKind.REMOVED, (*place, line))
    for line in dict.fromkeys(new):
        if line not in old:
            yield Change(ChangeKind.ADDED, (*place, line))


def _plain(old: dict[Hashable, Any], new: dict[Hashable, Any]) -> Iterator[Change]:
    """Blocks whose inside is not looked at."""
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        place = (str(key[0]) if isinstance(key, tuple) else str(key),)
        if before is None:
            yield Change(ChangeKind.ADDED, place)
        elif after is None:
            yield Change(ChangeKind.REMOVED, place)
        else:
            yield Change(ChangeKind.CHANGED, place, "content", "(old)", "(new)")


def _service_place(service: VirtualServer) -> Place:
    return (service_name(service),)


def _service_changes(old: VirtualServer, new: VirtualServer, place: Place) -> Iterator[Change]:
    yield from _fields(old, new, place, skip=("real_servers", "protocol", "endpoint", "fwmark", "group"))

    def server_place(server: RealServer) -> Place:
        return (*place, f"real_server {server.endpoint.address} {server.endpoint.port}")

    yield from _pairs(_servers(old), _servers(new), server_place, _server_changes)


def _server_changes(old: RealServer, new: RealServer, place: Place) -> Iterator[Change]:
    yield from _fields(old, new, place, skip=("checks", "endpoint"))
    yield from _pairs(*_matched(old.checks, new.checks), lambda check: (*place, check.KIND), _fields)


def _matched(
    old: Iterable[CheckConfig], new: Iterable[CheckConfig]
) -> tuple[dict[Hashable, CheckConfig], dict[Hashable, CheckConfig]]:
    """Checks under the keys that pair them: those that keepalived would call the same first, then
    those of one kind in their order."""
    before, after = list(old), list(new)
    olds: dict[Hashable, CheckConfig] = {}
    news: dict[Hashable, CheckConfig] = {}
    for check in list(after):
        twin = next((each for each in before if each.identity() == check.identity()), None)
        if twin is not None:
            key = len(olds)
            olds[key], news[key] = twin, check
            before.remove(twin)
            after.remove(check)
    olds.update(_numbered((check.KIND for check in before), before))
    news.update(_numbered((check.KIND for check in after), after))
    return olds, news
