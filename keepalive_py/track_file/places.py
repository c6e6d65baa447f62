"""Which directory entries decide what a path leads to."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["Place", "places"]

Place = tuple[str, str]  # a directory without symbolic links in its path, and a name in it
MOST_LINKS: Final = 40  # as the kernel's own limit, path_resolution(7)


def places(path: str) -> frozenset[Place]:
    """Every symbolic link on the way, and the entry at the end: the file itself, whether it
    exists or not, or the first directory that is missing. While none of these entries changes,
    `path` leads to the same file."""
    found: set[Place] = set()
    here, ahead, links = "/", _names(os.path.abspath(path)), 0
    while ahead:
        name = ahead.pop()
        if name == "..":
            here = os.path.dirname(here)
            continue
        target = _link(os.path.join(here, name))
        if target is not None and links < MOST_LINKS:
            links += 1
            found.add((here, name))
            here = "/" if target.startswith("/") else here
            ahead += _names(target)
        elif ahead and os.path.isdir(os.path.join(here, name)):
            here = os.path.join(here, name)
        else:
            return frozenset(found | {(here, name)})
    return frozenset(found)


def _names(path: str) -> list[str]:
    """Last name first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None
