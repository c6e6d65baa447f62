"""Where settings come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keepalive_py.cli.ctl import main

TEXT = """\
virtual_server 192.0.2.1 80 {
    lb_algo rr
    lb_kind NAT
    protocol TCP
    delay_loop 7
    retry 4
    real_server 192.0.2.2 80 {
        weight 3
        delay_loop 6
        TCP_CHECK { connect_timeout 2 }
    }
    include more.conf
}
virtual_server fwmark 3 {
    lb_algo rr
    lb_kind NAT
    real_server 192.0.2.9 80 { }
}
"""
MORE = "quorum 1\nreal_server 192.0.2.3 80 { HTTP_GET { url { path / } } }\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "more.conf").write_text(MORE)
    (tmp_path / "lb.conf").write_text(TEXT)
    return tmp_path


def explain(
    capsys: pytest.CaptureFixture[str], *words: str
) -> dict[tuple[str, str], tuple[str, str, str | None, Any]]:
    assert main(["config", "explain", *words, "--json"]) == 0
    return {
        (each["block"][-1], each["keyword"]): (
            each["value"], each["origin"], each["from"],
            None if each["line"] is None else f"{Path(each['file']).name}:{each['line']}",
        )
        for each in json.loads(capsys.readouterr().out)
    }  # fmt: skip


def test_every_origin(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = explain(capsys, "192.0.2.1:80", str(files / "lb.conf"))
    service = "virtual_server 192.0.2.1 80 TCP"
    assert found[service, "lb_algo"] == ("rr", "written", None, "lb.conf:2")
    assert found[service, "quorum"] == ("1", "written", None, "more.conf:1")
    assert found[service, "omega"] == ("off", "default", None, None)
    assert found["real_server 192.0.2.2:80", "weight"] == ("3", "written", None, "lb.conf:8")
    assert found["real_server 192.0.2.3:80", "weight"] == ("1", "default", None, None)
    assert found["real_server 192.0.2.3:80", "lvs_method"] == (
        "NAT",
        "inherited",
        "virtual_server",
        "lb.conf:3",
    )
    assert found["TCP_CHECK", "delay_loop"] == ("6", "inherited", "real_server", "lb.conf:9")
    assert found["TCP_CHECK", "retry"] == ("4", "inherited", "virtual_server", "lb.conf:6")
    assert found["TCP_CHECK", "connect_timeout"] == ("2", "written", None, "lb.conf:10")
    assert found["TCP_CHECK", "warmup"] == ("6", "derived", None, None)
    assert found["HTTP_GET", "delay_before_retry"] == ("3", "default", None, None)


def test_a_long_number_is_shown_whole(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "lb.conf").write_text(TEXT.replace("retry 4", "delay_loop 1234567"))
    found = explain(capsys, "192.0.2.1:80", str(files / "lb.conf"))
    assert found["virtual_server 192.0.2.1 80 TCP", "delay_loop"][0] == "1234567"


def test_one_server_and_no_defaults(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("192.0.2.1 80", str(files / "lb.conf"), "--server", "192.0.2.2:80", "--set")
    found = explain(capsys, *words)
    assert {block for block, _ in found} == {"real_server 192.0.2.2:80", "TCP_CHECK"}
    assert all(origin != "default" for _, origin, _, _ in found.values())


def test_a_template(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "lb.conf.j2").write_text("{% for x in (1, 2) %}\n# {{ x }}\n{% endfor %}\n" + TEXT)
    found = explain(capsys, "fwmark 3", "-t", str(files / "lb.conf.j2"))
    assert found["virtual_server fwmark 3", "lb_algo"] == ("rr", "written", None, "lb.conf.j2:18")


def test_a_service_that_is_not_there(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "explain", "192.0.2.1:81", str(files / "lb.conf")]) == 1
    assert "did you mean `192.0.2.1:80`?" in capsys.readouterr().err


def test_a_server_that_is_not_there(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["config", "explain", "192.0.2.1:80", str(files / "lb.conf"), "--server"]
    assert main([*words, "192.0.2.2 80"]) == 1
    found = capsys.readouterr()
    assert (found.out, "did you mean `192.0.2.2:80`?" in found.err) == ("", True)
    assert main([*words, "web"]) == 1
    assert "there are 192.0.2.2:80, " in capsys.readouterr().err


def test_a_service_that_a_mistake_hides(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "lb.conf").write_text("virtual_servr 192.0.2.1 80 {\n}\n")
    assert main(["config", "explain", "192.0.2.1:80", str(files / "lb.conf")]) == 1
    said = capsys.readouterr().err
    assert "did you mean `virtual_server`?" in said
    assert said.endswith("there is no virtual server `192.0.2.1:80`: there are none\n")


def test_what_a_keyword_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "keyword", "lvs_sched"]) == 0
    assert "Scheduler of the kernel." in capsys.readouterr().out
    assert main(["config", "keyword", "lvs_shed"]) == 1
    assert "did you mean `lvs_sched`?" in capsys.readouterr().err
