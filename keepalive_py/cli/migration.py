"""The tables of the migration guide that follow from the program itself. Pure.

`docs/migration.md` has places for them; a test holds it to `filled`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from keepalive_py.cli.options import FLAGS, Flag
from keepalive_py.config.elsewhere import ELSEWHERE
from keepalive_py.config.language import Grammar, Language
from keepalive_py.config.reference import status
from keepalive_py.config.schema import Keyword

SAME: Final = "same"

# Signal, its number, to keepalived's parent, here.
SIGNALS: Final = (
    ("HUP", 1, "reload", "reload; refused when the new configuration has new mistakes"),
    ("INT", 2, "stop (`--ignore-sigint`: ignored)", SAME),
    ("USR1", 10, "dump of data, one file of each process", "`_parent.data` and `_check.data`"),
    ("USR2", 12, "dump of VRRP's statistics", "dump of IPVS's and the checks' statistics, `_check.stats`"),
    ("TERM", 15, "stop", SAME),
    ("RTMIN+2", 36, "VRRP as JSON", "services, servers and checks as JSON, `_check.json`"),
    ("RTMIN+10", 44, "–", "go on as the program that is on the disk now"),
    ("RTMAX-1", 63, "clear VRRP's statistics", "said, and nothing done"),
)

Place = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, language: Language) -> str:
    """The page with each table in its place."""
    tables: dict[str, Callable[[], Iterable[str]]] = {
        "flags": flags,
        "signals": signals,
        "keywords": lambda: without_effect(language),
    }

    def put(place: re.Match[str]) -> str:
        return "".join((place[1], *(f"{line}\n" for line in tables[place[2]]()), place[3]))

    return Place.sub(put, page)


def flags() -> Iterator[str]:
    yield "| option | meaning | here |"
    yield "|---|---|---|"
    for flag in FLAGS:
        meaning, here = _meaning(flag)
        yield f"| {_spelling(flag)} | {meaning} | {here} |"


def _spelling(flag: Flag) -> str:
    names = ", ".join(f"`{name}`" for name in (f"-{flag.short}", f"--{flag.long}") if name.strip("-"))
    return f"{names} {flag.argument}".rstrip()


def _meaning(flag: Flag) -> tuple[str, str]:
    """What the flag is for, and what becomes of it; the help has both when something is special."""
    meaning, _, more = flag.help.removesuffix(" (VRRP: no effect here)").partition(": ")
    if "(" in meaning and ")" not in meaning:
        meaning, more = flag.help, ""
    if flag.help != flag.help.removesuffix(" (VRRP: no effect here)"):
        return meaning, "accepted with a remark, no effect: it is for VRRP"
    if flag.effect is not None or flag.action:
        return meaning, f"{SAME}: {more}" if more else SAME
    return meaning, f"accepted, no effect: {more}" if more else "accepted, no effect"


def signals() -> Iterator[str]:
    yield "| signal | number | keepalived | here |"
    yield "|---|---|---|---|"
    for name, number, there, here in SIGNALS:
        yield f"| {name} | {number} | {there} | {here} |"


def without_effect(language: Language) -> Iterator[str]:
    """Keepalived's keywords that do nothing here, under the reason."""
    found: dict[str, list[str]] = {}
    for title, keyword in _all(language.top):
        if keyword.since != "ours" and status(keyword) != "does":
            name = f"`{keyword.name}`" + (f" of {title}" if title else "")
            found.setdefault(status(keyword).partition(": ")[2], []).append(name)
    yield "| keywords | why they have no effect |"
    yield "|---|---|"
    for why, names in found.items():
        yield f"| {', '.join(dict.fromkeys(names))} | {why} |"
    rest = f"{len(ELSEWHERE)} of `global_defs`, at the end of [reference.md](reference.md)"
    yield f"| {rest} | {ELSEWHERE[0].idle} |"


def _all(grammar: Grammar, title: str = "") -> Iterator[tuple[str, Keyword]]:
    """Every keyword, with the title of its block; nothing inside blocks that are ours."""
    known = {keyword.name for keyword in ELSEWHERE}
    for name, keyword in grammar.keywords.items():
        if name == keyword.name and name not in known:
            yield title, keyword
    for name, inner in grammar.blocks.items():
        if grammar.keywords[name].since != "ours":
            yield from _all(inner, f"`{inner.title}`")
