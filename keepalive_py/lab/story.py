"""What happens to a cluster, act by act, and what each act costs the client.

An act begins and ends with the whole cluster at work, and raises LabError when something else comes of
it than should. It asserts order and outcome; times are only told.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from keepalive_py.lab.cluster import MATE, SWITCHES, VIP, Cluster
from keepalive_py.lab.traffic import Attempt, Client
from keepalive_py.lab.waiting import LabError, equal, eventually

CUT: Final = "Connection reset by peer"
MOST_CUT: Final = 8  # flows that may be under way when the switches choose another node for them
ENOUGH: Final = 20  # connections that show how it goes


@dataclass(frozen=True, slots=True)
class Cost:
    """What the client saw. `cut`: a flow that was under way reached a node that did not know it, as happens
    whenever a switch's choice changes; `lost`: nobody served it; `silence`: the longest time, in seconds,
    without an answer."""

    connections: int
    cut: int
    lost: tuple[str, ...]
    silence: float

    def __str__(self) -> str:
        return (
            f"client: {self.connections} connections, {self.cut} cut, {len(self.lost)} lost, "
            f"longest silence {self.silence * 1000:.0f} ms"
        )


def cost(attempts: Sequence[Attempt], began: float) -> Cost:
    """Of the connections that ended after `began` (monotonic seconds)."""
    those = [one for one in attempts if one.ended >= began]
    errors = [one.error for one in those if one.error]
    times = [began, *sorted(one.ended for one in those if one.server)]
    silence = max((after - before for before, after in zip(times, times[1:], strict=False)), default=0.0)
    return Cost(
        len(those), errors.count(CUT), tuple(error for error in errors if error != CUT), round(silence, 3)
    )


@dataclass
class Stage:
    """A cluster, a client at it, and what is told about the act that plays."""

    cluster: Cluster
    client: Client
    told: list[str] = field(default_factory=list)
    since: float = 0.0  # of the wall clock: the cause
    began: float = 0.0  # monotonic

    def cause(self) -> None:
        """What comes next is what the times are counted from."""
        self.since = time.time()

    def tell(self, what: str, *switches: int) -> None:
        """How long the first change of each switch's route took."""
        times = ", ".join(
            f"switch{j} {self.cluster.took(self.since, j):.0f} ms" for j in switches or SWITCHES
        )
        self.told.append(f"{what}: {times}")

    def more(self, count: int = ENOUGH) -> None:
        self.client.more(count, limit=60)

    def loses_nothing(self, since: float | None = None) -> None:
        """Nobody was refused or left waiting since the act (or that moment) began."""
        found = cost(self.client.attempts, self.began if since is None else since)
        if found.lost or found.cut > MOST_CUT:
            raise LabError(f"the client lost {found.lost or found.cut}: {found}")

    def settled(self, count: int = ENOUGH) -> None:
        """From now on, the client loses nothing; what is under way may be lost."""
        self.more(self.client.lanes)
        began = time.monotonic()
        self.more(count)
        self.loses_nothing(began)

    @contextlib.contextmanager
    def nothing_moves(self) -> Iterator[None]:
        since = time.time()
        yield
        for j, watch in self.cluster.watches.items():
            if watch.changes(VIP, since):
                raise LabError(f"switch{j}'s route moved: {watch.changes(VIP, since)}")


def announce(stage: Stage) -> None:
    """Every node's address reaches both switches, and every real server is asked."""
    cluster = stage.cluster
    for i in cluster.numbers:
        equal(partial(_exported, cluster, i), 2, within=30, what=f"how many peers of node{i} get it")
        if cluster.status(i)["disagreements"]:
            raise LabError(f"node{i}: {cluster.status(i)['disagreements']}")
    stage.client.sees("rs101", "rs102", limit=60)


def _exported(cluster: Cluster, i: int) -> int:
    return len(cluster.status(i).get("vips", {}).get(VIP, {}).get("exported_to", ()))


def spread(stage: Stage) -> None:
    """The switches spread the client's flows over all nodes."""
    before = {server.name: len(server.askers) for server in stage.cluster.servers}
    wanted = {f"10.200.{i}.1": f"node{i}" for i in stage.cluster.numbers}

    def nodes() -> Counter[str]:
        news = (asker for server in stage.cluster.servers for asker in server.askers[before[server.name] :])
        return Counter(wanted[address] for address, _ in news if address in wanted)

    eventually(lambda: len(nodes()) == len(wanted) and nodes().total() >= 60, within=60, what="flows of all")
    found = nodes()
    stage.told.append(", ".join(f"{name} {found[name] / found.total():.0%}" for name in wanted.values()))


