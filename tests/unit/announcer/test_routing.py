"""What routing daemons say, BIRD as recorded from 2.0.12; the others after their documentation."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import types
from ipaddress import ip_address
from pathlib import Path

import pytest

from keepalive_py.announcer import bird, exabgp, frr, gobgp, routing
from keepalive_py.announcer.confirm import Confirmation, Wrong, disagreements
from keepalive_py.announcer.routing import NoAnswer, Session, host_route

GREETING = b"0001 BIRD 2.0.12 ready.\n"
ANSWERS = {
    "restrict": b"0016 Access restricted\n",
    "show protocols all": b"""2002-Name       Proto      Table      State  Since         Info
1002-device1    Device     ---        up     09:26:15.482
1006-
1002-vips       Direct     ---        up     09:26:15.482
1006-  Channel ipv4
     State:          UP
     Routes:         2 imported, 0 exported, 2 preferred

1002-up1        BGP        ---        up     09:26:15.482  Established
1006-  BGP state:          Established
     Neighbor address: 10.0.0.2
     Neighbor AS:      65000
   Channel ipv4
     State:          UP
     Import state:   UP

1002-up2        BGP        ---        start  09:26:15.482  Active        Socket: Connection refused
1006-  BGP state:          Active
     Neighbor address: fe80::1%eth0
     Neighbor AS:      65000
   Channel ipv6
     State:          DOWN

0000
""".replace(b"0000\n", b"0000 \n"),
    "show bfd sessions": b"""1020-bfd1:
 IP address                Interface  State      Since         Interval  Timeout
 10.0.0.2                  eth0       Up         09:26:16.000    0.300    0.900
0000 \n""",
    "show route export up1": b"""1007-Table master4:
 192.0.2.10/32        unicast [vips 09:26:15.495] * (240)
 \tdev kavip
 10.0.0.0/24          unicast [vips 09:26:15.495] * (240)
 \tdev kavip
