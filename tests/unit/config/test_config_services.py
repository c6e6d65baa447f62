"""Virtual and real servers: what inherits from what, and what is repaired."""

import pytest
from strategies import loaded

from keepalive_py.config.diagnostics import Severity
from keepalive_py.config.model import Config, Forwarding, SchedulerFlag, Tunnel, TunnelType
from keepalive_py.net import Family, Protocol


def config(text: str) -> Config:
    found = loaded(text).config
    assert found is not None
    return found


def service(body="", head="192.0.2.1 80", server="real_server 192.0.2.2 80 { }", basics=True):
    common = "protocol TCP\nlb_algo rr\nlb_kind NAT\n" if basics else ""
    (one,) = config(f"virtual_server {head} {{\n{common}{body}\n{server}\n}}\n").virtual_servers
    return one


def server(inside="", body="", head="192.0.2.1 80"):
    return service(body, head, f"real_server 192.0.2.2 80 {{\n{inside}\n}}").real_servers[0]


def check(inside="", in_server="", in_service="", kind="TCP_CHECK", before=""):
    text = (
        f"{before}\nvirtual_server 192.0.2.1 80 {{\nprotocol TCP\nlb_algo rr\nlb_kind NAT\n{in_service}\n"
        f"real_server 192.0.2.2 80 {{\n{in_server}\n{kind} {{\n{inside}\n}}\n}}\n}}\n"
    )
    return config(text).virtual_servers[0].real_servers[0].checks[0]


# inheritance

INHERITED = [  # the default, and what the service, the server and the check may say
    ("delay_loop", 60.0, ("5", 5.0), ("6", 6.0), ("7", 7.0)),
    ("retry", 1, ("5", 5), ("6", 6), ("0", 0)),
    ("delay_before_retry", 1.0, ("5", 5.0), ("6", 6.0), ("7", 7.0)),
    ("warmup", 60.0, ("5", 5.0), ("6", 6.0), ("0", 0.0)),
    ("connect_timeout", 5.0, ("6", 6.0), ("7", 7.0), ("8", 8.0)),
    ("alpha", False, ("", True), ("off", False), ("on", True)),
]


@pytest.mark.parametrize(("name", "default", "outer", "middle", "inner"), INHERITED)
def test_a_check_asks_itself_its_server_the_service_its_type(name, default, outer, middle, inner):
    assert getattr(check(), name) == default
    lines = [f"{name} {word}" for word, _ in (outer, middle, inner)]
    assert getattr(check("", "", lines[0]), name) == outer[1]
    assert getattr(check("", lines[1], lines[0]), name) == middle[1]
    assert getattr(check(lines[2], lines[1], lines[0]), name) == inner[1]


def test_the_defaults_of_types():
    http = check("url { path / }", kind="HTTP_GET")
    assert (http.retry, http.delay_before_retry) == (1, 3.0)
    dns = check(kind="DNS_CHECK", in_service="delay_loop 7")
    assert (dns.retry, dns.delay_before_retry) == (3, 7.0)
    assert check("misc_path /x", kind="MISC_CHECK").retry == 0


def test_warmup_is_the_delay_loop_of_the_check():
    assert check("delay_loop 9").warmup == 9.0
    assert check("", "delay_loop 8").warmup == 8.0


def test_lines_below_a_server_count_for_it_too():
    text = """
    virtual_server 192.0.2.1 80 {
        protocol TCP
        real_server 192.0.2.2 80 { TCP_CHECK { } }
        lb_algo rr
        lb_kind DR
        delay_loop 5
        weight 7
        inhibit_on_failure
    }
    """
    one = config(text).virtual_servers[0].real_servers[0]
    assert (one.weight, one.inhibit_on_failure, one.forwarding) == (7, True, Forwarding.DR)
    assert one.checks[0].delay_loop == 5.0


def test_the_forwarding_method_is_the_one_above_the_server():
    text = """
    virtual_server 192.0.2.1 80 {
        protocol TCP
        lb_algo rr
        lb_kind NAT
        real_server 192.0.2.2 80 { }
        lb_kind TUN type gue port 6080
        real_server 192.0.2.3 80 { }
        real_server 192.0.2.4 80 {
            lvs_method TUN
        }
    }
    """
    servers = config(text).virtual_servers[0].real_servers
    assert [(each.forwarding, each.tunnel.type) for each in servers] == [
        (Forwarding.NAT, TunnelType.IPIP),
        (Forwarding.TUN, TunnelType.GUE),
        (Forwarding.TUN, TunnelType.IPIP),
    ]


