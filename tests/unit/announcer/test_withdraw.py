"""What systemd runs when the daemon is gone."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from keepalive_py.announcer.loopback import Loopback, Outcome, Position
from keepalive_py.announcer.ownership import Ownership
from keepalive_py.cli import ctl
from keepalive_py.cli.commands import announcer
from keepalive_py.net import Address

UNITS = Path(__file__).parents[3] / "examples" / "systemd"
VIP = ip_address("192.0.2.10")


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Address]:
    """A daemon that is gone had one address; what was taken off."""
    ownership = Ownership(str(tmp_path))
    ownership.claim([(VIP, "kavip")])
    found: list[Address] = []

    class Kernel:
        def close(self) -> None:
            pass

    def place(self: Loopback, wanted: Mapping[Address, Position]) -> Outcome:
        found.extend(self.ownership.places)
        return Outcome(moved=[*self.ownership.places])

    monkeypatch.setattr(announcer, "Rtnetlink", Kernel)
    monkeypatch.setattr(Loopback, "place", place)
    return found


@pytest.mark.parametrize(
    ("result", "options", "goes"),
    [
        ("success", [], True),
        ("success", ["--after-crash"], False),
        ("", ["--after-crash"], False),
        ("signal", ["--after-crash"], True),
        ("watchdog", ["--after-crash"], True),
    ],
)
def test_withdraw_after_a_crash_or_always(
    taken: list[Address],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    result: str,
    options: list[str],
    goes: bool,
) -> None:
    if result:
        monkeypatch.setenv("SERVICE_RESULT", result)
    else:
        monkeypatch.delenv("SERVICE_RESULT", raising=False)
    assert ctl.main(["announcer", "withdraw", "--state-directory", str(tmp_path), *options]) == 0
    assert taken == ([VIP] if goes else [])


def settings(unit: str) -> dict[str, Any]:
    lines = (UNITS / unit).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_the_units_call_what_there_is() -> None:
    daemon, withdrawal = (settings(f"keepalive-py{more}.service") for more in ("", "-withdraw"))
    assert daemon["OnFailure"] == "keepalive-py-withdraw.service"
    _, program, *words = withdrawal["ExecStart"].split()
    assert program == "keepalive-ctl"
    given = ctl.argument_parser().parse_args([word for word in words if not word.startswith("$")])
    assert given.run is not None
