"""Whole lives of virtual servers, with keepalived's log lines, notifications and kernel tables.

The expectations were observed with keepalived 2.2.7 and 2.4.3; where ours differ, the test says so.
"""

from __future__ import annotations

import pytest
from health_scenario import REFUSED, VIP, Check, Scenario, config, name, rs, vs

from keepalive_py.config.model import LvsFlushOnStop, SorryServer
from keepalive_py.health.verdict import Failed, Passed, Reason, Unknown
from keepalive_py.net import Endpoint, parse_address

SORRY = SorryServer(Endpoint(parse_address("10.0.0.99"), 80))
IDLE_SORRY = SorryServer(Endpoint(parse_address("10.0.0.99"), 80), inhibit=True)
SORRY_NAME = name(99)


def exited(status: int) -> Passed | Failed:
    """The verdict of a dynamic MISC_CHECK."""
    if status == 1:
        return Failed(Reason.EXIT_STATUS, exit_status=1)
    return Passed(weight=status - 2) if status else Passed()


def misc(script: str, **settings: object) -> Check:
    return Check(kind="MISC_CHECK", name=script, retry=0, **settings)  # type: ignore[arg-type]


def test_a_server_that_is_closed_from_the_start_is_in_until_its_first_check() -> None:
    life = Scenario(config(vs(rs(1))), down={1})

    assert life.pool() == {1: 1}
    assert life.logs() == [f"Gained quorum 1+0=1 <= 1 for VS {VIP}"]
    assert life.scripts() == ["quorum up"]

    life.forget().until(1.0)

    assert life.logs() == [
        f"TCP_CHECK on service {name(1)} failed.",
        f"Removing service {name(1)} from VS {VIP}",
        f"Lost quorum 1-0=1 > 0 for VS {VIP}",
    ]
    assert life.fifo() == [f"RS {name(1)} {VIP} DOWN", f"VS {VIP} DOWN"]
    assert life.pool() == {}


def test_a_server_that_opens_comes_back_at_its_next_check() -> None:
    life = Scenario(config(vs(rs(1))), down={1}).until(1.0).forget()
    life.down.clear()
    life.until(2.0)

    assert life.logs() == [
        f"TCP connection to {name(1)} success.",
        f"Adding service {name(1)} to VS {VIP}",
        f"Gained quorum 1+0=1 <= 1 for VS {VIP}",
    ]
    assert life.scripts() == ["up 1", "quorum up"]
    assert life.pool() == {1: 1}


def test_retries_hold_a_server_up_until_the_last_one_fails() -> None:
    life = Scenario(config(vs(rs(1, Check(retry=2, delay_before_retry=0.25))))).until(1.0).forget()
    life.down = {1}
    life.until(2.25)

    assert life.logs() == []
    assert life.pool() == {1: 1}

    life.until(2.5)

    assert life.runs == [1.0, 2.0, 2.25, 2.5]
    assert life.logs()[0] == f"TCP_CHECK on service {name(1)} failed after 2 retries."
    assert life.pool() == {}


def test_log_all_failures_tells_each_attempt_of_a_check_that_is_up() -> None:
    check = Check(retry=1, delay_before_retry=0.5, log_all_failures=True)
    life = Scenario(config(vs(rs(1, check)))).until(1.0).forget()
    life.down = {1}
    life.until(6.0)

    assert life.logs()[:3] == [
        f"TCP connection to {name(1)} failed.",
        f"TCP connection to {name(1)} failed.",
        f"TCP_CHECK on service {name(1)} failed after 1 retries.",
    ]
    assert life.logs()[5:] == []


