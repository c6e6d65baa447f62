"""The parameters by which a list is narrowed, alike everywhere."""

from __future__ import annotations

from typing import Final

from keepalive_py.control.fields import Field

SERVICE: Final = Field(
    name="service",
    default="",
    doc="Only this virtual server: a name as shown, ADDRESS, ADDRESS:PORT, a group's name or `fwm N`.",
    example="192.0.2.10:80",
)
SERVER: Final = Field(
    name="server",
    default="",
    doc="Only this real server: a name as shown, ADDRESS or ADDRESS:PORT.",
    example="10.0.0.5",
)
STATE: Final = Field(
    name="state", default="", doc="Only servers that their checks find so.", choices=("up", "down")
)
