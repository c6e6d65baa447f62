"""The keywords that FULLNAT keepaliveds have, and our own about local addresses."""

import pytest
from strategies import loaded

from keepalive_py.config.diagnostics import Severity
from keepalive_py.config.model import SchedulerFlag
from keepalive_py.config.writer import write
from keepalive_py.health.lifecycle import start
from keepalive_py.plan.desired import desired
from keepalive_py.plan.table import NO_OPTIONS, OPTION_NAMES, ServiceOptions

GROUP = """
local_address_group l {
    198.51.100.1
    198.51.100.8-9
    198.51.100.16/30 eth1
    2001:db8:5::1-a dpdk0
}
"""
SERVICE = """
virtual_server 192.0.2.1 80 {
    protocol TCP
    lb_algo rr
    lb_kind FNAT
    laddr_group_name l
    %s
    real_server 192.0.2.2 80 {
        TCP_CHECK { }
    }
    real_server 192.0.2.3 80 {
        TCP_CHECK {
            bindto 192.0.2.9
        }
    }
}
"""


def of_service(*lines, group=GROUP):
    return loaded(group + SERVICE % "\n    ".join(lines))


def codes(answer):
    return [each.code for each in answer.diagnostics if each.severity is not Severity.NOTE]


def notes(answer):
    return [each.summary for each in answer.diagnostics if each.code == "other-home"]


def test_every_form_of_a_line_of_local_addresses():
    answer = of_service()
    assert codes(answer) == []
    assert [str(each) for each in answer.config.local_address_groups["l"].addresses] == [
        "198.51.100.1",
        "198.51.100.8-198.51.100.9",
        "198.51.100.16-198.51.100.19 eth1",
        "2001:db8:5::1-2001:db8:5::a dpdk0",
    ]
    assert loaded(write(answer.config)).config == answer.config


def test_the_interface_of_a_local_address_reaches_the_table():
    config = of_service().config
    services, _ = start(config, 0.0)
    (entry,) = desired(config, services).values()
    assert {str(address): name for address, name in entry.interfaces.items()} == {
        f"198.51.100.{last}": "eth1" for last in range(16, 20)
    }


def test_a_group_of_more_addresses_than_any_node_has_is_refused():
    answer = loaded("local_address_group l {\n10.0.0.0/8\n10.0.0.1\n}\n")
    assert "range-too-large" in codes(answer)
    assert [str(each) for each in answer.config.local_address_groups["l"].addresses] == ["10.0.0.1"]


WORDS = {
    "syn_proxy": ("syn_proxy", True),
    "est_timeout 90": ("established_timeout", 90),
    "establish_timeout 90": ("established_timeout", 90),
    "bps 1000": ("bps", 1000),
    "limit_proportion 80": ("limit_proportion", 80),
    "proxy_protocol v1": ("proxy_protocol", "v1"),
    "proxy_protocol v2 insecure": ("proxy_protocol", "v2-insecure"),
    "quic": ("quic", True),
    "expire_quiescent_conn": ("expire_quiescent_conn", True),
    "hash_target qid": ("hash_target", "qid"),
    "vip_bind_dev eth0": ("vip_device", "eth0"),
    "daddr_group_name black": ("deny_address_group", "black"),
    "waddr_group_name white": ("allow_address_group", "white"),
}


@pytest.mark.parametrize("line", WORDS)
def test_a_keyword_of_another_fullnat_is_read_written_and_says_where_it_works(line):
    answer = of_service(line)
    assert codes(answer) == []
    field, value = WORDS[line]
    assert getattr(answer.config.virtual_servers[0], field) == value
    assert loaded(write(answer.config)).config == answer.config
    (note,) = notes(answer)
    assert line.split()[0].replace("establish_", "est_") in note


@pytest.mark.parametrize("line", ["proxy_protocol v3", "proxy_protocol v1 safely", "limit_proportion 101"])
def test_a_bad_value_is_an_error(line):
    assert len(codes(of_service(line))) == 1


def test_what_a_dataplane_can_hold_is_asked_of_it_and_nothing_else():
    config = of_service("syn_proxy", "est_timeout 90", "quic").config
    services, _ = start(config, 0.0)

    def options(holds):
        (entry,) = desired(config, services, holds=holds).values()
        return entry.service.options

    assert options(OPTION_NAMES) == ServiceOptions(syn_proxy=True, established_timeout=90, quic=True)
    assert options({"syn_proxy"}) == ServiceOptions(syn_proxy=True)
    assert options(()) == NO_OPTIONS


