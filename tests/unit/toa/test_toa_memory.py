"""What we loaded, and the files for the next boot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keepalive_py.config.toa import Parameter, Source, SourceKind, ToaModule
from keepalive_py.toa.memory import LoadedByUs
from keepalive_py.toa.persistence import LOAD, PARAMETERS, files, write


class Kept:
    def __init__(self) -> None:
        self.content: dict[str, Any] = {}

    def read_json(self, name: str) -> dict[str, Any]:
        return dict(self.content.get(name, {}))

    def write_json(self, name: str, value: Any) -> bool:
        self.content[name] = value
        return True


class Forgetful(Kept):
    def read_json(self, name: str) -> dict[str, Any]:
        return {}


def test_what_was_loaded_is_remembered_until_the_next_boot() -> None:
    store = Kept()
    ours = LoadedByUs(store, "boot 1")
    ours.add("toa")
    ours.add("ttm")
    ours.remove("ttm")

    assert LoadedByUs(store, "boot 1").read() == {"toa"}
    assert LoadedByUs(store, "boot 2").read() == set()


def test_without_a_directory_it_is_known_for_now() -> None:
    ours = LoadedByUs(Forgetful(), "boot")
    ours.add("toa")

    assert ours.read() == {"toa"}


def test_a_damaged_file_is_nothing_remembered() -> None:
    store = Kept()
    store.content["toa.json"] = {"boot": "b", "loaded": "toa"}

    assert LoadedByUs(store, "b").read() == set()


MODULES = (
    ToaModule(
        name="toa", module_source=Source(SourceKind.FILE, "/opt/toa.ko"), parameters=(Parameter("a", "1"),)
    ),
    ToaModule(name="bce_ttm", parameters=(Parameter("tcpopt_ttm", "253"),)),
    ToaModule(name="uoa", module_source=Source(SourceKind.MODPROBE, "uoa-next")),
)


def test_the_files_for_the_next_boot(tmp_path: Path) -> None:
    told = write(files(MODULES), tmp_path)

    assert [line.split()[-1] for line in told] == ["written", "written"]
    assert (tmp_path / LOAD).read_text().splitlines()[1:] == ["toa", "bce_ttm", "uoa-next"]
    assert (tmp_path / PARAMETERS).read_text().splitlines()[1:] == [
        "install toa /sbin/insmod /opt/toa.ko a=1",
        "options bce_ttm tcpopt_ttm=253",
    ]
    assert write(files(MODULES), tmp_path) == []


def test_a_path_is_one_word_for_the_shell_that_modprobe_uses() -> None:
    odd = ToaModule(name="toa", module_source=Source(SourceKind.FILE, "/opt/a b;c/toa.ko"))

    assert files([odd])[PARAMETERS].splitlines()[1] == "install toa /sbin/insmod '/opt/a b;c/toa.ko'"


def test_they_go_when_nothing_is_wanted(tmp_path: Path) -> None:
    write(files(MODULES), tmp_path)

    assert len(write(files([]), tmp_path)) == 2
    assert not list(tmp_path.glob("*/*"))