0000 \n""",
}


async def bird_at(path: Path, answers: dict[str, bytes]) -> asyncio.Server:
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        while line := await reader.readline():
            asked.append(line.decode().strip())
            writer.write(answers.get(asked[-1], b"9001 No such thing\n"))
        writer.close()

    return await asyncio.start_unix_server(serve, path)


async def test_bird_tells_its_sessions_and_what_it_exports(tmp_path: Path) -> None:
    server = await bird_at(tmp_path / "ctl", ANSWERS)
    asked = bird.Bird(str(tmp_path / "ctl"))
    sessions = await asked.sessions()
    assert sessions == [
        Session("up1", ip_address("10.0.0.2"), True, "Established", frozenset((4,)), "Up"),
        Session("up2", ip_address("fe80::1"), False, "Active", frozenset((6,)), ""),
    ]
    exports = await asked.exported(sessions)
    assert exports == {"up1": frozenset((ip_address("192.0.2.10"),))}
    server.close()


async def test_a_bird_that_would_let_us_change_it_is_not_used(tmp_path: Path) -> None:
    server = await bird_at(tmp_path / "ctl", {**ANSWERS, "restrict": b"9001 syntax error\n"})
    with pytest.raises(NoAnswer, match="restrict"):
        await bird.Bird(str(tmp_path / "ctl")).sessions()
    server.close()


async def test_a_bird_that_says_nonsense_is_no_answer(tmp_path: Path) -> None:
    odd = {"show protocols all": b"1002-up1 BGP\n1006-  Channel ipv\n0000 \n"}
    server = await bird_at(tmp_path / "ctl", {**ANSWERS, **odd})
    with pytest.raises(NoAnswer, match="BIRD: the answer is not what we know"):
        await bird.Bird(str(tmp_path / "ctl")).sessions()
    server.close()


async def test_a_bird_that_is_not_there_or_hangs_up_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer, match="No such file"):
        await bird.Bird(str(tmp_path / "ctl")).sessions()
    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), tmp_path / "ctl")
    with pytest.raises(NoAnswer):
        await bird.Bird(str(tmp_path / "ctl")).sessions()
    server.close()


@pytest.mark.parametrize("line", [b"1002-x\n", b"x"])
@pytest.mark.parametrize("daemon", ["bird", "exabgp"])
async def test_an_answer_without_end_is_none_and_keeps_nobody(
    daemon: str, line: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "LARGEST", 1 << 20)

    def talk(descriptor: int) -> None:
        with contextlib.suppress(OSError), os.fdopen(descriptor, "wb", buffering=0) as file:
            while True:
                file.write(line * 9000)

    place = tmp_path / daemon
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as open_ones:
        asked: bird.Bird | exabgp.Exabgp
        if daemon == "bird":
            asked = bird.Bird(str(place))
            listener.bind(str(place))
            listener.listen()
            speaker = threading.Thread(target=lambda: talk(listener.accept()[0].detach()))
        else:
            asked = exabgp.Exabgp(str(place))
            for end in (".in", ".out"):
                os.mkfifo(f"{place}{end}")
            heard = os.open(f"{place}.in", os.O_RDWR | os.O_NONBLOCK)
            open_ones.callback(os.close, heard)
            speaker = threading.Thread(target=lambda: talk(os.open(f"{place}.out", os.O_WRONLY)))
        speaker.start()
        with pytest.raises(NoAnswer, match="without end"):
            await asked.sessions()
        await asyncio.to_thread(speaker.join)


def test_frr_tells_its_sessions() -> None:
    summary = {
        "ipv4Unicast": {
            "peers": {"10.0.0.1": {"state": "Established"}, "10.0.0.5": {"state": "Active"}},
        },
        "ipv6Unicast": {"peers": {"10.0.0.1": {"state": "Established"}}},
    }
    assert frr.read_sessions(summary, frr.read_bfd([{"peer": "10.0.0.1", "status": "up"}])) == [
        Session("10.0.0.1", ip_address("10.0.0.1"), True, "Established", frozenset((4, 6)), "up"),
        Session("10.0.0.5", ip_address("10.0.0.5"), False, "Active", frozenset((4,)), ""),
    ]
    routes = {"advertisedRoutes": {"192.0.2.10/32": {}, "10.0.0.0/8": {}}}
    assert frr.read_routes(routes) == {ip_address("192.0.2.10")}


async def vty(path: Path, answers: dict[str, bytes]) -> asyncio.Server:
    """An FRR daemon's socket; `answers` with their status."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                command = (await reader.readuntil(b"\0"))[:-1].decode()
                writer.write(answers.get(command, b"% Unknown command\0\0\0\2"))
        writer.close()

    return await asyncio.start_unix_server(serve, path)


async def test_frr_is_asked_over_its_sockets(tmp_path: Path) -> None:
    question = "show bgp ipv4 unicast neighbors 10.0.0.1 advertised-routes json"
    bgpd = {
        "show bgp summary json": b'{"ipv4Unicast":{"peers":{"10.0.0.1":{"state":"Established"}}}}\0\0\0\0',
        question: b'{"advertisedRoutes": {"192.0.2.10/32": {}}}\0\0\0\0',
    }
    bfdd = {"enable": b"\0\0\0\0", "show bfd peers json": b'[{"peer": "10.0.0.1", "status": "up"}]\0\0\0\0'}
    servers = [await vty(tmp_path / "bgpd.vty", bgpd), await vty(tmp_path / "bfdd.vty", bfdd)]
    asked = frr.Frr(f"{tmp_path}/")
    sessions = await asked.sessions()
    expected = Session("10.0.0.1", ip_address("10.0.0.1"), True, "Established", frozenset((4,)), "up")
    assert sessions == [expected]
    assert await asked.exported(sessions) == {"10.0.0.1": frozenset((ip_address("192.0.2.10"),))}
    bgpd[question] = b'{"warning": "no such neighbor"}\0\0\0\1'  # it went away meanwhile
    assert await asked.exported(sessions) == {"10.0.0.1": frozenset()}
    for server in servers:
        server.close()


NESTED = b"[" * 100_000
ODD_PEERS = b'{"ipv4Unicast": {"peers": [1]}}', b'{"ipv4Unicast": {"peers": {"10.0.0.1": 3}}}'