ALERTS = [
    ("", "", "", (False, True)),
    ("smtp_alert", "", "", (True, True)),
    ("smtp_alert off", "", "", (False, False)),
    ("smtp_alert off\nsmtp_alert_checker", "", "", (True, True)),
    ("smtp_alert_checker", "smtp_alert no", "smtp_alert false", (False, False)),
]


@pytest.mark.parametrize(("globals_", "in_service", "in_server", "wanted"), ALERTS)
@pytest.mark.parametrize("globals_first", [True, False])
def test_who_gets_mail(globals_, in_service, in_server, wanted, globals_first):
    defs = f"global_defs {{\n{globals_}\n}}\n"
    block = (
        f"virtual_server 192.0.2.1 80 {{\nprotocol TCP\nlb_algo rr\nlb_kind NAT\n{in_service}\n"
        f"real_server 192.0.2.2 80 {{\n{in_server}\n}}\n}}\n"
    )
    one = config(defs + block if globals_first else block + defs).virtual_servers[0]
    assert (one.smtp_alert, one.real_servers[0].smtp_alert) == wanted


def test_log_all_failures_comes_from_the_globals():
    before = "global_defs {\nchecker_log_all_failures\n}"
    assert check(before=before).log_all_failures
    assert not check("log_all_failures off", before=before).log_all_failures


# where checks go

TARGETS = [
    ("real_server 192.0.2.2 81", "", "192.0.2.2:81"),
    ("real_server 192.0.2.2 81", "connect_port 82", "192.0.2.2:82"),
    ("real_server 192.0.2.2 81", "connect_ip fd00::1", "[fd00::1]:81"),
    ("real_server 192.0.2.2", "", "192.0.2.2:80"),
]


@pytest.mark.parametrize(("head", "inside", "target"), TARGETS)
def test_where_a_check_goes(head, inside, target):
    one = service(server=f"{head} {{\nTCP_CHECK {{\n{inside}\n}}\n}}").real_servers[0]
    assert str(one.checks[0].target) == target


def test_a_port_that_is_reset_is_still_probed_as_written():
    one = service("lb_kind DR", server="real_server 192.0.2.2 8080 { TCP_CHECK { } }").real_servers[0]
    assert str(one.endpoint) == "192.0.2.2:80"
    assert str(one.checks[0].target) == "192.0.2.2:8080"


def test_a_check_of_port_zero_is_told():
    server = "real_server 192.0.2.2 { TCP_CHECK { }\nPING_CHECK { } }"
    answer = loaded(f"virtual_server fwmark 7 {{\nlb_algo rr\nlb_kind DR\n{server}\n}}\n")
    assert [each.code for each in answer.diagnostics] == ["port-zero"]
    assert answer.exit_status == 0


# ports and families

PORTS = [
    ("192.0.2.1 80", "NAT", "192.0.2.2 8080", 8080),
    ("192.0.2.1 80", "NAT", "192.0.2.2", 80),
    ("192.0.2.1 80", "DR", "192.0.2.2 8080", 80),
    ("192.0.2.1 80", "TUN", "192.0.2.2", 80),
    ("192.0.2.1 80", "FNAT", "192.0.2.2 8080", 8080),
    ("fwmark 7", "NAT", "192.0.2.2 8080", 8080),
    ("fwmark 7", "NAT", "192.0.2.2", 0),
    ("fwmark 7", "DR", "192.0.2.2 8080", 0),
    ("group g", "NAT", "192.0.2.2 8080", 8080),
    ("group g", "NAT", "192.0.2.2", 0),
    ("group g", "DR", "192.0.2.2 8080", 8080),
]


@pytest.mark.parametrize(("head", "method", "server_head", "port"), PORTS)
def test_the_port_in_the_kernel(head, method, server_head, port):
    text = (
        "virtual_server_group g {\n192.0.2.1 80\n}\n"
        f"virtual_server {head} {{\nlb_algo rr\nlb_kind {method}\nreal_server {server_head} {{ }}\n}}\n"
    )
    assert config(text).virtual_servers[0].real_servers[0].endpoint.port == port


