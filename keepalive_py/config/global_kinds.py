"""The kinds of values that only `global_defs` has. Pure."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from keepalive_py.config.kinds import Integer, Interface, only_word, words_of
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import BadValue, Kind, MissingValue
from keepalive_py.net import Address, parse_address

__all__ = [
    "Cpus",
    "FifoLine",
    "FlushKind",
    "HostPort",
    "LvsFlushOnStop",
    "LvsSyncDaemon",
    "LvsTimeouts",
    "OptionalNumber",
    "OptionalWord",
    "SyncDaemonLine",
    "TimeoutsLine",
    "UmaskKind",
]


@dataclass(frozen=True, slots=True)
class LvsTimeouts:
    """Seconds; 0 leaves the kernel's value."""

    tcp: int = 0
    tcpfin: int = 0
    udp: int = 0


@dataclass(frozen=True, slots=True)
class LvsSyncDaemon:
    """`instance` None: both the master and the backup daemon run."""

    interface: str
    instance: str | None = None
    syncid: int = 0
    maxlen: int = 0
    port: int = 0
    ttl: int = 0
    group: Address | None = None


class LvsFlushOnStop(enum.Enum):
    """NO: delete real servers one by one; ALL: one flush; SERVICES: delete each own service."""

    NO = "no"
    ALL = "all"
    SERVICES = "VS"


@dataclass(frozen=True, slots=True)
class OptionalWord(Kind):
    """A word, or `default`. `limit`: longer is cut, with an error."""

    default: str
    limit: int = 0
    name: str = "[word]"

    def parse(self, line: LogicalLine) -> str:
        text = line.text(1)
        if text is None:
            return self.default
        if self.limit and len(text) > self.limit:
            cut = text[: self.limit]
            raise BadValue(f"`{text}` is longer than {self.limit} characters", code="too-long", used=cut)
        return text

    def write(self, value: str) -> str:
        return words_of(value)


@dataclass(frozen=True, slots=True)
class OptionalNumber(Kind):
    """A number `low`..`high`, or `default` when there is none."""

    low: int
    high: int
    default: int
    name: str = "[number]"

    def parse(self, line: LogicalLine) -> int:
        text = line.text(1)
        return self.default if text is None else Integer(self.low, self.high).read(text)


@dataclass(frozen=True, slots=True)
class Cpus(Kind):
    """Numbers of CPUs; one that is no number spoils them all."""

    name: str = "CPU..."

    def parse(self, line: LogicalLine) -> tuple[int, ...]:
        only_word(line, "a CPU number")
        return tuple(
            Integer(0, 4095).read(word.text, index) for index, word in enumerate(line.words) if index
        )

    def write(self, value: tuple[int, ...]) -> str:
        return " ".join(str(cpu) for cpu in value)


@dataclass(frozen=True, slots=True)
class HostPort(Kind):
    """HOST [PORT]; names are resolved later."""

    name: str = "host [port]"

    def parse(self, line: LogicalLine) -> tuple[str, int]:
        host = only_word(line, "a host")
        port = line.text(2)
        return host, 25 if port is None else Integer(1, 65535).read(port, 2)

    def write(self, value: tuple[str, int]) -> str:
        host, port = value
        return f"{words_of(host)} {port}"


@dataclass(frozen=True, slots=True)
class FifoLine(Kind):
    """PATH [USER [GROUP]]."""

    name: str = "path [user [group]]"

    def parse(self, line: LogicalLine) -> tuple[str, str | None, str | None]:
        return only_word(line, "a path"), line.text(2), line.text(3)

    def write(self, value: tuple[str, str | None, str | None]) -> str:
        return words_of(*(word for word in value if word is not None))


@dataclass(frozen=True, slots=True)
class FlushKind(Kind):
    """Nothing, or VS."""

    name: str = "[VS]"

    def parse(self, line: LogicalLine) -> LvsFlushOnStop:
        text = line.text(1)
        if text is None:
            return LvsFlushOnStop.ALL
        if text == LvsFlushOnStop.SERVICES.value:
            return LvsFlushOnStop.SERVICES
        raise BadValue(f"`{text}` is not a way to flush", expected="VS, or nothing", code="unknown-choice")

    def write(self, value: LvsFlushOnStop) -> str:
        return "VS" if value is LvsFlushOnStop.SERVICES else ""


LONGEST_TIMEOUT: Final = 2678400  # seconds, 31 days


@dataclass(frozen=True, slots=True)
class TimeoutsLine(Kind):
    """Any of `tcp N`, `tcpfin N`, `udp N`. The value has what the line says, by name."""

    name: str = "tcp N tcpfin N udp N"

    def parse(self, line: LogicalLine) -> dict[str, int]:
        if len(line.words) < 3:
            raise BadValue(f"{line.keyword} needs a name and a number", word=0, expected=self.name)
        found: dict[str, int] = {}
        trouble: BadValue | None = None
        words = iter(enumerate([word.text for word in line.words[1:]], 1))
        for index, name in words:
            try:
                self._pair(found, name, index, words)
            except BadValue as bad:
                trouble = trouble or bad
        if trouble is not None:
            trouble.used = found
            raise trouble
        return found

    def _pair(self, found: dict[str, int], name: str, index: int, words: enumerate[str]) -> None:
        if name not in ("tcp", "tcpfin", "udp"):
            raise BadValue(f"`{name}` is not a timeout", expected="tcp, tcpfin or udp", word=index)
        index, text = next(words, (index, ""))
        if not text:
            raise BadValue(f"`{name}` has no number", word=index)
        found[name] = Integer(0, LONGEST_TIMEOUT).read(text, index)

    def write(self, value: LvsTimeouts) -> str:
        return f"tcp {value.tcp} tcpfin {value.tcpfin} udp {value.udp}"


