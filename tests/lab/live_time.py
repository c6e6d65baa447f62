"""Time in which this machine really ran: the lab's own."""

from keepalive_py.lab.live_time import LiveClock, within

__all__ = ["LiveClock", "within"]
