"""Loading with modprobe and dkms played by a table. With a real kernel: tests/vm."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest
from test_toa_memory import Kept

from keepalive_py.config.toa import Parameter, Source, SourceKind, ToaModule
from keepalive_py.toa import kernel
from keepalive_py.toa.kernel import LoadedModule
from keepalive_py.toa.loading import Loader
from keepalive_py.toa.memory import LoadedByUs
from keepalive_py.toa.refusals import ModuleRefused

Answers = dict[str, tuple[int, str, str]]  # by the start of the command: status, output, errors


class Host:
    """`loads`: the command that makes the module appear."""

    def __init__(self, answers: Answers, loads: str = "", module: LoadedModule | None = None) -> None:
        self.answers = answers
        self.loads = loads
        self.module = module
        self.asked: list[str] = []
        self.loaded: LoadedModule | None = None
        self.ours = LoadedByUs(Kept(), "boot")
        self.loader = Loader(self.ours, self.run)

    def run(self, command: Sequence[str], _patience: float) -> subprocess.CompletedProcess[str]:
        text = " ".join(command)
        self.asked.append(text)
        if text == self.loads:
            self.loaded = self.module or LoadedModule("toa")
        for start, (status, out, errors) in self.answers.items():
            if text.startswith(start):
                if status < 0:
                    raise FileNotFoundError(command[0])
                return subprocess.CompletedProcess(command, status, out, errors)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch):
    def put(host: Host) -> Host:
        monkeypatch.setattr(kernel, "loaded_module", lambda name: host.loaded)
        return host

    return put


TOA = ToaModule(name="toa", parameters=(Parameter("kind", "253"),))
DKMS = ToaModule(name="toa", module_source=Source(SourceKind.DKMS, "toa-dkms"))


def test_modprobe_gets_the_parameters_and_it_is_ours_then(present) -> None:
    host = present(Host({}, "modprobe toa kind=253", LoadedModule("toa", parameters={"kind": "253"})))

    assert host.loader.load(TOA)
    assert host.ours.read() == {"toa"}


def test_what_is_loaded_as_wanted_is_left_alone(present) -> None:
    host = present(Host({}))
    host.loaded = LoadedModule("toa", parameters={"kind": "253"})

    assert not host.loader.load(TOA)
    assert host.asked == []
    assert host.ours.read() == set()


def refused(host: Host, module: ToaModule) -> ModuleRefused:
    with pytest.raises(ModuleRefused) as caught:
        host.loader.load(module)
    return caught.value


def test_parameters_that_the_kernel_left_out_are_told(present) -> None:
    host = present(Host({}, "modprobe toa kind=253", LoadedModule("toa", parameters={"kind": "254"})))

    assert "kind is 254, not 253" in refused(host, TOA).why


def test_a_source_that_loads_something_else_is_told(present) -> None:
    assert "no module of that name" in refused(present(Host({})), TOA).why


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"modprobe --show": (1, "", "not found")}, "modprobe knows no module toa"),
        ({"modprobe --show": (-1, "", "")}, "there is no modprobe here"),
        (
            {"modprobe toa": (1, "", "modprobe: ERROR: could not insert 'toa': Exec format error\n")},
            "no module that",
        ),
        ({"modprobe toa": (1, "", "modprobe: ERROR: something of its own\n")}, "something of its own"),
    ],
)
def test_modprobe_refuses(present, answers: Answers, why: str) -> None:
    host = present(Host(answers))

    assert why in str(refused(host, TOA))
    assert host.ours.read() == set()


def test_dkms_builds_what_is_not_installed(present) -> None:
    answers: Answers = {
        "modprobe --show-depends toa": (1, "", ""),
        "dkms status toa-dkms": (0, "toa-dkms/2.0, 5.10, x86_64: installed\n", ""),
    }
    host = present(Host(answers))

    refused(host, DKMS)
    assert host.asked[2].startswith("dkms install toa-dkms/2.0 -k ")


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"dkms status": (0, "", "")}, "dkms knows no toa-dkms"),
        ({"dkms status": (-1, "", "")}, "there is no dkms here"),
        ({"dkms status": (0, "toa-dkms/2.0: added", ""), "dkms install": (10, "", "a\nBad return status\n")},
         "could not build toa-dkms/2.0"),
    ],
)  # fmt: skip
def test_dkms_cannot(present, answers: Answers, why: str) -> None:
    missing: Answers = {"modprobe --show-depends toa": (1, "", "")}

    assert why in refused(present(Host(missing | answers)), DKMS).why


def test_what_others_loaded_is_not_unloaded(present) -> None:
    host = present(Host({}))
    host.loaded = LoadedModule("toa")

    with pytest.raises(ModuleRefused, match="not loaded by us"):
        host.loader.unload("toa")