def test_an_alpha_server_joins_at_its_first_success_and_tells_its_first_failure() -> None:
    life = Scenario(config(vs(rs(1, alpha=True))), down={1})

    assert (life.logs(), life.fifo(), life.pool()) == ([], [], {})

    life.until(1.0)

    assert life.logs() == [f"TCP_CHECK on service {name(1)} failed."]
    assert life.scripts() == ["down 1"]
    assert life.mails() == []

    life.forget().down.clear()
    life.until(2.0)

    assert life.logs()[1:] == [
        f"Adding service {name(1)} to VS {VIP}",
        f"Gained quorum 1+0=1 <= 1 for VS {VIP}",
    ]
    assert life.mails()[-1].endswith("- UP => TCP CHECK succeed on service <=")


def test_an_inhibited_alpha_server_is_there_with_weight_0() -> None:
    life = Scenario(config(vs(rs(1, alpha=True, inhibit_on_failure=True))), down={1})

    assert life.pool() == {1: 0}

    life.until(1.0).down.clear()
    life.forget().until(2.0)

    assert life.logs()[1] == f"Enabling service {name(1)} of VS {VIP}"
    assert life.pool() == {1: 1}

    life.down = {1}
    life.forget().until(4.0)

    assert life.logs()[1] == f"Disabling service {name(1)} of VS {VIP}"
    assert life.pool() == {1: 0}


def test_alpha_with_a_sorry_server_starts_with_the_sorry_server() -> None:
    life = Scenario(config(vs(rs(1, alpha=True), sorry_server=SORRY)), down={1})

    assert life.logs() == [
        f"Starting with quorum down 1-0=1 > 0 for VS {VIP}",
        f"Adding sorry server {SORRY_NAME} to VS {VIP}",
        f"Removing alive servers from the pool for VS {VIP}",
    ]
    assert life.scripts() == ["quorum down"]
    assert life.pool() == {99: 1}


def test_the_sorry_server_serves_while_the_quorum_is_down() -> None:
    life = Scenario(config(vs(rs(1), rs(2), sorry_server=SORRY))).until(1.0).forget()
    life.down = {1, 2}
    life.until(3.0)

    assert life.logs()[2:] == [
        f"TCP_CHECK on service {name(2)} failed after 1 retries.",
        f"Removing service {name(2)} from VS {VIP}",
        f"Lost quorum 1-0=1 > 0 for VS {VIP}",
        f"Adding sorry server {SORRY_NAME} to VS {VIP}",
        f"Removing alive servers from the pool for VS {VIP}",
    ]
    assert life.pool() == {99: 1}

    life.down = {2}
    life.forget().until(4.0)

    assert life.logs() == [
        f"TCP connection to {name(1)} success.",
        f"Adding service {name(1)} to VS {VIP}",
        f"Gained quorum 1+0=1 <= 1 for VS {VIP}",
        f"Removing sorry server {SORRY_NAME} from VS {VIP}",
        f"Adding alive servers to the pool for VS {VIP}",
    ]
    assert life.pool() == {1: 1}

    life.down = set()
    life.forget().until(5.0)

    assert life.logs()[1:] == [f"Adding service {name(2)} to VS {VIP}"]
    assert life.pool() == {1: 1, 2: 1}


def test_behind_a_sorry_server_real_servers_come_and_go_unseen_by_the_kernel() -> None:
    service = vs(rs(1), rs(2, inhibit_on_failure=True), rs(3), sorry_server=IDLE_SORRY, quorum=2)
    life = Scenario(config(service))

    assert life.pool() == {1: 1, 2: 1, 3: 1, 99: 0}

    life.down = {1, 3}
    life.until(1.0)

    assert life.pool() == {2: 0, 99: 1}
    assert f"Enabling sorry server {SORRY_NAME} to VS {VIP}" in life.logs()

    life.down = {1, 2, 3}
    life.until(4.0)

    assert life.pool() == {2: 0, 99: 1}

    life.down = {1}
    life.until(5.0)

    assert life.pool() == {2: 1, 3: 1, 99: 0}
    assert f"Disabling sorry server {SORRY_NAME} from VS {VIP}" in life.logs()


