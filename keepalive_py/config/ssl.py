"""The top-level block `SSL { }`: the client's own certificate and authorities. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import Text
from keepalive_py.config.schema import Again, Empty, keyword


@dataclass(frozen=True, slots=True)
class SslFiles:
    """The top-level `SSL` block: the client's own certificate and authorities."""

    password: str | None = keyword(
        "password", Text(), default=None, again=Again.WARNS, empty=Empty.ERROR, doc="Pass phrase of the key."
    )
    ca: str | None = keyword(
        "ca",
        Text(),
        default=None,
        again=Again.WARNS,
        empty=Empty.ERROR,
        doc="File of authorities.",
        idle="keepalived loads it, but verifies no certificate, and neither do we",
    )
    certificate: str | None = keyword(
        "certificate",
        Text(),
        default=None,
        again=Again.WARNS,
        empty=Empty.ERROR,
        doc="File of our certificate.",
    )
    key: str | None = keyword(
        "key", Text(), default=None, again=Again.WARNS, empty=Empty.ERROR, doc="File of our private key."
    )
    where: Span | None = field(default=None, compare=False)
