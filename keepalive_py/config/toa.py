"""The top-level block `toa { }`, our own: the kernel modules that give a real server the client's
address behind FULLNAT, how they are loaded, and how it is proven that they work. Pure.

```
toa {
    module toa {
        flavour dpvs
        source file /opt/toa/toa.ko      # else modprobe
        verify toa4 toa6
    }
    module bce_ttm {
        parameter tcpopt_ttm 253
        optional
    }
    listen 10.0.0.11 6604                # `keepalive-py --role realserver`: health, metrics, /peer
}
```
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import Final

from keepalive_py.config.diagnostics import Span
from keepalive_py.config.kinds import (
    Block,
    Choice,
    Flag,
    Integer,
    Seconds,
    Text,
    literal_address,
    only_word,
    words_of,
)
from keepalive_py.config.lines import LogicalLine
from keepalive_py.config.schema import BadValue, Draft, Kind, keyword
from keepalive_py.net import Endpoint

__all__ = ["LAYOUT_NAMES", "Parameter", "Source", "SourceKind", "Toa", "ToaModule"]

OURS: Final = "docs/toa.md"
FLAVOURS: Final = ("alibaba", "dpvs", "huawei", "ucloud", "ttm", "uoa", "vtoa", "other")
LAYOUT_NAMES: Final = ("toa4", "toa6", "ucloud", "ttm6")  # of wire/toa.py
NO_LAYOUT: Final = "none"
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,54}")  # MODULE_NAME_LEN of linux/module.h
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SourceKind(enum.Enum):
    """Where a module comes from."""

    MODPROBE = "modprobe"
    FILE = "file"
    DKMS = "dkms"


@dataclass(frozen=True, slots=True)
class Source:
    """`name`: for modprobe(8) or dkms(8), "" for the module's own; the path of a file."""

    kind: SourceKind = SourceKind.MODPROBE
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class SourceOfModule(Kind):
    name: str = "modprobe [NAME] | file PATH | dkms [NAME]"

    def parse(self, line: LogicalLine) -> Source:
        word, where = only_word(line, self.name), line.text(2) or ""
        try:
            kind = SourceKind(word)
        except ValueError:
            raise BadValue(
                f"`{word}` is no source of modules", expected=self.name, code="unknown-choice"
            ) from None
        if kind is SourceKind.FILE and not where.startswith("/"):
            raise BadValue("a file of a module needs its whole path", expected="as /opt/toa/toa.ko", word=2)
        return Source(kind, where)

    def write(self, value: Source) -> str:
        return words_of(value.kind.value, *([value.name] if value.name else []))


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a module, as in /sys/module/NAME/parameters."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


@dataclass(frozen=True, slots=True)
class ParameterKind(Kind):
    name: str = "NAME VALUE"

    def parse(self, line: LogicalLine) -> Parameter:
        name, value = only_word(line, self.name), line.text(2)
        if not _PARAMETER.fullmatch(name):
            raise BadValue(f"`{name}` is no name of a parameter", expected=self.name)
        if value is None or not re.fullmatch(r"[^\s\"']+", value):
            raise BadValue(f"parameter {name} needs a value of one word", expected=self.name, word=2)
        return Parameter(name, value)

    def write(self, value: Parameter) -> str:
        return words_of(value.name, value.value)


@dataclass(frozen=True, slots=True)
class LayoutNames(Kind):
    """Layouts of the option; `none` for no verification."""

    name: str = f"{' | '.join(LAYOUT_NAMES)} ... | {NO_LAYOUT}"

    def parse(self, line: LogicalLine) -> tuple[str, ...]:
        only_word(line, self.name)
        words = [word.text for word in line.words[1:]]
        if words == [NO_LAYOUT]:
            return ()
        for index, word in enumerate(words, 1):
            if word not in LAYOUT_NAMES:
                raise BadValue(
                    f"`{word}` is no layout of the option",
                    expected=self.name,
                    word=index,
                    code="unknown-choice",
                )
        return tuple(dict.fromkeys(words))

    def write(self, value: tuple[str, ...]) -> str:
        return " ".join(value) or NO_LAYOUT


