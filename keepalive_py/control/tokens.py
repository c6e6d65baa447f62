"""Who may ask over TCP: a file with a line for each.

    # NAME    ROLE       TOKEN
    grafana   read-only  sha256:9f86d081884c7d65...
    alice     operator   kTq3...        (at least 20 characters)

A token may stand there itself or as its SHA-256. The file must be its owner's alone; one that others
could read or write is refused, since a token in it would be everybody's.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from dataclasses import dataclass
from typing import Final

from keepalive_py.control.caller import Caller, Role

SHORTEST: Final = 20  # characters of a token
DIGEST: Final = "sha256:"
ROLES: Final = {role.word: role for role in (Role.READER, Role.OPERATOR)}
MOST: Final = 1000  # lines
LARGEST: Final = 1 << 20  # bytes


class BadTokens(Exception):
    """The file cannot be used; the message is for the operator."""


@dataclass(frozen=True, slots=True)
class Token:
    digest: bytes
    caller: Caller


class Tokens:
    """All of one file."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    def caller(self, presented: str) -> Caller | None:
        """In a time that does not depend on how much of it is right, nor on whose it is."""
        digest = digest_of(presented)
        found: Caller | None = None
        for token in self.tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token.caller
        return found


def digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def read_tokens(path: str) -> Tokens:
    """Raises BadTokens."""
    try:
        with open(path, encoding="utf-8", opener=opened_at_once) as stream:
            refuse_open_file(path, os.fstat(stream.fileno()))
            text = stream.read(LARGEST)
    except OSError as error:
        raise BadTokens(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadTokens(f"{path}: it is not text in UTF-8") from None
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1)]
    return Tokens(
        [token_in(path, number, words) for number, words in lines if words and words[0][0] != "#"][:MOST]
    )


def opened_at_once(path: str, flags: int) -> int:
    """Without waiting for somebody to write to a FIFO."""
    return os.open(path, flags | os.O_NONBLOCK)


def refuse_open_file(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BadTokens(f"{path}: it is not a regular file")
    if status.st_uid not in (0, os.geteuid()):
        raise BadTokens(f"{path}: it belongs to somebody else")
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadTokens(
            f"{path}: others may use it (mode {status.st_mode & 0o777:o}); chmod 600 makes it its owner's"
        )


def token_in(path: str, number: int, words: list[str]) -> Token:
    """Raises BadTokens."""
    if len(words) != 3:
        raise BadTokens(f"{path}:{number}: {len(words)} words; a line is NAME ROLE TOKEN")
    name, role, token = words
    if role not in ROLES:
        raise BadTokens(f"{path}:{number}: `{role}` is no role; there are {', '.join(ROLES)}")
    return Token(digest_in(path, number, token), Caller(name, ROLES[role]))


def digest_in(path: str, number: int, token: str) -> bytes:
    if not token.startswith(DIGEST):
        if len(token) < SHORTEST:
            raise BadTokens(f"{path}:{number}: the token has fewer than {SHORTEST} characters")
        return digest_of(token)
    try:
        digest = bytes.fromhex(token.removeprefix(DIGEST))
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise BadTokens(f"{path}:{number}: that is no SHA-256 in hexadecimal")
    return digest