def test_without_a_sorry_server_the_rest_keeps_serving_below_quorum() -> None:
    life = Scenario(config(vs(rs(1), rs(2), quorum=2)), down={1}).until(1.0)

    assert life.logs()[-2:] == [
        f"Lost quorum 2-0=2 > 1 for VS {VIP}",
        f"TCP connection to {name(2)} success.",
    ]
    assert life.pool() == {2: 1}


def test_hysteresis_gains_late_and_loses_late() -> None:
    service = vs(rs(1), rs(2), rs(3), quorum=2, hysteresis=1)
    life = Scenario(config(service), down={3}).until(1.0)
    quorum = [line for line in life.logs() if "quorum" in line]

    assert quorum == [f"Gained quorum 2+1=3 <= 3 for VS {VIP}"]

    life.down = {2, 3}
    life.forget().until(4.0)

    assert not [line for line in life.logs() if "quorum" in line]

    life.down = {1, 2, 3}
    life.forget().until(8.0)

    assert f"Lost quorum 2-1=1 > 0 for VS {VIP}" in life.logs()

    life.down = {3}
    life.forget().until(9.0)

    assert not [line for line in life.logs() if "quorum" in line]


def test_a_quorum_beyond_the_total_weight_is_never_gained() -> None:
    life = Scenario(config(vs(rs(1), rs(2), rs(3), quorum=3, hysteresis=1))).until(5.0)

    assert not [line for line in life.logs() if "quorum" in line]
    assert life.pool() == {1: 1, 2: 1, 3: 1}


def test_weights_of_0_never_make_a_quorum() -> None:
    life = Scenario(config(vs(rs(1, weight=0), quorum=0))).until(3.0)

    assert not [line for line in life.logs() if "quorum" in line]
    assert life.pool() == {1: 0}


def test_mails_name_the_state_and_the_check() -> None:
    life = Scenario(config(vs(rs(1))), down={1}).until(1.0)

    assert life.mails() == [
        f"[LAB] Virtualserver {VIP} - UP => Starting with quorum up 1+0=1 <= 1 <=",
        f"[LAB] Virtualserver {VIP} - DOWN => Lost quorum 1+0=1 <= 0 <=",
        f"[LAB] Realserver {name(1)} of virtual server {VIP} - DOWN => TCP CHECK failed on service <=",
    ]


@pytest.mark.parametrize(("held_back", "mails"), [(False, 2), (True, 1)])
def test_no_checker_emails_holds_back_what_changes_no_server(held_back: bool, mails: int) -> None:
    server = rs(1, Check(name="a", retry=0), Check(name="b", retry=0))
    life = Scenario(config(vs(server, smtp_alert=False), no_checker_emails=held_back), down={1}).until(1.0)

    assert len(life.mails()) == mails


def test_a_server_that_wants_no_mail_gets_none() -> None:
    life = Scenario(config(vs(rs(1, smtp_alert=False), smtp_alert=False)), down={1}).until(2.0)

    assert life.mails() == []


def test_all_checks_of_a_server_must_pass() -> None:
    server = rs(1, Check(name="a", retry=0), Check(name="b", retry=0))
    life = Scenario(config(vs(server))).until(1.0).forget()
    life.answers = {"a": REFUSED, "b": REFUSED}
    life.until(2.0)

    assert life.logs().count(f"Removing service {name(1)} from VS {VIP}") == 1

    life.answers = {"b": REFUSED}
    life.forget().until(3.0)

    assert life.logs() == [f"TCP connection to {name(1)} success."]
    assert life.pool() == {}
    assert life.mails() == [
        f"[LAB] Realserver {name(1)} of virtual server {VIP} - DOWN => TCP CHECK succeed on service <="
    ]

    life.answers = {}
    life.until(4.0)

    assert life.pool() == {1: 1}


def test_our_own_trouble_moves_nothing() -> None:
    life = Scenario(config(vs(rs(1, Check(name="a"))))).until(1.0).forget()
    life.answers = {"a": Unknown(Reason.NO_DESCRIPTORS)}
    life.until(10.0)

    assert (life.events, life.pool()) == ([], {1: 1})
    assert life.runs == [float(second) for second in range(1, 11)]
    assert life.checker(1).last == Unknown(Reason.NO_DESCRIPTORS)


