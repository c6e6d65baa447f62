"""The kernel's IPVS table, as ipvsadm tells it, in a form that compares."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.namespace import Namespace

PROTOCOLS = {"-t": "TCP", "-u": "UDP", "--sctp-service": "SCTP", "-f": "FWM"}


@dataclass
class Entry:
    """A service: its options (`-s rr -p 360`), and those of each destination (`-m -w 1`).
    Connection thresholds, when there are any, are added as in `-x 5 -y 3`."""

    options: str
    destinations: dict[str, str] = field(default_factory=dict)


Table = dict[str, Entry]


def parse(saved: str) -> Table:
    """The output of `ipvsadm -Sn`. Keys are like `TCP 10.0.0.1:80` and `FWM 7 -6`."""
    table: Table = {}
    for line in saved.splitlines():
        verb, kind, service, *rest = line.split()
        key = f"{PROTOCOLS[kind]} {service}"
        if rest and rest[0] == "-6":
            key += f" {rest.pop(0)}"
        if verb == "-A":
            table[key] = Entry(" ".join(rest))
        else:
            table[key].destinations[rest[1]] = " ".join(rest[2:])
    return table


def add_thresholds(table: Table, listed: str) -> None:
    """`ipvsadm -S` leaves the thresholds out; `-Ln --thresholds` has little else."""
    entry = Entry("")
    for line in listed.splitlines()[3:]:
        words = line.split()
        if words[0] == "->":
            name, upper, lower = words[1:4]
            if (upper, lower) != ("0", "0"):
                entry.destinations[name] += f" -x {upper} -y {lower}"
        else:
            entry = table[" ".join(words[:2]) + (" -6" if "IPv6" in words[2:3] else "")]


def read(namespace: Namespace) -> Table:
    table = parse(namespace.output(["ipvsadm", "-Sn"]))
    add_thresholds(table, namespace.output(["ipvsadm", "-Ln", "--thresholds"]))
    return table


def weights(namespace: Namespace) -> dict[str, dict[str, int]]:
    """Service to destination to weight: what most tests ask for."""
    return {
        key: {name: weight(options) for name, options in entry.destinations.items()}
        for key, entry in read(namespace).items()
    }


def weight(options: str) -> int:
    words = options.split()
    return int(words[words.index("-w") + 1])


def lines(table: Table) -> list[str]:
    """Sorted and indented, for comparison and for people."""
    text = []
    for key in sorted(table):
        text.append(f"{key} {table[key].options}".rstrip())
        text += [f"  {name} {options}" for name, options in sorted(table[key].destinations.items())]
    return text


def size(namespace: Namespace) -> tuple[int, int]:
    """How many services and destinations; cheap, also for very large tables."""
    rows = namespace.proc_net("ip_vs").splitlines()[3:]
    arrows = sum(row.startswith("  ->") for row in rows)
    return len(rows) - arrows, arrows
