"""Perform a scenario with one daemon and record what can be seen from outside.

As a program: `python -m lab.stage FOLDER [--daemon keepalived|keepalive-py] ID...`
prints the records.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import ssl
import stat
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lab import table
from lab.daemons import Daemon, Keepalived, KeepalivePy
from lab.namespace import Namespace
from lab.peers import BfdPeer
from lab.scenario import Scenario, load
from lab.servers import Answer, DatagramServer, Server, self_signed
from lab.waiting import eventually

# Lines about virtual and real servers, and about checks: what log watchers rely on.
WATCHED = re.compile(
    r"(Adding|Removing|Enabling|Disabling) (service|sorry server|alive servers) "
    r"|(Gained|Lost) quorum |Starting with quorum "
    r"|Changing weight from "
    r"|(Activating|Deactivating|Suspending) healthchecker "
    r"|Netlink reflector reports IP "
    r"|Shutting down (\(inhibited\) )?service "
    r"|service \S+ no longer exist|Removing Virtual Server |VS \[.*\] (added into|in) group "
    r"|\w+ connection to \S+ (success|failed|timeout)"
    r"|\w+_CHECK on service |ICMP CHECK on service "
    r"|(SMTP|DNS)_CHECK |Remote SMTP server \S+ succeed|\(\[\S+\): tracked file |BFD check of "
    r"|(HTTP status code|MD5 digest|Regex match) success to |Remote Web server "
    r"|Misc check for \["
    r"|(Read|Timeout|Connection|HTTP status|MD5|Regex|SSL).* server \S+\.$"
)
DONE = re.compile(r"(Startup|Reload) complete|.*reload refused", re.IGNORECASE)
NOTIFY = '#!/bin/sh\necho "$*" >> {directory}/notified\n'
CHECK = """#!/bin/sh
echo run >> {directory}/$1.runs
read status < {directory}/$1.status
[ "$status" != hangs ] || {{ trap '' TERM; while :; do sleep 60 & wait; done; }}
exit "$status"
"""
LONGEST = 15.0  # s to settle, at most
POLL = 0.2  # s
AT_ONCE = 24  # stages side by side; they mostly wait


@dataclass
class Record:
    """What one step did: the table after it, and what was said and called during it. The last
    record has the HTTP requests of the whole run."""

    actions: str
    any_order: bool
    table: list[str]
    notified: list[str] = field(default_factory=list)
    fifo: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    exit: list[str] = field(default_factory=list)

    ASPECTS = ("table", "notified", "fifo", "log", "requests", "exit")

    def show(self) -> str:
        shown = [f"== {self.actions}"]
        for aspect in self.ASPECTS:
            shown += [f"   {aspect:8} {line}" for line in getattr(self, aspect)]
        return "\n".join(shown)


class Stage:
    """One scenario, one daemon, one namespace. Close it."""

    def __init__(
        self,
        scenario: Scenario,
        directory: Path,
        make: Callable[[Namespace, Path, tuple[str, ...]], Daemon],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.scenario = scenario
        self.directory = directory
        self.namespace = Namespace(scenario.id)
        self.config = scenario.text(directory)
        self._fifo = self._make_fifo()
        self._scripts()
        self.daemon = make(self.namespace, directory, tuple(scenario.options))
        self.daemon.config.write_text(self.config)
        self.servers = {name: self._server(words, tls) for name, words in scenario.servers.items()}
        self._heard = b""
        self._seen = dict.fromkeys(("log", "notified", "fifo"), 0)

    def _make_fifo(self) -> int:
        os.mkfifo(self.directory / "fifo", 0o600)
        return os.open(self.directory / "fifo", os.O_RDWR | os.O_NONBLOCK)

    def _scripts(self) -> None:
        for name, text in (("notify", NOTIFY), ("check", CHECK)):
            script = self.directory / name
            script.write_text(text.format(directory=self.directory))
            script.chmod(stat.S_IRWXU)
        for name, status in self.scenario.checks.items():
            self._tell_check(name, str(status))

    def _tell_check(self, name: str, status: str) -> None:
        fresh = self.directory / f"{name}.fresh"
        fresh.write_text(f"{status}\n")
        fresh.rename(self.directory / f"{name}.status")

    def _server(self, words: str, tls: ssl.SSLContext | None) -> Server:
        kind, where = words.split()
        address, _, port = where.rpartition(":")
        context = tls if kind == "tls" else None
        if kind == "bfd":
            return BfdPeer(self.namespace, address, int(port))
        make = DatagramServer if kind in ("udp", "dns") else Server
        return make(self.namespace, address.strip("[]"), int(port), kind=kind, tls=context)

    def perform(self) -> list[Record]:
        records = [self._step(actions) for actions in self.scenario.steps]
        # Of the whole run: in which step a probe falls is chance.
        records[-1].requests = self._requests()
        return records

    def _step(self, actions: list[str]) -> Record:
        for action in actions:
            if action != "any order":
                self._act(action)
        self._settle()
        return self._record(actions)

    # Actions

    def _act(self, action: str) -> None:
        word, _, rest = action.partition(" ")
        if word in self.servers:
            self._server_act(self.servers[word], *rest.split(" "))
        elif word in self.scenario.checks:
            self._tell_check(word, rest.removeprefix("exits "))
        elif word in ("ip", "ipvsadm"):
            self.namespace.output(action.split())
        elif word == "edit":
            old, _, new = rest.partition(" -> ")
            assert old in self.config, f"{self.scenario.id}: nothing to edit: {old}"
            self.config = self.config.replace(old, new)
            self.daemon.config.write_text(self.config)
        elif word in ("write", "move", "rm"):
            self._file_act(word, *rest.split(" ", 1))
        elif action == "remove config":
            self.daemon.config.unlink()
        elif action in ("start", "reload"):
            self._until_said(action)
        else:
            {"stop": self.daemon.stop, "kill": self.daemon.kill}[action]()

    def _file_act(self, verb: str, name: str, text: str = "") -> None:
        path = self.directory / name
        if verb == "rm":
            path.unlink()
            return
        place = path if verb == "write" else path.with_suffix(".fresh")
        place.write_text(f"{text}\n")
        place.rename(path)

    def _until_said(self, action: str) -> None:
        """Start or reload; wait until the daemon has said so, or that it did not, or ended."""
        before = len(self.daemon.lines())
        {"start": self.daemon.start, "reload": self.daemon.reload}[action]()

        def said() -> bool:
            return self.daemon.exit_status() is not None or any(map(DONE.match, self.daemon.lines()[before:]))

        eventually(said, within=60, what=f"{self.scenario.id}: {action}", every=POLL)

    def _server_act(self, server: Server, verb: str, *words: str) -> None:
        if verb == "answers":
            path, rest = (words[0], words[1:]) if words[0].startswith("/") else ("", words)
            body = " ".join(rest[1:]) or "ok"
            server.answers[path] = Answer(int(rest[0]), body.encode() + b"\n")
        elif verb == "raw":
            path, rest = (words[0], words[1:]) if words[0].startswith("/") else ("", words)
            raw = " ".join(rest).encode().decode("unicode_escape").encode("latin-1")
            server.answers[path] = Answer(raw=raw)
        else:
            server.be(verb, *map(float, words))

    # Settling

    def _state(self) -> tuple[object, ...]:
        sizes = [path.stat().st_size for path in (self.daemon.log, self.notified) if path.exists()]
        return (self.namespace.proc_net("ip_vs"), *sizes, self._listen(), self.daemon.exit_status())

    def _probes(self) -> int:
        """How many probes were begun so far: connections out of this namespace, scripts run,
        datagrams that arrived."""
        names, numbers = [
            row.split() for row in self.namespace.proc_net("snmp").splitlines() if row[:4] == "Tcp:"
        ]
        runs = sum(path.read_text().count("run") for path in self.directory.glob("*.runs"))
        heard = sum(one.hits for one in self.servers.values() if isinstance(one, DatagramServer))
        return int(numbers[names.index("ActiveOpens")]) + runs + heard

    def _settle(self) -> None:
        """Wait until nothing has changed for `quiet` seconds in which every target was
        probed `rounds` times, or for three times as long if nobody probes."""
        began = changed = time.monotonic()
        state, probes = self._state(), self._probes()

        def settled() -> bool:
            nonlocal changed, state, probes
            now = time.monotonic()
            fresh = self._state()
            if fresh != state:
                changed, state, probes = now, fresh, self._probes()
            quiet = now - changed
            if self.daemon.exit_status() is not None or quiet > 3 * self.scenario.quiet:
                return quiet > 1.0
            if quiet > self.scenario.quiet:
                return self._probes() - probes >= self.scenario.rounds * self.scenario.targets
            return now - began > LONGEST

        eventually(settled, within=2 * LONGEST, what=f"{self.scenario.id} settles", every=POLL)

    # Records

    @property
    def notified(self) -> Path:
        return self.directory / "notified"

    def _listen(self) -> int:
        with contextlib.suppress(BlockingIOError):
            while heard := os.read(self._fifo, 65536):
                self._heard += heard
        return len(self._heard)

    def _news(self, what: str, lines: list[str]) -> list[str]:
        start, self._seen[what] = self._seen[what], len(lines)
        return [line.replace(str(self.directory), "$DIR") for line in lines[start:]]

    def _record(self, actions: list[str]) -> Record:
        status = self.daemon.exit_status()
        notified = self.notified.read_text().splitlines() if self.notified.exists() else []
        self._listen()
        return Record(
            actions=", ".join(actions),
            any_order="any order" in actions,
            table=table.lines(table.read(self.namespace, limits="threshold" in self.config)),
            # Scripts run side by side: the order in which they say so is nobody's.
            notified=sorted(self._news("notified", notified)),
            fifo=self._news("fifo", self._heard.decode().splitlines()),
            log=[line for line in self._news("log", self.daemon.lines()) if WATCHED.match(line)],
            exit=[] if status is None else [str(status)],
        )

    def _requests(self) -> list[str]:
        """The different HTTP requests each server got."""
        told = {f"{name}: {request!r}" for name, one in self.servers.items() for request in one.requests}
        return sorted(told)

    def close(self) -> None:
        if self.daemon.exit_status() is None and self.daemon.child:
            self.daemon.kill()
        for server in self.servers.values():
            server.close()
        self.namespace.close()
        os.close(self._fifo)


def perform(
    scenario: Scenario,
    make: Callable[[Namespace, Path, tuple[str, ...]], Daemon],
    tls: ssl.SSLContext | None,
) -> list[Record]:
    """Run a scenario on a stage of its own; the files are on the kernel's own /run."""
    with tempfile.TemporaryDirectory(prefix=f"{scenario.id}.", dir="/run") as directory:
        stage = Stage(scenario, Path(directory), make, tls)
        try:
            return stage.perform()
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{stage.daemon.tail()}") from failure
        finally:
            stage.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("ids", nargs="*")
    arguments.add_argument("--daemon", choices=["keepalived", "keepalive-py"], default="keepalived")
    chosen = arguments.parse_args()
    kind = Keepalived if chosen.daemon == "keepalived" else KeepalivePy
    with tempfile.TemporaryDirectory(dir="/run") as directory:
        tls = self_signed(Path(directory))
    wanted = [one for one in load(chosen.folder) if not chosen.ids or one.id in chosen.ids]

    def make(namespace: Namespace, path: Path, options: tuple[str, ...]) -> Daemon:
        return kind(namespace, path, options=options)

    with ThreadPoolExecutor(AT_ONCE) as stages:
        performed = stages.map(lambda one: perform(one, make, tls), wanted)
        for scenario, records in zip(wanted, performed, strict=True):
            print(f"# {scenario.id}: {scenario.about}")
            print("\n".join(record.show() for record in records), flush=True)


if __name__ == "__main__":
    main()