_BIT_NAMES: Final = {
    f"I{right}{who}": bit << shift
    for who, shift in (("USR", 6), ("GRP", 3), ("OTH", 0))
    for right, bit in (("R", 4), ("W", 2), ("X", 1))
}


@dataclass(frozen=True, slots=True)
class UmaskKind(Kind):
    """A number as in C (0… octal, 0x… hexadecimal), or names of bits joined by `|`."""

    name: str = "mask"

    def parse(self, line: LogicalLine) -> int:
        text = only_word(line, "0..0777 or IRUSR|IWGRP...")
        if text[0:1].isdigit():
            return self._number(text, len(line.words) > 2)
        return self._bits(" ".join(word.text for word in line.words[1:]))

    def _number(self, text: str, more: bool) -> int:
        octal = re.fullmatch(r"0[0-7]*", text)
        valid = octal or re.fullmatch(r"0[xX][0-9A-Fa-f]+|[1-9][0-9]*", text)
        value = int(text, 8 if octal else 0) if valid and len(text) < 12 else -1
        if more or not 0 <= value <= 0o777:
            raise BadValue(f"`{text}` is not a umask", expected="0..0777")
        return value

    def _bits(self, text: str) -> int:
        mask = 0
        for name in text.split("|"):
            if name.strip() not in _BIT_NAMES:
                raise BadValue(f"`{name.strip()}` is not a bit of a umask", expected=", ".join(_BIT_NAMES))
            mask |= _BIT_NAMES[name.strip()]
        return mask

    def write(self, value: int) -> str:
        return f"0{value:o}"


_SYNC_NUMBERS: Final = {
    "id": ("syncid", Integer(0, 255)),
    "maxlen": ("maxlen", Integer(1, 65507)),
    "port": ("port", Integer(1, 65535)),
    "ttl": ("ttl", Integer(1, 255)),
}


@dataclass(frozen=True, slots=True)
class SyncDaemonLine(Kind):
    """IF [inst NAME] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS]; the older form is
    IF [NAME [ID]]. A bad option is an error, the others count."""

    name: str = "interface [inst NAME] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS]"

    def parse(self, line: LogicalLine) -> LvsSyncDaemon:
        daemon = LvsSyncDaemon(Interface().parse(line))
        trouble: BadValue | None = None
        words = iter(enumerate([word.text for word in line.words[2:]], 2))
        for index, option in words:
            try:
                daemon = self._option(daemon, option, index, words)
            except MissingValue:
                raise
            except BadValue as bad:
                if isinstance(bad.used, LvsSyncDaemon):
                    daemon = bad.used
                trouble = trouble or bad
        if trouble is not None:
            trouble.used = daemon
            raise trouble
        return daemon

    def _option(self, daemon: LvsSyncDaemon, option: str, index: int, words: enumerate[str]) -> LvsSyncDaemon:
        if option in _SYNC_NUMBERS:
            field, kind = _SYNC_NUMBERS[option]
            index, text = self._argument(option, index, words)
            number: Any = kind.read(text, index)
            return replace(daemon, **{field: number})
        if option == "group":
            index, text = self._argument(option, index, words)
            return replace(daemon, group=_multicast(text, index))
        if option == "inst":
            index, text = next(words, (index, ""))
            if not text:
                raise MissingValue(option, "a vrrp_instance", always_fatal=True)
            return self._instance(daemon, text, index)
        if index == 2:
            return self._instance(daemon, option, index)
        if index == 3 and daemon.instance:
            number = _SYNC_NUMBERS["id"][1].read(option, index)
            raise BadValue("write `id` before the number", word=index, used=replace(daemon, syncid=number))
        raise BadValue(f"`{option}` is not an option of lvs_sync_daemon", word=index)

    def _argument(self, option: str, index: int, words: enumerate[str]) -> tuple[int, str]:
        index, text = next(words, (index, ""))
        if not text:
            raise BadValue(f"`{option}` has no value", word=index)
        return index, text

    def _instance(self, daemon: LvsSyncDaemon, name: str, index: int) -> LvsSyncDaemon:
        if daemon.instance is not None:
            raise BadValue(f"the instance is already {daemon.instance}", word=index)
        return replace(daemon, instance=name)

    def write(self, value: LvsSyncDaemon) -> str:
        words = [words_of(value.interface)]
        if value.instance is not None:
            words += ["inst", words_of(value.instance)]
        for option, (field, _) in _SYNC_NUMBERS.items():
            if getattr(value, field):
                words += [option, str(getattr(value, field))]
        return " ".join(words + (["group", str(value.group)] if value.group else []))


def _multicast(text: str, index: int) -> Address:
    try:
        address = parse_address(text)
    except ValueError:
        address = None
    if address is None or not address.is_multicast or "%" in text:
        raise BadValue(f"`{text}` is not a multicast address", word=index, code="bad-address")
    return address