FAMILIES = [
    ("192.0.2.1 80", "", ["192.0.2.2"], Family.INET, 1),
    ("fd00::1 80", "", ["fd00::2"], Family.INET6, 1),
    ("fd00::1 80", "", ["fd00::2", "192.0.2.2"], Family.INET6, 1),
    ("fwmark 7", "", ["fd00::2", "192.0.2.2"], Family.INET6, 1),
    ("fwmark 7", "ip_family inet", ["fd00::2", "192.0.2.2"], Family.INET, 1),
    ("fwmark 7", "lb_kind TUN", ["fd00::2", "fd00::3"], Family.INET6, 2),
    ("fwmark 7", "lb_kind TUN", ["fd00::2", "192.0.2.2"], Family.INET, 2),
    ("fd00::1 80", "lb_kind TUN", ["192.0.2.2"], Family.INET6, 1),
]


@pytest.mark.parametrize(("head", "body", "servers", "family", "count"), FAMILIES)
def test_the_family(head, body, servers, family, count):
    blocks = "\n".join(f"real_server {each} {{ }}" for each in servers)
    one = service(body, head, blocks)
    assert (one.family, len(one.real_servers)) == (family, count)


# the rest of a service


def test_flags():
    one = service("lb_algo sh\nsh-port\nsh-fallback\nflag-3")
    assert one.scheduler_flags == SchedulerFlag.SCHED1 | SchedulerFlag.SCHED2 | SchedulerFlag.SCHED3
    assert service("protocol UDP\nops").scheduler_flags == SchedulerFlag.ONE_PACKET
    assert service("ops").scheduler_flags == SchedulerFlag.NONE
    assert service("lb_algo sh\nsh-port\nlb_algo rr").scheduler_flags == SchedulerFlag.SCHED2


def test_of_a_mark_the_protocol_has_no_meaning():
    assert service(head="fwmark 7").protocol is Protocol.UDP


def test_a_sorry_server_has_the_port_and_method_of_its_service():
    sorry = service("sorry_server 192.0.2.9").sorry_server
    assert sorry is not None
    assert (str(sorry.endpoint), sorry.forwarding, sorry.inhibit) == ("192.0.2.9:80", Forwarding.NAT, False)


def test_options_of_a_sorry_server():
    options = "sorry_server 192.0.2.9 80\nsorry_server_inhibit\nsorry_server_lvs_method TUN type gue port 5"
    sorry = service(options).sorry_server
    assert sorry is not None
    assert (sorry.inhibit, sorry.forwarding, sorry.tunnel) == (
        True,
        Forwarding.TUN,
        Tunnel(TunnelType.GUE, 5),
    )


def test_a_later_sorry_server_has_options_of_its_own():
    sorry = service("sorry_server 192.0.2.9 80\nsorry_server_inhibit\nsorry_server 192.0.2.8 80").sorry_server
    assert sorry is not None
    assert (str(sorry.endpoint), sorry.inhibit) == ("192.0.2.8:80", False)


def test_a_sorry_server_that_is_a_real_server_has_its_flag():
    sorry = service("sorry_server 192.0.2.2 80\nsorry_server_inhibit").sorry_server
    assert sorry is not None
    assert not sorry.inhibit


QUORUMS = [
    ("", [1, 1], (1, 0), []),
    ("quorum 2\nhysteresis 1", [1, 1, 1], (2, 1), []),
    ("quorum 9", [2, 3], (5, 0), ["quorum"]),
    ("quorum 2\nhysteresis 5", [1, 1], (2, 1), ["hysteresis"]),
    ("quorum 2\nhysteresis 1", [1, 1], (2, 1), ["hysteresis"]),
    ("", [0], (0, 0), ["quorum"]),
    ("hysteresis 3", [0], (0, 0), ["quorum", "hysteresis"]),
]


