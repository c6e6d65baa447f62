"""What a refusal means for what was wanted, and what an operator is told."""

from __future__ import annotations

import errno

import pytest
from contract.values import endpoint, service, virtual

from keepalive_py.config.model import Forwarding, LvsSyncDaemon, Tunnel, TunnelType
from keepalive_py.dataplane import settle
from keepalive_py.dataplane.hints import hint
from keepalive_py.plan.steps import (
    AddDestination,
    AddLocalAddress,
    AddService,
    DeleteDestination,
    DeleteLocalAddress,
    DeleteService,
    EditDestination,
    EditService,
    Step,
)
from keepalive_py.plan.table import Destination
from keepalive_py.wire.netlink import Outcome

KEY = virtual()
ONE, RS = service(), Destination(endpoint("10.0.0.1"))
LOCAL = endpoint("10.200.0.1").address
STEPS: list[Step] = [
    AddService(ONE),
    EditService(ONE),
    DeleteService(KEY),
    AddDestination(KEY, RS),
    EditDestination(KEY, RS),
    DeleteDestination(KEY, RS.endpoint),
    AddLocalAddress(KEY, LOCAL),
    DeleteLocalAddress(KEY, LOCAL),
]
REMEDIES = {
    (AddService, errno.EEXIST): EditService(ONE),
    (EditService, errno.ESRCH): AddService(ONE),
    (AddDestination, errno.EEXIST): EditDestination(KEY, RS),
    (EditDestination, errno.ENOENT): AddDestination(KEY, RS),
}
AS_WANTED = {
    (DeleteService, errno.ESRCH),
    (DeleteDestination, errno.ENOENT),
    (DeleteDestination, errno.ESRCH),
    (AddLocalAddress, errno.EEXIST),
    (DeleteLocalAddress, errno.ENOENT),
    (DeleteLocalAddress, errno.ESRCH),
}


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("number", [errno.EEXIST, errno.ENOENT, errno.ESRCH, errno.EINVAL, errno.EPERM])
def test_each_error_of_each_step(step: Step, number: int) -> None:
    assert settle.remedy(step, number) == REMEDIES.get((type(step), number))
    assert settle.is_as_wanted(step, number) == ((type(step), number) in AS_WANTED)


def test_a_remedy_is_tried_once_and_what_it_comes_to_is_reported_for_the_step() -> None:
    answers = {AddService: errno.EEXIST, EditService: errno.ENOENT}
    tried: list[Step] = []

    def run(step: Step) -> Outcome:
        tried.append(step)
        return Outcome(answers[type(step)], "")

    refusal = settle.attempt(AddService(ONE), run)
    assert tried == [AddService(ONE), EditService(ONE)]
    assert refusal is not None
    assert (refusal.step, refusal.errno) == (AddService(ONE), errno.ENOENT)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_every_step_knows_its_service(step: Step) -> None:
    assert settle.service_of(step) == KEY


@pytest.mark.parametrize(
    ("step", "number", "word"),
    [
        (AddService(service(scheduler="mh")), errno.ENOENT, "modprobe ip_vs_mh"),
        (EditService(service(persistence_engine="sip")), errno.ENOENT, "modprobe ip_vs_pe_sip"),
        (AddService(service(virtual("2001:db8::1"), netmask=0)), errno.EINVAL, "prefix length"),
        (AddDestination(KEY, Destination(endpoint("2001:db8::9"))), errno.EINVAL, "TUN"),
        (AddDestination(KEY, Destination(RS.endpoint, tunnel=Tunnel(TunnelType.GUE))), errno.EINVAL, "port"),
        (AddDestination(KEY, Destination(RS.endpoint, u_threshold=1 << 31)), errno.EINVAL, "uthreshold"),
        (AddDestination(KEY, Destination(endpoint("0.0.0.0"))), errno.EINVAL, "unicast"),
        (EditDestination(KEY, Destination(RS.endpoint, weight=-1)), errno.ERANGE, "weight"),
        (EditDestination(KEY, Destination(RS.endpoint, l_threshold=1)), errno.ERANGE, "lthreshold"),
        (AddDestination(KEY, RS), errno.ESRCH, "service is not in the kernel"),
        (AddDestination(KEY, Destination(RS.endpoint, Forwarding.FNAT)), errno.EOPNOTSUPP, "FNAT"),
        (AddLocalAddress(KEY, LOCAL), errno.EOPNOTSUPP, "FULLNAT"),
        (DeleteService(KEY), errno.EPERM, "CAP_NET_ADMIN"),
        (AddService(ONE), errno.EAFNOSUPPORT, "IPv6"),
        (AddService(ONE), errno.ENOMEM, "memory"),
        (AddService(ONE), errno.EBUSY, "again"),
    ],
)
def test_a_hint_says_what_to_do(step: Step, number: int, word: str) -> None:
    assert word in hint(step, number)


def test_the_kernels_own_words_come_before_our_guess() -> None:
    assert hint(AddService(ONE), errno.ENOENT, "no such thing") == "no such thing"


def test_an_unknown_error_has_no_hint() -> None:
    assert hint(DeleteService(KEY), errno.EIO) == ""
    assert hint(DeleteService(KEY), errno.EINVAL) == ""


RUNNING = LvsSyncDaemon("eth0", syncid=1, maxlen=1472, port=8848, ttl=1, group=endpoint("224.0.0.81").address)


@pytest.mark.parametrize(
    ("wanted", "same"),
    [
        (LvsSyncDaemon("eth0", syncid=1), True),
        (RUNNING, True),
        (LvsSyncDaemon("eth1", syncid=1), False),
        (LvsSyncDaemon("eth0", syncid=2), False),
        (LvsSyncDaemon("eth0", syncid=1, maxlen=1000), False),
        (LvsSyncDaemon("eth0", syncid=1, port=8849), False),
        (LvsSyncDaemon("eth0", syncid=1, ttl=2), False),
        (LvsSyncDaemon("eth0", syncid=1, group=endpoint("224.0.0.82").address), False),
    ],
)
def test_a_running_sync_daemon_is_the_wanted_one_or_not(wanted: LvsSyncDaemon, same: bool) -> None:
    assert settle.same_daemon(wanted, RUNNING) is same
