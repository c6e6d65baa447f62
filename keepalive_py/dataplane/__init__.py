"""Where services and real servers are put to work.

`port` is the interface: read the whole table, apply steps, count, flush. Behind it:

- `ipvs`: the kernel's, over generic netlink. `netlink` is its socket, `wire.ipvs` its words;
- `fullnat_snat`: `ipvs` and, for services with local addresses, source NAT by nf_tables
  (`nftables` is its socket, `wire.nftables` its words). On a kernel whose IPVS knows local
  addresses itself it is `ipvs` alone;
- `marking`: around `fullnat_snat` where groups are served by mark (`nftables_ipvs`): what
  gets a service's mark (`nf_tables` is its socket and that of `nftables`, `wire.nft_marks`
  its words);
- `dpvs`: DPVS, over its agent's HTTP API (`wire.dpvs` its words); only where asked for;
- `memory`: one in this process. It refuses what the kernel refuses, so it serves for
  embedding, for `--dry-run`, and as a mock in anybody's tests.

`settle` says what a refusal means for what was wanted (an add of what is there is an
edit), `hints` what an operator can do about it; every dataplane uses both, and one
contract suite (tests/contract) runs on all of them. `features` finds out what this host
can do, `namespace` does things in another network namespace, `modules` loads kernel
modules.

The daemon calls; it owns when. The kernel owns the table: nothing here remembers what was
sent, and every decision starts from what was read back. Reading promises: every service
once, in any order; the destinations of each in the order in which they were added.

A dataplane never logs. It returns refusals, or raises FeatureMissing (this host lacks it)
or KernelRefused (it is there, and said no).

Standards: linux/ip_vs.h, linux/netlink.h, linux/genetlink.h.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from keepalive_py.config.dpvs import DpvsAgent
from keepalive_py.config.model import Config
from keepalive_py.dataplane.fullnat_snat import FullnatSnatDataplane
from keepalive_py.dataplane.ipvs import IPVS_FEATURES
from keepalive_py.dataplane.marking import MarkingDataplane
from keepalive_py.dataplane.memory import MemoryDataplane
from keepalive_py.dataplane.port import Dataplane
from keepalive_py.errors import ConfigError, FeatureMissing, KernelRefused
from keepalive_py.plan.marks import MarkSettings

AUTO = "auto"
NAMES = (AUTO, "ipvs", "memory", "dpvs")

# Of the network namespace (None: ours) and the agent of DPVS (None: where it usually is).
Factory = Callable[[str | None, DpvsAgent | None], Dataplane]

FACTORIES: Mapping[str, Factory] = {
    "ipvs": lambda namespace, agent: FullnatSnatDataplane(namespace=namespace),
    "memory": lambda namespace, agent: MemoryDataplane(),
    "dpvs": lambda namespace, agent: _dpvs(agent),
}


def _dpvs(agent: DpvsAgent | None) -> Dataplane:
    """Imported late: few hosts need an HTTP client for their table."""
    from keepalive_py.dataplane.dpvs import DpvsDataplane

    return DpvsDataplane(agent)


def agent_of(config: Config) -> DpvsAgent | None:
    """The last `dpvs { }` of a configuration."""
    blocks = config.extensions.get("dpvs", ())
    return next((block for block in reversed(blocks) if isinstance(block, DpvsAgent)), None)


async def choose(
    name: str,
    *,
    namespace: str | None = None,
    warn: Callable[[str], None],
    agent: DpvsAgent | None = None,
    marks: MarkSettings | None = None,
) -> Dataplane:
    """The dataplane called `name`, open; with `marks` one that serves groups by mark, if it can.

    `auto` is the kernel's IPVS; where the kernel has none, it is `memory`, and `warn` is told
    that nothing will be balanced. That we may not use the IPVS that is there is an error.
    Raises FeatureMissing, KernelRefused; ConfigError for a name that is none.
    """
    if name != AUTO:
        return await _marking(await _opened(name, namespace, agent), namespace, marks, warn)
    try:
        return await _marking(await _opened("ipvs", namespace, agent), namespace, marks, warn)
    except FeatureMissing as missing:
        # A namespace that cannot be entered says nothing about the kernel.
        if missing.feature not in IPVS_FEATURES:
            raise
        warn(f"{missing}; services are kept in memory only, NO TRAFFIC IS BALANCED")
        return await _opened("memory", namespace, agent)


async def _opened(name: str, namespace: str | None, agent: DpvsAgent | None) -> Dataplane:
    if name not in FACTORIES:
        raise ConfigError(f"there is no dataplane {name}: it is one of {', '.join(NAMES)}")
    dataplane = FACTORIES[name](namespace, agent)
    await dataplane.open()
    return dataplane


async def _marking(
    dataplane: Dataplane, namespace: str | None, marks: MarkSettings | None, warn: Callable[[str], None]
) -> Dataplane:
    """Serving by mark does not stand in the way of serving: what cannot be marked is served by
    address."""
    if marks is None or dataplane.name != "ipvs":
        return dataplane
    marking = MarkingDataplane(dataplane, marks, namespace=namespace)
    try:
        await marking.open()
    except (FeatureMissing, KernelRefused, OSError) as error:
        warn(f"nftables_ipvs: {error}; every address of a group is a service of its own")
        return dataplane
    return marking
