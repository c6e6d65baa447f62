"""A client that never stops: the lab's own."""

from keepalive_py.lab.traffic import REQUEST, Attempt, Client, Stream, ask

__all__ = ["REQUEST", "Attempt", "Client", "Stream", "ask"]
