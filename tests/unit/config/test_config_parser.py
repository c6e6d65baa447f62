"""Structure: blocks, braces that do not agree, keywords that are not known, and what is said of them."""

import pytest
from strategies import loaded

from keepalive_py.config.diagnostics import Severity

SERVER = "real_server 192.0.2.2 80 { TCP_CHECK { } }"


def service(body=SERVER):
    return f"virtual_server 192.0.2.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n{body}\n}}\n"


def told(text):
    """The diagnostics of a text, less notes."""
    return [each for each in loaded(text).diagnostics if each.severity is not Severity.NOTE]


def the_one(text):
    (one,) = told(text)
    return one


def test_a_misspelt_keyword_is_told_where_and_what_was_meant():
    one = the_one(service(f"    lvs_shed wrr\n{SERVER}"))
    assert one.summary == "`lvs_shed` is not a keyword of virtual_server"
    assert one.label == "did you mean `lvs_sched`?"
    assert one.notes == ("the line is ignored, as in keepalived",)
    assert one.subject is not None
    assert (one.subject.line, one.subject.column, one.subject.end_column) == (5, 5, 13)
    assert one.context_title == "virtual_server 192.0.2.1 80"
    assert one.context is not None
    assert one.context.line == 1


LABELS = [
    ("LB_ALGO wrr", "did you mean `lb_algo`?"),
    ("uthreshold 5", "`uthreshold` is a keyword of real_server"),
    ("path /", "`path` is a keyword of url"),
    ("smtp_server x", "`smtp_server` is a keyword of global_defs"),
    ("connect_ip 192.0.2.9", "`connect_ip` is a keyword of TCP_CHECK, HTTP_GET, SSL_GET and others"),
    ("xyzzy", ""),
]


@pytest.mark.parametrize(("line", "label"), LABELS)
def test_what_was_meant(line, label):
    assert the_one(service(f"{line}\n{SERVER}")).label == label


def test_a_keyword_of_the_service_in_a_server():
    one = the_one(service("real_server 192.0.2.2 80 { lb_kind DR\n}"))
    assert one.label == "`lb_kind` is a keyword of virtual_server"


def test_an_unknown_block_is_one_error_and_what_it_costs_another():
    text = service(f"foo {{\nbar 1\nbaz 2\n}}\n{SERVER}") + service()
    answer = loaded(text)
    codes = [each.code for each in answer.diagnostics]
    assert codes == ["unknown-block", "back-on-track", "no-real-server"]
    assert answer.diagnostics[0].subject.line == 5
    assert answer.diagnostics[1].subject.line == 11
    assert answer.config is not None
    assert len(answer.config.virtual_servers) == 1


def test_the_rest_of_a_text_is_read_after_an_unknown_block():
    text = "what {\nis this\n}\nglobal_defs {\nrouter_id a\n}\n"
    config = loaded(text).config
    assert config is not None
    assert config.global_defs.router_id == "a"


def test_a_stray_brace_ends_the_block_around_it():
    codes = [each.code for each in told(service(f"delay_loop 5 {{\n}}\n{SERVER}"))]
    assert codes == ["stray-brace", "no-real-server"]


def test_a_block_without_its_brace_swallows_the_one_after_it():
    text = service("real_server 192.0.2.2 80\n}") + service()
    answer = loaded(text)
    assert [each.code for each in answer.diagnostics][0] == "missing-brace"
    assert answer.exit_status == 5


def test_an_open_block_at_the_end_is_named():
    (last,) = (
        each for each in told("virtual_server 192.0.2.1 80 {\n" + SERVER) if each.code == "unfinished-block"
    )
    assert last.summary == "virtual_server 192.0.2.1 80 is not closed"


def test_a_bad_head_skips_its_block_whole():
    text = "virtual_server example.org 80 {\nfoo\nbar {\n}\ndelay_loop\n}\n" + service()
    answer = loaded(text)
    assert [each.code for each in answer.diagnostics] == ["bad-address"]
    assert answer.config is not None
    assert len(answer.config.virtual_servers) == 1


