"""The cases that are easy to get wrong: status of `-t`, what is told, and what runs."""

from ipaddress import IPv4Address

import pytest
from config_cases import CASES, MAIN, Case

from keepalive_py.checkers import REGISTRY
from keepalive_py.config.build import Loaded, load
from keepalive_py.config.diagnostics import Severity
from keepalive_py.config.model import Config, Forwarding, Tunnel, TunnelChecksum, TunnelType
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.source import Documents, SourceProblem
from keepalive_py.net import Protocol

BY_ID = {each.id: each for each in CASES}


def answer(case: Case) -> Loaded:
    texts = dict(case.files)
    if case.text is not None:
        texts[MAIN] = case.text
    problems = {MAIN: SourceProblem.EXECUTABLE} if case.executable else {}
    return load(MAIN, Documents(texts, problems), ReadOptions(config_id="here"), REGISTRY)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_status_and_diagnostics(case):
    loaded = answer(case)
    told = tuple(
        f"{each.code}@{each.subject.line if each.subject else 0}"
        for each in loaded.diagnostics
        if each.severity is not Severity.NOTE
    )
    assert (loaded.exit_status, told) == (case.status, case.told)


def config(name: str) -> Config:
    found = answer(BY_ID[name]).config
    assert found is not None
    return found


def service(name):
    (one,) = config(name).virtual_servers
    return one


def server(name):
    return service(name).real_servers[-1]


def test_an_unknown_keyword_leaves_the_service_as_it_is():
    assert service("L12") == service("L4")


def test_an_unknown_block_ends_the_block_around_it():
    assert config("L13").virtual_servers == ()


@pytest.mark.parametrize("name", ["L14", "L7"])
def test_the_end_of_the_text_ends_every_block(name):
    (service,) = config(name).virtual_servers
    assert [str(server.endpoint) for server in service.real_servers] == ["10.0.0.2:80"]


def test_a_backslash_keeps_a_mark_of_comments():
    assert config("L17").global_defs.router_id == "a#b"


def test_sequences_lists_and_definitions_make_servers():
    assert [str(each.endpoint.address) for each in service("L21").real_servers] == [
        "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.2",
    ]  # fmt: skip
    assert [str(each.endpoint) for each in service("L23").real_servers] == [
        "10.0.0.4:80", "10.0.0.3:81", "10.0.0.2:80",
    ]  # fmt: skip
    assert [str(each.endpoint.address) for each in service("L24").real_servers][:2] == [
        "10.0.1.1",
        "10.0.1.0",
    ]
    assert service("L25").real_servers[0].weight == 2


def test_blocks_of_globals_add_up():
    assert config("L37").global_defs.router_id == "a"
    assert config("L37").global_defs.lvs_flush


def test_a_missing_parameter_leaves_nothing_to_run():
    assert answer(BY_ID["L36"]).config is None


def test_leading_digits_of_a_lenient_number_are_used():
    assert server("L40").weight == 5


def test_defaults_of_a_service_that_says_nothing():
    bare = service("S2")
    assert (bare.protocol, bare.scheduler, bare.forwarding) == (Protocol.UDP, "wlc", Forwarding.NAT)


def test_port_zero_makes_a_service_persistent():
    assert service("S3").persistence_timeout == 360
    assert service("S4").persistence_timeout == 100
    assert service("S12").persistence_timeout == 360


def test_of_a_range_the_first_address_is_served():
    assert str(service("S6").endpoint) == "10.0.0.1:80"


def test_a_mask_without_dots_is_read_as_ever():
    assert service("S13").persistence_netmask == IPv4Address("0.0.0.24")


def test_quorum_and_hysteresis_are_repaired():
    assert service("S14").quorum == 1
    assert service("S15").quorum == 1
    assert (service("S16").quorum, service("S16").hysteresis) == (1, 0)
    assert (service("S19").quorum, service("S19").hysteresis) == (0, 0)


def test_bad_tunnel_options_leave_the_method():
    assert (service("S22").forwarding, service("S22").tunnel) == (Forwarding.TUN, Tunnel())
    assert service("S22 port").tunnel == Tunnel(TunnelType.GUE, 6080, TunnelChecksum.CSUM)


def test_only_nat_keeps_a_port_of_its_own():
    assert str(server("S26").endpoint) == "10.0.0.2:80"
    assert str(server("S27").endpoint) == "10.0.0.2:0"


def test_alpha_off_is_on_for_a_service():
    assert service("S30").alpha


def test_the_last_sorry_server_counts():
    sorry = service("S34 two").sorry_server
    assert sorry is not None
    assert str(sorry.endpoint) == "10.0.0.8:80"


def test_the_first_script_counts():
    notify = server("S35").notify_up
    assert notify is not None
    assert notify.argv == ("/usr/bin/true",)


def test_bad_lines_of_a_group_are_skipped():
    members = config("S38").groups["G"].members
    assert [str(each.addresses) for each in members] == ["10.0.1.0-10.0.1.3", "10.0.0.9"]


def test_a_check_that_is_refused_leaves_the_server():
    for name in ("C1", "C2", "C9", "C11", "C16", "C17", "C18"):
        assert server(name).checks == ()


def test_what_is_repaired_leaves_the_check():
    for name in ("C3 list", "C4", "C5", "C6", "C7", "C12", "C13", "C14 name", "C15", "C19"):
        assert len(server(name).checks) == 1


def test_the_old_name_of_retry_works():
    assert server("C7").checks[0].retry == 3
