"""startup_script and shutdown_script: waited for, within their time."""

from __future__ import annotations

import asyncio

from keepalive_py.checkers.wishes import ProbeFailed
from keepalive_py.config.kinds import Script
from keepalive_py.daemon import voice
from keepalive_py.probing import Engine
from keepalive_py.probing.children import Outcome
from keepalive_py.probing.trouble import ProbeUnknown


async def run_boundary_script(engine: Engine, title: str, script: Script | None, patience: float) -> None:
    """`title` is startup or shutdown. How it ends is said and changes nothing."""
    if script is None:
        return
    voice.say(f"Running {title} script {script.command}")
    ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    try:
        engine.launcher.launch(script, patience, ended.set_result)
        engine.turn()  # so that its time is watched
    except (ProbeFailed, ProbeUnknown) as error:
        voice.warn(f"Call of {title} script {script.command} failed: {error}")
        return
    voice.say(outcome(title, await ended))


def outcome(title: str, ended: Outcome) -> str:
    if isinstance(ended, ProbeFailed | ProbeUnknown):
        return f"{title} script: {ended}"
    if ended.timed_out:
        return f"{title} script timed out"
    if ended.status == 0:
        return f"{title} script succeeded"
    how = f"status {ended.status}" if ended.signal is None else f"signal {ended.signal}"
    return f"{title} script failed, {how}"
