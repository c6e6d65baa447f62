"""`keepalive-ctl config fmt` on files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from keepalive_py.cli.ctl import main

UGLY = (
    b"# caf\xe9\nvirtual_server 10.0.0.1 80\n{\nlb_algo rr\nlb_kind NAT # why\n"
    b"  protocol TCP\nreal_server 192.0.2.1 80 {}}\n"
)
NEAT = (
    b"# caf\xe9\nvirtual_server 10.0.0.1 80 {\n    lb_algo rr\n    lb_kind NAT # why\n"
    b"    protocol TCP\n    real_server 192.0.2.1 80 { } }\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lb.conf"
    path.write_bytes(UGLY)
    path.chmod(0o640)
    return path


def test_it_prints(file: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["config", "fmt", str(file)]) == 0
    assert capfdbinary.readouterr().out == NEAT
    assert file.read_bytes() == UGLY


def test_it_reads_stdin(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(UGLY)))
    assert main(["config", "fmt", "-"]) == 0
    assert capfdbinary.readouterr().out == NEAT


def test_it_rewrites_through_a_link_and_keeps_the_mode(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = file.parent / "link.conf"
    link.symlink_to(file)
    assert main(["config", "fmt", "--check", str(link)]) == 1
    assert main(["config", "fmt", "-w", str(link)]) == 0
    assert (file.read_bytes(), file.stat().st_mode & 0o777, link.is_symlink()) == (NEAT, 0o640, True)
    assert main(["config", "fmt", "-w", str(link)]) == 0
    assert main(["config", "fmt", "--check", str(link)]) == 0
    assert capsys.readouterr().out == f"{link}\n{link}\n"
    assert sorted(os.listdir(file.parent)) == ["lb.conf", "link.conf"]


def test_flat_is_what_was_understood(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "fmt", "--flat", str(file)]) == 0
    flat = file.parent / "flat.conf"
    flat.write_text(capsys.readouterr().out)
    assert "#" not in flat.read_text()
    assert main(["config", "diff", str(file), str(flat)]) == 0


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "fmt", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err == f"{tmp_path}/x: No such file or directory\n"


def test_a_device_is_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "fmt", "/dev/zero"]) == 2
    assert capsys.readouterr().err == "/dev/zero: it is larger than 64 MiB\n"
    assert main(["config", "import", "--from", "/dev/zero"]) == 1


def test_bytes_of_no_language_are_no_saved_table(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b"\xff\xfe-A -t x\n")
    assert main(["config", "import", "--from", str(file)]) == 1
    assert "internal error" not in capsys.readouterr().err
