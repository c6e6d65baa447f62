r"""The patterns of HTTP_GET: PCRE2's syntax and options on the `regex` library. Pure.

`regex` and not `re`, because a search there can be told how long it may take: a pattern that
backtracks without end on some answer must not hold up all the other checks.

Most patterns read the same in both. Translated here: `(?<name>`, POSIX classes such as
`[[:digit:]]`, `\h \H \v \N \R \z \Z \e \x{..}`, `\Q..\E`. What is not had (callouts, most verbs)
makes a pattern that cannot be used: the check then always fails, as
keepalived's does with a pattern that PCRE2 refuses.

Options: `caseless`, `dotall`, `multiline` and `extended` are flags; `utf` matches
characters instead of bytes and `ucp` gives classes their Unicode meaning; `firstline` and
`dollar_endonly` are done here. Of `ungreedy`, `no_auto_capture` and those that only steer
PCRE2's optimiser a search that asks *whether* and *where* sees no difference. `IGNORED` lists
those without a counterpart.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import regex

__all__ = ["IGNORED", "OPTIONS", "Pattern", "TooSlow", "UnusablePattern", "compile_pattern"]

FLAGS: Final = {
    "caseless": regex.IGNORECASE,
    "dotall": regex.DOTALL,
    "multiline": regex.MULTILINE,
    "extended": regex.VERBOSE,
}
DONE_HERE: Final = frozenset(("firstline", "dollar_endonly", "utf", "ucp", "never_utf", "never_ucp"))
NO_DIFFERENCE: Final = frozenset(
    (
        "auto_callout",
        "no_auto_capture",
        "no_auto_possess",
        "no_dotstar_anchor",
        "no_start_optimize",
        "ungreedy",
        "never_backslash_c",
        "use_offset_limit",
    )
)
IGNORED: Final = frozenset(
    ("allow_empty_class", "alt_bsux", "alt_circumflex", "alt_verbnames", "dupnames", "match_unset_backref")
)
OPTIONS: Final = frozenset(FLAGS) | DONE_HERE | NO_DIFFERENCE | IGNORED

POSIX_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r" \t-\r",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
}
ESCAPES: Final = {
    r"\h": r"[ \t]",
    r"\H": r"[^ \t]",
    r"\R": r"(?:\r\n|[\n\v\f\r])",
    r"\z": r"\Z",
    r"\Z": r"(?=\n?\Z)",
    r"\e": r"\x1b",
    r"\v": r"[\n-\r]",
    r"\N": r"[^\n]",
}
IN_CLASS: Final = {r"\h": r" \t", r"\e": r"\x1b", r"\v": r"\n-\r"}
TOKEN: Final = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|\Z)"
    r"|\\x\{(?P<code>[0-9A-Fa-f]{1,8})\}"
    r"|\[:(?P<posix>\^?[a-z]+):\]"
    r"|\(\?<(?P<name>[A-Za-z_]\w*)>"
    r"|\\."
    r"|.",
    re.DOTALL,
)


MOST_TIME, LEAST_TIME = 0.25, 0.01


class UnusablePattern(ValueError):
    """`regex` cannot do what the pattern asks for."""


class TooSlow(Exception):
    """The search was given up; the argument is how long it was given, in seconds."""


@dataclass(slots=True)
class Pattern:
    """A pattern ready for use. `allowed`: seconds of processor time for one search. Each that
    takes longer halves it: whoever is slow again and again costs little in the end."""

    compiled: Any  # regex.Pattern
    characters: bool
    first_line: bool
    allowed: float = MOST_TIME

    def matches(self, body: bytes, least: int, most: int | None) -> bool:
        """Is there a match that starts at `least`..`most`, counted in bytes of `body`? Raises
        TooSlow when that takes too long to find out."""
        if self.characters:
            start = self._search(body[least:].decode("utf-8", "surrogateescape"), 0, "\n")
            return start is not None and (most is None or least + start <= most)
        start = self._search(body, least, b"\n")
        return start is not None and (most is None or start <= most)

    def _search(self, text: Any, start: int, newline: Any) -> int | None:
        """Where the leftmost match begins, in bytes."""
        try:
            found = self.compiled.search(text, start, timeout=self.allowed)
        except TimeoutError:
            given, self.allowed = self.allowed, max(self.allowed / 2, LEAST_TIME)
            raise TooSlow(given) from None
        if found is None:
            return None
        if self.first_line and newline in text[start : found.start()]:
            return None
        if self.characters:
            return len(text[: found.start()].encode("utf-8", "surrogateescape"))
        return int(found.start())


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str, options: frozenset[str]) -> Pattern:
    """`pattern` as keepalived.conf(5) has it; raises UnusablePattern."""
    characters = "utf" in options and "never_utf" not in options
    flags = regex.VERSION0
    for option, flag in FLAGS.items():
        if option in options:
            flags |= flag
    if characters and "ucp" not in options:
        flags |= regex.ASCII
    try:
        text = translated(pattern, "dollar_endonly" in options)
        source: Any = text if characters else text.encode("utf-8", "surrogateescape")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # `--` and such mean in PCRE2 what they do now
            compiled = regex.compile(source, flags)
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        raise UnusablePattern(str(error)) from None
    return Pattern(compiled, characters, "firstline" in options)


def translated(pattern: str, dollar_endonly: bool) -> str:
    """PCRE2's spelling turned into that of `regex`."""
    parts: list[str] = []
    members = -1  # how many parts the open class has, its bracket and `^` aside; -1: none is open
    for token in TOKEN.finditer(pattern):
        text = token[0]
        if members < 0:
            parts.append(_outside(token, dollar_endonly))
            members = 0 if text == "[" else -1
        elif text == "]" and members:
            parts.append(text)
            members = -1
        else:
            parts.append(_in_class(token))
            members += not (text == "^" and parts[-2] == "[")
    return "".join(parts)


def _outside(token: re.Match[str], dollar_endonly: bool) -> str:
    text = token[0]
    if token["quoted"] is not None:
        return re.escape(token["quoted"])
    if token["code"] is not None:
        return _character(token["code"])
    if token["posix"] is not None:
        raise UnusablePattern(f"{text} stands outside a class")
    if token["name"] is not None:
        return f"(?P<{token['name']}>"
    if text == "$" and dollar_endonly:
        return r"\Z"
    return ESCAPES.get(text, text)


def _in_class(token: re.Match[str]) -> str:
    text = token[0]
    if token["quoted"] is not None:
        return re.escape(token["quoted"])
    if token["code"] is not None:
        return _character(token["code"])
    if token["posix"] is not None:
        return _posix(token["posix"])
    if text == "[":
        return r"\["
    return IN_CLASS.get(text, text)


def _character(code: str) -> str:
    number = int(code, 16)
    if number > 0x10FFFF:
        raise UnusablePattern(f"no character has the number {code}")
    return f"\\x{number:02x}" if number < 0x100 else re.escape(chr(number))


def _posix(name: str) -> str:
    members = POSIX_CLASSES.get(name)
    if members is None:
        raise UnusablePattern(f"[:{name}:] has no counterpart")
    return members