@pytest.mark.parametrize(
    "answer",
    [
        b"% Unknown command\0\0\0\2",
        b"{]\0\0\0\0",
        b"{}",
        *(answer + b"\0\0\0\0" for answer in (NESTED, *ODD_PEERS)),
        b"x" * 100_000 + b"\0\0\0\2",
    ],
)
async def test_frr_that_says_nonsense_is_no_answer(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(NoAnswer, match="No such file"):
        await frr.Frr(f"{tmp_path}/").sessions()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "bgpd.vty")
    with pytest.raises(NoAnswer, match="FRR") as raised:
        await frr.Frr(f"{tmp_path}/").sessions()
    assert len(str(raised.value)) < 1000
    server.close()


def test_frr_has_its_sockets_where_its_pathspace_says() -> None:
    assert str(frr.Frr().directory) == "/var/run/frr"
    assert str(frr.Frr("blue").directory) == "/var/run/frr/blue"
    assert str(frr.Frr("/run/lab").directory) == "/run/lab"


def test_gobgp_tells_its_sessions() -> None:
    peer = {
        "state": {"neighbor_address": "10.0.0.1", "session_state": 6},
        "afi_safis": [{"config": {"family": {"afi": 1, "safi": 1}}}],
    }
    assert gobgp.read_sessions([peer]) == [
        Session("10.0.0.1", ip_address("10.0.0.1"), True, "established", frozenset((4,)))
    ]
    assert gobgp.read_routes({"192.0.2.10/32": [], "10.0.0.0/8": []}) == {ip_address("192.0.2.10")}


@pytest.mark.parametrize("nonsense", [None, 7, [], {}, "x", [None], {"ipv4Unicast": 3}, {"ipv4Unicast": {}}])
def test_nonsense_is_no_session(nonsense: object) -> None:
    assert frr.read_sessions(nonsense, {}) == []
    assert frr.read_bfd(nonsense) == {}
    assert frr.read_routes(nonsense) == set()
    assert gobgp.read_sessions(nonsense) == []


