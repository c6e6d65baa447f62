"""What the daemon does to its own process: asked of the kernel in the right way, refused softly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keepalive_py.config.model import GlobalDefs
from keepalive_py.daemon import process
from keepalive_py.daemon.options import Options


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.mark.parametrize(
    ("options", "settings", "mask"),
    [
        (Options(), GlobalDefs(), 0o177),
        (Options(), GlobalDefs(umask=0o22), 0o22),
        (Options(umask=0), GlobalDefs(umask=0o22), 0),
    ],
)
def test_the_command_line_s_umask_wins(
    options: Options, settings: GlobalDefs, mask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[int] = []
    monkeypatch.setattr(os, "umask", masks.append)
    process.set_umask(options, settings)
    assert masks == [mask]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (GlobalDefs(process_names=True), "keepalived_lvs"),
        (GlobalDefs(process_name="one", checker_process_name="two"), "two"),
        (GlobalDefs(process_name="a-name-that-is-too-long"), "a-name-that-is-"),
    ],
)
def test_the_name_that_ps_shows(
    settings: GlobalDefs, name: str, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "NAME_FILE", str(tmp_path / "comm"))
    process.set_name(settings, said.append)
    assert (tmp_path / "comm").read_text() == name
    assert said == []


def test_without_a_name_it_stays(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "NAME_FILE", str(tmp_path / "comm"))
    process.set_name(GlobalDefs(), said.append)
    assert not (tmp_path / "comm").exists()


def test_scheduling_is_ours_and_not_the_scripts(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(os, "setpriority", lambda *words: asked.append(words))
    monkeypatch.setattr(os, "sched_setaffinity", lambda *words: asked.append(words))
    monkeypatch.setattr(
        os, "sched_setscheduler", lambda pid, policy, param: asked.append((policy, param.sched_priority))
    )
    settings = GlobalDefs(checker_priority=-5, checker_rt_priority=20, checker_cpu_affinity=(0, 1))
    process.apply_scheduling(settings, said.append)
    assert asked == [
        (os.PRIO_PROCESS, 0, -5),
        (os.SCHED_RR | os.SCHED_RESET_ON_FORK, 20),
        (0, (0, 1)),
    ]
    assert said == []


def test_what_the_kernel_refuses_is_a_remark(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_words: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setpriority", refused)
    monkeypatch.setattr(process, "lock_memory", refused)
    process.apply_scheduling(GlobalDefs(checker_priority=-5, checker_no_swap=True), said.append)
    assert said == [
        "Unable to set the process priority to -5: [Errno 1] Operation not permitted",
        "Unable to lock the memory: [Errno 1] Operation not permitted",
    ]
