"""Keywords of the guards: how they are written, inherited and kept apart from keepalived's."""

import pytest
from strategies import loaded

from keepalive_py.config.writer import write

TEXT = """
virtual_server 192.0.2.1 80 {{
    protocol TCP
    lb_algo wrr
    lb_kind NAT
    {service}
    real_server 192.0.2.2 80 {{
        {server}
        TCP_CHECK {{
            {check}
        }}
    }}
}}
"""


def service(**more):
    text = TEXT.format(**{"service": "", "server": "", "check": "", **more})
    found = loaded(text)
    assert {each.code for each in found.diagnostics} <= {"own-keyword"}
    return found.config.virtual_servers[0]


def check(**more):
    return service(**more).real_servers[0].checks[0]


def test_nothing_is_guarded_unless_it_is_written():
    vs = service()
    assert (vs.depool_threshold, vs.slow_start, vs.damping_half_life) == (0, 0.0, 0.0)
    assert (check().rise, check().retry) == (1, 1)


@pytest.mark.parametrize(
    ("text", "percent"),
    [("50%", 50), ("0.5", 50), ("0.05", 5), (".66", 66), ("1", 100), ("100%", 100), ("0", 0)],
)
def test_a_share_is_percent_or_a_fraction(text, percent):
    assert service(service=f"depool_threshold {text}").depool_threshold == percent


def test_fall_is_retry_counted_from_one():
    assert check(check="fall 3").retry == 2
    assert check(check="fall 3\n retry 5").retry == 5


@pytest.mark.parametrize("where", ["service", "server", "check"])
def test_counts_are_inherited(where):
    found = check(**{where: "rise 4\n fall 2"})
    assert (found.rise, found.retry) == (4, 1)
    nearer = check(service="rise 9\n fall 9", **({} if where == "service" else {where: "rise 4\n fall 2"}))
    assert (nearer.rise, nearer.retry) == ((9, 8) if where == "service" else (4, 1))


def test_what_is_written_is_read_as_the_same():
    guarded = {
        "service": "depool_threshold 66%\n slow_start 30.5\n damping_half_life 60\n rise 2",
        "check": "fall 4",
    }
    config = loaded(TEXT.format(server="", **guarded)).config
    assert loaded(write(config)).config.virtual_servers == config.virtual_servers
    plain = write(loaded(TEXT.format(service="", server="", check="")).config)
    assert not any(word in plain for word in ("depool", "slow_start", "damping", "rise", "fall"))


def test_a_hint_comes_with_a_bad_share():
    text = TEXT.format(service="depool_threshold 50", server="", check="")
    (found,) = (each for each in loaded(text).diagnostics if each.code != "own-keyword")
    assert found.code == "bad-number"
    assert "0%..100% or 0..1 in hundredths" in str(found)
