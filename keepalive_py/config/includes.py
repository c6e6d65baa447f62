"""`include` in its six forms: which files it means, and which failures count. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from keepalive_py.config.source import Source, directory_of, join

__all__ = [
    "Include",
    "IncludeCheck",
    "IncludeLevel",
    "Missing",
    "Resolution",
    "alternatives",
    "escaped",
    "parse_include",
    "resolve",
]

MOST_ALTERNATIVES = 1000
_DEEPEST_BRACES = 30


class IncludeCheck(enum.IntFlag):
    """Which problems of an include count as errors (keepalived.conf(5) `include_check`)."""

    NONE = 0
    READ = 1
    MATCH = 2
    WILDCARD = 4
    BRACE = 8
    ALL = 15


_CHECK_WORDS = {
    "read": IncludeCheck.READ,
    "match": IncludeCheck.MATCH,
    "wildcard_match": IncludeCheck.WILDCARD,
    "brace_match": IncludeCheck.BRACE,
}


@dataclass(slots=True)
class IncludeLevel:
    """The checks in force for the includes that come next. The block layer calls `set`
    when it meets `include_check`; the reader restores `checks` at the end of each file."""

    checks: IncludeCheck = IncludeCheck.NONE

    def set(self, words: Sequence[str]) -> list[tuple[int, str]]:
        """Applies the words after `include_check`; answers (index of the word, what is
        wrong with it). The man page says `readable` for what is spelt `read`."""
        if not words:
            self.checks = IncludeCheck.ALL
        problems: list[tuple[int, str]] = []
        for index, word in enumerate(words):
            check = _CHECK_WORDS.get(word.lstrip("+-") if word[:1] in {"+", "-"} else word)
            if check is None:
                problems.append((index, f"`{word}` is none of {', '.join(_CHECK_WORDS)}"))
            elif word.startswith("+"):
                self.checks |= check
            elif word.startswith("-"):
                self.checks &= ~check
            elif index:
                problems.append((index, f"a word after the first needs a sign: `+{word}` or `-{word}`"))
            else:
                self.checks = IncludeCheck.READ | check
        return problems


_FORM = re.compile(r"include([rmwba]?)[ \t]+(.+)", re.DOTALL)
_CHECKS_OF_FORM = {
    "": IncludeCheck.NONE,
    "r": IncludeCheck.READ,
    "m": IncludeCheck.READ | IncludeCheck.MATCH,
    "w": IncludeCheck.READ | IncludeCheck.MATCH | IncludeCheck.WILDCARD,
    "b": IncludeCheck.READ | IncludeCheck.BRACE,
    "a": IncludeCheck.ALL,
}


@dataclass(frozen=True, slots=True)
class Include:
    """`pattern` is the rest of the line as it stands: one name, even with blanks or quotes."""

    pattern: str
    checks: IncludeCheck


def parse_include(text: str) -> Include | None:
    match = _FORM.fullmatch(text)
    if not match:
        return None
    return Include(match.group(2), _CHECKS_OF_FORM[match.group(1)])


class Missing(enum.Enum):
    """What an include asked for in vain. The value is the bit that makes it an error."""

    FILE = IncludeCheck.MATCH
    WILDCARD = IncludeCheck.WILDCARD
    ALTERNATIVE = IncludeCheck.BRACE


@dataclass(frozen=True, slots=True)
class Resolution:
    """`paths` in the order of reading; `watched` the patterns that were looked for;
    `missing` the worst of what was not there, `absent` the names that stand for it."""

    paths: list[str]
    watched: list[str]
    missing: Missing | None = None
    absent: tuple[str, ...] = ()


def escaped(path: str) -> str:
    """A pattern that matches exactly `path` (glob(7))."""
    return re.sub(r"([*?\[\\])", r"\\\1", path)


def resolve(pattern: str, directory: str, source: Source) -> Resolution | None:
    """The files that `pattern` means in `directory`, or None when its braces stand for more
    than `MOST_ALTERNATIVES` names."""
    names = alternatives(pattern)
    if names is None:
        return None
    paths: list[str] = []
    watched: list[str] = []
    vain: list[tuple[Missing, str]] = []
    for name in names:
        looked_for = join(escaped(directory), name)
        found = source.glob(looked_for)
        watched.append(looked_for)
        paths.extend(found)
        if not found:
            vain.append((_kind_of_miss(name, looked_for, source), name))
    absent = tuple(name for kind, name in vain if kind is Missing.FILE)
    if absent:
        kind = Missing.FILE if names == [pattern] else Missing.ALTERNATIVE
        return Resolution(paths, watched, kind, absent)
    if not paths:
        return Resolution(paths, watched, Missing.WILDCARD, (pattern,))
    return Resolution(paths, watched)


_WILDCARD = re.compile(r"(?<!\\)[*?\[]")


def _kind_of_miss(name: str, looked_for: str, source: Source) -> Missing:
    """A wildcard in a directory that does not exist is a missing file, not an empty match."""
    if not _WILDCARD.search(name):
        return Missing.FILE
    fixed = looked_for
    while _WILDCARD.search(fixed):
        fixed = directory_of(fixed)
    return Missing.WILDCARD if not fixed or source.glob(fixed) else Missing.FILE


def alternatives(pattern: str) -> list[str] | None:
    """`a{b,c}d` as `abd`, `acd`, in that order (GLOB_BRACE of glob(3)); a brace without a
    partner is an ordinary character. None: too many."""
    if pattern.count("{") > _DEEPEST_BRACES:
        return None
    names = list(islice(_alternatives(pattern), MOST_ALTERNATIVES + 1))
    return names if len(names) <= MOST_ALTERNATIVES else None


def _alternatives(pattern: str) -> Iterator[str]:
    opening = pattern.find("{")
    parts = _brace_parts(pattern, opening) if opening >= 0 else None
    if parts is None:
        yield pattern
        return
    inside, rest = parts
    for part in inside:
        yield from _alternatives(pattern[:opening] + part + rest)


def _brace_parts(pattern: str, opening: int) -> tuple[list[str], str] | None:
    """The alternatives between the brace at `opening` and its partner, and what follows."""
    depth = 0
    parts: list[str] = []
    start = opening + 1
    for index in range(opening, len(pattern)):
        character = pattern[index]
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        if depth == 0 or (depth == 1 and character == ","):
            parts.append(pattern[start:index])
            start = index + 1
        if depth == 0:
            return parts, pattern[start:]
    return None
