"""The announcer at work: what health, table, uplinks and drains say becomes addresses on interfaces,
and the routing daemon is asked whether it follows.

Without a `bgp_announcer` block nothing here runs. Two tasks: one judges whenever something changed
(and at the next deadline), the other asks the routing daemon. Trouble of our own (a kernel that
refuses, a file that cannot be written, a routing daemon that does not answer) is said once and tried
again; it never withdraws anything.

The order of a leave: drained, withdrawn, confirmed by the routing daemon; only then does the caller
empty the table; then the addresses go.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol

from keepalive_py.announcer.bird import Bird
from keepalive_py.announcer.confirm import Confirmation, disagreements
from keepalive_py.announcer.drains import Drain, Drains
from keepalive_py.announcer.evidence import View, Witness, modules
from keepalive_py.announcer.exabgp import Exabgp
from keepalive_py.announcer.files import write_json
from keepalive_py.announcer.frr import Frr
from keepalive_py.announcer.gobgp import Gobgp
from keepalive_py.announcer.loopback import Loopback, Outcome, Position
from keepalive_py.announcer.ownership import Ownership
from keepalive_py.announcer.policy import Sight, Timing, VipPolicy, VipState
from keepalive_py.announcer.routing import Exports, NoAnswer, Routing, Session
from keepalive_py.announcer.rtnetlink import Listener, Rtnetlink
from keepalive_py.announcer.vips import Vip, vips_of
from keepalive_py.config.bgp_announcer import NOWHERE, BgpAnnouncer, OnStop
from keepalive_py.config.model import Config
from keepalive_py.control.journal import Journal
from keepalive_py.daemon import voice
from keepalive_py.daemon.ending import ended
from keepalive_py.dataplane.port import Dataplane
from keepalive_py.errors import KeepaliveError
from keepalive_py.health.fitness import Evidence, Fitness, Standing, fitness
from keepalive_py.net import Address
from keepalive_py.plan.marks import Marks
from keepalive_py.uplink.state import Heard, UplinkSight, UplinkState, sight

STATUS_FILE: Final = "status.json"
TICK: Final = 1.0  # seconds between two looks at the drains, at most
HURRY: Final = 0.1  # seconds between two questions while an answer is awaited
COUNTED_EVERY: Final = 2.0  # seconds: so old may IPVS' counters be (net/netfilter/ipvs/ip_vs_est.c)
REMEMBERED: Final = 100  # events
DIFFERENT: Final = 10  # troubles with the routing daemon that are told until it answers again

POSITIONS: Final = {
    VipState.HELD: Position.HOLD,
    VipState.ANNOUNCED: Position.ANNOUNCE,
    VipState.DRAINING: Position.DRAIN,
    VipState.WITHDRAWN: Position.HOLD,
}
FOUND: Final[dict[Position | None, VipState]] = {
    Position.ANNOUNCE: VipState.ANNOUNCED,
    Position.DRAIN: VipState.DRAINING,
}
VISIBLE: Final = (VipState.ANNOUNCED, VipState.DRAINING)
ROUTING: Final[dict[str, Callable[[str], Routing]]] = {
    "bird": Bird,
    "frr": Frr,
    "gobgp": Gobgp,
    "exabgp": Exabgp,
}
STANDINGS: Final = {
    UplinkState.UP: Standing.YES,
    UplinkState.DEGRADED: Standing.YES,
    UplinkState.DOWN: Standing.NO,
}


class Host(View, Protocol):
    """What the supervisor offers."""

    dataplane: Dataplane
    events: Counter[str]
    marks: Marks

    def module_standing(self, name: str) -> Standing | None: ...

    @property
    def repairs(self) -> bool:
        """Whether what others changed is put right."""

    def vip_drifted(self, text: str) -> None:
        """Somebody else moved an address of ours."""

    journal: Journal


def block_of(config: Config) -> BgpAnnouncer | None:
    for block in config.extensions.get("bgp_announcer", ()):
        if isinstance(block, BgpAnnouncer):
            return block
    return None


class Announcing:
    """Follows one configuration after the other; idle while they have no block. `kernel` and
    `listener` make what changes addresses and what tells of changes."""

    def __init__(
        self,
        host: Host,
        kernel: Callable[[], Rtnetlink] = Rtnetlink,
        listener: Callable[[], Listener] = Listener,
    ) -> None:
        self.host = host
        self.kernel = kernel
        self.listener = listener
        self.work: Work | None = None

    def wake(self) -> None:
        """Something changed in health or table."""
        if self.work is not None:
            self.work.wake()

    def drains(self) -> Mapping[str, Drain]:
        """By address, or `all` for the node; empty without an announcer."""
        return {} if self.work is None else self.work.drains.current

    def change_drains(self, drains: Mapping[str, Drain]) -> None:
        """From now on these. Raises OSError."""
        if self.work is not None:
            self.work.drains.write(drains)
            self.work.drains.read()
            self.work.wake()

    async def follow(self, config: Config) -> None:
        """From now on this one; its table is in place."""
        block = block_of(config)
        if self.work is not None and (block is None or self.work.needs_rebuilding(block)):
            await self.work.end(remove=block is None)
            self.work = None
        if block is None:
            return
        if self.work is None:
            try:
                self.work = Work(self.host, block, self.kernel(), self.listener())
            except OSError as error:
                voice.warn(f"announcer: nothing is announced or withdrawn: rtnetlink: {error.strerror}")
                return
            self.work.begin()
        self.work.follow(config, block)

    async def before(self, config: Config) -> None:
        """This one comes next: withdraw what it does not have, while the table still serves it."""
        block = block_of(config)
        if self.work is not None:
            await self.work.leave([] if block is None else vips_of(config, block))

    async def leave(self, *, keep_table: bool) -> None:
        """Before the table goes."""
        if self.work is not None and not self.work.is_kept(keep_table):
            await self.work.leave(())

    async def close(self, *, keep_table: bool) -> None:
        """After the table went."""
        if self.work is not None:
            await self.work.end(remove=not self.work.is_kept(keep_table))
            self.work = None


class Work:
    """One block at work."""

    def __init__(self, host: Host, block: BgpAnnouncer, kernel: Rtnetlink, listener: Listener) -> None:
        self.host = host
        self.block = block
        self.kernel = kernel
        self.listener = listener
        self.ownership = Ownership(block.state_directory)
        self.drains = Drains(block.state_directory)
        self.routing = routing_of(block)
        gap = self.routing is not None and self.routing.wants_gap
        self.loopback = Loopback(self.kernel, self.ownership, interfaces_of(block), gap=gap)
        self.witness = Witness(host, sorry_counts=block.sorry_counts, warm_up=block.warm_up)
        self.confirmation = Confirmation(block.confirm_time)
        self.vips: dict[Address, Vip] = {}
        self.policies: dict[Address, VipPolicy] = {}
        self.fits: dict[Address, Fitness] = {}
        self.found: dict[Address, Position | None] = {}
        self.leaving: dict[Address, Drain] = {}
        self.left: frozenset[Address] = frozenset()
        self.uplinks: dict[str, UplinkSight] = {}
        self.sessions: dict[str, Session] = {}
        self.exports: Exports = {}
        self.connections: dict[Address, tuple[int, float]] = {}  # how many so far, and since when
        self.troubles: set[str] = set()
        self.history: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self.status: dict[str, Any] = {}
        self.addresses_due = True
        self._wake = asyncio.Event()
        self._ask = asyncio.Event()
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # Life.

    def begin(self) -> None:
        """What is announced already stays so, until it is judged."""
        with self.trouble("start"):
            self.ownership.load()
            self.loopback.prepare()
            self.found = self.loopback.found()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.listener, self.kernel_changed)
        self._tasks = [loop.create_task(self.judging(), name="announcer")]
        if self.routing is not None:
            self._tasks.append(loop.create_task(self.asking(), name="announcer's questions"))

    def needs_rebuilding(self, block: BgpAnnouncer) -> bool:
        names = ("interface", "drain_interface", "hold_interface", "state_directory", "routing_daemon")
        return any(getattr(block, name) != getattr(self.block, name) for name in names)

    def follow(self, config: Config, block: BgpAnnouncer) -> None:
        self.block = block
        self.witness = Witness(self.host, sorry_counts=block.sorry_counts, warm_up=block.warm_up)
        self.confirmation.patience = block.confirm_time
        self.vips = vips_of(config, block, self.host.marks)
        self.leaving.clear()
        timing = Timing(block.rise, block.fall, block.hold_down, block.half_life, block.drain_time)
        before, self.policies = self.policies, {}
        for address in self.vips:
            policy = before.get(address)
            if policy is None:
                state = FOUND.get(self.found.pop(address, None), VipState.HELD)
                policy = VipPolicy(timing, self.host.now, state)
                if state in VISIBLE:
                    self.say(
                        "vip_adopted", f"VIP {address} was {state.value} already: it stays so", vip=address
                    )
            policy.timing = timing
            self.policies[address] = policy
        self.addresses_due = True
        self.wake()

    def is_kept(self, keep_table: bool) -> bool:
        """Whether the announcements outlive us."""
        on_stop = self.block.on_stop
        return on_stop is OnStop.KEEP or (on_stop is OnStop.AS_TABLE and keep_table)

    async def leave(self, staying: Iterable[Address]) -> None:
        """All addresses but these are drained, withdrawn, and confirmed to be."""
        stays = frozenset(staying)
        going = [address for address in self.policies if address not in stays]
        if not going:
            return
        drain = Drain(by="keepalive-py", reason="stop or reload", since=time.time())
        self.leaving.update(dict.fromkeys(going, drain))
        patience = self.block.drain_time + self.block.confirm_time + TICK
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone(going), patience)
        with voice.apart("the announcer's questions"):
            await self.confirmed(going)

    async def gone(self, going: list[Address]) -> None:
        """Until none of these is announced or draining."""
        while any(self.policies[address].state in VISIBLE for address in going):
            self._moved.clear()
            self.wake()
            await self._moved.wait()

    async def confirmed(self, withdrawn: list[Address]) -> None:
        """Until the routing daemon exports none of these; at most `confirm_time`."""
        if self.routing is None:
            return
        wanted = dict.fromkeys(withdrawn, False)
        deadline = self.host.now + self.block.confirm_time
        trouble = ""
        while self.host.now < deadline:
            try:
                if not disagreements(wanted, *await self.answer(self.routing)):
                    text = f"{self.routing.name} exports none of {len(withdrawn)} VIPs"
                    self.say("withdrawal_confirmed", text)
                    return
                trouble = f"still exported after {self.block.confirm_time:g} s"
            except NoAnswer as error:
                trouble = str(error)
            await asyncio.sleep(HURRY)
        voice.warn(f"Withdrawal not confirmed: {trouble}")

    async def end(self, *, remove: bool) -> None:
        asyncio.get_running_loop().remove_reader(self.listener)
        await ended(self._tasks)
        with self.trouble("stop"):
            if remove:
                self.loopback.place({})
                self.policies = {}
            self.write_status(running=False)
        self.listener.close()
        self.kernel.close()

    # Judging.

    def wake(self) -> None:
        self._wake.set()

    def kernel_changed(self) -> None:
        self.listener.drain()
        self.addresses_due = True
        self.wake()

    async def judging(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.count_connections()
                self.turn()
            except Exception as error:  # the boundary: an address stays where it is
                self.complain(f"announcer: {type(error).__name__}: {error}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.pause())

    def pause(self) -> float:
        """Seconds until something may be due."""
        now = self.host.now
        deadlines = [policy.next_deadline(now) for policy in self.policies.values()]
        nearest = min([*deadlines, self.witness.next_deadline()], default=math.inf)
        return min(max(nearest - now, 0.01), TICK)

    def turn(self) -> None:
        with self.trouble("drains"):
            self.drains.read()
        with self.trouble("uplinks"):
            self.look_at_uplinks()
        uplinks = {name: STANDINGS[seen.state] for name, seen in self.uplinks.items()}
        required = modules(self.block.modules, self.host.module_standing)
        changed = [address for address in self.policies if self.judge(address, uplinks, required)]
        if changed or self.addresses_due:
            self.put_addresses()
        if changed:
            self._moved.set()
            self._ask.set()
        with self.trouble("status"):
            self.write_status(running=True)

    def judge(
        self, address: Address, uplinks: Mapping[str, Standing], required: Mapping[str, Standing]
    ) -> bool:
        """Whether it moved. `uplinks` and `required` modules are the same for all addresses."""
        now = self.host.now
        vip, policy = self.vips[address], self.policies[address]
        evidence = Evidence(self.witness.services(vip), vip.at_least, uplinks, required)
        fit = self.fits[address] = fitness(evidence)
        drain = self.drain_of(address)
        before = policy.state
        moved = policy.judge(Sight(fit.standing, drain is not None, self.is_quiet(address)), now)
        if moved:
            self.tell_move(address, before, policy, fit, drain)
        return moved

    def drain_of(self, address: Address) -> Drain | None:
        return self.leaving.get(address) or self.drains.of(address, time.time())

    def tell_move(
        self, address: Address, before: VipState, policy: VipPolicy, fit: Fitness, drain: Drain | None
    ) -> None:
        text = f"VIP {address} {before.value} -> {policy.state.value} ({fit})"
        if drain is not None:
            text += f", drained by {drain.by or 'somebody'}" + (f": {drain.reason}" if drain.reason else "")
        if policy.state is VipState.HELD and policy.damped(self.host.now):
            text += ", damped"
        self.say(f"vip_{policy.state.value}", text, vip=address, reason=fit.why.value)

    def put_addresses(self) -> None:
        self.addresses_due = False
        wanted = {address: POSITIONS[policy.state] for address, policy in self.policies.items()}
        try:
            if self.host.repairs:
                self.tell_mended(self.loopback.mend())
            self.tell_placed(self.loopback.place(wanted, repair=self.host.repairs))
        except (KeepaliveError, OSError) as error:
            self.addresses_due = True
            self.complain(f"announcer: addresses: {error}")
            with contextlib.suppress(KeepaliveError, OSError):
                self.loopback.prepare()

    def tell_mended(self, interfaces: Iterable[str]) -> None:
        for name in interfaces:
            text = f"interface {name} was taken away or set down by somebody else: put back"
            self.say("vip_repaired", text)
            self.host.vip_drifted(text)

    def tell_placed(self, outcome: Outcome) -> None:
        for address in outcome.repaired:
            text = f"VIP {address} was moved by somebody else: put back"
            self.say("vip_repaired", text, vip=address)
            self.host.vip_drifted(text)
        for address in outcome.left:
            if address not in self.left:
                text = f"VIP {address} was moved by somebody else: left, as `drift report` says"
                self.say("vip_drifted", text, vip=address, loud=True)
                self.host.vip_drifted(text)
        self.left = frozenset(outcome.left)
        for address, name in outcome.foreign:
            self.complain(f"VIP {address} is on {name} and not put there by us: it is left as it is")
        for text in outcome.refused:
            self.addresses_due = True
            self.complain(f"announcer: {text}")

    # Drains.

    async def count_connections(self) -> None:
        """How many connections each draining address has had."""
        draining = [each for each, policy in self.policies.items() if policy.state is VipState.DRAINING]
        self.connections = {each: self.connections.get(each, (-1, 0.0)) for each in draining}
        if not draining:
            return
        try:
            counters = await self.host.dataplane.counters()
        except (KeepaliveError, OSError) as error:
            self.complain(f"announcer: connections are not counted: {error}")
            return
        for address in draining:
            keys = {target.held_as for target in self.vips[address].targets}
            total = sum(counters[key].service.connections for key in keys if key in counters)
            if total != self.connections[address][0]:
                self.connections[address] = (total, self.host.now)

    def is_quiet(self, address: Address) -> bool:
        total, since = self.connections.get(address, (-1, 0.0))
        return total >= 0 and self.host.now >= since + self.block.drain_quiet + COUNTED_EVERY

    # Uplinks.

    def look_at_uplinks(self) -> None:
        if not self.block.uplinks:
            self.uplinks = {}
            return
        links = self.kernel.links()
        watched = any(uplink.neighbour is not None for uplink in self.block.uplinks)
        neighbours = self.kernel.neighbours() if watched else []
        before, self.uplinks = self.uplinks, {}
        for uplink in self.block.uplinks:
            seen = sight(uplink, links, neighbours, self.heard_of(uplink.name))
            self.uplinks[uplink.name] = seen
            was = before.get(uplink.name)
            if was is None or was.state is not seen.state:
                self.tell_uplink(uplink.name, seen)
        self.tell_all_uplinks(before.values())

    def tell_uplink(self, name: str, seen: UplinkSight) -> None:
        text = f"Uplink {name} is {seen.state.value}" + (f": {seen.detail}" if seen.detail else "")
        self.say(f"uplink_{seen.state.value}", text, uplink=name, loud=seen.state is not UplinkState.UP)

    def tell_all_uplinks(self, before: Iterable[UplinkSight]) -> None:
        """When the best of them is another one."""
        was, best = best_of(before), best_of(self.uplinks.values())
        if was is best or best is None:
            return
        if best is UplinkState.DOWN:
            self.say("uplinks_lost", "All uplinks are down", loud=True)
        elif best is UplinkState.DEGRADED:
            self.say("uplinks_degraded", "No uplink has an established BGP session", loud=True)
        elif was is not None:
            self.say("uplinks_back", "There is an uplink again")

    def heard_of(self, uplink: str) -> dict[str, Heard] | None:
        """The sessions of the peers that are reached by it; None when nobody could be asked."""
        if not self.sessions:
            return None
        addresses = {peer.address for peer in self.block.peers if peer.uplink == uplink}
        return {
            name: Heard(each.established, each.state, each.bfd)
            for name, each in self.sessions.items()
            if each.neighbour in addresses
        }

    # The routing daemon.

    async def asking(self) -> None:
        assert self.routing is not None
        while True:
            self._ask.clear()
            try:
                self.take_answer(*await self.answer(self.routing))
                self.troubles = {each for each in self.troubles if not each.startswith("routing daemon")}
            except NoAnswer as error:
                self.lost_sessions()
                if sum(each.startswith("routing daemon") for each in self.troubles) < DIFFERENT:
                    self.complain(f"routing daemon: {error}")
            except Exception as error:  # a mistake of ours: it is asked again
                voice.mistake("the announcer's questions", error)
            pause = HURRY if self.confirmation.pending else self.block.poll
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ask.wait(), pause)
                await asyncio.sleep(HURRY)

    async def answer(self, routing: Routing) -> tuple[list[Session], Exports]:
        sessions = await routing.sessions()
        return sessions, await routing.exported([each for each in sessions if each.established])

    def take_answer(self, sessions: list[Session], exports: Exports) -> None:
        before, self.sessions = self.sessions, {each.name: each for each in sessions}
        self.exports = exports
        for session in sessions:
            was = before.get(session.name)
            if was is None or was.established != session.established:
                text = f"BGP session {session.name} to {session.neighbour} is {session.state.lower()}"
                kind = "session_up" if session.established else "session_down"
                self.say(kind, text, loud=not session.established)
        wanted = {address: policy.state in VISIBLE for address, policy in self.policies.items()}
        fresh, over = self.confirmation.compare(disagreements(wanted, sessions, exports), self.host.now)
        for each in fresh:
            self.say(each.wrong.value, f"VIP {each}", vip=each.address, loud=True)
        for each in over:
            self.say(
                "agreed", f"VIP {each.address} and {each.session}: as it should be again", vip=each.address
            )
        if before != self.sessions:
            self.wake()

    def lost_sessions(self) -> None:
        """Nobody answers: as far as we can tell no session is established."""
        down = {
            name: Session(name, each.neighbour, False, "unknown", each.families)
            for name, each in self.sessions.items()
        }
        if down != self.sessions:
            self.take_answer(list(down.values()), {})

    # What is told.

    def say(self, kind: str, text: str, *, loud: bool = False, **more: object) -> None:
        words = {name: str(value) for name, value in more.items()}
        (voice.log.warning if loud else voice.log.info)(text, kind=kind, **words)
        self.host.events[kind] += 1
        self.host.journal.say(kind, text, **words)
        self.history.append({"at": round(time.time(), 3), "kind": kind, "text": text})

    def complain(self, text: str) -> None:
        """Once, until it is another one."""
        if text not in self.troubles:
            self.troubles.add(text)
            voice.warn(text)

    @contextlib.contextmanager
    def trouble(self, what: str) -> Any:
        try:
            yield
        except (KeepaliveError, OSError) as error:
            self.complain(f"announcer: {what}: {error}")

    def write_status(self, *, running: bool) -> None:
        status = {
            "running": running,
            "vips": {str(address): self.vip_status(address) for address in self.policies},
            "uplinks": {
                name: {**asdict(seen), "state": seen.state.value} for name, seen in self.uplinks.items()
            },
            "sessions": {
                name: {"neighbour": str(each.neighbour), "state": each.state, "bfd": each.bfd}
                for name, each in self.sessions.items()
            },
            "drains": {name: asdict(drain) for name, drain in self.drains.holding(time.time()).items()},
            "disagreements": sorted(map(str, self.confirmation.told)),
            "events": list(self.history),
        }
        if status != self.status:
            write_json(Path(self.block.state_directory) / STATUS_FILE, {**status, "written": time.time()})
            self.status = status

    def vip_status(self, address: Address) -> dict[str, Any]:
        policy, fit, drain = self.policies[address], self.fits.get(address), self.drain_of(address)
        return {
            "state": policy.state.value,
            "why": "" if fit is None else str(fit),
            "damped": policy.damped(self.host.now),
            "drained_by": "" if drain is None else drain.by,
            "drain_reason": "" if drain is None else drain.reason,
            "exported_to": sorted(name for name, sent in self.exports.items() if address in sent),
        }


def best_of(uplinks: Iterable[UplinkSight]) -> UplinkState | None:
    states = {seen.state for seen in uplinks}
    return next((state for state in UplinkState if state in states), None)


def interfaces_of(block: BgpAnnouncer) -> dict[Position, str]:
    found = {Position.ANNOUNCE: block.interface, Position.DRAIN: block.drain_interface}
    if block.hold_interface != NOWHERE:
        found[Position.HOLD] = block.hold_interface
    return found


def routing_of(block: BgpAnnouncer) -> Routing | None:
    wanted = block.routing_daemon
    return None if wanted is None else ROUTING[wanted.kind](wanted.place)
