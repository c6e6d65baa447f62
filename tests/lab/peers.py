"""A BFD neighbour on a wire of its own: our speaker, in the role of any other."""

from __future__ import annotations

from ipaddress import ip_address

from keepalive_py.bfd import Speaker
from keepalive_py.config.bfd_instance import BfdInstance
from lab.namespace import Namespace, link
from lab.servers import Server

INTERVAL = 0.5  # s, both ways


class BfdPeer(Server):
    """At `address`, ending in .2; the daemon's end of the wire has .1. It knows `serve` and
    `refuse`, which is to fall silent."""

    def __init__(self, namespace: Namespace, address: str, port: int) -> None:
        super().__init__(namespace, address, port, kind="bfd")
        self.home = Namespace("bfd-peer")
        self.other_end = address.rpartition(".")[0] + ".1"
        link(namespace, "bfd-here", self.home, "bfd-there")
        namespace.ip(f"address add {self.other_end}/24 dev bfd-here")
        self.home.ip(f"address add {address}/24 dev bfd-there")
        self.speaker: Speaker | None = None

    def be(self, behaviour: str, delay: float = 0.0) -> None:
        self._fall_silent()
        if behaviour == "serve":
            self.speaker = self.home.call(Speaker, lambda _name, _verdict: None)
            self.home.call(self._speak, self.speaker)

    def _speak(self, speaker: Speaker) -> None:
        neighbor = ip_address(self.other_end)
        instance = BfdInstance(
            name="daemon", neighbor=neighbor, min_rx=INTERVAL, min_tx=INTERVAL, multiplier=8
        )
        speaker.attach(self.home.loop)
        speaker.apply({"daemon": instance})

    def _fall_silent(self) -> None:
        """The wire goes first, so that nobody hears a farewell."""
        if self.speaker is not None:
            self.home.ip("link set bfd-there down")
            self.home.call(self.speaker.close)
            self.speaker = None
            self.home.ip("link set bfd-there up")

    def close(self) -> None:
        self._fall_silent()
        self.home.close()
