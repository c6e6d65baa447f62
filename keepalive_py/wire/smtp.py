"""SMTP replies and commands (RFC 5321 section 4.2): bytes and values. Pure.

A reply may have several lines, `220-` until the last one, `220 `. It may arrive in any
pieces, so `ReplyReader` collects bytes until a whole reply is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from keepalive_py.errors import WireError

__all__ = ["LONGEST_REPLY", "Reply", "ReplyReader", "command"]

# A peer that talks on and on is no mail server; RFC 5321 4.5.3.1.5 allows 512 bytes a line.
LONGEST_REPLY: Final = 16384
CODE: Final = 3


@dataclass(frozen=True, slots=True)
class Reply:
    """`lines` are without code and line end."""

    code: int
    lines: tuple[str, ...]


@dataclass(slots=True)
class ReplyReader:
    """Bytes in, whole replies out. What follows a reply stays for the next one."""

    buffer: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        self.buffer += data

    def reply(self) -> Reply | None:
        """The next whole reply, None when more bytes are needed. Raises WireError for what
        cannot become one."""
        lines: list[str] = []
        start = 0
        while (end := self.buffer.find(b"\n", start)) >= 0:
            code, is_last, text = _split(bytes(self.buffer[start:end]).removesuffix(b"\r"))
            lines.append(text)
            start = end + 1
            if is_last:
                del self.buffer[:start]
                return Reply(code, tuple(lines))
        if len(self.buffer) > LONGEST_REPLY:
            raise WireError("a reply that does not end")
        return None


def _split(line: bytes) -> tuple[int, bool, str]:
    """Code, "is this the last line", text. A bare code is a whole last line."""
    code, separator, text = line[:CODE], line[CODE : CODE + 1], line[CODE + 1 :]
    if len(code) < CODE or not code.isdigit() or separator not in (b"", b" ", b"-"):
        raise WireError(f"not an SMTP reply: {line[:40].decode('latin-1')!r}")
    return int(code), separator != b"-", text.decode("utf-8", "replace")


def command(*words: str) -> bytes:
    """A command line, such as `HELO name`. Line ends inside are dropped: they would be a
    second command."""
    return " ".join(words).replace("\r", "").replace("\n", "").encode() + b"\r\n"