def kill_real_server(stage: Stage) -> None:
    """It is taken out by every node, and nothing is withdrawn; then it comes back."""
    victim = stage.cluster.servers[0]
    with stage.nothing_moves():
        victim.stop()
        try:
            stage.client.sees(stage.cluster.servers[1].name, limit=60)
            stage.settled()
        finally:
            victim.start()
        stage.client.sees(*(server.name for server in stage.cluster.servers), limit=60)


def lose_real_servers(stage: Stage) -> None:
    """Node 1 alone reaches no real server: it withdraws, and announces when it does again."""
    cluster = stage.cluster
    stage.cause()
    with cluster.without_servers(1):
        cluster.spreads(*cluster.numbers[1:])
        stage.tell("unfit -> withdrawn (with detection)")
        cluster.is_in_state("held", 1)
        stage.settled()
        stage.cause()
    cluster.spreads(*cluster.numbers)
    stage.tell("fit again -> announced (with detection)")


def drain_a_node(stage: Stage) -> None:
    """Node 1 is drained: the switches prefer the others, then it withdraws. Nobody is lost, the switches
    have a route all the time."""
    cluster = stage.cluster
    stage.cause()
    cluster.drain(1)
    try:
        cluster.spreads(*cluster.numbers[1:])
        stage.tell("drained -> out of ECMP")
        cluster.is_in_state("withdrawn", 1)
        _never_without_a_route(stage)
        stage.more()
        stage.loses_nothing()
    finally:
        cluster.undrain(1)


def _never_without_a_route(stage: Stage) -> None:
    """A kernel route that is replaced may be reported as a new one and a deleted one, in that order."""
    for j, watch in stage.cluster.watches.items():
        changes = [text for _, text in watch.changes(VIP, stage.since)]
        if changes and changes[0].startswith("Deleted") and len(changes) == 1:
            raise LabError(f"switch{j} was without a route: {changes}")


def drain_all_nodes(stage: Stage) -> None:
    """All nodes are drained together: each is the others' last resort, and serves while it is needed. The
    switches see GRACEFUL_SHUTDOWN and local preference 0 on every route."""
    cluster = stage.cluster
    try:
        cluster.drain(*cluster.numbers)
        cluster.is_in_state("draining", *cluster.numbers)
        for j in SWITCHES:
            wanted = {f"10.{j}.{i}.2" for i in cluster.numbers}
            marked = partial(_marked, cluster, j, wanted)
            equal(marked, wanted, within=15, what=f"GRACEFUL_SHUTDOWN at switch{j}")
        stage.more()
        cluster.is_in_state("draining", *cluster.numbers, within=1)
        stage.loses_nothing()
    finally:
        cluster.undrain(*cluster.numbers)


def _marked(cluster: Cluster, j: int, nodes: set[str]) -> set[str]:
    return cluster.speakers[f"switch{j}"].shut(VIP) & nodes


def restart_the_daemon(stage: Stage) -> None:
    """Our daemon is killed and started again, then stopped as for an upgrade (with -I, which keeps the
    table) and started again: nothing moves."""
    daemon = stage.cluster.daemons[1]
    usual = daemon.options
    with stage.nothing_moves():
        daemon.kill()
        stage.more()
        daemon.options = (*usual, "-I")
        try:
            _adopts(stage)
            status = daemon.stop()
        finally:
            daemon.options = usual
        if status != 0:
            raise LabError(f"node1's daemon ended with {status}\n{daemon.tail()}")
        stage.more()
        _adopts(stage)
        stage.loses_nothing()


def _adopts(stage: Stage) -> None:
    """Node 1's daemon starts, and goes on where the last one ended."""
    cluster = stage.cluster
    daemon = cluster.daemons[1]
    lines = len(daemon.lines())
    daemon.start()
    cluster.says(1, f"VIP {VIP} was announced already: it stays so", after=lines)
    eventually(lambda: cluster.status(1).get("running"), within=30, what="node1 runs")
    stage.more()
    cluster.is_in_state("announced", 1)


def give_up_the_daemon(stage: Stage) -> None:
    """Our daemon is killed and nobody starts it again: its addresses are withdrawn by the command that
    systemd runs then."""
    cluster = stage.cluster
    daemon = cluster.daemons[1]
    daemon.kill()
    try:
        stage.cause()
        daemon.withdraw(cluster.directory / "node1" / "state")
        cluster.spreads(*cluster.numbers[1:])
        stage.tell("withdrawn by hand (command included)")
        if VIP in cluster.nodes[1].output(["ip", "addr"]):
            raise LabError(f"node1 still has {VIP}")
        stage.settled()
    finally:
        daemon.start()