def test_our_own_trouble_between_failures_does_not_excuse_them() -> None:
    life = Scenario(config(vs(rs(1, Check(name="a", retry=1))))).until(1.0)
    life.answers = {"a": REFUSED}
    life.until(2.0)
    life.answers = {"a": Unknown(Reason.LOCAL_ADDRESS)}
    life.until(3.0)
    life.answers = {"a": REFUSED}
    life.until(4.0)

    assert life.pool() == {}


def test_a_dynamic_check_sets_the_weight() -> None:
    life = Scenario(config(vs(rs(1, misc("a"), weight=50))), answers={"a": exited(52)}).until(1.0)

    assert life.pool() == {1: 50}

    life.answers = {"a": exited(12)}
    life.forget().until(2.0)

    assert life.logs() == [f"Changing weight from 50 to 10 for active service {name(1)} of VS {VIP}"]
    assert life.pool() == {1: 10}


def test_exit_status_1_of_a_dynamic_check_is_a_failure() -> None:
    life = Scenario(config(vs(rs(1, misc("/a")))), answers={"/a": exited(1)}).until(1.0)

    assert life.logs()[1] == (
        f"Misc check for [{name(1)} VS {VIP}] by [/a] failed with retry disabled (exited with status 1)."
    )
    assert life.pool() == {}


def test_two_dynamic_checks_add_their_differences() -> None:
    server = rs(1, misc("a"), misc("b"), weight=10)
    life = Scenario(config(vs(server)), answers={"a": exited(12), "b": exited(22)}).until(1.0)

    assert life.pool() == {1: 20}


def test_a_check_that_goes_down_takes_its_weight_along_silently() -> None:
    life = Scenario(config(vs(rs(1, misc("a"), weight=5))), answers={"a": exited(32)}).until(1.0)
    life.answers = {"a": Failed(Reason.TIMEOUT)}
    life.forget().until(3.0)

    assert not [line for line in life.logs() if "weight" in line]

    life.answers = {"a": exited(9)}
    life.forget().until(4.0)

    assert life.logs() == [
        f"Changing weight from 5 to 7 for inactive service {name(1)} of VS {VIP}",
        f"Misc check for [{name(1)} VS {VIP}] by [a] succeeded.",
        f"Adding service {name(1)} to VS {VIP}",
        f"Gained quorum 1+0=1 <= 7 for VS {VIP}",
    ]


def test_timeouts_of_a_dynamic_check_leave_no_weight_behind() -> None:
    """Other than here, keepalived 2.4.3 books the difference twice, so its weights creep up."""
    life = Scenario(config(vs(rs(1, misc("a"), weight=5))), answers={"a": exited(32)})
    for second in range(1, 20, 2):
        life.answers = {"a": exited(32)}
        life.until(float(second))

        assert life.pool() == {1: 30}

        life.answers = {"a": Failed(Reason.TIMEOUT)}
        life.until(float(second + 1))

    life.answers = {"a": exited(0)}
    life.until(30.0)

    assert life.pool() == {1: 5}


def test_weight_0_of_a_dynamic_check_loses_the_quorum() -> None:
    life = Scenario(config(vs(rs(1, misc("a")))), answers={"a": exited(2)}).until(1.0)

    assert life.pool() == {1: 0}
    assert f"Lost quorum 1-0=1 > 0 for VS {VIP}" in life.logs()


def test_the_first_success_of_a_misc_check_is_mailed() -> None:
    life = Scenario(config(vs(rs(1, misc("/a")), smtp_alert=False))).until(2.0)

    assert life.mails() == [
        f"[LAB] Realserver {name(1)} of virtual server {VIP} - UP => MISC CHECK succeeded on service <="
    ]


