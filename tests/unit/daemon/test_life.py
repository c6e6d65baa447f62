"""Which configurations may follow the running one; what is saved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from daemon_rig import config_of, virtual_server

from keepalive_py.daemon.configuring import Configuring
from keepalive_py.daemon.life import Life, save_copy, summary
from keepalive_py.daemon.loading import Ready, load
from keepalive_py.daemon.options import Options
from keepalive_py.daemon.paths import paths
from keepalive_py.daemon.systemd import ServiceNotifier

GOOD = virtual_server("192.0.2.1")
ERROR = "lb_shed rr\n"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Ready]:
    def load_text(text: str) -> Ready:
        path = tmp_path / "lb.conf"
        path.write_text(text)
        return load(Options(config_file=str(path)))

    return load_text


def life_of(ready: Ready, *, strict: bool = False) -> Life:
    options = Options(strict=strict)
    return Life(options, ready, paths(options, ready.settings), ServiceNotifier({}))


def test_the_same_may_follow(read: Callable[[str], Ready]) -> None:
    assert life_of(read(GOOD)).refusal(read(GOOD)) == ""


def test_a_new_error_may_not_and_an_old_one_may_stay(read: Callable[[str], Ready]) -> None:
    assert "1 new error(s), the first: " in life_of(read(GOOD)).refusal(read(GOOD + ERROR))
    assert life_of(read(GOOD + ERROR)).refusal(read("\n\n" + GOOD + ERROR)) == ""
    assert "1 new error(s)" in life_of(read(GOOD + ERROR)).refusal(read(GOOD + ERROR + ERROR))


def test_with_strict_no_error_may(read: Callable[[str], Ready]) -> None:
    assert life_of(read(GOOD + ERROR), strict=True).refusal(read(GOOD + ERROR)) == "1 error(s)"


def test_nothing_may_not_follow(read: Callable[[str], Ready]) -> None:
    running = read(GOOD)
    missing = load(Options(config_file="/nonexistent/lb.conf"))
    expected = "there is no configuration to run: /nonexistent/lb.conf: no such file"
    assert life_of(running).refusal(missing) == expected
    assert missing.exit_status_at_start == 6


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("net_namespace blue\n", "network namespace"),
        ("net_namespace_ipvs blue\n", "IPVS network namespace"),
        ("instance blue\n", "instance name"),
        ("global_defs {\n nftables_ipvs blue\n}\n", "IPVS nftables table name"),
    ],
)
def test_what_only_a_restart_can_change(line: str, title: str, read: Callable[[str], Ready]) -> None:
    expected = f"Cannot change {title} at a reload - please restart keepalive-py"
    assert life_of(read(GOOD)).refusal(read(line + GOOD)) == expected


async def test_a_preview_says_what_a_reload_would(read: Callable[[str], Ready], tmp_path: Path) -> None:
    checked = f"global_defs {{\n reload_check_config {tmp_path}/log\n}}\n{GOOD}"
    options = Options(config_file=str(tmp_path / "lb.conf"))
    for text in ("instance blue\n" + checked, checked.replace("protocol TCP\n", "")):
        configuring = Configuring(options, read(checked), lambda: None)
        life = life_of(configuring.running)
        assert life.refusal(read(text)) == (await configuring.preview())["refused"] != ""


def test_reload_check_config_refuses_what_minus_t_would_not_end_well_with(
    read: Callable[[str], Ready], tmp_path: Path
) -> None:
    """A warning is enough, as with keepalived."""
    log = tmp_path / "log"
    checked = f"global_defs {{\n reload_check_config {log}\n}}\n{GOOD}"
    warned = checked.replace("protocol TCP\n", "")
    running = life_of(read(checked))
    assert running.refusal(read(checked)) == ""
    assert running.refusal(read(warned)) == f"New config failed validation, see {log} for details"
    assert "lb.conf: Line" in log.read_text()


async def test_a_mistake_of_ours_in_a_reload_is_no_success(
    read: Callable[[str], Ready], monkeypatch: pytest.MonkeyPatch
) -> None:
    life = life_of(read(GOOD))
    monkeypatch.setattr(life.configuring, "load", lambda: 1 / 0)
    reloading = asyncio.create_task(life.reloading())
    found = await life.configuring.apply(confirm=False)
    reloading.cancel()
    assert (found["finished"], found["refused"]["why"]) == (True, "internal error, the log has it")


def test_a_copy_of_what_was_understood(tmp_path: Path) -> None:
    where = tmp_path / "saved"
    config = config_of(f"global_defs {{\n config_save_dir {where}\n}}\n{GOOD}")
    save_copy(config)
    (copy,) = where.iterdir()
    assert copy.name.startswith("keepalived.conf.2")
    assert (where.stat().st_mode & 0o777, copy.stat().st_mode & 0o777) == (0o700, 0o600)
    assert config_of(copy.read_text()) == config


def test_the_summary_for_systemd() -> None:
    assert summary(config_of(GOOD + virtual_server("192.0.2.1", "192.0.2.2", address="10.0.0.2"))) == (
        "2 virtual servers, 3 real servers"
    )
