"""Files that have the modules loaded at the next boot: modules-load.d(5) and modprobe.d(5).

Two files of our own, so that nothing else is touched. A module that is loaded from a file is not
found by modprobe; for that one modprobe.d gets an `install` line with insmod(8).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from keepalive_py.config.toa import SourceKind, ToaModule
from keepalive_py.replacing import replace_file

__all__ = ["LOAD", "PARAMETERS", "files", "write"]

LOAD: Final = "modules-load.d/keepalive_py.conf"
PARAMETERS: Final = "modprobe.d/keepalive_py.conf"
HEAD: Final = "# Written by `keepalive-ctl toa persist`, which replaces it whole.\n"


def files(modules: Iterable[ToaModule]) -> dict[str, str]:
    """The two files by name; a file that has nothing to say is empty and goes away."""
    wanted = list(modules)
    load = "".join(f"{_for_modprobe(module)}\n" for module in wanted)
    lines = [line for module in wanted for line in _parameters(module)]
    parameters = "".join(f"{line}\n" for line in lines)
    return {LOAD: load and HEAD + load, PARAMETERS: parameters and HEAD + parameters}


def _for_modprobe(module: ToaModule) -> str:
    """What modprobe calls it."""
    source = module.module_source
    return source.name if source.kind is SourceKind.MODPROBE and source.name else module.name


def _parameters(module: ToaModule) -> list[str]:
    name, source = _for_modprobe(module), module.module_source
    values = [str(parameter) for parameter in module.parameters]
    if source.kind is SourceKind.FILE:  # modprobe gives the line to a shell
        return [f"install {name} /sbin/insmod {shlex.join([source.name, *values])}"]
    return [f"options {name} {' '.join(values)}"] if values else []


def write(content: Mapping[str, str], etc: Path = Path("/etc")) -> list[str]:
    """What was done, a line for each file that changed. Raises OSError."""
    told = []
    for name, text in content.items():
        path = etc / name
        if not text:
            if path.exists():
                path.unlink()
                told.append(f"{path} removed")
        elif not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(str(path), text.encode(), mode=0o644, durable=True)
            told.append(f"{path} written")
    return told
