"""Which dataplane `auto` is, and what is said about it; namespaces, modules and the socket
on whatever kernel this is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from contract.values import service

from keepalive_py import dataplane
from keepalive_py.dataplane import choose, features, ipvs, modules, namespace, netlink
from keepalive_py.dataplane.ipvs import IPVS, IpvsDataplane
from keepalive_py.dataplane.memory import MemoryDataplane
from keepalive_py.dataplane.netlink import GenericNetlink, Refused
from keepalive_py.errors import ConfigError, FeatureMissing, KernelRefused
from keepalive_py.plan.steps import AddService


def ipvs_that_raises(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def open_it(self: IpvsDataplane) -> None:
        raise error

    monkeypatch.setattr(IpvsDataplane, "open", open_it)


async def test_auto_is_the_kernels_ipvs_where_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    async def open_it(self: IpvsDataplane) -> None:
        pass

    monkeypatch.setattr(IpvsDataplane, "open", open_it)
    assert (await choose("auto", warn=pytest.fail)).name == "ipvs"


async def test_auto_is_memory_with_a_warning_where_there_is_no_ipvs(monkeypatch: pytest.MonkeyPatch) -> None:
    ipvs_that_raises(monkeypatch, FeatureMissing(IPVS, "a kernel with IPVS"))
    warnings: list[str] = []
    chosen = await choose("auto", warn=warnings.append)
    assert isinstance(chosen, MemoryDataplane)
    (warning,) = warnings
    assert "needs a kernel with IPVS" in warning
    assert "NO TRAFFIC IS BALANCED" in warning


async def test_auto_is_an_error_where_we_may_not_use_the_ipvs_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ipvs_that_raises(monkeypatch, KernelRefused("use IPVS", errno.EPERM, "run as root"))
    with pytest.raises(KernelRefused, match="run as root"):
        await choose("auto", warn=pytest.fail)


async def test_auto_is_an_error_where_the_namespace_cannot_be_entered() -> None:
    with pytest.raises(FeatureMissing, match="nosuch"):
        await choose("auto", namespace="nosuch", warn=pytest.fail)


async def test_a_named_dataplane_is_that_one_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await choose("memory", warn=pytest.fail)).name == "memory"
    ipvs_that_raises(monkeypatch, FeatureMissing(IPVS, "a kernel with IPVS"))
    with pytest.raises(FeatureMissing):
        await choose("ipvs", warn=pytest.fail)


async def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="auto, ipvs, memory"):
        await choose("nosuch", warn=pytest.fail)


def test_every_factory_makes_what_its_name_says() -> None:
    for name, factory in dataplane.FACTORIES.items():
        assert factory(None, None).name == name


# ---------------------------------------------------------------- a kernel without IPVS


@pytest.fixture
def _no_ipvs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GenericNetlink, "bind_family", lambda self, name: False)


async def no(module: str) -> bool:
    return False


async def yes(module: str) -> bool:
    return True


@pytest.mark.usefixtures("_no_ipvs")
async def test_no_family_and_no_module_is_a_missing_feature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "load", no)
    monkeypatch.setattr(modules, "exists", no)
    with pytest.raises(FeatureMissing, match="CONFIG_IP_VS"):
        await IpvsDataplane().open()


@pytest.mark.usefixtures("_no_ipvs")
async def test_a_module_that_may_not_be_loaded_is_a_missing_privilege(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(modules, "load", no)
    monkeypatch.setattr(modules, "exists", yes)
    with pytest.raises(KernelRefused, match="CAP_NET_ADMIN") as caught:
        await IpvsDataplane().open()
    assert caught.value.errno == errno.EPERM


@pytest.mark.usefixtures("_no_ipvs")
async def test_a_module_that_root_cannot_load_points_to_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(modules, "load", no)
    monkeypatch.setattr(modules, "exists", yes)
    with pytest.raises(KernelRefused, match="log"):
        await IpvsDataplane().open()


@pytest.mark.parametrize(
    ("number", "error"), [(errno.EAFNOSUPPORT, FeatureMissing), (errno.EMFILE, KernelRefused)]
)
async def test_no_descriptors_is_trouble_and_no_lack_of_ipvs(
    monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(netlink, "_open", fail)
    with pytest.raises(error):
        await IpvsDataplane().open()


async def test_a_module_is_loaded_when_the_family_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    async def load(module: str) -> bool:
        loaded.append(module)
        return True

    monkeypatch.setattr(modules, "load", load)
    monkeypatch.setattr(GenericNetlink, "bind_family", lambda self, name: bool(loaded))
    monkeypatch.setattr(GenericNetlink, "ask", lambda self, command: memoryview(bytes(4)))
    plane = IpvsDataplane()
    await plane.open()
    await plane.close()
    assert loaded == ["ip_vs"]


async def test_a_dataplane_that_could_not_be_opened_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: GenericNetlink, command: int) -> memoryview:
        raise Refused(ipvs.Outcome(errno.EPERM, ""))

    monkeypatch.setattr(GenericNetlink, "bind_family", lambda self, name: True)
    monkeypatch.setattr(GenericNetlink, "ask", refuse)
    plane = IpvsDataplane()
    with pytest.raises(KernelRefused, match="CAP_NET_ADMIN"):
        await plane.open()
    with pytest.raises(KernelRefused, match="not open"):
        await plane.apply([AddService(service())])


# ---------------------------------------------------------------- features


async def test_features_of_a_kernel_without_ipvs(monkeypatch: pytest.MonkeyPatch) -> None:
    ipvs_that_raises(monkeypatch, FeatureMissing(IPVS, "a kernel with IPVS"))
    found = await features.probe()
    assert str(found.ipvs) == "missing: needs a kernel with IPVS"
    assert set(map(str, found.schedulers.values())) == {"missing: needs a kernel with IPVS"}
    assert set(found.schedulers) >= {"rr", "wlc", "mh"}


async def test_features_that_could_not_be_told_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    ipvs_that_raises(monkeypatch, KernelRefused("use IPVS", errno.EPERM, "run as root"))
    found = await features.probe()
    assert str(found.ipvs).startswith("could not tell: use IPVS")
    assert "run as root" in str(found.persistence_engines["sip"])


# ---------------------------------------------------------------- the socket, on any Linux


def test_the_controller_is_a_family_that_every_kernel_has() -> None:
    kernel = GenericNetlink()
    assert kernel.bind_family("nlctrl")
    assert not kernel.bind_family("NOSUCH_FAMILY")
    kernel.close()


def test_a_dump_gives_every_answer_and_may_be_left_early() -> None:
    kernel = GenericNetlink()
    kernel.bind_family("nlctrl")
    everything = [bytes(payload) for payload in kernel.dump(GETFAMILY)]
    assert len(everything) > 1
    early = kernel.dump(GETFAMILY)
    next(early)
    early.close()
    assert [bytes(payload) for payload in kernel.dump(GETFAMILY)] == everything
    kernel.close()


def test_sequence_numbers_start_again_before_they_run_out() -> None:
    kernel = GenericNetlink()
    kernel._sequence = 0xFFFFFFFE
    assert kernel.bind_family("nlctrl")
    assert kernel.bind_family("nlctrl")
    kernel.close()


def test_an_unknown_command_is_an_error_of_its_own_message() -> None:
    kernel = GenericNetlink()
    kernel.bind_family("nlctrl")
    failed = kernel.batch([(200, b""), (GETFAMILY, b""), (201, b"")])
    assert {at: outcome.errno for at, outcome in failed.items() if at != 1} == {
        0: errno.EOPNOTSUPP,
        2: errno.EOPNOTSUPP,
    }
    assert kernel.batch([]) == {}
    with pytest.raises(Refused):
        kernel.ask(200)
    kernel.close()


GETFAMILY = 3


# ---------------------------------------------------------------- namespaces, modules


def test_a_namespace_is_a_name_a_path_or_inits_own() -> None:
    assert namespace.path_of("blue") == "/run/netns/blue"
    assert namespace.path_of("/proc/7/ns/net") == "/proc/7/ns/net"
    assert namespace.path_of("") == "/proc/1/ns/net"


def test_without_a_namespace_the_function_runs_here() -> None:
    assert namespace.run_in(None, lambda: 42) == 42


def test_what_a_function_raises_elsewhere_arrives_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "_enter", lambda name: None)
    with pytest.raises(ZeroDivisionError):
        namespace.run_in("anywhere", lambda: 1 // 0)


def test_our_own_namespace_never_changes() -> None:
    before = os.readlink("/proc/thread-self/ns/net")
    with pytest.raises(FeatureMissing):
        namespace.run_in("nosuch", lambda: None)
    assert os.readlink("/proc/thread-self/ns/net") == before


async def test_a_module_that_is_not_there_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await modules.load("no_such_module_at_all")
    assert not await modules.exists("no_such_module_at_all")
    program = tmp_path / "modprobe"
    (tmp_path / "path").write_text(f"{program}\n")
    monkeypatch.setattr(modules, "MODPROBE", tmp_path / "path")
    assert not await modules.load("ip_vs")
    program.write_text('#!/bin/sh\n[ "$*" = "--dry-run ip_vs" ]\n')
    program.chmod(0o755)
    assert await modules.exists("ip_vs")
    assert not await modules.load("ip_vs")


async def test_a_modprobe_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "modprobe"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    (tmp_path / "path").write_text(str(program))
    monkeypatch.setattr(modules, "MODPROBE", tmp_path / "path")
    monkeypatch.setattr(modules, "LIMIT", 0.01)
    assert not await modules.load("ip_vs")
