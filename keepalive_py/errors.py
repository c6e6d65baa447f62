"""The exceptions of the project, named for whose move it is.

```
KeepaliveError
├── ConfigError      the operator's: a file says something that cannot be run
├── KernelRefused    the kernel said no to one step (errno and hint attached)
├── FeatureMissing   this host lacks something (what it needs is attached)
└── WireError        a peer sent bytes that its protocol does not allow
```

A mistake in a configuration file is a `Diagnostic` value, collected and never
thrown; `ConfigError` is what remains when there is nothing to run at all.
Code raises or logs, never both. The one catch-all sits at the boundary of the
probing engine and of the daemon.
"""

from __future__ import annotations

import os


class KeepaliveError(Exception):
    """Root of everything this project raises on purpose."""


class ConfigError(KeepaliveError):
    """The configuration cannot be run. `exit_code` is keepalived's exit status."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class KernelRefused(KeepaliveError):
    """The kernel answered a request with an error.

    `errno` is the kernel's number, `hint` what the operator can do about it.
    """

    def __init__(self, what: str, errno: int, hint: str = "") -> None:
        text = f"{what}: {os.strerror(errno)} (errno {errno})"
        super().__init__(f"{text}; {hint}" if hint else text)
        self.what = what
        self.errno = errno
        self.hint = hint


class FeatureMissing(KeepaliveError):
    """This host cannot do what was asked; `needs` says what would make it able."""

    def __init__(self, feature: str, needs: str) -> None:
        super().__init__(f"{feature} is not available here: needs {needs}")
        self.feature = feature
        self.needs = needs


class WireError(KeepaliveError):
    """A peer's bytes break its own protocol."""
