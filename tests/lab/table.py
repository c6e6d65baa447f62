"""The kernel's IPVS table, as ipvsadm tells it, in a form that compares."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.namespace import Namespace

PROTOCOLS = {"-t": "TCP", "-u": "UDP", "--sctp-service": "SCTP", "-f": "FWM"}

NO_LIMITS = "-x 0 -y 0"


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


def thresholds(listed: str) -> dict[tuple[str, str], str]:
    """Service and destination to `-x UPPER -y LOWER`, from `ipvsadm -Ln --thresholds`."""
    found = {}
    service = ""
    for words in map(str.split, listed.splitlines()[3:]):
        if words[0] == "->":
            found[service, words[1]] = f"-x {words[2]} -y {words[3]}"
        else:
            service = " ".join(words[:2]) + (" -6" if "IPv6" in words[2:3] else "")
    return found


def read(namespace: Namespace, *, limits: bool = False) -> Table:
    """With `limits`, thresholds too: `ipvsadm -S` leaves them out, `-Ln --thresholds`
    nearly everything else."""
    table = parse(namespace.output(["ipvsadm", "-Sn"]))
    found = thresholds(namespace.output(["ipvsadm", "-Ln", "--thresholds"])) if limits else {}
    for service, entry in table.items():
        for name in entry.destinations:
            limit = found.get((service, name), NO_LIMITS)
            entry.destinations[name] += "" if limit == NO_LIMITS else f" {limit}"
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
