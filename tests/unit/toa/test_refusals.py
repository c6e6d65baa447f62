"""Why a module was not loaded, and what to do."""

from __future__ import annotations

import errno

import pytest

from keepalive_py.config.toa import Parameter
from keepalive_py.toa.modinfo import ModInfo
from keepalive_py.toa.refusals import Host, explain, other_parameters, same_value, unknown_parameter

HERE = Host("6.1.0-56-cloud-amd64")
ABOUT = ModInfo("toa", "6.1.0-56-cloud-amd64 SMP", "1", "S", "GPL", ("ipv6",), ("kind", "work"), False)
OTHER = ModInfo("toa", "5.10.0-8-amd64 SMP", "1", "S", "GPL", (), (), False)

CASES = [
    # number, host, what the kernel said, the module: why, what to do
    (errno.ENOEXEC, HERE, [], OTHER, "it is for kernel 5.10.0-8-amd64, this one is 6.1.0", "build it again"),
    (errno.ENOEXEC, HERE, [], ABOUT, "no module that this kernel understands", "build it again"),
    (errno.ENOEXEC, HERE, ["toa: version magic '5.10 SMP ' should be '6.1 SMP '"], ABOUT,
     "for kernel `5.10 SMP`, this one is `6.1 SMP`", "build it again"),
    (errno.ENOSYS, HERE, [], ABOUT, "takes no modules", ""),
    (errno.ENOENT, HERE, ["toa: Unknown symbol frobnicate (err -2)"], ABOUT,
     "has no frobnicate (it depends on ipv6)", "load what brings it"),
    (errno.EINVAL, HERE, ["toa: disagrees about version of symbol tcp_prot",
                          "toa: Unknown symbol tcp_prot (err -22)"], ABOUT,
     "another build", "build it again"),
    (errno.EINVAL, HERE, ["toa: `many' invalid for parameter `kind'"], ABOUT,
     "refuses kind=many", "modinfo toa"),
    (errno.EPERM, Host("6.1", privileged=False), [], ABOUT, "CAP_SYS_MODULE", "run as root"),
    (errno.EPERM, Host("6.1", disabled=True), [], ABOUT, "modules_disabled", "at boot"),
    (errno.EPERM, Host("6.1", lockdown="integrity"), [], ABOUT, "lockdown (integrity)", "sign it"),
    (errno.EPERM, HERE, ["Lockdown: python3: unsigned module loading is restricted; see man"], ABOUT,
     "lockdown", "sign it"),
    (errno.EPERM, Host("6.1", signatures_enforced=True), [], ABOUT, "no signature", "sign it"),
    (errno.EPERM, HERE, [], ABOUT, "its own start failed", "dmesg"),
    (errno.EPERM, HERE, ["TTM: proc_err"], ABOUT, "the kernel says: TTM: proc_err", ""),
    (errno.EKEYREJECTED, HERE, [], ABOUT, "signature", "sign it"),
    (errno.EEXIST, HERE, [], ABOUT, "loaded already", "toa unload toa"),
    (errno.ENOENT, HERE, [], ABOUT, "lacks something", "dmesg"),
    (errno.ENOMEM, HERE, [], ABOUT, "Cannot allocate memory (errno 12)", ""),
]  # fmt: skip


@pytest.mark.parametrize(("number", "host", "said", "about", "why", "what_to_do"), CASES)
def test_a_refusal_says_why_and_what_to_do(
    number: int, host: Host, said: list[str], about: ModInfo, why: str, what_to_do: str
) -> None:
    refused = explain("toa", number, host, said, about)

    assert why in refused.why
    assert what_to_do in refused.what_to_do
    assert str(refused).startswith("module toa: ")


def test_a_parameter_that_the_module_does_not_have() -> None:
    refused = unknown_parameter("toa", ABOUT, [Parameter("kind", "1"), Parameter("wrk", "1")])
    assert refused is not None
    assert (refused.why, refused.what_to_do) == ("it has no parameter wrk", "did you mean work?")
    assert unknown_parameter("toa", ABOUT, [Parameter("kind", "1")]) is None
    refused = unknown_parameter("toa", OTHER, [Parameter("kind", "1")])
    assert refused is not None
    assert refused.what_to_do == "it has none"


def test_loaded_with_other_parameters() -> None:
    wanted = [Parameter("kind", "0xfd"), Parameter("work", "1"), Parameter("hidden", "x")]

    assert other_parameters("toa", wanted, {"kind": "253", "work": "Y", "hidden": None}) is None
    refused = other_parameters("toa", wanted, {"kind": "254", "work": "Y"})
    assert refused is not None
    assert "kind is 254, not 0xfd" in refused.why
    assert "--reload toa" in refused.what_to_do


@pytest.mark.parametrize(
    ("wanted", "has", "same"),
    [("1", "Y", True), ("off", "N", True), ("yes", "N", False), ("254", "254", True), ("a", "b", False)],
)
def test_values_as_the_kernel_shows_them(wanted: str, has: str, same: bool) -> None:
    assert same_value(wanted, has) is same
