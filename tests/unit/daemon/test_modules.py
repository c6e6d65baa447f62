"""The watch over the modules: loading, proving, telling. What the kernel says is played."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from strategies import loaded
from structlog.testing import capture_logs
from until import until

from keepalive_py.config.toa import ToaModule
from keepalive_py.daemon import modules as under_test
from keepalive_py.daemon.modules import Modules
from keepalive_py.daemon.state_directory import StateDirectory
from keepalive_py.health.fitness import Standing
from keepalive_py.toa.flavours import Wanted
from keepalive_py.toa.kernel import LoadedModule
from keepalive_py.toa.refusals import ModuleRefused
from keepalive_py.toa.state import ModuleState
from keepalive_py.toa.verdict import Listener, Result, Verdict

WANTED = "toa {\nmodule toa {\n}\ncheck_interval 0.1\nverify_interval 0\n}\n"


class Kernel:
    """`verdict`: what a handshake would prove of a module that is there."""

    def __init__(self) -> None:
        self.there: dict[str, LoadedModule] = {}
        self.verdict = Verdict.WORKS
        self.refusal: ModuleRefused | None = None
        self.attempts = 0
        self.proofs = 0
        self.changes = 0
        self.ours: Any = None

    def look(self, module: Wanted, _ours: Any) -> ModuleState:
        return ModuleState(module, self.there.get(module.name))

    def load(self, module: ToaModule) -> bool:
        self.attempts += 1
        if self.refusal is not None:
            raise self.refusal
        self.there[module.name] = LoadedModule(module.name, srcversion="1")
        return True

    def verify(self, layouts: Any, _in_namespace: Any, *, loaded: bool) -> list[Result]:
        self.proofs += 1
        verdict = self.verdict if loaded else Verdict.NOT_LOADED
        return [Result(layout.name, Listener.V4, verdict, "why") for layout in layouts]

    def changed(self) -> None:
        self.changes += 1


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(under_test, "look", made.look)
    monkeypatch.setattr(under_test, "verify", made.verify)
    return made


@pytest.fixture
async def modules(kernel: Kernel) -> Any:
    made = Modules(StateDirectory(""), kernel.changed, loader=kernel)  # type: ignore[arg-type]
    yield made
    await made.close()


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


async def test_what_is_missing_is_loaded_and_proven(modules: Modules, kernel: Kernel) -> None:
    modules.follow(loaded(WANTED).config)
    assert modules.standing("toa") is Standing.UNKNOWN
    await modules.looked()

    assert (kernel.attempts, kernel.proofs) == (1, 1)
    assert modules.standing("toa") is Standing.YES
    assert modules.health() is Standing.YES
    assert modules.standing("other") is None
    assert kernel.changes == 1


async def test_a_module_that_does_not_work_is_told_and_counts(
    modules: Modules, kernel: Kernel, logged: list[Any]
) -> None:
    kernel.verdict = Verdict.BROKEN
    modules.follow(loaded(WANTED).config)
    await modules.looked()

    assert modules.standing("toa") is Standing.NO
    (line,) = [each for each in logged if each.get("kind") == "module"]
    assert line["log_level"] == "error"
    assert line["event"].startswith("Module toa: loaded but does not work (toa4 (IPv4 listener)")


async def test_a_refusal_is_said_once_and_tried_rarely(
    modules: Modules, kernel: Kernel, logged: list[Any]
) -> None:
    kernel.refusal = ModuleRefused("toa", "no", "do this")
    modules.follow(loaded(WANTED).config)
    await until(lambda: kernel.proofs)
    row = modules.states
    await until(lambda: modules.states is not row)

    assert kernel.attempts == 1
    assert [each["event"] for each in logged if "do this" in each["event"]] == ["module toa: no; do this"]
    assert modules.rows()[0]["trouble"] == "module toa: no; do this"


async def test_it_is_proven_anew_when_it_is_another_one(modules: Modules, kernel: Kernel) -> None:
    modules.follow(loaded(WANTED).config)
    await modules.looked()
    kernel.verdict = Verdict.BROKEN
    before = modules.states
    await until(lambda: modules.states is not before)
    assert modules.standing("toa") is Standing.YES  # nothing changed: not proven again
    kernel.there["toa"] = LoadedModule("toa", srcversion="2")

    await until(lambda: modules.standing("toa") is Standing.NO)
    assert kernel.proofs == 2


async def test_one_that_is_taken_out_while_it_is_tried_is_not_loaded(
    modules: Modules, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_out(layouts: Any, in_namespace: Any, *, loaded: bool) -> list[Result]:
        if loaded:
            kernel.there.clear()
            kernel.verdict = Verdict.BROKEN
        return kernel.verify(layouts, in_namespace, loaded=loaded)

    with monkeypatch.context() as patched:
        patched.setattr(under_test, "verify", taken_out)
        modules.follow(loaded(WANTED.replace("check_interval 0.1", "check_interval 3600")).config)
        await modules.looked()
    assert modules.states["toa"].word() == "not loaded"

    kernel.verdict = Verdict.WORKS
    modules.follow(loaded(WANTED).config)
    await until(lambda: modules.standing("toa") is Standing.YES)


async def test_what_somebody_takes_out_is_loaded_again(modules: Modules, kernel: Kernel) -> None:
    modules.follow(loaded(WANTED).config)
    await modules.looked()
    kernel.there.clear()

    await until(lambda: kernel.attempts == 2)


async def test_watch_only_loads_nothing(modules: Modules, kernel: Kernel) -> None:
    modules.follow(loaded(WANTED.replace("check", "watch_only\ncheck")).config)
    await modules.looked()

    assert kernel.attempts == 0
    assert modules.health() is Standing.NO


async def test_an_optional_module_does_not_make_the_host_unwell(modules: Modules, kernel: Kernel) -> None:
    kernel.verdict = Verdict.BROKEN
    modules.follow(loaded(WANTED.replace("module toa {", "module toa {\noptional")).config)
    await modules.looked()

    assert modules.standing("toa") is Standing.NO
    assert modules.health() is Standing.YES


async def test_our_own_trouble_changes_nothing(
    modules: Modules, kernel: Kernel, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    modules.follow(loaded(WANTED).config)
    await modules.looked()

    def broken(*_: Any) -> ModuleState:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(under_test, "look", broken)
    await until(lambda: any("a mistake" in each["event"] for each in logged))
    assert modules.standing("toa") is Standing.YES


async def test_without_a_block_nothing_is_known(modules: Modules) -> None:
    modules.follow(loaded(WANTED).config)
    await modules.looked()
    modules.follow(loaded("global_defs {\n}\n").config)

    assert modules.standing("toa") is None
    assert modules.rows() == []
    assert modules.health() is Standing.YES
