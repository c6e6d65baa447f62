"""Who hears of an event."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest

from keepalive_py.config.kinds import Script
from keepalive_py.config.model import GlobalDefs, Mail, NotifyFifo, RealServer, VirtualServer
from keepalive_py.health.events import ServerDown, ServerUp
from keepalive_py.health.verdict import Reason
from keepalive_py.net import Endpoint, Protocol
from keepalive_py.notify.notifier import Notifier
from keepalive_py.notify.scripts import LaunchFailed
from keepalive_py.notify.security import Account

READER = Script(argv=("/bin/cat",), command="/bin/cat")
DOWN = Script(argv=("/bin/down",), command="/bin/down")
RS = RealServer(endpoint=Endpoint(ip_address("192.0.2.1"), 80), notify_down=DOWN, smtp_alert=True)
VS = VirtualServer(endpoint=Endpoint(ip_address("10.0.0.1"), 80), protocol=Protocol.TCP, real_servers=(RS,))
WENT_DOWN = ServerDown(at=0.0, reason=Reason.TIMEOUT, vs=VS, rs=RS)
WENT_UP = ServerUp(at=0.0, reason=Reason.RECOVERED, vs=VS, rs=RS, weight=1)
LINE = b"RS [192.0.2.1]:tcp:80 [10.0.0.1]:tcp:80 DOWN\n"


class Started:
    def __init__(self, script: Script, ended: Callable[[], None]) -> None:
        self.script, self.ended = script, ended
        self.signals: list[signal.Signals] = []

    def kill(self, number: signal.Signals) -> None:
        self.signals.append(number)
        asyncio.get_running_loop().call_soon(self.ended)


@pytest.fixture
def started() -> list[Started]:
    return []


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def notifier(started: list[Started], said: list[str]) -> Notifier:
    def launch(script: Script, ended: Callable[[], None]) -> Started:
        if script.argv[0] == "/bin/nowhere":
            raise LaunchFailed("no such file")
        started.append(Started(script, ended))
        return started[-1]

    def account(user: str, group: str | None) -> Account:
        if user == "nosuch":
            raise LookupError(user)
        return Account(os.geteuid(), os.getegid())

    return Notifier(launch, account, said.append, lambda: 0.0)


def read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(descriptor, 9999)
    except BlockingIOError:
        return b""
    finally:
        os.close(descriptor)


async def test_an_event_runs_its_script_and_writes_to_both_fifos(
    notifier: Notifier, started: list[Started], tmp_path: Path
) -> None:
    both, own = tmp_path / "both", tmp_path / "own"
    settings = GlobalDefs(notify_fifo=NotifyFifo(str(both)), lvs_notify_fifo=NotifyFifo(str(own)))
    notifier.configure(settings, router_id="LVS1")
    notifier.tell([WENT_DOWN, WENT_UP])
    assert [each.script for each in started] == [DOWN]
    assert read(both) == read(own) == LINE + LINE.replace(b"DOWN", b"UP")


async def test_one_path_for_both_is_written_once(notifier: Notifier, said: list[str], tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    settings = GlobalDefs(notify_fifo=NotifyFifo(str(path)), lvs_notify_fifo=NotifyFifo(str(path)))
    notifier.configure(settings, router_id="LVS1")
    notifier.tell([WENT_DOWN])
    assert read(path) == LINE
    assert said == [f"notify FIFO {path} has been specified for global and LVS FIFO - ignoring LVS FIFO"]


async def test_the_reader_gets_the_path_as_last_argument(
    notifier: Notifier, started: list[Started], tmp_path: Path
) -> None:
    path = str(tmp_path / "fifo")
    notifier.configure(GlobalDefs(lvs_notify_fifo=NotifyFifo(path, script=READER)), router_id="LVS1")
    assert started[0].script.argv == ("/bin/cat", path)


async def test_a_reload_leaves_a_fifo_that_is_configured_as_before(
    notifier: Notifier, started: list[Started], tmp_path: Path
) -> None:
    settings = GlobalDefs(lvs_notify_fifo=NotifyFifo(str(tmp_path / "fifo"), script=READER))
    notifier.configure(settings, router_id="LVS1")
    notifier.tell([WENT_DOWN])
    notifier.configure(settings, router_id="LVS1")
    assert len([each for each in started if each.script.argv[0] == "/bin/cat"]) == 1
    assert read(tmp_path / "fifo") == LINE


async def test_a_reload_opens_a_fifo_that_was_replaced_anew(
    notifier: Notifier, started: list[Started], tmp_path: Path
) -> None:
    path = tmp_path / "fifo"
    settings = GlobalDefs(lvs_notify_fifo=NotifyFifo(str(path), script=READER))
    notifier.configure(settings, router_id="LVS1")
    path.unlink()
    os.mkfifo(path)
    notifier.configure(settings, router_id="LVS1")
    notifier.tell([WENT_DOWN])
    assert read(path) == LINE
    assert [each.signals for each in started if each.script.argv[0] == "/bin/cat"] == [[signal.SIGTERM], []]


async def test_a_fifo_that_is_not_configured_any_more_goes_with_its_reader(
    notifier: Notifier, started: list[Started], said: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "fifo"
    notifier.configure(GlobalDefs(lvs_notify_fifo=NotifyFifo(str(path), script=READER)), router_id="LVS1")
    notifier.configure(GlobalDefs(), router_id="LVS1")
    assert not path.exists()
    assert started[0].signals == [signal.SIGTERM]
    await asyncio.sleep(0)
    assert said == []  # it was told to


async def test_a_reader_that_ends_by_itself_is_said(
    notifier: Notifier, started: list[Started], said: list[str], tmp_path: Path
) -> None:
    path = str(tmp_path / "fifo")
    notifier.configure(GlobalDefs(lvs_notify_fifo=NotifyFifo(path, script=READER)), router_id="LVS1")
    started[0].ended()
    assert said == [f"notify fifo script of {path} terminated"]


@pytest.mark.parametrize(
    ("fifo", "words"),
    [
        (NotifyFifo("/nonexistent/fifo"), "Unable to create notify fifo /nonexistent/fifo"),
        (NotifyFifo("/run/x", user="nosuch"), "Invalid user/group for fifo /run/x - ignoring"),
    ],
)
async def test_a_fifo_that_cannot_be_had_is_said_and_left(
    notifier: Notifier, said: list[str], fifo: NotifyFifo, words: str
) -> None:
    notifier.configure(GlobalDefs(lvs_notify_fifo=fifo), router_id="LVS1")
    notifier.tell([WENT_DOWN])
    assert len(said) == 1
    assert said[0].startswith(words)


async def test_a_reader_that_cannot_start_leaves_the_fifo(
    notifier: Notifier, said: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "fifo"
    missing = Script(argv=("/bin/nowhere",), command="/bin/nowhere")
    notifier.configure(GlobalDefs(lvs_notify_fifo=NotifyFifo(str(path), script=missing)), router_id="LVS1")
    notifier.tell([WENT_DOWN])
    assert read(path) == LINE
    assert said == ["Call of script /bin/nowhere failed: no such file"]


async def test_at_the_end_everything_is_closed(
    notifier: Notifier, started: list[Started], tmp_path: Path
) -> None:
    path = tmp_path / "fifo"
    notifier.configure(GlobalDefs(lvs_notify_fifo=NotifyFifo(str(path), script=READER)), router_id="LVS1")
    notifier.tell([WENT_DOWN])
    await notifier.close(0.0)
    assert not path.exists()
    assert [each.signals for each in started] == [[signal.SIGTERM], [signal.SIGTERM]]


async def test_without_recipients_there_is_no_mail(notifier: Notifier) -> None:
    server = Endpoint(ip_address("192.0.2.25"), 25)
    notifier.configure(GlobalDefs(mail=Mail(server=server)), router_id="LVS1")
    notifier.tell([WENT_DOWN])
    assert not notifier.mailer.waiting
