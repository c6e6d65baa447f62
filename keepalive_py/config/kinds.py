"""The kinds of values that keywords take. Pure.

Each kind turns the words of a line into a value (`parse`) and a value into words (`write`).
"lenient" numbers are those where keepalived, when it runs, uses the leading digits of a word
with trailing junk; we do the same and say so (a bare `s` behind seconds is understood).
keepalived reads numbers as unsigned decimals: no 0x, no exponent (keepalived.conf(5)).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from keepalive_py.config.diagnostics import ExitClass, Span
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.quoting import argv, regex_words, shell_words
from keepalive_py.config.schema import NOTHING, BadValue, Kind, MissingValue
from keepalive_py.net import Address, parse_address

__all__ = [
    "Account",
    "Block",
    "Choice",
    "Digest",
    "Flag",
    "HexBytes",
    "HexPattern",
    "Integer",
    "Interface",
    "IpAddress",
    "Lines",
    "LogOnly",
    "Names",
    "Ranges",
    "RegexLine",
    "Script",
    "ScriptLine",
    "Seconds",
    "StatusCodes",
    "Switch",
    "Text",
    "UINT32",
    "Word",
    "words_of",
]

UINT32: Final = 0xFFFF_FFFF
INTERFACE_NAME_LIMIT: Final = 15  # IFNAMSIZ of linux/if.h, less the NUL

Ranges = tuple[tuple[int, int], ...]
Report = Callable[[str, str], None]  # code and summary of an error


@dataclass(frozen=True, slots=True)
class Script:
    """A command the operator configured. `argv` is what is executed; `command` the text as
    written (for logs). `user`/`group` None: the default script user."""

    argv: tuple[str, ...]
    command: str
    user: str | None = None
    group: str | None = None
    where: Span | None = field(default=None, compare=False)


def only_word(line: LogicalLine, expected: str) -> str:
    """Word 1, or MissingValue. Further words are ignored, as keepalived does."""
    if len(line.words) < 2:
        raise MissingValue(line.keyword, expected)
    return line.words[1].text


_BARE = re.compile(r"""[^\s"{}#!$@~\\][^\s"{}#!$\\]*""")


def words_of(*words: str) -> str:
    """Words as text that reads back as the same words: quoted where needed."""
    return " ".join(word if _BARE.fullmatch(word) else f'"{word}"' for word in words)


MOST_DIGITS: Final = 30  # of a number; beyond that it is out of every range anyway
# Every part may be absent: keepalived reads an empty word as 0.
_NUMBER = re.compile(r"\s*([-+]?)([0-9]*)")
_DECIMAL = re.compile(r"\s*([-+]?)([0-9]*)(?:\.([0-9]*))?")


@dataclass(frozen=True, slots=True)
class Integer(Kind):
    """A whole number `low`..`high`. `clamp`: out of range takes the nearest end; `fallback`:
    anything wrong takes this."""

    low: int = 0
    high: int = UINT32
    lenient: bool = False
    clamp: bool = False
    fallback: int | None = None
    name: str = "number"

    @property
    def range(self) -> str:
        return f"{self.low}..{self.high}"

    def parse(self, line: LogicalLine) -> int:
        return self.read(only_word(line, f"a number {self.range}"))

    def read(self, text: str, word: int = 1) -> int:
        """`text` as a number in range, or BadValue."""
        match = _NUMBER.match(text)
        sign, digits = match.groups() if match else ("", "")
        value = int(digits[:MOST_DIGITS] or 0) * (-1 if sign == "-" else 1)
        in_range = self.low <= value <= self.high
        if match and match.end() < len(text):
            lead = value if digits and self.lenient and in_range else self.fallback
            raise self._refusal(f"`{text}` is not a number", word, lead)
        if not in_range:
            nearest = min(max(value, self.low), self.high) if self.clamp else self.fallback
            raise self._refusal(f"`{text}` is outside {self.range}", word, nearest)
        return value

    def _refusal(self, summary: str, word: int, used: int | None) -> BadValue:
        return BadValue(
            summary,
            expected=f"a number {self.range}",
            word=word,
            code="bad-number",
            exit_class=ExitClass.NUMBER,
            used=NOTHING if used is None else used,
            notes=() if used is None else (f"{used} is used",),
        )


LONGEST_TIMER: Final = 18446744073709.551614  # 2^64 - 2 microseconds


@dataclass(frozen=True, slots=True)
class Seconds(Kind):
    """A time in seconds, `low`..`high`, with up to six decimals. The value is a float."""

    low: float = 0.0
    high: float = LONGEST_TIMER
    lenient: bool = False
    name: str = "seconds"

    @property
    def range(self) -> str:
        return (
            f"{decimal(self.low)}..{decimal(self.high)}"
            if self.high < LONGEST_TIMER
            else f"from {decimal(self.low)}"
        )

    def parse(self, line: LogicalLine) -> float:
        text = only_word(line, "a time in seconds")
        match = _DECIMAL.match(text)
        sign, whole, decimals = match.groups() if match else ("", "", "")
        value = round(float(f"{sign}{whole[:MOST_DIGITS] or 0}.{decimals or 0}"), 6)
        in_range = self.low <= value <= self.high
        junk = text[match.end() :] if match else ""
        if junk:
            unit = whole and junk == "s" and self.lenient and in_range
            raise self._refusal(f"`{text}` is not a number of seconds", value if unit else None)
        if not in_range:
            raise self._refusal(f"`{text}` is out of range")
        if decimals and len(decimals) > 6:
            raise self._refusal(f"`{text}` has more than six decimals", value)
        return value

    def _refusal(self, summary: str, used: float | None = None) -> BadValue:
        return BadValue(
            summary,
            expected=f"seconds {self.range}",
            code="bad-number",
            exit_class=ExitClass.NUMBER,
            used=NOTHING if used is None else used,
            notes=() if used is None else (f"{decimal(used)} seconds are used",),
        )

    def write(self, value: float) -> str:
        return decimal(value)


def decimal(value: float) -> str:
    """Seconds as keepalived writes them: no exponent, at most six decimals, no idle zeros."""
    text = f"{value:.6f}".rstrip("0")
    return text.rstrip(".")


TRUE_WORDS: Final = ("on", "true", "yes")
FALSE_WORDS: Final = ("off", "false", "no")


@dataclass(frozen=True, slots=True)
class Switch(Kind):
    """on/true/yes, off/false/no; no word means on."""

    name: str = "switch"

    def parse(self, line: LogicalLine) -> bool:
        text = line.text(1)
        if text is None or text in TRUE_WORDS:
            return True
        if text in FALSE_WORDS:
            return False
        raise BadValue(f"`{text}` is neither on nor off", expected="on, off, true, false, yes or no")

    def write(self, value: bool) -> str:
        return "on" if value else "off"


@dataclass(frozen=True, slots=True)
class Flag(Kind):
    """True when the keyword is there; keepalived ignores what stands behind it."""

    name: str = "flag"

    def parse(self, line: LogicalLine) -> bool:
        text = line.text(1)
        if text in FALSE_WORDS:
            raise BadValue(
                f"`{line.keyword} {text}` switches it on",
                code="ignored-argument",
                exit_class=None,
                used=True,
                notes=(f"`{line.keyword}` takes no argument; remove the line to switch it off",),
            )
        return True

    def write(self, value: bool) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class LogOnly(Kind):
    """`kind`, whose mistakes keepalived sends to its log only, so that `-t` does not count them."""

    kind: Kind

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.kind.name

    def parse(self, line: LogicalLine) -> Any:
        try:
            return self.kind.parse(line)
        except BadValue as bad:
            bad.exit_class = None
            raise

    def write(self, value: Any) -> str:
        return self.kind.write(value)


@dataclass(frozen=True, slots=True)
class Word(Kind):
    """One word. `limit`: longer is cut, with an error; `alone`: nothing may follow."""

    limit: int = 0
    alone: bool = False
    name: str = "word"

    def parse(self, line: LogicalLine) -> str:
        text = only_word(line, "a word")
        if self.alone and len(line.words) > 2:
            raise BadValue(f"{line.keyword} takes one word", word=2, code="extra-words")
        if self.limit and len(text) > self.limit:
            cut = text[: self.limit]
            raise BadValue(
                f"`{text}` is longer than {self.limit} characters",
                code="too-long",
                used=cut,
                notes=(f"`{cut}` is used",),
            )
        return text

    def write(self, value: str) -> str:
        return words_of(value)


@dataclass(frozen=True, slots=True)
class Text(Word):
    """Free text; quoted when it holds blanks."""

    name: str = "text"


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a few words. The value is what `values` maps the word to."""

    values: dict[str, Any]
    fold: bool = False  # any case
    name: str = "choice"

    def parse(self, line: LogicalLine) -> Any:
        names = ", ".join(self.values)
        text = only_word(line, f"one of {names}")
        found = self.values.get(text.upper() if self.fold else text)
        if found is None:
            raise BadValue(f"`{text}` is not one of {names}", expected=names, code="unknown-choice")
        return found

    def write(self, value: Any) -> str:
        return next(word for word, meaning in self.values.items() if meaning == value)


@dataclass(frozen=True, slots=True)
class IpAddress(Kind):
    """An IPv4 or IPv6 literal; names are not looked up."""

    name: str = "IP address"

    def parse(self, line: LogicalLine) -> Address:
        return read_address(only_word(line, "an IP address"))


def literal_address(text: str, word: int = 1) -> Address:
    """An address literal without a zone (`%eth0`), or BadValue."""
    with suppress(ValueError):
        if "%" not in text:
            return parse_address(text)
    raise BadValue(
        f"`{text}` is not an IP address",
        expected="an IPv4 or IPv6 literal",
        word=word,
        code="bad-address",
    )


def read_address(text: str, word: int = 1) -> Address:
    """An address, or BadValue. Of a range or a prefix (`A-5`, `A/24`) the address is used;
    keepalived does so without a word."""
    literal = text.split("/")[0].split("-")[0]
    if literal == text:
        return literal_address(text, word)
    raise BadValue(
        f"`{text}` is one address here, not several",
        word=word,
        code="ignored-range",
        exit_class=None,
        used=literal_address(literal, word),
        notes=(f"{literal} is used, as in keepalived",),
    )


@dataclass(frozen=True, slots=True)
class Interface(Kind):
    """The name of a network interface, at most 15 characters."""

    name: str = "interface"

    def parse(self, line: LogicalLine) -> str:
        text = only_word(line, "an interface")
        if not text:
            raise BadValue("an empty name is no interface", exit_class=None)
        if len(text) > INTERFACE_NAME_LIMIT:
            raise BadValue(f"`{text}` is not an interface name", expected="1 to 15 characters")
        return text

    def write(self, value: str) -> str:
        return words_of(value)


@dataclass(frozen=True, slots=True)
class Account(Kind):
    """USER [GROUP]: a pair, the group None when not written."""

    name: str = "user [group]"

    def parse(self, line: LogicalLine) -> tuple[str, str | None]:
        return only_word(line, "a user"), line.text(2)

    def write(self, value: tuple[str, str | None]) -> str:
        user, group = value
        return words_of(user) if group is None else words_of(user, group)


@dataclass(frozen=True, slots=True)
class Names(Kind):
    """Any of a set of words, as a frozenset; others are told and left out."""

    known: frozenset[str]
    name: str = "words"

    def parse(self, line: LogicalLine) -> frozenset[str]:
        words = [word.text for word in line.words[1:]]
        good = frozenset(word for word in words if word in self.known)
        for index, word in enumerate(words, 1):
            if word not in self.known:
                raise BadValue(
                    f"`{word}` is not known to {line.keyword}",
                    word=index,
                    code="unknown-choice",
                    exit_class=None,
                    used=good,
                    notes=("it is left out; keepalived does so without a word",),
                )
        return good

    def write(self, value: frozenset[str]) -> str:
        return " ".join(sorted(value))


@dataclass(frozen=True, slots=True)
class StatusCodes(Kind):
    """HTTP status codes: `N` and `N-M` words. The value: sorted (first, last) pairs, joined
    where they touch."""

    low: int = 100
    high: int = 599
    name: str = "status codes"

    def parse(self, line: LogicalLine) -> Ranges:
        only_word(line, "a status code")
        return joined([self._range(word.text, index) for index, word in enumerate(line.words) if index])

    def _range(self, text: str, index: int) -> tuple[int, int]:
        number = Integer(self.low, self.high)
        first_text, dash, last_text = text.partition("-")
        first = number.read(first_text, index)
        last = number.read(last_text, index) if dash else first
        if last < first:
            raise BadValue(f"`{text}` ends before it starts", word=index, code="bad-range")
        return first, last

    def write(self, value: Ranges) -> str:
        return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in value)


def joined(ranges: list[tuple[int, int]]) -> Ranges:
    """Ranges sorted, with overlapping and touching ones joined."""
    result: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return tuple(result)


@dataclass(frozen=True, slots=True)
class Digest(Kind):
    """An MD5 digest: 32 hex digits. The value is 16 bytes."""

    name: str = "MD5"

    def parse(self, line: LogicalLine) -> bytes:
        text = only_word(line, "32 hex digits")
        if not re.fullmatch(r"[0-9A-Fa-f]{32}", text):
            raise BadValue(f"`{text}` is not an MD5 digest", expected="32 hex digits", code="bad-digest")
        return bytes.fromhex(text)

    def write(self, value: bytes) -> str:
        return value.hex()


_HEX_BYTE = re.compile(r"\s*([0-9A-Fa-f]{2}|[0-9A-Fa-f](?=\s|$))\s*")
_HEX_PATTERN_BYTE = re.compile(r"\s*([0-9A-FXa-fx]{2}|[0-9A-FXa-fx](?=\s|$))\s*")


def _hex_words(line: LogicalLine, byte: re.Pattern[str]) -> list[str]:
    text = " ".join(word.text for word in line.words[1:])
    found: list[str] = []
    position = 0
    while position < len(text) or (len(line.words) > 1 and not found):
        match = byte.match(text, position)
        if match is None:
            raise BadValue(f"`{text}` is not hexadecimal", expected="pairs of hex digits", code="bad-hex")
        found.append(match[1].rjust(2, "0"))
        position = match.end()
    return found


@dataclass(frozen=True, slots=True)
class HexBytes(Kind):
    """Bytes as hex digit pairs; blanks may stand between bytes, a lone digit is a byte."""

    name: str = "hex bytes"

    def parse(self, line: LogicalLine) -> bytes:
        only_word(line, "hex bytes")
        return bytes(int(word, 16) for word in _hex_words(line, _HEX_BYTE))

    def write(self, value: bytes) -> str:
        return value.hex()


@dataclass(frozen=True, slots=True)
class HexPattern(Kind):
    """Hex digits with `X` for any digit; may be absent. The value: a pair (bytes, mask), both
    empty when nothing is written; a byte b fits when `b & mask == byte`."""

    name: str = "hex pattern"

    def parse(self, line: LogicalLine) -> tuple[bytes, bytes]:
        words = [word.upper() for word in _hex_words(line, _HEX_PATTERN_BYTE)]
        wanted = bytes(int(word.replace("X", "0"), 16) for word in words)
        mask = bytes(int("".join("0" if digit == "X" else "F" for digit in word), 16) for word in words)
        return wanted, mask

    def write(self, value: tuple[bytes, bytes]) -> str:
        pairs = zip(*value, strict=True)
        return "".join(_digit(b >> 4, m >> 4) + _digit(b & 15, m & 15) for b, m in pairs)


def _digit(value: int, mask: int) -> str:
    return f"{value:x}" if mask else "X"


@dataclass(frozen=True, slots=True)
class ScriptLine(Kind):
    """A command in shell-like quoting, then [USER [GROUP]] unless `account` is off."""

    account: bool = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return "command [user [group]]" if self.account else "command"

    def parse(self, line: LogicalLine) -> Script:
        words = shell_words(line.raw)
        if len(words) < 2:
            raise MissingValue(line.keyword, "a command")
        command = words[1]
        arguments = argv(command)
        if not arguments:
            raise BadValue("the command is empty", code="empty-command", exit_class=None)
        account = (words[2:4] if self.account else []) + ["", ""]
        return Script(arguments, command, account[0] or None, account[1] or None, line.span)

    def write(self, value: Script) -> str:
        words = [value.command, value.user, value.group] if self.account else [value.command]
        return " ".join(shell_quoted(word) for word in words if word is not None)


def shell_quoted(text: str) -> str:
    """`text` so that the first pass of the shell-like reader gives it back.

    That pass keeps backslashes and lets them protect a quote, so a command can hold at
    most one kind of bare quote; the lexer's own double quotes come first.
    """
    if _BARE.fullmatch(text) and "'" not in text:
        return text
    if "'" not in text and not re.search(r'["{}#!]', text):
        return f"'{text}'"
    return f'"{text}"'


@dataclass(frozen=True, slots=True)
class RegexLine(Kind):
    """A PCRE2 pattern in shell-like quoting with escapes. The value is the pattern."""

    name: str = "pattern"

    def parse(self, line: LogicalLine) -> str:
        words = regex_words(line.raw)
        if len(words) < 2:
            raise MissingValue(line.keyword, "a pattern")
        if len(words) > 2:
            raise BadValue("a pattern is one word: quote it", word=2, exit_class=None)
        return words[1]

    def write(self, value: str) -> str:
        return '"' + "".join(_ESCAPED.get(character, character) for character in value) + '"'


_ESCAPED: Final = {
    "\\": "\\\\",
    '"': "\\x22",
    "$": "\\x24",
    **{chr(code): f"\\x{code:02x}" for code in (*range(32), 127)},
}


@dataclass(frozen=True, slots=True)
class Block(Kind):
    """A nested block of class `block`.

    `head` reads the words behind its keyword. `deferred`: it reaches its parent as a Draft,
    because what it means depends on lines after it. `merged`: later blocks add to the first.
    `keyed`: the parent holds a dict by the block's `name`.
    """

    block: type
    head: Kind | None = None
    deferred: bool = False
    merged: bool = False
    keyed: bool = False
    name: str = "block"


@dataclass(frozen=True, slots=True)
class Lines(Kind):
    """A block of plain lines: `entry` reads each, `made` turns head and entries into the value
    (None: nothing is stored). `keyed` as in Block."""

    entry: Kind
    made: Callable[[Any, list[Any], Report], Any]
    head: Kind | None = None
    keyed: bool = False
    name: str = "block of lines"
