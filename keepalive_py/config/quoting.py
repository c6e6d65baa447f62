r"""The shell-like reader of keywords that take a script or a regular expression. Pure.

keepalived reads the raw line of those keywords again with other rules than its words:
`"…"` and `'…'` both group and may begin and end inside a word.
"""

from __future__ import annotations

import re

from keepalive_py.config.schema import BadValue

__all__ = ["argv", "regex_words", "shell_words"]

_BLANKS = " \t\r\n\v\f"
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|c(.)|(.))", re.DOTALL)
_NAMED = {
    "a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
}  # fmt: skip


def shell_words(raw: str) -> list[str]:
    """First pass: the words of a line. Backslashes stay, and protect the next character.

    Word 0 is the keyword, word 1 the command, words 2 and 3 user and group. Raises
    BadValue for a quote that nothing closes.
    """
    return _words(raw, escapes=False)


def argv(command: str) -> tuple[str, ...]:
    """Second pass: the command (word 1 of `shell_words`) as the arguments of execve(2).

    Raises BadValue for an open quote and for a NUL, which no argument can hold.
    """
    words = _words(command, escapes=True)
    if any("\0" in word for word in words):
        raise BadValue("an argument cannot hold a NUL byte")
    return tuple(words)


def regex_words(raw: str) -> list[str]:
    """One pass with escapes: the words of a `regex` line."""
    return _words(raw, escapes=True)


def _words(raw: str, *, escapes: bool) -> list[str]:
    words: list[str] = []
    index = 0
    while True:
        while index < len(raw) and raw[index] in _BLANKS:
            index += 1
        if index == len(raw):
            return words
        word, index = _word(raw, index, len(words), escapes)
        words.append(word)


def _word(raw: str, index: int, number: int, escapes: bool) -> tuple[str, int]:
    word = ""
    quote = ""
    while index < len(raw):
        character = raw[index]
        if character == "\\":
            text, index = _escaped(raw, index) if escapes else (raw[index : index + 2], index + 2)
            word += text
            continue
        if character == quote:
            quote = ""
        elif quote:
            word += character
        elif character in "\"'":
            quote = character
        elif character in _BLANKS:
            break
        else:
            word += character
        index += 1
    if quote:
        raise BadValue(f"missing terminating {quote}", word=number)
    return word, min(index, len(raw))


def _escaped(raw: str, index: int) -> tuple[str, int]:
    match = _ESCAPE.match(raw, index)
    if match is None:  # the last character of the line
        return "\\", index + 1
    octal, hexadecimal, control, other = match.groups()
    if octal or hexadecimal:
        byte = int(octal, 8) & 0xFF if octal else int(hexadecimal, 16)
        return bytes([byte]).decode("ascii", "surrogateescape"), match.end()
    if control:
        return chr(ord(control) & 0x1F), match.end()
    return _NAMED.get(other, other), match.end()
