"""The keyword reference in Markdown, from the declarations. Pure.

`docs/reference.md` is `reference(language(REGISTRY))`; a test holds it to that.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import Any, Final

from keepalive_py.config.check import CheckConfig, NetworkCheckConfig
from keepalive_py.config.elsewhere import ELSEWHERE
from keepalive_py.config.fullnat import ALLOW_BY_RULE, BOUND_ELSEWHERE, DENY_BY_RULE, ONE_HASH
from keepalive_py.config.kinds import Block, Choice, Flag, Lines, LogOnly
from keepalive_py.config.language import Grammar, Language
from keepalive_py.config.schema import NOTHING, Keyword, SameAs, keywords_of
from keepalive_py.config.vrrp import Kept

__all__ = ["reference", "row", "status"]

OPENING: Final = """\
# Keywords

Made from the declarations in `keepalive_py/config` and `keepalive_py/checkers`. The words are those of
keepalived.conf(5). "Ours" in the column Since marks what keepalived does not know, and which therefore
best stands in `keepalive_py.conf` beside the main file. Of keywords that inherit, the default holds when
neither the real server nor the virtual server says anything. The status is "does", or why a keyword is
accepted and has no effect; such a keyword is noted when it is read.
"""
HEADER: Final = (
    "| keyword | value | unit | default | since | meaning | status |",
    "|---|---|---|---|---|---|---|",
)
# Of these the virtual server says itself, once, that they do nothing.
SAID_ELSEWHERE: Final = {
    "hash_target": ONE_HASH,
    "vip_bind_dev": BOUND_ELSEWHERE,
    "daddr_group_name": DENY_BY_RULE,
    "waddr_group_name": ALLOW_BY_RULE,
}
NONE: Final = "–"
KINDS_OF_CHECKS: Final = (
    (CheckConfig, "Every check"),
    (NetworkCheckConfig, "Every check over the network"),
)


def reference(language: Language) -> str:
    """All keywords, a table for each kind of block."""
    lines = [OPENING, "## The top level", "", *_table(_unique(language.top))]
    for title, grammar in _grammars(language.top):
        lines += ["", f"## {title}", "", *_about(grammar.block), *_table(_own(grammar))]
    for block, title in KINDS_OF_CHECKS:
        lines += ["", f"## {title}", "", *_table(_declared(block))]
    lines += [
        "",
        "## Elsewhere",
        "",
        "Accepted in `global_defs` and without effect here: they are for other parts of",
    ]
    lines += ["keepalived.", "", ", ".join(f"`{keyword.name}`" for keyword in ELSEWHERE) + "."]
    return "\n".join(lines) + "\n"


def _grammars(grammar: Grammar, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Grammar]]:
    """Every block below, each class once, with its name and where it stands."""
    seen: set[type] = set()
    for inner in grammar.blocks.values():
        if inner.block not in seen:
            seen.add(inner.block)
            names = (*path, inner.title)
            yield f"`{inner.title}`" + (f" in `{path[-1]}`" if path else ""), inner
            yield from _grammars(inner, names)


def _about(block: type) -> list[str]:
    if not issubclass(block, CheckConfig):
        return []
    own = [f"`{name}` is {_own_default(value)}" for name, value in own_defaults(block).items()]
    defaults = f" Its own defaults: {', '.join(own)}." if own else ""
    base = KINDS_OF_CHECKS[issubclass(block, NetworkCheckConfig)][1]
    known = f"Knows what [{base.lower()}](#{base.lower().replace(' ', '-')}) knows"
    without = [name for name in block.WITHOUT if name]
    return [
        f"{known}{', save ' + ', '.join(f'`{name}`' for name in without) if without else ''}.{defaults}",
        "",
    ]


def own_defaults(block: type[CheckConfig]) -> dict[str, Any]:
    """The type's own defaults of inherited keywords."""
    return {name: value for name, value in block.DEFAULTS.items() if name not in CheckConfig.DEFAULTS}


def _own_default(value: Any) -> str:
    return f"that of `{value.field}`" if isinstance(value, SameAs) else f"{value:g}"


def _own(grammar: Grammar) -> list[Keyword]:
    """Without what is listed in a table of its own."""
    shared = {keyword.name for keyword in ELSEWHERE}
    if issubclass(grammar.block, CheckConfig):
        shared = {keyword.name for keyword in keywords_of(NetworkCheckConfig)}
    return [keyword for keyword in _unique(grammar) if keyword.name not in shared]


def _unique(grammar: Grammar) -> list[Keyword]:
    return list({keyword.name: keyword for keyword in grammar.keywords.values()}.values())


def _declared(block: type) -> list[Keyword]:
    """The keywords of a class less those of its base."""
    inherited = (
        {keyword.name for keyword in keywords_of(block.__mro__[1])} if block is not CheckConfig else set()
    )
    return [keyword for keyword in keywords_of(block) if keyword.name not in inherited]


def _table(keywords: Iterable[Keyword]) -> list[str]:
    rows = [_row(keyword) for keyword in sorted(keywords, key=lambda keyword: keyword.name)]
    return [*HEADER, *rows] if rows else ["It has no keywords of its own."]


def row(keyword: Keyword) -> tuple[str, ...]:
    """The cells of its row, in the order of the header."""
    names = ", ".join(f"`{name}`" for name in (keyword.name, *keyword.aliases))
    about = (_value(keyword), keyword.unit, _default(keyword), keyword.since)
    return names, *about, _meaning(keyword), status(keyword)


def _row(keyword: Keyword) -> str:
    cells = row(keyword)
    return "| " + " | ".join(cell.replace("|", "\\|") or NONE for cell in cells) + " |"


def _value(keyword: Keyword) -> str:
    kind = keyword.kind
    if isinstance(kind, Choice):
        return ", ".join(f"`{word}`" for word in kind.values)
    if isinstance(kind, (Block, Lines, Kept)):
        head = getattr(kind, "head", None)
        return f"{head.name} {{ }}" if head is not None else "block" if not isinstance(kind, Kept) else "kept"
    inner = kind.kind if isinstance(kind, LogOnly) else kind
    return f"{inner.name} {getattr(inner, 'range', '')}".strip()


def _default(keyword: Keyword) -> str:
    kind, default = keyword.kind, keyword.default
    if isinstance(kind, Flag):
        return "off"
    if default in (NOTHING, None, (), "") or isinstance(kind, (Block, Lines, Kept)):
        return NONE
    if isinstance(default, enum.Enum):
        return default.name
    text = kind.write(default)
    return f"`{text}`" if text.strip("\"'") else NONE


def status(keyword: Keyword) -> str:
    if isinstance(keyword.kind, Kept):
        return keyword.kind.status
    why = keyword.idle or SAID_ELSEWHERE.get(keyword.name, "")
    return f"no effect: {why}" if why else "does"


def _meaning(keyword: Keyword) -> str:
    parts = [keyword.doc]
    if keyword.deprecated:
        parts.append(f"Deprecated: use {keyword.deprecated}.")
    if keyword.inherit:
        parts.append("Inherits.")
    if keyword.repeated and not isinstance(keyword.kind, (Block, Kept, Lines)):
        parts.append("May be repeated.")
    return " ".join(part for part in parts if part)
