"""A keepalive-py with every netlink message that it sends on record."""

from __future__ import annotations

import re

from lab.daemons import KeepalivePy

READS = {4, 8, 11, 13, 15}  # IPVS_CMD_GET_* of linux/ip_vs.h


class Traced(KeepalivePy):
    """Each start begins a new record."""

    def command(self) -> list[str]:
        # -D: the daemon, not strace, is the process that we started.
        trace = [
            "strace",
            "-D",
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-xx",
            "-s",
            "64",
            "-e",
            "trace=sendto,sendmsg",
        ]
        return [*trace, "-o", str(self.directory / "trace"), *super().command()]

    def writes(self) -> list[int]:
        """The IPVS commands so far that change something."""
        text = (self.directory / "trace").read_text(errors="replace")
        sent = re.findall(r'nlmsg_type=IPVS, [^}]*\}, "\\x(..)', text)
        return [command for command in (int(digits, 16) for digits in sent) if command not in READS]