def test_a_scheduler_of_dpvs_is_known():
    answer = loaded(GROUP + (SERVICE % "").replace("lb_algo rr", "lb_algo conhash"))
    assert codes(answer) == []
    assert answer.config.virtual_servers[0].scheduler == "conhash"


def test_blocks_of_dpvs_are_kept():
    text = "deny_address_group black {\n 203.0.113.0/24\n}\nallow_address_group white {\n 10.0.0.1\n}\n"
    text += "tunnel_group t {\n tunnel_entry one {\n"
    text += " kind ipip\n remote 10.0.0.1\n local 10.0.0.2\n if dpdk0\n }\n}\n"
    answer = loaded(text)
    assert codes(answer) == []
    assert [block.keyword for block in answer.config.kept_blocks] == [
        "deny_address_group",
        "allow_address_group",
        "tunnel_group",
    ]


# ---------------------------------------------------------------- what cannot work


def test_fnat_without_local_addresses_is_warned_of():
    answer = loaded((SERVICE % "").replace("laddr_group_name l", ""))
    assert codes(answer) == ["no-local-addresses"]


def test_local_addresses_of_the_other_family_only_are_warned_of():
    assert codes(of_service(group="local_address_group l {\n2001:db8::1\n}\n")) == ["no-local-addresses"]


def test_an_unknown_group_is_an_error():
    assert codes(of_service(group=""))[0] == "unknown-group"


def test_one_packet_scheduling_is_refused():
    answer = loaded(GROUP + (SERVICE % "ops").replace("TCP\n", "UDP\n", 1))
    assert codes(answer) == ["ops-fullnat"]
    assert [each.severity for each in answer.diagnostics if each.code == "ops-fullnat"] == [Severity.ERROR]
    assert answer.config.virtual_servers[0].scheduler_flags is SchedulerFlag.NONE


def test_nat_beside_fnat_is_warned_of():
    mixed = (SERVICE % "").replace("192.0.2.3 80 {", "192.0.2.3 80 {\n        lvs_method NAT")
    assert codes(loaded(GROUP + mixed)) == ["nat-beside-fullnat"]


def test_local_addresses_of_a_service_without_fnat_are_not_used():
    answer = loaded(GROUP + (SERVICE % "").replace("FNAT", "DR"))
    assert codes(answer) == ["local-addresses-unused"]
    services, _ = start(answer.config, 0.0)
    (entry,) = desired(answer.config, services).values()
    assert entry.local_addresses == ()


# ---------------------------------------------------------------- checks as the traffic goes


def sources(answer):
    servers = answer.config.virtual_servers[0].real_servers
    return [None if each.checks[0].bindto is None else str(each.checks[0].bindto) for each in servers]


def test_checks_leave_from_anywhere_unless_asked():
    assert sources(of_service()) == [None, "192.0.2.9"]


def test_checks_leave_from_a_local_address_of_their_family_when_asked():
    answer = of_service("check_from_local_address")
    first, second = sources(answer)
    local = answer.config.local_address_groups["l"].addresses
    assert any(
        first == str(address) for span in local if span.first.version == 4 for address in span.addresses()
    )
    assert second == "192.0.2.9"
    assert sources(of_service("check_from_local_address")) == [first, second]
    assert loaded(write(answer.config)).config == answer.config


def test_many_servers_are_checked_from_many_local_addresses():
    server = "    real_server 10.9.0.{} 80 {{\n        TCP_CHECK {{ }}\n    }}\n"
    servers = "".join(server.format(last) for last in range(1, 101))
    head = (SERVICE % "check_from_local_address").partition("    real_server")[0]
    found = sources(loaded(GROUP + head + servers + "}\n"))
    assert len(set(found)) == 7


def test_checks_of_a_server_that_is_not_fnat_leave_from_anywhere():
    one = (SERVICE % "check_from_local_address").replace("192.0.2.2 80 {", "192.0.2.2 80 {\n  lvs_method DR")
    assert sources(loaded(GROUP + one))[0] is None


# ---------------------------------------------------------------- DPVS's agent


@pytest.mark.parametrize("agent", ["http://192.0.2.9:6601", "unix:/run/dpvs-agent.sock"])
def test_where_the_agent_listens(agent):
    answer = loaded(f"dpvs {{\n agent {agent}/\n device dpdk0\n timeout 2.5\n}}\n")
    assert codes(answer) == []
    (block,) = answer.config.extensions["dpvs"]
    assert (block.agent, block.device, block.timeout) == (agent, "dpdk0", 2.5)
    assert loaded(write(answer.config)).config == answer.config


def test_an_address_of_no_agent_is_an_error():
    assert codes(loaded("dpvs {\n agent here\n}\n")) == ["bad-value"]
