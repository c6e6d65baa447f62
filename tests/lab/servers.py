"""The scripted servers of keepalive_py.testing, each in a namespace of the lab."""

from __future__ import annotations

import ssl

from keepalive_py.testing import servers
from keepalive_py.testing.servers import Answer, self_signed
from lab.namespace import Namespace

__all__ = ["Answer", "DatagramServer", "Server", "self_signed"]

VARYING = (b"date:", b"message-id:")  # headers of a mail


def unvaried(mail: bytes) -> bytes:
    """Without what differs from one mail to the next."""
    lines = mail.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(VARYING))


class Server(servers.Server):
    """It runs in the thread of `namespace`, and goes with it; `be` is called from any other."""

    def __init__(
        self,
        namespace: Namespace,
        address: str,
        port: int,
        *,
        kind: str = "tcp",
        tls: ssl.SSLContext | None = None,
        name: str = "",
    ) -> None:
        super().__init__(address, port, kind=kind, tls=tls, name=name)
        self.namespace = namespace

    def be(self, behaviour: str, delay: float = 0.0) -> None:
        """Behave so from now on."""
        self.namespace.run(self.become(behaviour, delay))

    def close(self) -> None:
        """What is not gone with the namespace."""

    def _kept(self, mail: bytes) -> bytes:
        return unvaried(mail)


class DatagramServer(Server, servers.DatagramServer):
    """Over UDP."""