def test_urls_are_told_while_the_check_is_down() -> None:
    http = Check(kind="HTTP_GET", name="w", alpha=True)
    first, last = Passed("HTTP status code", partial=True, part="/a"), Passed("MD5 digest", part="/b")
    life = Scenario(config(vs(rs(1, http))), answers={"w": first}).until(1.0)
    life.answers = {"w": last}
    life.until(3.0)

    assert life.logs()[:4] == [
        f"HTTP status code success to {name(1)} url(/a)",
        f"MD5 digest success to {name(1)} url(/b)",
        f"Remote Web server {name(1)} succeed on service.",
        f"Adding service {name(1)} to VS {VIP}",
    ]
    assert len(life.logs()) == 5


def test_a_file_in_fault_at_the_start_keeps_its_server_out_in_silence() -> None:
    fault = rs(1, Check(kind="FILE_CHECK", name="f", retry=0))
    life = Scenario(config(vs(fault, rs(2))), known={"f": Failed(Reason.FAULT)})

    assert life.logs() == [f"Gained quorum 1+0=1 <= 1 for VS {VIP}"]
    assert (life.scripts(), life.pool()) == (["quorum up"], {2: 1})

    life.forget().until(1.0)

    assert life.logs()[:2] == [
        f"({name(1)}): tracked file f leaving FAULT state",
        f"Adding service {name(1)} to VS {VIP}",
    ]


def test_a_file_s_weight_counts_from_the_start() -> None:
    weighed = rs(1, Check(kind="FILE_CHECK", name="f", retry=0), weight=10)
    life = Scenario(config(vs(weighed)), known={"f": Passed(weight=25)}, answers={"f": Passed(weight=5)})

    assert life.logs() == [f"Gained quorum 1+0=1 <= 25 for VS {VIP}"]
    assert life.pool() == {1: 25}

    life.forget().until(1.0)

    assert life.logs() == [f"Changing weight from 25 to 5 for active service {name(1)} of VS {VIP}"]


def test_rs_init_notifies_tells_every_server_that_starts_alive() -> None:
    life = Scenario(config(vs(rs(1), rs(2, alpha=True)), rs_init_notifies=True))

    assert life.fifo() == [f"RS {name(1)} {VIP} UP", f"VS {VIP} UP"]
    assert life.scripts() == ["up 1", "quorum up"]
    assert life.logs() == [f"Gained quorum 1+0=1 <= 1 for VS {VIP}"]


def test_stopping_takes_all_out_in_file_order_and_tells_only_the_log() -> None:
    life = Scenario(config(vs(rs(1), rs(2), rs(3, inhibit_on_failure=True))), down={2, 3}).until(1.0)
    life.forget().stop()

    assert life.logs() == [
        f"Shutting down service {name(1)} from VS {VIP}",
        f"Shutting down service {name(2)} from VS {VIP}",
        f"Shutting down (inhibited) service {name(3)} from VS {VIP}",
    ]
    assert (life.scripts(), life.fifo(), life.mails(), life.table) == ([], [], [], {})


def test_omega_notifies_at_the_stop() -> None:
    life = Scenario(config(vs(rs(1), rs(2), omega=True)), down={2}).until(1.0)
    life.forget().stop()

    assert life.fifo() == [f"RS {name(1)} {VIP} DOWN", f"VS {VIP} DOWN"]
    assert life.scripts() == ["down 1", "quorum down"]
    assert life.mails() == [
        f"[LAB] Realserver {name(1)} of virtual server {VIP} - DOWN => Shutting down <=",
        f"[LAB] Virtualserver {VIP} - DOWN => Shutting down <=",
    ]


@pytest.mark.parametrize("how", [LvsFlushOnStop.ALL, LvsFlushOnStop.SERVICES])
def test_flushing_at_the_stop_says_nothing_of_real_servers(how: LvsFlushOnStop) -> None:
    life = Scenario(config(vs(rs(1), omega=True), lvs_flush_on_stop=how)).until(1.0)
    life.forget().stop()

    assert (life.logs(), life.fifo()) == ([], [f"VS {VIP} DOWN"])