@pytest.mark.parametrize("answer", ['[{"state": "up"}]', '[{"afi_safis": 3}]', "[" * 100_000])
async def test_gobgp_that_says_nonsense_is_no_answer(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def said(argv: object) -> str:
        return answer

    monkeypatch.setattr(routing, "run", said)
    with pytest.raises(NoAnswer, match="the answer is not"):
        await gobgp.Gobgp().sessions()


def test_exabgp_tells_its_sessions() -> None:
    text = """Peer            AS        up/down state       |     #sent     #recvd
127.0.0.1       65500      down    connect              0          0
10.0.0.2        65000   0:00:09 established             3          2
"""
    assert [(each.name, each.established) for each in exabgp.read_sessions(text)] == [
        ("127.0.0.1", False),
        ("10.0.0.2", True),
    ]
    routes = "neighbor 10.0.0.2 local-ip 10.0.0.1 in-open ipv4 unicast 192.0.2.10/32 next-hop self\n"
    assert exabgp.read_routes(routes) == {"10.0.0.2": {ip_address("192.0.2.10")}}


async def pipes_at(path: Path, answers: dict[str, bytes], leftover: bytes = b"") -> int:
    """ExaBGP's end of its pipes; a descriptor to close."""
    for end in (".in", ".out"):
        os.mkfifo(f"{path}{end}")
    heard = os.open(f"{path}.in", os.O_RDWR | os.O_NONBLOCK)
    said = os.open(f"{path}.out", os.O_RDWR | os.O_NONBLOCK)
    os.write(said, leftover or b"\n")

    def answer() -> None:
        os.write(said, answers.get(os.read(heard, 4096).decode().strip(), b"error\n"))

    asyncio.get_running_loop().add_reader(heard, answer)
    return heard


async def test_exabgp_is_asked_over_its_pipes(tmp_path: Path) -> None:
    place = tmp_path / "exabgp"
    with pytest.raises(NoAnswer, match="No such file"):
        await exabgp.Exabgp(str(place)).sessions()
    summary = b"Peer AS up/down state\n10.0.0.2 65000 0:00:09 established 3 2\ndone\n"
    routes = b"neighbor 10.0.0.2 ipv4 unicast 192.0.2.10/32 next-hop self\ndone\n"
    answers = {"show neighbor summary": summary, "show adj-rib out": routes}
    heard = await pipes_at(place, answers, b"of somebody else\ndone\n")
    asked = exabgp.Exabgp(str(place))
    sessions = await asked.sessions()
    assert [each.name for each in sessions] == ["10.0.0.2"]
    assert await asked.exported(sessions) == {"10.0.0.2": frozenset((ip_address("192.0.2.10"),))}
    answers.clear()
    with pytest.raises(NoAnswer, match="it answers error"):
        await asked.sessions()
    asyncio.get_running_loop().remove_reader(heard)
    os.close(heard)


@pytest.mark.parametrize("module", [bird, exabgp])
async def test_an_answer_is_taken_apart_where_nobody_waits(
    module: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have a hundred thousand lines."""
    where: set[int] = set()
    for name in ("read_lines", "read_sessions", "read_routes"):
        if hasattr(module, name):
            usual = getattr(module, name)
            noted = lambda *of, usual=usual: (where.add(threading.get_ident()), usual(*of))[1]  # noqa: E731
            monkeypatch.setattr(module, name, noted)
    asked: bird.Bird | exabgp.Exabgp
    if module is bird:
        server = await bird_at(tmp_path / "ctl", ANSWERS)
        asked = bird.Bird(str(tmp_path / "ctl"))
    else:
        summary = b"10.0.0.2 65000 0:00:09 established 3 2\ndone\n"
        heard = await pipes_at(
            tmp_path / "exabgp", {"show neighbor summary": summary, "show adj-rib out": b"done\n"}
        )
        asked = exabgp.Exabgp(str(tmp_path / "exabgp"))
    sessions = await asked.sessions()
    await asked.exported([each for each in sessions if each.established])
    assert where
    assert threading.get_ident() not in where
    if module is bird:
        server.close()
    else:
        asyncio.get_running_loop().remove_reader(heard)
        os.close(heard)


async def test_exabgp_that_does_not_run_is_no_answer(tmp_path: Path) -> None:
    for end in (".in", ".out"):
        os.mkfifo(tmp_path / f"exabgp{end}")
    with pytest.raises(NoAnswer, match="does not run"):
        await exabgp.Exabgp(str(tmp_path / "exabgp")).sessions()


def test_only_host_routes_are_addresses() -> None:
    assert host_route("192.0.2.1/32") == ip_address("192.0.2.1")
    assert host_route("2001:db8::1/128") == ip_address("2001:db8::1")
    assert host_route("192.0.2.0/24") is None
    assert host_route("nonsense/3") is None


A, B, SIX = ip_address("192.0.2.1"), ip_address("192.0.2.2"), ip_address("2001:db8::1")
PEER = Session("peer", None, True, "", frozenset((4,)))


@pytest.mark.parametrize(
    ("announced", "sent", "wrong"),
    [
        ({A: True}, {A}, set()),
        ({A: True}, set(), {Wrong.NOT_EXPORTED}),
        ({A: False}, {A}, {Wrong.STILL_EXPORTED}),
        ({A: False}, {B}, set()),
        ({SIX: True}, set(), set()),
    ],
)
def test_what_disagrees(announced: dict, sent: set, wrong: set) -> None:
    found = disagreements(announced, [PEER], {"peer": frozenset(sent)})
    assert {each.wrong for each in found} == wrong


def test_a_session_that_is_down_disagrees_with_nobody() -> None:
    down = Session("peer", None, False)
    assert disagreements({A: True}, [down], {"peer": frozenset()}) == frozenset()
    assert disagreements({A: True}, [PEER], {}) == frozenset()


def test_a_disagreement_is_told_once_when_it_lasts_and_once_when_it_is_over() -> None:
    wrong = disagreements({A: True}, [PEER], {"peer": frozenset()})
    confirmation = Confirmation(5.0)
    assert confirmation.compare(wrong, 0.0) == ([], [])
    assert confirmation.pending
    assert confirmation.compare(wrong, 5.0) == (list(wrong), [])
    assert not confirmation.pending
    assert confirmation.compare(wrong, 6.0) == ([], [])
    assert confirmation.compare(frozenset(), 7.0) == ([], list(wrong))
    assert confirmation.compare(wrong, 8.0) == ([], [])  # a new one has its own time
