"""Small configurations and what `-t` says of them: tests/unit/config/corpus/*.txt.

A line is `STATUS  BODY  => CODES`. The file's name says what the body stands in (`HTTP_GET`: in
such a check of a real server of a virtual server), `⏎` is an end of line, `∅` nothing at all, and
CODES are those of our diagnostics, notes left out. Every status is also that of Debian's keepalived
2.2.7, unless it is written `OURS/THEIRS REASON`; `REASONS` has the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent / "unit" / "config" / "corpus"

REASONS = {
    "accident": "2.2.7 stumbles over a word that it does not expect",
    "crash": "2.2.7 crashes: 134 and 139 are signals",
    "host": "whether accounts and scripts exist is no matter of the text: see `config_cases.HOST`",
    "newer": "2.2.7 does not know the keyword",
    "order": "keepalived looks for the value only after it has looked for the sorry server",
    "ours": "a word of our own",
    "resolved-later": "names are looked up when mail is sent",
    "saner": "keepalived takes what cannot work, or does not look",
    "version": "2.4 is different from 2.2.7",
    "vrrp": "values of VRRP are not looked at",
}

SERVICE = """\
virtual_server 10.0.0.1 80 {{
 lb_algo rr
 lb_kind NAT
 protocol TCP
 {service}
 real_server 10.0.0.2 80 {{
 {server}
 }}
}}
"""
TRACK_FILE = "track_file tf {\nfile /tmp/tf\n}\n"
BFD_INSTANCE = "bfd_instance b {\nneighbor_ip 10.0.0.9\n}\n"


def in_service(body: str) -> str:
    return SERVICE.format(service=body, server="")


def in_server(body: str) -> str:
    return SERVICE.format(service="", server=body)


def in_check(kind: str, body: str) -> str:
    return in_server(f"{kind} {{\n{body}\n}}")


def in_group(body: str) -> str:
    group = f"virtual_server_group G {{\n{body}\n}}\n"
    service = SERVICE.format(service="", server="").replace("10.0.0.1 80", "group G")
    return group + service


def wrapped(where: str, body: str) -> str:
    """The whole text of a body."""
    if where == "texts":
        return body
    if where == "virtual_server":
        return in_service(body)
    if where == "real_server":
        return in_server(body)
    if where == "virtual_server_group":
        return in_group(body)
    if where == "url":
        return in_check("HTTP_GET", f"url {{\npath /\n{body}\n}}")
    if where == "HTTP_GET":
        return in_check("HTTP_GET", f"{body}\nurl {{\npath /\n}}")
    if where == "FILE_CHECK":
        return TRACK_FILE + in_check(where, body)
    if where == "BFD_CHECK":
        return BFD_INSTANCE + in_check(where, body)
    if where == "track_file":
        return f"track_file tf {{\nfile /tmp/tf\n{body}\n}}\n"
    if where == "bfd_instance":
        return f"bfd_instance b {{\nneighbor_ip 10.0.0.9\n{body}\n}}\n"
    if where.endswith("_CHECK"):
        return in_check(where, body)
    return f"{where} {{\n{body}\n}}\n"


@dataclass(frozen=True)
class Entry:
    """`theirs` is the status of keepalived 2.2.7."""

    where: str
    line: int
    text: str
    status: int
    theirs: int
    reason: str
    codes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where}.txt:{self.line}"


LINE = re.compile(r"(\d+)(?:/(\d+) (\S+))?\s{2,}(.*?)(?:  => (.*))?")


def entries(where: str) -> Iterator[Entry]:
    """Those of one file."""
    content = (DIRECTORY / f"{where}.txt").read_text(encoding="utf-8")
    for number, line in enumerate(content.splitlines(), 1):
        match = LINE.fullmatch(line)
        assert match, f"{where}.txt:{number} is no entry"
        status, theirs, reason, body, codes = match.groups()
        text = wrapped(where, re.sub(" ?⏎ ?", "\n", body.replace("∅", "")))
        yield Entry(
            where,
            number,
            text,
            int(status),
            int(theirs or status),
            reason or "",
            tuple((codes or "").split()),
        )


WHERE = sorted(path.stem for path in DIRECTORY.glob("*.txt"))
