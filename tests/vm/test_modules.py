"""Loading, proving and unloading a real module in a real kernel: Debian's, in a virtual machine.

The module is tests/vm/module, built here against the kernel's headers. `guest.py` performs the
steps in there; the tests look at what came of each.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lab import machine

HERE = Path(__file__).parent
LIMIT = 400.0  # seconds; some 60 where the machine is idle
COMMANDS = machine.ROOT / "keepalive_py/cli/commands"  # imported as they are asked for
IMPORTS = (
    "keepalive_py.cli.ctl", "keepalive_py.cli.daemon", "keepalive_py.daemon.realserver", "http.client",
    "concurrent.futures.thread", "encodings.idna",
    *(f"keepalive_py.cli.commands.{place.stem}" for place in COMMANDS.glob("[a-z]*.py")),
)  # fmt: skip

Steps = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    """By name, what each step of the guest came to."""
    place = tmp_path_factory.mktemp("vm")
    kernel = machine.debian_kernel()
    files = modules(kernel, place)
    initramfs = place / "initramfs"
    initramfs.write_bytes(machine.archive(HERE / "guest.py", IMPORTS, files, ["modprobe"]))
    console = machine.run(kernel, initramfs, LIMIT)
    told = [json.loads(line[3:]) for line in console.splitlines() if line.startswith("@@ ")]
    found = {each["step"]: each for each in told}
    broken = [each for name, each in found.items() if name.endswith("broke")]
    assert not broken, broken
    assert "over" in found, console[-5000:]
    assert found["booted"]["release"] == kernel.release
    return found


def modules(kernel: machine.Kernel, place: Path) -> dict[str, Path]:
    """The module, those that must be refused, and a tree for modprobe."""
    good = machine.build_module(kernel, HERE / "module", place / "module")
    made = place / "modules"
    made.mkdir()
    content = good.read_bytes()
    variants = {
        "toa.ko": content,
        "text.ko": b"#!/bin/sh\n",
        "other-kernel.ko": of_another_kernel(content, kernel.release),
        "other-build.ko": of_another_build(content),
        "missing-symbol.ko": content.replace(b"register_kretprobes\0", b"registrr_kretprobes\0"),
    }
    for name, each in variants.items():
        (made / name).write_bytes(each)
    extra = place / "tree/lib/modules" / kernel.release / "extra"
    extra.mkdir(parents=True)
    (extra / "toa.ko").write_bytes(content)
    subprocess.run(["depmod", "-b", place / "tree", kernel.release], check=True, timeout=60)
    tree = {str(each.relative_to(place / "tree")): each for each in extra.parent.rglob("*") if each.is_file()}
    return {f"modules/{name}": made / name for name in variants} | tree


def of_another_kernel(content: bytes, release: str) -> bytes:
    """Its vermagic names an older one, made with other settings."""
    start = content.index(b"vermagic=" + release.encode())
    end = content.index(b"\0", start)
    magic = content[start:end].replace(b"=6", b"=5").replace(b"mod_unload", b"mod_upload")
    return content[:start] + magic + content[end:]


def of_another_build(content: bytes) -> bytes:
    """One symbol has another checksum: struct modversion_info, whose name has 56 bytes."""
    name = content.index(b"register_kretprobes".ljust(56, b"\0"))
    return content[: name - 8] + b"\x5a" * 4 + content[name - 4 :]


def state(step: dict[str, Any]) -> dict[str, Any]:
    (only,) = json.loads(step["out"])
    assert isinstance(only, dict)
    return only


def verdicts(step: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(each["layout"], each["listener"]): each["verdict"] for each in state(step)["verification"]}


@pytest.mark.parametrize(
    ("step", "why", "what_to_do"),
    [
        ("missing file", "nowhere.ko: No such file", "build it against the headers of 6."),
        ("no module", "not an ELF file", ""),
        ("wrong kernel", "it is for kernel `5.", "build it again against the headers of 6."),
        ("other build", "another build of kernel 6.", "build it again"),
        (
            "missing symbol",
            "the kernel has no registrr_kretprobes",
            "take a version of the module for kernel 6.",
        ),
        ("unknown parameter", "it has no parameter wrok", "did you mean work?"),
        ("bad value", "the kernel refuses kind=many", "modinfo toa"),
        ("not installed", "modprobe knows no module elsewhere for kernel 6.", "depmod -a"),
        ("unprivileged load", "CAP_SYS_MODULE is lacking", "run as root"),
        ("other parameters", "loaded already with other parameters: work is N, not 1", "--reload toa"),
        ("unload of another", "it was not loaded by us", "rmmod toa"),
        ("unload again", "it is not loaded", ""),
        ("modprobe unknown parameter", "it has no parameter knd", "did you mean kind?"),
        ("lockdown", "kernel lockdown", "sign it"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(steps: Steps, step: str, why: str, what_to_do: str) -> None:
    came = steps[step]

    assert came["status"] == 1, came
    assert why in came["errors"]
    assert what_to_do in came["errors"]
    assert came["errors"].count("\n") == 1


def test_without_the_module_nothing_works(steps: Steps) -> None:
    came = steps["verify without"]

    assert came["status"] == 1
    assert set(verdicts(came).values()) == {"not loaded"}


def test_a_module_that_loads_and_does_nothing_is_found_out(steps: Steps) -> None:
    assert steps["load idle"]["status"] == 0
    came = steps["verify idle"]

    assert came["status"] == 1
    assert state(came)["state"] == "loaded but does not work"
    assert set(verdicts(came).values()) == {"loaded but does not work"}
    assert state(steps["status idle"])["loaded"]["parameters"]["work"] == "N"


def test_loading_twice_is_no_mistake(steps: Steps) -> None:
    assert (steps["load again"]["status"], steps["load again"]["out"]) == (
        0,
        "module toa: it is loaded already\n",
    )


def test_a_module_that_works_is_proven(steps: Steps) -> None:
    assert steps["reload"]["status"] == 0
    came = steps["verify"]

    assert came["status"] == 0
    assert state(came)["standing"] == "yes"
    assert verdicts(came) == {
        ("toa4", "IPv4"): "works",
        ("toa4", "dual-stack"): "works",
        ("toa6", "IPv6"): "works",
    }


def test_it_reads_the_ack_of_the_handshake_alone(steps: Steps) -> None:
    for each in state(steps["verify"])["verification"]:
        assert each["read_from"] == ["ACK of the handshake"]


def test_layouts_that_it_does_not_read_are_told_apart(steps: Steps) -> None:
    came = steps["verify all"]

    assert came["status"] == 1
    assert verdicts(came)[("toa6", "IPv6")] == "works"
    assert verdicts(came)[("ucloud", "IPv4")] == "loaded but does not work"
    assert verdicts(came)[("ttm6", "IPv6")] == "loaded but does not work"


def test_an_address_that_comes_from_elsewhere_is_as_good(steps: Steps) -> None:
    came = steps["verify by another"]

    assert came["status"] == 0
    for each in state(came)["verification"]:
        assert (each["verdict"], each["detail"]) == (
            "works",
            "by something else than the module, which is not loaded",
        )


def test_what_the_kernel_says_of_it(steps: Steps) -> None:
    loaded = state(steps["status"])["loaded"]

    assert loaded["version"] == "0.1"
    assert len(loaded["srcversion"]) == 23
    assert set(loaded["taint"]) == {"out of tree", "unsigned"}
    assert not loaded["signed"]
    assert loaded["parameters"] == {"kind": "254", "work": "Y"}
    assert state(steps["status"])["loaded_by_us"]


def test_it_counts_on_every_processor(steps: Steps) -> None:
    counted = state(steps["stats"])

    assert counted["counters"]["getname_toa_ok"] > 0
    assert counted["counters"]["syn_recv_sock_toa"] > 0
    assert all(len(columns) == 2 for columns in counted["counters_by_processor"].values())


def test_what_was_loaded_goes_again(steps: Steps) -> None:
    assert (steps["unload"]["status"], steps["unload"]["out"]) == (0, "module toa: unloaded\n")


def test_by_modprobe_with_a_parameter(steps: Steps) -> None:
    assert steps["modprobe"]["status"] == 0
    assert verdicts(steps["verify ucloud"])[("ucloud", "IPv4")] == "works"


def test_it_is_noted_for_the_next_boot(steps: Steps) -> None:
    assert steps["persist"]["status"] == 0
    assert steps["persisted"]["files"]["modules-load.d/keepalive_py.conf"].splitlines()[1:] == ["toa"]


def test_without_privilege_it_says_what_it_lacks(steps: Steps) -> None:
    came = steps["unprivileged verify"]

    assert came["status"] == 2
    assert "CAP_SYS_ADMIN" in came["out"]


# The real server's role, and the node's check of it.


def test_the_role_loads_and_proves_its_module(steps: Steps) -> None:
    assert (steps["role healthy"]["status"], steps["role healthy"]["out"]) == (200, "ok\ntoa: works\n")
    metrics = steps["role metrics"]["out"]
    assert 'keepalive_module_works{module="toa"} 1\n' in metrics
    assert 'keepalive_module_layout_works{module="toa",layout="toa6",listener="IPv6"} 1\n' in metrics
    assert 'keepalive_module_counter_total{module="toa",name="getname_toa_ok",cpu="0"}' in metrics


@pytest.mark.parametrize("step", ["check", "check v6"])
def test_the_check_passes_where_the_client_is_seen(steps: Steps, step: str) -> None:
    assert (steps[step]["kind"], steps[step]["detail"]) == ("Passed", "")


@pytest.mark.parametrize("step", ["check of another layout", "check without"])
def test_the_check_fails_where_the_node_is_seen(steps: Steps, step: str) -> None:
    assert steps[step]["kind"] == "Failed"
    assert steps[step]["detail"].startswith("told client 198.1")
    assert steps[step]["detail"].endswith("the server saw 127.0.0.1")


def test_a_check_that_only_reports_keeps_the_server(steps: Steps) -> None:
    assert steps["report only"]["kind"] == "Passed"
    assert steps["report only"]["detail"].startswith("wrong client: told client 198.1")


def test_what_is_taken_out_is_loaded_again(steps: Steps) -> None:
    assert steps["role's module"]["status"] == 0
    assert steps["role loads it again"]["status"] == 200
    (row,) = json.loads(steps["role loads it again"]["out"])
    assert row["loaded_by_us"]


def test_a_missing_module_makes_the_host_unwell(steps: Steps) -> None:
    assert steps["role's module again"]["status"] == 0, steps["role's module again"]
    assert steps["role reloaded"]["done"]
    assert steps["role unwell"]["status"] == 503
    assert steps["role unwell"]["out"].startswith("failed\ntoa: not loaded")


def test_the_role_ends_well(steps: Steps) -> None:
    assert steps["role ended"]["status"] == 0
