"""When a target's first probe comes: spread over the warmup time, the same after a reload."""

from __future__ import annotations

from hashlib import blake2b


def phase(identity: bytes | str, warmup: float) -> float:
    """Seconds in [0, warmup), always the same for one identity.

    keepalived draws a random number; a hash spreads as well and keeps each target's place in
    the interval over reloads and restarts. Checks that may be one probe (`Checker.identical`)
    should be given one identity, so that they are due together.
    """
    if isinstance(identity, str):
        identity = identity.encode("utf-8", "surrogateescape")
    number = int.from_bytes(blake2b(identity, digest_size=6).digest(), "big")
    return warmup * number / (1 << 48)
