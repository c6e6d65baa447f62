"""What the client of the cluster's story is said to have lost; and what a machine is said to lack."""

from __future__ import annotations

import io
import os
import socket
import threading
from pathlib import Path

import pytest

from keepalive_py.lab import holder, needs
from keepalive_py.lab.story import ACTS, CUT, cost, title
from keepalive_py.lab.traffic import Attempt


def test_the_cost_counts_cut_and_lost_apart_and_the_longest_silence() -> None:
    attempts = [
        Attempt(0.0, 0.5, "early"),  # before the act
        Attempt(1.0, 1.1, "rs1"),
        Attempt(1.1, 1.2, "", CUT),
        Attempt(1.2, 1.3, "", "Connection refused"),
        Attempt(1.3, 1.9, "rs2"),
        Attempt(1.9, 2.0, "rs1"),
    ]
    found = cost(attempts, 1.0)
    assert (found.connections, found.cut, found.lost, found.silence) == (5, 1, ("Connection refused",), 0.8)
    assert str(found) == "client: 5 connections, 1 cut, 1 lost, longest silence 800 ms"
    assert cost([], 1.0).connections == 0


def test_every_act_has_a_title_and_says_what_it_shows() -> None:
    assert len({title(act) for act in ACTS}) == len(ACTS)
    assert all(act.__doc__ for act in ACTS)


@pytest.mark.parametrize("kind", needs.OF_DAEMON)
def test_a_machine_without_the_programs_is_told_which(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(needs, "OF_DAEMON", {kind: {"no-such-daemon": "its-package"}})
    missing = needs.lacking(kind)
    assert "no-such-daemon (Debian package its-package)" in missing
    assert "nft (Debian package nftables)" in missing


def test_without_root_that_is_all_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert needs.lacking("bird") == ["root"]


@pytest.mark.parametrize(("said", "status", "shown"), [("one\ntwo\n1\n", 1, "one\ntwo\n"), ("0\n", 0, "")])
def test_what_a_holder_says_is_passed_on_and_its_last_line_is_the_status(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, status: int, shown: str
) -> None:
    monkeypatch.setattr(holder, "HOME", tmp_path)
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(holder.place()))
        listener.listen(1)

        def serve() -> None:
            caller, _ = listener.accept()
            with caller:
                heard.append(caller.recv(100))
                caller.sendall(said.encode())

        thread = threading.Thread(target=serve)
        thread.start()
        out = io.StringIO()
        assert holder.ask("run", out) == status
        thread.join()
    assert out.getvalue() == shown
    assert heard == [b"run\n"]
    assert not holder.is_up()
