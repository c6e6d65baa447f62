"""A model as the text of a keepalived.conf that means the same: `load(write(m)) == m`. Pure.

Only what differs from what would be understood anyway is written, save for protocol, lb_algo and
lb_kind, which keepalived wants to see. The declarations say how each value is spelt.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from keepalive_py.config.check import CheckConfig, NetworkCheckConfig, inherit
from keepalive_py.config.forwarding import Method, MethodKind
from keepalive_py.config.kinds import Block, Flag, Lines, words_of
from keepalive_py.config.model import Config, GlobalDefs, KeptBlock, RealServer, VirtualServer
from keepalive_py.config.schema import NOTHING, Keyword, keywords_of
from keepalive_py.config.virtual_server import Service, ServiceHead
from keepalive_py.config.vrrp import KEPT_KEYWORDS, Kept
from keepalive_py.net import Endpoint

__all__ = ["write"]

INDENT: Final = "    "


def write(config: Config) -> str:
    """The whole configuration, side file included, as one text."""
    blocks = [
        _top_level_lines(config),
        _block("global_defs", _lines(config.global_defs)),
        _whole("SSL", _lines(config.ssl)) if config.ssl else [],
        *(_kept(block) for block in config.kept_blocks),
        *_keyed_blocks(config),
        *_extensions(config),
        *(_virtual_server(service, config) for service in config.virtual_servers),
    ]
    return "\n".join("\n".join(lines) + "\n" for lines in blocks if lines)


def _block(head: str, lines: Iterable[str]) -> list[str]:
    """Nothing, when there are no lines."""
    inner = [INDENT + line for line in lines]
    return [f"{head} {{", *inner, "}"] if inner else []


def _whole(head: str, lines: Iterable[str]) -> list[str]:
    """A block that means something without lines too."""
    return _block(head, lines) or [f"{head} {{", "}"]


def _line(name: str, text: str) -> str:
    return f"{name} {text}" if text else name


def _top_level_lines(config: Config) -> list[str]:
    defs = config.global_defs
    plain = GlobalDefs()
    return [
        _line(keyword.name, keyword.kind.write(getattr(defs, keyword.into)))
        for keyword in Config.LOOSE
        if hasattr(plain, keyword.into) and getattr(defs, keyword.into) != getattr(plain, keyword.into)
    ]


def _keyed_blocks(config: Config) -> Iterator[list[str]]:
    for keyword in keywords_of(Config):
        if isinstance(keyword.kind, Block) and keyword.kind.keyed:
            for name, value in getattr(config, keyword.into).items():
                yield _block(f"{keyword.name} {words_of(name)}", _lines(value))
    for group in config.groups.values():
        yield _list_block("virtual_server_group", group.name, group.members)
    for local in config.local_address_groups.values():
        yield _list_block("local_address_group", local.name, local.addresses)


def _list_block(name: str, title: str, entries: Iterable[Any]) -> list[str]:
    kind = _top_keyword(name).kind
    assert isinstance(kind, Lines)
    return _block(f"{name} {words_of(title)}", [kind.entry.write(entry) for entry in entries])


def _top_keyword(name: str) -> Keyword:
    return next(keyword for keyword in keywords_of(Config) if keyword.name == name)


def _extensions(config: Config) -> Iterator[list[str]]:
    for name, blocks in config.extensions.items():
        for block in blocks:
            title = getattr(block, "name", None)
            head = name if title is None else f"{name} {words_of(title)}"
            yield _whole(head, _lines(block))


def _lines(value: Any, skip: Mapping[str, Any] | None = None) -> Iterator[str]:
    """A line for each keyword of the block `value`. `skip` has the values that need no line, by
    field; of others that is the default."""
    loose: dict[str, Keyword] = {}
    fields = {field.name for field in dataclasses.fields(value)}
    others = [keyword for owner in type(value).__mro__ for keyword in vars(owner).get("LOOSE", ())]
    for keyword in keywords_of(type(value)):
        if keyword.into not in fields or keyword in others:
            loose[keyword.name] = keyword
            continue
        found = getattr(value, keyword.into)
        unsaid = skip[keyword.into] if skip and keyword.into in skip else keyword.default
        if found != unsaid:
            yield from _keyword_lines(keyword, found, value)
    if hasattr(value, "loose_values"):
        for name, found in value.loose_values():
            yield from _keyword_lines(loose[name], found, value)


def _keyword_lines(keyword: Keyword, found: Any, owner: Any) -> Iterator[str]:
    kind = keyword.kind
    if isinstance(kind, Block):
        for each in found if keyword.repeated else [found]:
            head = keyword.name if kind.head is None else f"{keyword.name} {words_of(each.name)}"
            yield from _whole(head, _lines(each))
    elif isinstance(kind, Lines):
        yield from _block(keyword.name, [kind.entry.write(each) for each in found])
    elif keyword.repeated:
        for each in found:
            yield _line(keyword.name, kind.write(each))
    elif isinstance(kind, MethodKind):
        method = found if isinstance(found, Method) else Method(found, owner.tunnel)
        yield _line(keyword.name, kind.write(method))
    elif not isinstance(kind, Flag) or found:
        yield _line(keyword.name, kind.write(found))


def _virtual_server(service: VirtualServer, config: Config) -> list[str]:
    head = ServiceHead().write(Service(service.endpoint, service.fwmark, service.group))
    by_mark = service.fwmark is not None or (
        service.group is not None and config.groups[service.group].only_fwmarks
    )
    skip = {
        "family": service.family if service.endpoint is not None else NOTHING,
        "protocol": service.protocol if by_mark else NOTHING,
        "scheduler": NOTHING,
        "forwarding": NOTHING,
        "smtp_alert": _alert(config.global_defs, False),
        "quorum": 1 if service.quorum else 0,  # 0 comes of weights that are all 0
        "real_servers": service.real_servers,
    }
    lines = list(_lines(service, skip))
    for server in service.real_servers:
        lines += _real_server(server, service, config.global_defs)
    return _block(f"virtual_server {head}", lines)


def _alert(defs: GlobalDefs, otherwise: bool) -> bool:
    for alert in (defs.smtp_alert_checker, defs.smtp_alert):
        if alert is not None:
            return alert
    return otherwise


def _real_server(server: RealServer, service: VirtualServer, defs: GlobalDefs) -> list[str]:
    same_method = (server.forwarding, server.tunnel) == (service.forwarding, service.tunnel)
    skip = {
        "forwarding": server.forwarding if same_method else NOTHING,
        "inhibit_on_failure": service.inhibit_on_failure,
        "alpha": service.alpha,
        "smtp_alert": _alert(defs, True),
    }
    lines = list(_lines(server, skip))
    outer = (_heritage(server), _heritage(service), {"log_all_failures": defs.checker_log_all_failures})
    base = server.endpoint
    if base.port == 0 and service.endpoint is not None:
        base = Endpoint(base.address, service.endpoint.port)
    for check in server.checks:
        lines += _check(check, base, outer)
    head = f"real_server {server.endpoint.address}"
    head += f" {server.endpoint.port}" if server.endpoint.port else ""
    return _whole(head, lines)


def _heritage(block: RealServer | VirtualServer) -> dict[str, Any]:
    """What checks inherit from this block, of what the model keeps."""
    names = ("delay_loop", "alpha", "virtualhost")
    found = {name: getattr(block, name) for name in names if hasattr(block, name)}
    return {name: value for name, value in found.items() if value is not None}


def _check(check: CheckConfig, base: Endpoint, outer: tuple[Mapping[str, Any], ...]) -> list[str]:
    # `warmup` and others may be the same as another field, so they are understood from the check's own.
    unsaid: dict[str, Any] = {"delay_loop": check.delay_loop}
    inherit(type(check), unsaid, outer)
    plain: dict[str, Any] = {}
    inherit(type(check), plain, outer)
    unsaid["delay_loop"] = plain["delay_loop"]
    unsaid.update({name: getattr(check, name) for name in check.WITHOUT if hasattr(check, name)})
    lines = [*_aim(check, base), *_lines(check, unsaid)]
    return _whole(check.KIND, lines)


def _aim(check: CheckConfig, base: Endpoint) -> Iterator[str]:
    if isinstance(check, NetworkCheckConfig):
        if check.target.address != base.address:
            yield f"connect_ip {check.target.address}"
        if check.target.port != base.port:
            yield f"connect_port {check.target.port}"


_KEPT_KINDS: Final = {keyword.name: keyword.kind for keyword in KEPT_KEYWORDS}


def _kept(block: KeptBlock) -> list[str]:
    kind = _KEPT_KINDS[block.keyword]
    assert isinstance(kind, Kept)
    if kind.names is None:
        return [block.title]
    return [f"{block.title} {{", *(_protected(line) for line in block.text.splitlines()), "}"]


def _protected(text: str) -> str:
    """Marks of comments outside double quotes get a backslash, as they must have had."""
    parts = re.split(r'("[^"]*")', text)
    return "".join(part if part.startswith('"') else re.sub(r"([#!])", r"\\\1", part) for part in parts)
