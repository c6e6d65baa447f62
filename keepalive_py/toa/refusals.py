"""Why a module could not be loaded, and what to do about it. Pure.

finit_module(2) answers with a number, and the kernel's log with the reason. The number alone can
mislead: a module whose own start fails may give any, among them EPERM and ENOENT.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keepalive_py.config.toa import Parameter
from keepalive_py.errors import KeepaliveError
from keepalive_py.toa.modinfo import ModInfo

__all__ = ["Host", "ModuleRefused", "explain", "other_parameters", "unknown_parameter", "wrong_kernel"]


class ModuleRefused(KeepaliveError):
    """A module is not (or must not be) loaded. `what_to_do` is for the operator."""

    def __init__(self, module: str, why: str, what_to_do: str = "") -> None:
        super().__init__(f"module {module}: {why}" + (f"; {what_to_do}" if what_to_do else ""))
        self.module = module
        self.why = why
        self.what_to_do = what_to_do


@dataclass(frozen=True, slots=True)
class Host:
    """What this host says of loading modules. `lockdown`: "", integrity or confidentiality;
    `disabled`: kernel.modules_disabled."""

    release: str
    privileged: bool = True
    lockdown: str = ""
    disabled: bool = False
    signatures_enforced: bool = False


_UNKNOWN_SYMBOL = re.compile(r"Unknown symbol (\S+) \(err (-?\d+)\)")
_OTHER_VERSION = re.compile(r"disagrees about version of symbol (\S+)")
_OTHER_MAGIC = re.compile(r"version magic '([^']*)' should be '([^']*)'")
_BAD_VALUE = re.compile(r"[`'](.*)' invalid for parameter [`'](.*)'")


def explain(
    module: str, number: int, host: Host, said: Sequence[str] = (), about: ModInfo | None = None
) -> ModuleRefused:
    """Errno `number` of loading it; `said` is what the kernel logged meanwhile."""
    for reason in (_by_log, _by_number):
        found = reason(module, number, host, said, about)
        if found is not None:
            return ModuleRefused(module, *found)
    heard = f"; the kernel says: {' / '.join(said)}" if said else "; the kernel's log (dmesg) may say more"
    return ModuleRefused(module, f"{os.strerror(number)} (errno {number}){heard}")


Answer = tuple[str, str] | None


def _by_log(module: str, number: int, host: Host, said: Sequence[str], about: ModInfo | None) -> Answer:
    """What the kernel says in words is surer than its number."""
    text = "\n".join(said)
    symbols = sorted({symbol for symbol, _ in _UNKNOWN_SYMBOL.findall(text)})
    others = sorted(set(_OTHER_VERSION.findall(text)))
    magic = _OTHER_MAGIC.search(text)
    if magic:
        return f"it is for kernel `{magic[1].strip()}`, this one is `{magic[2].strip()}`", _rebuild(host)
    if others:
        return (
            f"it was made for another build of kernel {host.release}: {_list(others)} is not the same there",
            _rebuild(host),
        )
    if symbols:
        needs = f" (it depends on {', '.join(about.depends)})" if about is not None and about.depends else ""
        return (
            f"the kernel has no {_list(symbols)}{needs}",
            f"load what brings it, or take a version of the module for kernel {host.release}",
        )
    value = _BAD_VALUE.search(text)
    if value:
        return f"the kernel refuses {value[2]}={value[1]}", f"see `modinfo {module}` for what it takes"
    if "Lockdown" in text or "lockdown" in text:
        return _lockdown(host)
    return None


def _by_number(module: str, number: int, host: Host, said: Sequence[str], about: ModInfo | None) -> Answer:
    if number == errno.EPERM:
        return _not_permitted(host, said)
    if number in (errno.EKEYREJECTED, errno.ENOKEY, errno.EBADMSG):
        return "its signature is not one that this kernel trusts", _sign()
    if number == errno.ENOEXEC:
        return wrong_kernel(about, host) or ("it is no module that this kernel understands", _rebuild(host))
    if number == errno.EEXIST:
        return "it is loaded already", f"unload it first (keepalive-ctl toa unload {module})"
    if number == errno.ENOSYS:
        return "this kernel takes no modules (CONFIG_MODULES)", "run one that does"
    if number == errno.ENOENT and not said:
        return (
            "the kernel lacks something that it needs (a symbol, or a file of its own)",
            "see dmesg; load the modules that it depends on",
        )
    return None


def _not_permitted(host: Host, said: Sequence[str]) -> Answer:
    if not host.privileged:
        return "not permitted: CAP_SYS_MODULE is lacking", "run as root, or give the service that capability"
    if host.disabled:
        return (
            "not permitted: kernel.modules_disabled is 1, until the next boot nothing can be loaded",
            "load it at boot (keepalive-ctl toa persist)",
        )
    if host.lockdown:
        return _lockdown(host)
    if host.signatures_enforced:
        return "it has no signature, and this kernel wants one", _sign()
    if said:
        return None
    return "its own start failed with EPERM", "see dmesg; most often a kernel that the module is not for"


def _lockdown(host: Host) -> Answer:
    mode = host.lockdown or "on"
    return f"refused: kernel lockdown ({mode}) wants a signed module", _sign()


def _sign() -> str:
    return (
        "sign it with a key that the kernel trusts (mokutil --import; DKMS does it by itself), "
        "or switch Secure Boot off"
    )


def _rebuild(host: Host) -> str:
    return f"build it again against the headers of {host.release} (linux-headers, kernel-devel), or use DKMS"


def wrong_kernel(about: ModInfo | None, host: Host) -> tuple[str, str] | None:
    """None when the file names the running kernel."""
    if about is None or about.release == host.release:
        return None
    return f"it is for kernel {about.release}, this one is {host.release}", _rebuild(host)


def unknown_parameter(module: str, about: ModInfo, parameters: Iterable[Parameter]) -> ModuleRefused | None:
    """The kernel would only log it and go on without."""
    for parameter in parameters:
        if parameter.name not in about.parameters:
            near = difflib.get_close_matches(parameter.name, about.parameters, 1)
            known = ", ".join(about.parameters) or "none"
            hint = f"did you mean {near[0]}?" if near else f"it has {known}"
            return ModuleRefused(module, f"it has no parameter {parameter.name}", hint)
    return None


def other_parameters(
    module: str, wanted: Iterable[Parameter], has: dict[str, str | None]
) -> ModuleRefused | None:
    """It is loaded, with other values than these. Of one that it hides (None) nothing is said."""
    differing = [
        f"{each.name} is {has.get(each.name)}, not {each.value}"
        for each in wanted
        if has.get(each.name) is not None and not same_value(each.value, str(has.get(each.name)))
    ]
    if not differing:
        return None
    return ModuleRefused(
        module,
        f"it is loaded already with other parameters: {', '.join(differing)}",
        f"`keepalive-ctl toa load --reload {module}` loads it anew",
    )


def same_value(wanted: str, has: str) -> bool:
    """As the kernel shows what it was given: numbers in decimal, truth as Y or N."""
    if has in ("Y", "N"):
        return (wanted.lower() in ("y", "1", "on", "yes", "true")) == (has == "Y")
    try:
        return int(wanted, 0) == int(has, 0)
    except ValueError:
        return wanted == has


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
