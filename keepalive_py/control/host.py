"""What the daemon offers to the control room. `daemon.controlled` fills it in."""

from __future__ import annotations

from typing import Any, Protocol

Json = dict[str, Any]


class Host(Protocol):
    """Everything here is called on the event loop and must return at once."""

    def status(self) -> Json:
        """A summary of what there is and how it is."""
