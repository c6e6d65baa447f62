"""The bytes that fill a probe which says nothing of its own. Pure."""

from __future__ import annotations

from typing import Final

TEXT: Final = b"keepalived check - "


def filler(size: int) -> bytes:
    """`size` bytes of a repeated text, so that who captures the packet sees where it is from
    (keepalived sends the same in UDP_CHECK and PING_CHECK)."""
    return (TEXT * (size // len(TEXT) + 1))[:size]
