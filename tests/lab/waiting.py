"""Wait for a condition: the lab's own."""

from keepalive_py.lab.waiting import LabError, equal, eventually

__all__ = ["LabError", "equal", "eventually"]
