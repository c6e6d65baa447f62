"""A table becomes a configuration that means the table."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from strategies import configs, loaded

from keepalive_py.cli.commands.config_tools import from_table
from keepalive_py.cli.ctl import main
from keepalive_py.config.adopt import from_ipvsadm, text_of
from keepalive_py.config.render import position
from keepalive_py.dataplane.memory import MemoryDataplane
from keepalive_py.health.lifecycle import start
from keepalive_py.plan.desired import desired
from keepalive_py.plan.diff import diff

SAVED = """\
-A -t 10.0.0.1:80 -s wrr -p 300 -M 255.255.255.0
-a -t 10.0.0.1:80 -r 10.0.0.2:8080 -m -w 5 -x 9 -y 2
-a -t 10.0.0.1:80 -r 10.0.0.3:80 -g -w 1
-A -f 7 -6 -s mh -b flag-1,flag-2
-a -f 7 -6 -r [fd00::1]:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-A -u [2001:db8::1]:53 -s rr -o
-a -u [2001:db8::1]:53 -r [fd00::2]:53 -m -w 3
"""


def table_of(text):
    config = loaded(text).config
    services, _ = start(config, 0.0)
    return desired(config, services)


def test_the_output_of_ipvsadm_becomes_the_same_table():
    services, trouble = from_ipvsadm(SAVED)

    table = table_of(text_of(services))

    assert trouble == []
    assert [(len(entry.destinations), entry.service.scheduler) for entry in table.values()] == [
        (2, "wrr"), (1, "mh"), (1, "rr"),
    ]  # fmt: skip


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=100)
@given(configs())
def test_a_table_survives_the_way_through_a_configuration(config):
    services, _ = start(config, 0.0)
    table = desired(config, services)

    async def kept():
        plane = MemoryDataplane()
        await plane.apply(diff(table, {}))
        return await plane.read()

    held = {
        key: entry
        for key, entry in asyncio.run(kept()).items()
        if entry.destinations and not entry.local_addresses
        and any(destination.weight for destination in entry.destinations.values())
        # A server without a port has its service's: the language knows nothing else.
        and all(end.port or not key.endpoint or not key.endpoint.port for end in entry.destinations)
    }  # fmt: skip
    again = table_of(text_of(from_table(held)))

    assert {key: one.service for key, one in again.items()} == {key: one.service for key, one in held.items()}
    for key, entry in held.items():
        usable = {end: to for end, to in entry.destinations.items() if end in again[key].destinations}
        assert again[key].destinations == usable


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("what", "unknown command what"),
        ("-A -t", "a value is missing"),
        ("-A -t 1.2.3.4:80 -s", "a value is missing"),
        ("-A -t '1.2.3.4:80", "No closing quotation"),
        ("-A -q 1.2.3.4:80", "unknown option -q"),
        ("-A -t 300.2.3.4:80 -s rr", "'300.2.3.4' does not appear to be an IPv4 or IPv6 address"),
        ("-A -t 1.2.3.4:http -s rr", "http is no number"),
        ("-A -f 99999999999 -s rr", "99999999999 is no number"),
        ("-A -t 1.2.3.4:99999 -s rr", "99999 is no port"),
        ("-a -t 1.2.3.4:80 -r 1.1.1.1:1 -m", "there is no such service above it"),
        ("-A -t 1.2.3.4:80 --odd", "unknown option --odd"),
    ],
)
def test_a_line_that_is_not_understood_is_told(line, why):
    services, (trouble,) = from_ipvsadm(f"{SAVED}{line}\n", "saved")

    assert len(services) == 3
    assert trouble.summary == f"this is not understood: {line} ({why})"
    assert position(trouble.subject) == "saved:8:1"


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["config", "import", "--from", f"{tmp_path}/saved"]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/saved: No such file or directory\n"


def test_a_check_that_there_is_not(capsys):
    with pytest.raises(SystemExit):
        main(["config", "import", "--check", "TCP_CHEK"])
    assert "did you mean `TCP_CHECK`?" in capsys.readouterr().err


def test_the_command_prints_a_configuration_with_checks(tmp_path, capsys):
    saved = tmp_path / "saved"
    saved.write_text(SAVED)

    assert main(["config", "import", "--from", str(saved), "--check", "TCP_CHECK"]) == 0
    assert capsys.readouterr().out.count("TCP_CHECK {") == 4


def test_lint_tells_by_its_exit_status(tmp_path, capsys):
    file = tmp_path / "k.conf"
    settings = "protocol TCP\n lb_algo rr\n lb_kind NAT\n"
    file.write_text(f"virtual_server 192.0.2.1 80 {{\n {settings} real_server 192.0.2.2 80 {{ }}\n}}\n")

    assert main(["config", "lint", str(file)]) == 1
    assert "no-check" in capsys.readouterr().out