@dataclass(frozen=True, slots=True)
class ModuleName(Kind):
    """The name of a kernel module; the kernel takes `-` for `_`."""

    name: str = "NAME"

    def parse(self, line: LogicalLine) -> str:
        text = only_word(line, "the name of a kernel module")
        if not _MODULE.fullmatch(text):
            raise BadValue(
                f"`{text}` is no name of a kernel module", expected="letters, digits, `_`", code="bad-name"
            )
        return text.replace("-", "_")


@dataclass(frozen=True, slots=True)
class ListenAddress(Kind):
    name: str = "ADDRESS PORT"

    def parse(self, line: LogicalLine) -> Endpoint:
        address = literal_address(only_word(line, self.name))
        return Endpoint(address, Integer(1, 65535).read(line.text(2) or "", 2))

    def write(self, value: Endpoint) -> str:
        return f"{value.address} {value.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToaModule:
    """A kernel module that is wanted on this host. `layouts` None: as its flavour says."""

    name: str
    flavour: str = keyword(
        "flavour", Choice({name: name for name in FLAVOURS}), default="", since="ours", source=OURS,
        doc="Whose module it is; without it, what its name says.",
    )  # fmt: skip
    module_source: Source = keyword(
        "source", SourceOfModule(), default=Source(), since="ours", source=OURS,
        doc="Where it comes from.",
    )  # fmt: skip
    parameters: tuple[Parameter, ...] = keyword(
        "parameter", ParameterKind(), repeated=True, default=(), since="ours", source=OURS,
        doc="A parameter it is loaded with.",
    )  # fmt: skip
    optional: bool = keyword(
        "optional", Flag(), default=False, since="ours", source=OURS,
        doc="Its absence does not make the host unwell.",
    )  # fmt: skip
    layouts: tuple[str, ...] | None = keyword(
        "verify", LayoutNames(), default=None, since="ours", source=OURS,
        doc="Layouts of the option that it must read; without it, those of its flavour.",
    )  # fmt: skip
    option_kind: int = keyword(
        "option_kind", Integer(1, 255), default=0, since="ours", source=OURS,
        doc="The number of the TCP option, if it is not that of the layout.",
    )  # fmt: skip
    statistics: str = keyword(
        "statistics", Text(), default="", since="ours", source=OURS,
        doc="Its file of counters, if it is not that of its flavour.",
    )  # fmt: skip
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def finish(cls, draft: Draft) -> None:
        draft.values["name"] = draft.head
        siblings = draft.parent.values.get("modules", ()) if draft.parent is not None else ()
        if any(each.name == draft.head for each in siblings):
            draft.refuse("duplicate", f"there already is a module {draft.head}: this one is left out")
        names = [each.name for each in draft.values.get("parameters", ())]
        for name in {name for name in names if names.count(name) > 1}:
            draft.report("duplicate", f"module {draft.head} has parameter {name} twice", field="parameters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toa:
    """Kernel modules that give a real server the client's address behind FULLNAT. Times in seconds."""

    modules: tuple[ToaModule, ...] = keyword(
        "module", Block(ToaModule, head=ModuleName()), repeated=True, default=(), since="ours", source=OURS,
        doc="A module that is wanted.",
    )  # fmt: skip
    watch_only: bool = keyword(
        "watch_only", Flag(), default=False, since="ours", source=OURS,
        doc="Look at the modules and never load one.",
    )  # fmt: skip
    check_interval: float = keyword(
        "check_interval", Seconds(0.1, 86400), default=10.0, unit="s", since="ours", source=OURS,
        doc="How often it is looked whether they are still loaded.",
    )  # fmt: skip
    verify_interval: float = keyword(
        "verify_interval", Seconds(0, 604800), default=300.0, unit="s", since="ours", source=OURS,
        doc="How often a handshake proves that they work; 0: only when something changed.",
    )  # fmt: skip
    listen: tuple[Endpoint, ...] = keyword(
        "listen", ListenAddress(), repeated=True, default=(), since="ours", source=OURS,
        doc="Where `--role realserver` answers by HTTP: health, metrics, and the peer's address.",
    )  # fmt: skip
    where: Span | None = field(default=None, compare=False)

    @classmethod
    def finish(cls, draft: Draft) -> None:
        if draft.is_second("toa"):
            draft.refuse("duplicate", "there already is a toa block: this one is left out")
        if not draft.values.get("modules"):
            draft.warn("no-module", "toa names no module: nothing is loaded or verified")
