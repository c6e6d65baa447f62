"""`keepalive-ctl` asking a running daemon."""

from __future__ import annotations

import asyncio
import json
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from daemon_rig import Rig, Start, virtual_server

from keepalive_py.cli.ctl import main
from keepalive_py.config.toa import ToaModule
from keepalive_py.control.listening import ControlSocket
from keepalive_py.daemon import voice
from keepalive_py.daemon.controlled import Controlled
from keepalive_py.dataplane.port import Counters
from keepalive_py.net import Endpoint, parse_address
from keepalive_py.toa.flavours import wanted
from keepalive_py.toa.kernel import LoadedModule
from keepalive_py.toa.state import ModuleState
from keepalive_py.toa.verdict import Listener, Result, Verdict

A, B = "10.1.0.1", "10.1.0.2"
CONFIGURATION = {
    "digest": "d41d8cd98f",
    "since": 0.0,
    "generation": 1,
    "instead_of_files": None,
    "refused": None,
    "held": False,
}
Ask = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
async def rig(start: Start) -> Rig:
    return await start(virtual_server(A, B))


@pytest.fixture
async def ask(rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Ask]:
    """Runs a command; its exit status, and all that it says."""
    configuring = types.SimpleNamespace(summary=lambda: CONFIGURATION)
    life = types.SimpleNamespace(supervisor=rig.supervisor, born=0.0, began=0.0, configuring=configuring)
    control = ControlSocket(Controlled(life), voice.warn, voice.mistake)  # type: ignore[arg-type]
    path = str(tmp_path / "control.sock")
    control.open(path)

    async def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        status = await asyncio.to_thread(main, [*words, "--control", path])
        said = capsys.readouterr()
        return status, said.out + said.err

    yield run
    await control.close()


async def test_all_is_well(ask: Ask) -> None:
    status, text = await ask("status")
    assert status == 0, text
    assert "servers    2 of 2 alive" in text
    assert "table      memory, as wanted" in text


async def test_a_module_that_does_not_work(rig: Rig, ask: Ask) -> None:
    module = wanted(ToaModule(name="toa"))
    broken = Result("toa4", Listener.V4, Verdict.BROKEN, "why")
    rig.supervisor.modules.states = {"toa": ModuleState(module, LoadedModule("toa"), results=(broken,))}
    _, text = await ask("status")
    assert "module     toa: loaded but does not work" in text
    _, text = await ask("status", "--json")
    assert json.loads(text)["modules"] == {"toa": "loaded but does not work"}


async def test_why_a_server_is_down(rig: Rig, ask: Ask) -> None:
    await rig.fails(A)
    _, text = await ask("status")
    assert f"down       [{A}]:tcp:80 of [10.0.0.1]:tcp:80: TCP_CHECK refused" in text
    status, text = await ask("why", A)
    assert status == 0, text
    assert f"[{A}]:tcp:80 of [10.0.0.1]:tcp:80: down" in text
    assert "down TCP_CHECK: failed, refused" in text
    assert f"Removing service [{A}]:tcp:80 from VS [10.0.0.1]:tcp:80 (refused)" in text
    assert (await ask("why", "10.9.9.9"))[0] == 1


async def test_a_service_that_nobody_serves_is_named(ask: Ask) -> None:
    _, text = await ask("drain", A, "--reason", "disk")
    await ask("drain", B, "--force")
    _, text = await ask("status")
    assert f"order      {A} drained by " in text
    assert ": disk\n" in text
    assert "empty      TCP 10.0.0.1:80: no server of it gets connections" in text
    assert "nobody gets connections, 2 of 2 servers up, 2 drained" in (await ask("services"))[1]


async def test_a_service_without_quorum_is_named(rig: Rig, ask: Ask) -> None:
    await rig.fails(A, B)
    assert "no quorum  TCP 10.0.0.1:80: nobody serves" in (await ask("status"))[1]


async def test_tables_and_the_tree(rig: Rig, ask: Ask) -> None:
    await rig.fails(A)
    for command in ("services", "servers", "checks"):
        status, text = await ask(command)
        assert status == 0
        assert text.splitlines()[0].split()[0] in ("Service", "Server")
    _, text = await ask("servers", "--state", "down")
    assert A in text
    assert B not in text
    _, text = await ask("status", "--tree")
    assert "TCP 10.0.0.1:80 up, 1 of 2 servers" in text
    assert f"└─ [{B}]:tcp:80" in text


async def test_json_everywhere(ask: Ask) -> None:
    for words in (
        ("status",),
        ("status", "--tree"),
        ("services",),
        ("servers",),
        ("checks",),
        ("why", A),
        ("overrides",),
        ("drain", A),
        ("undrain", A),
    ):
        status, text = await ask(*words, "--json")
        assert status == 0, words
        json.loads(text)


async def test_checks_now(rig: Rig, ask: Ask) -> None:
    assert (await ask("check", "now", A))[0] == 0
    for _ in range(1000):
        if rig.supervisor.probe_statistics.started:
            break
        await asyncio.sleep(0.01)
    assert rig.supervisor.probe_statistics.started == 1  # and not the other server's
    status, text = await ask("check", "now", "10.9.9.9")
    assert (status, "there is no running check of `10.9.9.9`" in text) == (1, True)


async def test_a_drain_that_waits(rig: Rig, ask: Ask) -> None:
    ((key, _),) = (await rig.dataplane.read()).items()
    endpoint = Endpoint(parse_address(A), 80)
    rig.dataplane.set_counters(key, Counters(active_connections=2), endpoint)
    status, text = await ask("drain", A, "--reason", "disk", "--for", "1h", "--wait", "1s")
    assert status == 1
    assert "2 connections left" in text
    assert "not remembered over a restart" in text
    waiting = asyncio.create_task(ask("drain", A, "--wait", "60s"))
    await asyncio.sleep(0)
    rig.dataplane.set_counters(key, Counters(), endpoint)
    status, text = await waiting
    assert status == 0, text
    assert "no connections left" in text
    _, text = await ask("overrides")
    assert text.split("\n")[1].split()[:2] == [A, "drained"]
    assert (await ask("enable", A))[0] == 0
    assert "nothing is drained" in (await ask("overrides"))[1]


async def test_the_daemons_refusal_is_shown(ask: Ask) -> None:
    await ask("disable", A)
    status, text = await ask("disable", B)
    assert status == 1
    assert "keepalive-ctl: no server would be left" in text
    assert "hint: bring another server up first" in text
    assert (await ask("weight", A, "3"))[0] == 0
    for words in (("drain",), ("drain", A, "--node"), ("undrain", "--vip", "10.0.0.1", "--node")):
        assert (await ask(*words)) == (
            1,
            "keepalive-ctl: give a server, --vip ADDRESS or --node, and one of them only\n",
        )
    assert (await ask("drain", "--node"))[0] == 1


async def test_what_happened(rig: Rig, ask: Ask) -> None:
    await rig.fails(A)
    status, text = await ask("events", "-n", "2")
    assert status == 0, text
    assert [line.split("  ", 1)[1] for line in text.splitlines()] == [
        f"TCP_CHECK on service [{A}]:tcp:80 failed. (refused)",
        f"Removing service [{A}]:tcp:80 from VS [10.0.0.1]:tcp:80 (refused)",
    ]
    _, text = await ask("events", "--json", "--kind", "server_down")
    assert [json.loads(line)["kind"] for line in text.splitlines()] == ["server_down"]