def kill_the_routing_daemon(stage: Stage) -> None:
    """Its sessions end, the switches drop the node; the address stays where it is, to be exported again."""
    cluster = stage.cluster
    stage.cause()
    cluster.speakers["node1"].kill()
    try:
        cluster.spreads(*cluster.numbers[1:])
        stage.tell("routing daemon killed")
        cluster.has_uplink(1, "left", "degraded")
        cluster.is_in_state("announced", 1)
        stage.settled()
        stage.cause()
    finally:
        cluster.speakers["node1"].start()
    cluster.spreads(*cluster.numbers)
    stage.tell("routing daemon back")


def lose_a_node(stage: Stage) -> None:
    """Node 1 falls silent with its links up: only BFD or the hold time can tell."""
    cluster = stage.cluster
    stage.cause()
    with cluster.silent(1):
        cluster.spreads(*cluster.numbers[1:])
        stage.tell(f"node silent, BFD 3 x {cluster.bfd} ms")
        stage.settled()


def cut_an_uplink(stage: Stage) -> None:
    """Node 1 goes on by its other uplink, and so does the client."""
    cluster = stage.cluster
    stage.cause()
    with cluster.cut(1, 1):
        cluster.spreads(*cluster.numbers[1:], switches=(1,))
        stage.tell("uplink cut", 1)
        cluster.has_uplink(1, "left", "down")
        cluster.is_in_state("announced", 1)
        if cluster.hops(2) != set(cluster.numbers):
            raise LabError(f"switch2 spreads over {cluster.hops(2)}")
        stage.settled(3 * ENOUGH)


def cut_the_last_way_of_a_switch(stage: Stage) -> None:
    """Switch 1 loses every node (their links, all to it): it sends by switch 2 and the client goes on."""
    cluster = stage.cluster
    stage.cause()
    with contextlib.ExitStack() as cuts:
        for i in cluster.numbers:
            cuts.enter_context(cluster.cut(i, 1))
        cluster.spreads(MATE, switches=(1,))
        stage.tell("no node left on a switch -> by the other switch", 1)
        stage.settled(2 * ENOUGH)


def cut_all_uplinks(stage: Stage) -> None:
    """Node 1 cannot be reached: its address is held, and that is said."""
    cluster = stage.cluster
    lines = len(cluster.daemons[1].lines())
    with cluster.cut(1, *SWITCHES):
        cluster.says(1, "All uplinks are down", after=lines)
        cluster.is_in_state("held", 1)
        cluster.spreads(*cluster.numbers[1:])
        stage.settled()


def stop_a_node(stage: Stage) -> None:
    """Node 1's daemon is stopped: drained, withdrawn, confirmed, and only then the table is emptied."""
    cluster = stage.cluster
    daemon = cluster.daemons[1]
    before = len(daemon.lines())
    stage.cause()
    try:
        status = daemon.stop()
        if status != 0:
            raise LabError(f"node1's daemon ended with {status}\n{daemon.tail()}")
        cluster.spreads(*cluster.numbers[1:])
        stage.tell("stopped -> out of ECMP")
        stage.more()
        stage.loses_nothing()
        _in_order(daemon.lines()[before:])
        if VIP in cluster.nodes[1].output(["ip", "addr"]):
            raise LabError(f"node1 still has {VIP}")
    finally:
        daemon.start()


LEAVE: Final = ("announced -> draining", "draining -> withdrawn", "exports none", "Shutting down service")


def _in_order(lines: Sequence[str]) -> None:
    places = [next((at for at, line in enumerate(lines) if words in line), -1) for words in LEAVE]
    if -1 in places or places != sorted(places):
        raise LabError("\n".join(["not in order:", *lines]))


Act = Callable[[Stage], None]
ACTS: Final[tuple[Act, ...]] = (
    announce,
    spread,
    kill_real_server,
    lose_real_servers,
    drain_a_node,
    drain_all_nodes,
    restart_the_daemon,
    give_up_the_daemon,
    kill_the_routing_daemon,
    cut_an_uplink,
    cut_the_last_way_of_a_switch,
    cut_all_uplinks,
    lose_a_node,
    stop_a_node,
)


def play(act: Act, cluster: Cluster, client: Client) -> Stage:
    """Raises LabError."""
    cluster.whole()
    client.more(1, limit=60)
    stage = Stage(cluster, client, since=time.time(), began=time.monotonic())
    act(stage)
    cluster.whole()
    return stage


def title(act: Act) -> str:
    return act.__name__.replace("_", " ")


def tell_story(cluster: Cluster, say: Callable[[str], None]) -> None:
    """Play all acts, telling each. Raises LabError at the first that goes wrong."""
    with Client(cluster.client, VIP, 80, pause=0.02, timeout=3) as client:
        for act in ACTS:
            say(f"\n{title(act)}: {' '.join((act.__doc__ or '').split())}")
            stage = play(act, cluster, client)
            for line in stage.told:
                say(f"    {line}")
            say(f"    {cost(client.attempts, stage.began)}")