@pytest.mark.parametrize(("body", "weights", "wanted", "codes"), QUORUMS)
def test_quorum(body, weights, wanted, codes):
    servers = "\n".join(f"real_server 192.0.2.{n} 80 {{\nweight {w}\n}}" for n, w in enumerate(weights, 2))
    text = f"virtual_server 192.0.2.1 80 {{\nprotocol TCP\nlb_algo rr\nlb_kind NAT\n{body}\n{servers}\n}}\n"
    answer = loaded(text)
    assert answer.config is not None
    one = answer.config.virtual_servers[0]
    assert (one.quorum, one.hysteresis) == wanted
    assert [each.code for each in answer.diagnostics] == codes


def test_a_quorum_above_the_weights_is_put_right_and_no_reason_to_refuse_a_reload():
    """The last server is drained by its weight. keepalived warns, and -t ends with 5."""
    text = "virtual_server 192.0.2.1 80 {\nprotocol TCP\nlb_algo rr\nlb_kind NAT\nhysteresis 3\n"
    answer = loaded(text + "real_server 192.0.2.2 80 {\nweight 0\n}\n}\n")
    assert [each.severity for each in answer.diagnostics] == [Severity.WARNING] * 2
    assert answer.exit_status == 5


def test_a_quorum_that_is_out_of_reach_only_warns():
    text = "virtual_server 192.0.2.1 80 {\nprotocol TCP\nlb_algo rr\nlb_kind NAT\nquorum 2\nhysteresis 1\n"
    answer = loaded(text + "real_server 192.0.2.2 80 { }\nreal_server 192.0.2.3 80 { }\n}\n")
    assert [each.severity for each in answer.diagnostics] == [Severity.WARNING]
    assert answer.exit_status == 0


def test_two_servers_that_become_one_destination_are_one():
    servers = "real_server 192.0.2.2 80 {\nweight 5\n}\nreal_server 192.0.2.2 { }"
    (one,) = service(server=servers).real_servers
    assert one.weight == 5


GRANULARITIES = [
    ("192.0.2.1 80", "255.255.255.0", "255.255.255.0"),
    ("192.0.2.1 80", "24", "0.0.0.24"),
    ("192.0.2.1 80", "1.2.3", "1.2.0.3"),
    ("192.0.2.1 80", "0x18", "0.0.0.24"),
    ("fd00::1 80", "64", "64"),
]


@pytest.mark.parametrize(("head", "text", "mask"), GRANULARITIES)
def test_granularity_makes_a_service_persistent(head, text, mask):
    address = head.split()[0].replace("::1", "::2") if ":" in head else "192.0.2.2"
    one = service(f"persistence_granularity {text}", head, f"real_server {address} 80 {{ }}")
    assert str(one.persistence_netmask) == mask
    assert one.persistence_timeout == 360


# groups


GROUP = "virtual_server_group g {\n192.0.2.1 80\n}\n"
OF_GROUP = """
virtual_server group g {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    real_server 192.0.2.2 80 { }
}
"""


def test_virtual_servers_of_one_group_are_counted():
    servers = config(GROUP + OF_GROUP + OF_GROUP).virtual_servers
    assert [each.group_index for each in servers] == [0, 1]


def test_a_group_may_come_after_its_use():
    assert len(config(OF_GROUP + GROUP).virtual_servers) == 1


RANGES = [
    ("192.0.2.1", "192.0.2.1"),
    ("192.0.2.1-9", "192.0.2.1-192.0.2.9"),
    ("192.0.2.1-192.0.3.9", "192.0.2.1-192.0.3.9"),
    ("192.0.2.0/29", "192.0.2.0-192.0.2.7"),
    ("192.0.2.1/32", "192.0.2.1"),
    ("fd00::1-f", "fd00::1-fd00::f"),
    ("fd00::/124", "fd00::-fd00::f"),
    ("fd00::/64", "fd00::-fd00::ffff"),
    ("10.0.0.0/8", "10.0.0.0-10.0.255.255"),
]


@pytest.mark.parametrize(("line", "addresses"), RANGES)
def test_lines_of_a_group(line, addresses):
    (member,) = config(f"virtual_server_group g {{\n{line} 80\n}}\n").groups["g"].members
    assert (str(member.addresses), member.port) == (addresses, 80)


def test_marks_in_a_group():
    members = config("virtual_server_group g {\nfwmark 3\nfwmark 4 inet6\n}\n").groups["g"].members
    assert [(each.fwmark, each.family) for each in members] == [(3, None), (4, Family.INET6)]
