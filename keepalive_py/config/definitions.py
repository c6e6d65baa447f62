"""`$NAME=value` and the references to it. Pure.

`${NAME}` may stand anywhere; `$NAME` only before a blank, a comma, a closing parenthesis
or the end of the line, so that `$` keeps its meaning in regular expressions and shell
commands. What a reference leaves is read again, so a value may hold references.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keepalive_py.config.lexer import Text

__all__ = ["Definition", "Definitions", "Expansion", "Trouble", "Use", "parse_definition"]

# A chain of references as long as this has no end, and no line of this length is meant.
MOST_REFERENCES = 400
LONGEST_LINE = 4096

_DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_REFERENCE = re.compile(
    r"""\$ (?: \{ (?P<braced> [A-Za-z_][A-Za-z0-9_]*) (?: [ \t]+ (?P<arguments> [A-Za-z0-9_ \t]*) )? \}
             | (?P<bare> [A-Za-z_][A-Za-z0-9_]*) (?= [ \t,)] | \Z ) )""",
    re.VERBOSE,
)
_LARGEST_RANDOM = 32767


@dataclass(frozen=True, slots=True)
class Definition:
    """The lines of the value. `spread` is for a value that was written over several lines,
    which stands for lines, even when only one is left."""

    lines: tuple[str, ...]
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something odd about a reference, and the reference."""

    code: str
    name: str
    at: Text


@dataclass(frozen=True, slots=True)
class Use:
    """A reference to a spread definition, and the lines that go on in its place."""

    name: str
    lines: tuple[str, ...]
    at: Text


@dataclass(frozen=True, slots=True)
class Expansion:
    """`text` with its references resolved; a use of a spread definition at its end is cut off."""

    text: Text
    changed: bool
    use: Use | None
    troubles: tuple[Trouble, ...]


def parse_definition(text: str) -> tuple[str, str] | None:
    """Name and value of `$NAME=value`, or None when the line is something else."""
    match = _DEFINITION.fullmatch(text)
    return (match.group(1), match.group(2).strip(" \t")) if match else None


class Definitions:
    """What is defined so far. Names that begin with `_` are keepalived's, but a definition
    of the user takes precedence."""

    def __init__(
        self, *, config_id: str, environment: Mapping[str, str], random: Callable[[int, int], int]
    ) -> None:
        self._defined: dict[str, Definition] = {}
        self._config_id = config_id
        self._environment = environment
        self._random = random

    def define(self, name: str, definition: Definition) -> None:
        self._defined[name] = definition

    def set(self, name: str, value: str) -> None:
        self._defined[name] = Definition((value,))

    def names(self) -> list[str]:
        return [*self._defined, *_PREDEFINED]

    def expand_value(self, text: str, directory: str) -> str:
        """`text` with the references to one-line values resolved."""
        return self.expand(Text.of_line(text), directory).text.text

    def expand(self, text: Text, directory: str) -> Expansion:
        """Resolves from left to right. `directory` is the value of `${_PWD}`."""
        position = count = 0
        troubles: list[Trouble] = []
        while match := _REFERENCE.search(text.text, position):
            start, end = match.span()
            name, at = _name(match), text.cut(start, end)
            definition = self._resolve(match, directory)
            if definition is None:
                if match["braced"]:
                    quoted = text.text.count('"', 0, start) % 2 == 1
                    troubles.append(
                        Trouble("undefined-in-quotes" if quoted else "undefined-reference", name, at)
                    )
                position = start + 1
            elif not definition.spread:
                text = text.replace(start, end, definition.lines[0])
                position = start
                count += 1
                if count > MOST_REFERENCES or len(text) > LONGEST_LINE:
                    troubles.append(Trouble("endless-definition", name, at))
                    return Expansion(text.cut(0, 0), True, None, tuple(troubles))
            elif end == len(text):
                use = Use(name, definition.lines, at)
                return Expansion(text.cut(0, start), True, use, tuple(troubles))
            else:
                troubles.append(Trouble("definition-not-last", name, at))
                position = end
        return Expansion(text, count > 0, None, tuple(troubles))

    def _resolve(self, match: re.Match[str], directory: str) -> Definition | None:
        name, arguments = _name(match), match["arguments"]
        if arguments is None and name in self._defined:
            return self._defined[name]
        value = self._predefined(name, (arguments or "").split(), directory)
        return None if value is None else Definition((value,))

    def _predefined(self, name: str, arguments: list[str], directory: str) -> str | None:
        if name == "_RANDOM":
            return self._random_number(arguments)
        if name == "_ENV":
            return self._environment.get(" ".join(arguments), "") if arguments else None
        fixed = {"_PWD": directory, "_INSTANCE": self._config_id, "_HASH": "#", "_BANG": "!"}
        return None if arguments else fixed.get(name)

    def _random_number(self, arguments: list[str]) -> str | None:
        if len(arguments) > 2 or not all(each.isascii() and each.isdigit() for each in arguments):
            return None
        low, high = (int(each) for each in (*arguments, *("0", str(_LARGEST_RANDOM))[len(arguments) :]))
        return str(self._random(low, high) if low <= high else low)


_PREDEFINED = ("_PWD", "_INSTANCE", "_RANDOM", "_ENV", "_HASH", "_BANG")


def _name(match: re.Match[str]) -> str:
    name: str = match["braced"] or match["bare"]
    return name
