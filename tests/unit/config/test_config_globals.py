"""global_defs and the other globals."""

from ipaddress import ip_address

import pytest
from strategies import loaded

from keepalive_py.config.build import scripts_of
from keepalive_py.config.model import GlobalDefs, LvsFlushOnStop, LvsSyncDaemon, LvsTimeouts, Mail, Script
from keepalive_py.net import Endpoint


def defs(body, outside=""):
    config = loaded(f"{outside}\nglobal_defs {{\n{body}\n}}\n").config
    assert config is not None
    return config.global_defs


VALUES = [
    ("router_id lb1", "router_id", "lb1"),
    ("process_name", "process_name", None),
    ("process_name lb", "process_name", "lb"),
    ("script_user nobody", "script_user", "nobody"),
    ("script_user nobody nogroup", "script_group", "nogroup"),
    ("checker_priority -5", "checker_priority", -5),
    ("checker_rt_priority 500", "checker_rt_priority", 99),
    ("checker_rlimit_rttime 1", "checker_rlimit_rttime", 2),
    ("checker_cpu_affinity 0 3", "checker_cpu_affinity", (0, 3)),
    ("checker_cpu_affinity 0 x", "checker_cpu_affinity", ()),
    ("max_auto_priority", "max_auto_priority", 99),
    ("umask 022", "umask", 0o22),
    ("umask 0x1f", "umask", 0x1F),
    ("umask IWGRP|IWOTH", "umask", 0o22),
    ("umask IWGRP | IWOTH", "umask", 0o22),
    ("umask 01000", "umask", None),
    ("startup_script '/x a'", "startup_script", Script(("/x", "a"), "/x a")),
    ("reload_check_config", "reload_check_config", "/dev/null"),
    ("reload_file", "reload_file", ""),
    ("lvs_flush_on_stop", "lvs_flush_on_stop", LvsFlushOnStop.ALL),
    ("lvs_flush_onstop VS", "lvs_flush_on_stop", LvsFlushOnStop.SERVICES),
    ("lvs_timeouts tcp 5 udp 6", "lvs_timeouts", LvsTimeouts(5, 0, 6)),
    ("lvs_timeouts tcp 5\nlvs_timeouts udp 6", "lvs_timeouts", LvsTimeouts(5, 0, 6)),
    ("lvs_timeouts what 5 tcp 6", "lvs_timeouts", LvsTimeouts(6)),
    ("lvs_sync_daemon eth0", "lvs_sync_daemon", LvsSyncDaemon("eth0")),
    ("lvs_sync_daemon eth0 inst V id 5 ttl 9", "lvs_sync_daemon", LvsSyncDaemon("eth0", "V", 5, ttl=9)),
    ("lvs_sync_daemon eth0 V 5", "lvs_sync_daemon", LvsSyncDaemon("eth0", "V", 5)),
    ("lvs_sync_daemon eth0 port 0 ttl 9", "lvs_sync_daemon", LvsSyncDaemon("eth0", ttl=9)),
    ("nftables_ipvs", "nftables_ipvs", "keepalived_ipvs"),
    ("nftables_ipvs_priority 5\nnftables_ipvs t", "nftables_ipvs_priority", -1),
    ("nftables_ipvs t\nnftables_ipvs_priority 5", "nftables_ipvs_priority", 5),
    ("smtp_alert", "smtp_alert", True),
    ("vrrp_strict", "router_id", None),
    ("tmp_config_directory /a\ntmp_config_directory /b", "tmp_config_directory", "/a"),
]


@pytest.mark.parametrize(("body", "name", "value"), VALUES)
def test_values(body, name, value):
    assert getattr(defs(body), name) == value


def test_nothing_said():
    assert defs("") == GlobalDefs()


def test_single_lines_of_the_top_level():
    found = defs("", "net_namespace blue\nnet_namespace_ipvs\nuse_pid_dir\ninstance a\nchild_wait_time 9")
    assert (found.net_namespace, found.net_namespace_ipvs, found.use_pid_dir) == ("blue", "", True)
    assert (found.instance, found.child_wait_time) == ("a", 9)


def test_mail():
    body = """
    notification_email { a@example.org b@example.org }
    notification_email {
        c@example.org
    }
    notification_email_from "Load balancer <lb@example.org>"
    smtp_server 192.0.2.1 26
    smtp_helo_name lb
    smtp_connect_timeout 5
    """
    assert defs(body).mail == Mail(
        to=("a@example.org", "b@example.org", "c@example.org"),
        sender="Load balancer <lb@example.org>",
        server=Endpoint(ip_address("192.0.2.1"), 26),
        helo_name="lb",
        connect_timeout=5.0,
        server_port=26,
    )


def test_a_mail_server_by_name_is_looked_up_later():
    mail = defs("smtp_server mail.example.org").mail
    assert (mail.server, mail.server_name, mail.server_port) == (None, "mail.example.org", 25)


def test_a_fifo_and_its_reader():
    fifo = defs("lvs_notify_fifo /run/f root\nlvs_notify_fifo_script '/x y' nobody").lvs_notify_fifo
    assert fifo is not None
    assert (fifo.path, fifo.user, fifo.group) == ("/run/f", "root", None)
    assert fifo.script is not None
    assert (fifo.script.argv, fifo.script.user) == (("/x", "y"), "nobody")


SERVICE = """
virtual_server 192.0.2.1 80 {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    quorum_up /c
    real_server 192.0.2.2 80 {
        notify_down /d
        MISC_CHECK { misc_path /e }
    }
}
"""


def test_all_scripts_are_found():
    text = "global_defs {\nstartup_script /a\nnotify_fifo /run/f\nnotify_fifo_script /b\n}\n" + SERVICE
    config = loaded(text).config
    assert config is not None
    assert [script.command for script in scripts_of(config)] == ["/a", "/b", "/c", "/d", "/e"]


def test_script_security():
    assert loaded(SERVICE).exit_status == 6
    assert loaded("global_defs {\nenable_script_security\n}\n" + SERVICE).exit_status == 0
    assert loaded(SERVICE + "global_defs {\nenable_script_security\n}\n").exit_status == 0


def test_include_check_acts_on_the_includes_below_it():
    text = "include missing\nglobal_defs {\ninclude_check match\n}\ninclude missing\n"
    answer = loaded(text)
    assert [each.exit_class is not None for each in answer.diagnostics] == [False, True]
    assert answer.exit_status == 6


def test_bfd_and_track_file():
    text = """
    track_file t {
        file /run/t
        weight -5 reverse
        init_file 7 overwrite
    }
    bfd_instance b {
        neighbor_ip 192.0.2.9
        min_rx 50
        hoplimit 9
        max_hops 20
    }
    bfd_instance twin {
        neighbor_ip 192.0.2.9
    }
    """
    config = loaded(text).config
    assert config is not None
    followed = config.track_files["t"]
    assert (followed.path, followed.weight, followed.reverse) == ("/run/t", -5, True)
    assert (followed.init_value, followed.init_overwrite) == (7, True)
    session = config.bfd_instances["b"]
    assert (session.min_rx, session.ttl, session.max_hops) == (0.05, 9, 9)
    assert list(config.bfd_instances) == ["b"]
