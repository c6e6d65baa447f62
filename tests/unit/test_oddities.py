"""What looks like an accident in keepalived, and what is made of it here: those that no other
test holds. The table is in docs/migration.md, and test_migration_guide.py holds it to tests."""

from __future__ import annotations

import pytest

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.build import Loaded, load
from keepalive_py.config.check import CheckConfig
from keepalive_py.config.diagnostics import exit_status
from keepalive_py.config.model import RealServer
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.source import Documents
from keepalive_py.health import lifecycle
from keepalive_py.health.reload import reload
from keepalive_py.health.verdict import Failed, Reason, Verdict
from keepalive_py.plan.desired import slots

SERVER = "real_server 192.0.2.1 80 {\n}\n"


def read(text: str, **files: str) -> Loaded:
    documents = {"/k.conf": text, **{f"/{name}.conf": content for name, content in files.items()}}
    return load("/k.conf", Documents(documents), ReadOptions(config_id="here"), REGISTRY)


def service(body: str, head: str = "198.51.100.1 80") -> str:
    return f"virtual_server {head} {{\nprotocol TCP\nlvs_sched rr\nlvs_method NAT\n{body}\n}}\n"


def told(found: Loaded) -> list[str]:
    return [each.code for each in found.diagnostics]


def test_a_time_with_a_unit_behind_it_is_read_as_seconds() -> None:
    found = read(service(f"delay_loop 5s\n{SERVER}"))

    assert found.config is not None
    assert found.config.virtual_servers[0].delay_loop == 5
    assert told(found) == ["bad-number"]


@pytest.mark.parametrize("kind", ["group", "fwmark"])
def test_a_virtual_server_without_its_name_or_mark_is_an_error(kind: str) -> None:
    found = read(f"virtual_server {kind} {{\n}}\n")

    assert found.config is None
    assert exit_status(found.diagnostics) == 2


def test_mark_0_is_no_mark() -> None:
    found = read(service(SERVER, head="fwmark 0"))

    assert found.config is not None
    assert found.config.virtual_servers == ()
    assert "bad-number" in told(found)


def test_a_pattern_without_its_closing_quote_is_left_out() -> None:
    check = 'HTTP_GET {\nurl {\npath /\nregex "abc\n}\n}\n'
    found = read(service(f"real_server 192.0.2.1 80 {{\n{check}}}"))

    assert found.config is not None
    (one,) = found.config.virtual_servers[0].real_servers[0].checks
    assert one.urls[0].regex is None  # type: ignore[attr-defined]
    assert exit_status(found.diagnostics) == 5


def test_a_conditional_include_is_read_once() -> None:
    found = read("@here include /part.conf\n@other include /none.conf\n", part=service(SERVER))

    assert found.config is not None
    assert [str(vs.endpoint) for vs in found.config.virtual_servers] == ["198.51.100.1:80"]
    assert told(found) == []


def test_an_escaped_mark_of_comments_is_a_character_everywhere() -> None:
    found = read("global_defs {\nrouter_id a\\#b\n}\n" + service(f"virtualhost c\\#d\n{SERVER}"))

    assert found.config is not None
    assert found.config.global_defs.router_id == "a#b"
    assert found.config.virtual_servers[0].virtualhost == "c#d"


def test_a_large_ipv6_range_is_cut_and_told() -> None:
    group = "virtual_server_group g {\n2001:db8::/96 80\n}\n"
    found = read(group + service("real_server fd00::1 80 {\n}", head="group g"))

    assert found.config is not None
    assert told(found) == ["range-too-large"]
    assert sum(1 for _ in slots(found.config.virtual_servers[0], found.config)) == 65536


def test_a_quorum_that_can_never_be_gained_is_told() -> None:
    found = read(service(f"quorum 2\nhysteresis 1\nreal_server 192.0.2.2 80 {{\n}}\n{SERVER}"))

    assert found.config is not None
    assert (found.config.virtual_servers[0].quorum, found.config.virtual_servers[0].hysteresis) == (2, 1)
    assert len(told(found)) == 1


def test_weights_of_0_leave_the_hysteresis_as_it_is() -> None:
    found = read(service("real_server 192.0.2.1 80 {\nweight 0\n}"))

    assert found.config is not None
    assert found.config.virtual_servers[0].hysteresis == 0


def test_a_reload_moves_no_server_that_its_file_keeps_down() -> None:
    block = "track_file t {\nfile /t\nweight 0\n}\n"
    check = "FILE_CHECK {\ntrack_file t\n}\n"
    found = read(block + service(f"real_server 192.0.2.1 80 {{\n{check}}}"))
    assert found.config is not None

    def down(rs: RealServer, check: CheckConfig) -> Verdict:
        return Failed(Reason.FAULT)

    services, _ = lifecycle.start(found.config, 0.0, frozenset(), down)
    after, events = reload(services, found.config, 1.0, frozenset(), down)

    assert [type(event).__name__ for event in events if "Server" in type(event).__name__] == []
    assert not after[0].servers[0].alive
