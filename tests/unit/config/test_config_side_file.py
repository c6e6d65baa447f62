"""Our own keywords: in the main file, in the side file, and top-level blocks of other rooms."""

from dataclasses import dataclass

import pytest
from strategies import MAIN, loaded

from keepalive_py.checkers import REGISTRY
from keepalive_py.config import extensions
from keepalive_py.config.build import load
from keepalive_py.config.diagnostics import Severity
from keepalive_py.config.kinds import Block, Integer, Word
from keepalive_py.config.model import Forwarding
from keepalive_py.config.preprocess import ReadOptions
from keepalive_py.config.schema import Draft, keyword
from keepalive_py.config.source import Documents
from keepalive_py.config.writer import write

SERVICE = """
virtual_server 192.0.2.1 53 {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    real_server 192.0.2.2 53 { }
    real_server 192.0.2.3 53 {
        lvs_method DR
    }
}
"""
GROUP = "local_address_group l {\n 198.51.100.1\n 198.51.100.8/30\n}\n"
ADDED = "virtual_server 192.0.2.1 53 {\n lb_kind FNAT\n laddr_group_name l\n}\n"


def problems(answer):
    return [each.code for each in answer.diagnostics if each.severity is not Severity.NOTE]


def test_the_side_file_adds_our_keywords_to_a_service_of_the_main_file():
    answer = loaded(SERVICE, GROUP + ADDED)
    assert problems(answer) == []
    (service,) = answer.config.virtual_servers
    assert service.local_address_group == "l"
    assert service.forwarding is Forwarding.FNAT
    assert [each.forwarding for each in service.real_servers] == [Forwarding.FNAT, Forwarding.DR]
    ranges = answer.config.local_address_groups["l"].addresses
    assert [str(each) for each in ranges] == ["198.51.100.1", "198.51.100.8-198.51.100.11"]
    assert answer.files == (MAIN, "keepalive_py.conf")


def test_nothing_but_our_keywords_can_be_added():
    answer = loaded(SERVICE, ADDED.replace("lb_kind FNAT", "lb_algo wlc\nlb_kind DR") + GROUP)
    assert problems(answer)[:2] == ["not-ours", "not-ours"]
    assert answer.config.virtual_servers[0].scheduler == "rr"
    assert answer.config.virtual_servers[0].forwarding is Forwarding.NAT


def test_a_protocol_says_which_of_two_services_is_meant():
    both = SERVICE + SERVICE.replace("TCP", "UDP")
    answer = loaded(both, GROUP + ADDED.replace("lb_kind", "protocol udp\nlb_kind"))
    assert [each.local_address_group for each in answer.config.virtual_servers] == [None, "l"]
    answer = loaded(both, GROUP + ADDED)
    assert [each.local_address_group for each in answer.config.virtual_servers] == ["l", "l"]


def test_the_side_file_may_have_services_of_its_own():
    answer = loaded(SERVICE, SERVICE.replace("192.0.2.1", "192.0.2.9"))
    assert [str(each.endpoint) for each in answer.config.virtual_servers] == ["192.0.2.1:53", "192.0.2.9:53"]


def test_in_the_main_file_they_work_too_with_a_note():
    answer = loaded(GROUP + SERVICE.replace("lb_kind NAT", "lb_kind FNAT\nladdr_group_name l"))
    assert problems(answer) == []
    assert answer.exit_status == 0
    assert answer.config.virtual_servers[0].local_address_group == "l"
    assert {each.code for each in answer.diagnostics} == {"own-keyword"}


def test_a_block_of_ours_is_noted_once_and_not_what_stands_in_it():
    text = """\
bgp_announcer {
    prefix 192.0.2.0/24
    hold_down 3
    daemon bird {
        protocol uplink
    }
}
"""
    noted = [each for each in loaded(text).diagnostics if each.code == "own-keyword"]
    assert [each.summary for each in noted] == ["keepalived does not know `bgp_announcer`"]


def test_a_line_that_is_ignored_in_a_block_of_ours_is_no_matter_of_keepalived():
    (unknown,) = (
        each for each in loaded("bgp_announcer {\nx 1\n}\n").diagnostics if each.code == "unknown-keyword"
    )
    assert unknown.notes == ("the line is ignored",)


def test_a_group_that_is_not_there():
    answer = loaded(SERVICE, ADDED)
    assert problems(answer) == ["unknown-group"]
    assert answer.config.virtual_servers[0].local_address_group is None


def test_fullnat_needs_addresses():
    answer = loaded(SERVICE, ADDED.replace("laddr_group_name l", ""))
    assert problems(answer) == ["no-local-addresses"]


def test_a_named_side_file_must_be_there_another_need_not():
    texts = Documents({MAIN: SERVICE, "other.conf": GROUP})
    options = ReadOptions(config_id="here")
    assert load(MAIN, texts, options, REGISTRY, "other.conf").files == (MAIN, "other.conf")
    assert problems(load(MAIN, texts, options, REGISTRY, "missing.conf")) != []
    plain = load(MAIN, texts, options, REGISTRY)
    assert problems(plain) == []
    assert "keepalive_py.conf" in plain.watched


def test_the_side_file_stands_beside_the_main_file():
    texts = Documents({"etc/a/b.conf": SERVICE, "etc/a/keepalive_py.conf": GROUP})
    answer = load("etc/a/b.conf", texts, ReadOptions(config_id="here"), REGISTRY)
    assert list(answer.config.local_address_groups) == ["l"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A block of another room."""

    name: str
    level: int = keyword("level", Integer(0, 9), default=1, doc="How high.")

    @classmethod
    def finish(cls, draft: Draft) -> None:
        draft.values["name"] = draft.head


@pytest.fixture
def gauge(monkeypatch):
    monkeypatch.setitem(extensions.EXTRA_BLOCKS, "gauge", Block(Gauge, head=Word()))


@pytest.mark.usefixtures("gauge")
def test_other_rooms_add_blocks():
    answer = loaded("gauge a {\nlevel 5\n}\ngauge b {\n}\n")
    assert problems(answer) == []
    assert answer.config.extensions == {"gauge": (Gauge(name="a", level=5), Gauge(name="b"))}
    assert loaded(write(answer.config)).config == answer.config
    assert problems(loaded("gauge a {\nlevl 5\n}\n")) == ["unknown-keyword"]
