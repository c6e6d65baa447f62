"""The language as a JSON Schema (draft 2020-12), and a model as the JSON that it describes. Pure.

Both come from the declarations: `schema` for editors and for programs that make configurations,
`as_plain` for programs that read them. A block is an object by keyword; a keyword that may be
repeated is an array; what is not a number or a switch is the text that stands in the file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final

from keepalive_py.config.check import CheckConfig
from keepalive_py.config.forwarding import Method, MethodKind
from keepalive_py.config.kinds import (
    LONGEST_TIMER,
    Block,
    Choice,
    Flag,
    Integer,
    Lines,
    LogOnly,
    Seconds,
    Switch,
)
from keepalive_py.config.language import Grammar, Language
from keepalive_py.config.model import Config
from keepalive_py.config.real_server import ServerHead
from keepalive_py.config.schema import Keyword, Kind, keywords_of
from keepalive_py.config.virtual_server import Service, ServiceHead
from keepalive_py.config.vrrp import Kept

__all__ = ["as_plain", "schema"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
HEAD: Final = "of"  # the words behind a block's keyword
Json = dict[str, Any]


# The schema


def schema(language: Language) -> Json:
    """Every block once, under `$defs`."""
    blocks: dict[str, Json] = {}
    top = _object(language.top, blocks)
    return {"$schema": DIALECT, "title": "keepalived.conf, as keepalive_py reads it", **top, "$defs": blocks}


def _object(grammar: Grammar, blocks: dict[str, Json]) -> Json:
    properties: Json = {HEAD: {"type": "string", "description": "The words behind the keyword."}}
    for keyword in {each.name: each for each in grammar.keywords.values()}.values():
        properties[keyword.name] = _property(keyword, grammar, blocks)
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _property(keyword: Keyword, grammar: Grammar, blocks: dict[str, Json]) -> Json:
    found = _of_kind(keyword, grammar, blocks)
    if _is_many(keyword):
        found = {"type": "array", "items": found}
    about = {"description": keyword.doc, "x-unit": keyword.unit, "x-since": keyword.since}
    if keyword.aliases:
        found["x-aliases"] = list(keyword.aliases)
    if keyword.deprecated:
        found["deprecated"] = True
    return {**found, **{name: text for name, text in about.items() if text}}


def _is_many(keyword: Keyword) -> bool:
    kind = keyword.kind
    if isinstance(kind, Lines):
        return kind.head is not None  # without one, its lines are the values
    return keyword.repeated or isinstance(kind, Kept) or (isinstance(kind, Block) and kind.keyed)


def _of_kind(keyword: Keyword, grammar: Grammar, blocks: dict[str, Json]) -> Json:
    kind = keyword.kind
    if isinstance(kind, Block):
        inner = grammar.blocks[keyword.name]
        name = inner.block.__name__
        if name not in blocks:
            blocks[name] = {}
            blocks[name] = _object(inner, blocks)
        return {"$ref": f"#/$defs/{name}"}
    if isinstance(kind, Lines):
        lines: Json = {"type": "array", "items": {"type": "string"}}
        if kind.head is None:
            return lines
        properties = {HEAD: {"type": "string"}, "lines": lines}
        return {"type": "object", "additionalProperties": False, "properties": properties}
    return _scalar(kind.kind if isinstance(kind, LogOnly) else kind)


def _scalar(kind: Kind) -> Json:
    match kind:
        case Flag() | Switch():
            return {"type": "boolean"}
        case Integer():
            return {"type": "integer", "minimum": kind.low, "maximum": kind.high}
        case Seconds():
            most = {} if kind.high >= LONGEST_TIMER else {"maximum": kind.high}
            return {"type": "number", "minimum": kind.low, **most}
        case Choice():
            return {"enum": list(kind.values)}
    return {"type": "string", "x-form": kind.name}


# A model


def as_plain(config: Config) -> Json:
    """Every setting that is in force, defaults too; None is left out."""
    found = _block(config)
    loose = {keyword.name: keyword for keyword in Config.LOOSE}
    for keyword in loose.values():
        if hasattr(config.global_defs, keyword.into):
            found.setdefault(keyword.name, _value(keyword, getattr(config.global_defs, keyword.into), None))
    found["virtual_server"] = [
        {HEAD: ServiceHead().write(Service(vs.endpoint, vs.fwmark, vs.group)), **_block(vs)}
        for vs in config.virtual_servers
    ]
    for name, group in config.groups.items():
        found.setdefault("virtual_server_group", []).append(
            _lines(name, "virtual_server_group", group.members)
        )
    for name, local in config.local_address_groups.items():
        lines = _lines(name, "local_address_group", local.addresses)
        found.setdefault("local_address_group", []).append(lines)
    for name, blocks in config.extensions.items():
        found[name] = [_extension(block) for block in blocks]
    return {name: value for name, value in found.items() if value is not None}


def _extension(block: Any) -> Json:
    title = getattr(block, "name", None)
    return {**({} if title is None else {HEAD: str(title)}), **_block(block)}


def _lines(name: str, keyword: str, entries: Iterable[Any]) -> Json:
    kind = next(each.kind for each in keywords_of(Config) if each.name == keyword)
    assert isinstance(kind, Lines)
    return {HEAD: name, "lines": [kind.entry.write(entry) for entry in entries]}


SPECIAL: Final = frozenset(("virtual_server", "virtual_server_group", "local_address_group"))


def _block(block: Any) -> Json:
    found: Json = {}
    fields = {each.name for each in dataclasses.fields(block)}
    without = getattr(type(block), "WITHOUT", ())
    for keyword in keywords_of(type(block)):
        if keyword.into in fields and keyword.name not in without and keyword.name not in SPECIAL:
            value = _value(keyword, getattr(block, keyword.into), block)
            if value is not None:
                found[keyword.name] = value
    if hasattr(block, "loose_values"):
        loose = {keyword.name: keyword for keyword in keywords_of(type(block))}
        for name, value in block.loose_values():
            _put(found, loose[name], _value(loose[name], value, block))
    if hasattr(block, "checks"):
        _checks(found, block.checks)
    return found


def _put(found: Json, keyword: Keyword, value: Any) -> None:
    """One more value of a keyword."""
    if value is None:
        return
    if _is_many(keyword) and not isinstance(value, list):
        found.setdefault(keyword.name, []).append(value)
    else:
        found[keyword.name] = value


def _checks(found: Json, checks: Iterable[CheckConfig]) -> None:
    for check in checks:
        found.setdefault(check.KIND, []).append(_block(check))


def _value(keyword: Keyword, value: Any, owner: Any) -> Any:
    kind = keyword.kind.kind if isinstance(keyword.kind, LogOnly) else keyword.kind
    if value is None:
        return None
    if isinstance(kind, Block):
        return _inner(keyword, kind, value)
    if isinstance(kind, Lines):
        return [kind.entry.write(each) for each in value] if not isinstance(value, Mapping) else None
    if isinstance(kind, Kept):
        return None
    if keyword.repeated:
        return [_plain(kind, each, owner) for each in value]
    return _plain(kind, value, owner)


def _inner(keyword: Keyword, kind: Block, value: Any) -> Any:
    if kind.keyed:
        return [{HEAD: name, **_block(each)} for name, each in value.items()]
    if keyword.repeated:
        return [{**_head(kind, each), **_block(each)} for each in value]
    return _block(value)


def _head(kind: Block, block: Any) -> Json:
    """What stands behind the keyword."""
    if isinstance(kind.head, ServerHead):
        return {HEAD: kind.head.write(block.endpoint)}
    return {} if kind.head is None else {HEAD: str(block.name)}


def _plain(kind: Kind, value: Any, owner: Any) -> Any:
    if isinstance(kind, (Flag, Switch)) or isinstance(value, bool):
        return bool(value)
    if isinstance(kind, (Integer, Seconds)):
        return value if kind.low <= value <= kind.high else None  # what stands for "not set"
    if isinstance(kind, Choice):
        return next((word for word, meaning in kind.values.items() if meaning == value), None)
    if isinstance(kind, MethodKind) and not isinstance(value, Method):
        return kind.write(Method(value, owner.tunnel))
    return kind.write(value)