def test_a_missing_value_is_reported_and_the_rest_is_read_too():
    answer = loaded(service(f"delay_loop\nlvs_shed wrr\n{SERVER}"))
    assert [each.code for each in answer.diagnostics] == ["missing-parameter", "unknown-keyword"]
    assert answer.exit_status == 2
    assert answer.config is None


def test_a_keyword_that_is_deprecated():
    one = the_one(service("real_server 192.0.2.2 80 { HTTP_GET { nb_get_retry 2\nurl { path / } } }"))
    assert one.summary == "`nb_get_retry` is deprecated, use retry"


def test_a_deprecated_keyword_that_keepalived_only_logs_does_not_count():
    answer = loaded("global_defs {\nlvs_process_name lb\n}\n")
    assert [each.severity for each in answer.diagnostics] == [Severity.WARNING]
    assert answer.exit_status == 0
    assert answer.config is not None
    assert answer.config.global_defs.checker_process_name == "lb"


VRRP = """
vrrp_instance V {
    state MASTER
    virtual_ipaddress {
        192.0.2.1/24 dev eth0
    }
    nopreempt
}
linkbeat_use_polling MII
"""


def test_vrrp_is_kept_as_text_with_one_note():
    answer = loaded(VRRP + VRRP)
    assert [each.severity for each in answer.diagnostics] == [Severity.NOTE]
    assert "keepalived -P" in answer.diagnostics[0].notes[0]
    assert answer.exit_status == 0
    assert answer.config is not None
    kept = answer.config.kept_blocks
    assert [each.title for each in kept[:2]] == ["vrrp_instance V", "linkbeat_use_polling MII"]
    assert kept[0].text.splitlines() == [
        "    state MASTER",
        "    virtual_ipaddress {",
        "        192.0.2.1/24 dev eth0",
        "    }",
        "    nopreempt",
    ]


def test_unknown_words_in_vrrp_are_told():
    one = the_one(VRRP.replace("nopreempt", "nopremptt"))
    assert one.summary == "`nopremptt` is not a keyword of vrrp_instance"
    assert one.label == "did you mean `nopreempt`?"
    assert told(VRRP.replace("virtual_ipaddress {", "what {"))[0].code == "unknown-keyword"


def test_scripts_of_vrrp_count_when_there_is_an_instance():
    script = "vrrp_script s {\nscript /usr/bin/true\n}\n"
    assert loaded(script).exit_status == 0
    assert loaded(script + VRRP).exit_status == 6


@pytest.mark.parametrize("head", ["virtual_server nosuch 80", "virtual_server match SNAT1"])
def test_a_block_whose_head_is_no_good_is_said_to_be_left_out(head):
    one = the_one(f"{head} {{\n protocol TCP\n real_server 192.0.2.1 80 {{\n }}\n}}\n")
    assert one.notes == ("the block is left out",)


def test_a_deep_block_is_no_matter():
    assert loaded("vrrp_instance V " + "{ " * 3000 + "}" * 3000).exit_status == 5


def test_a_flood_of_errors_is_cut_short():
    answer = loaded("\n".join(f"word{number}" for number in range(1000)))
    assert len(answer.diagnostics) < 60
    assert answer.exit_status == 5


def test_a_block_that_is_not_closed_is_shown_where_it_opens():
    text = "virtual_server 10.0.0.1 80 {\n protocol TCP\n real_server 192.0.2.1 80 {\n  weight 1\n"
    (found,) = [each for each in loaded(text).diagnostics if each.code == "missing-brace"]
    assert (found.subject.line, found.context.line) == (3, 1)


def test_a_block_whose_end_another_one_took_is_shown_where_it_opens():
    """As when a half-written file is read, and a whole one after it."""
    half = "virtual_server 10.0.0.1 80 {\n protocol TCP\n real_server 192.0.2.1 80 {\n  weight 1\n }\n"
    answer = loaded(half + half.replace("10.0.0.1", "10.0.0.2") + "}\n")
    (found,) = [each for each in answer.diagnostics if each.code == "missing-brace"]
    assert (found.subject.line, found.label) == (1, "not closed")
