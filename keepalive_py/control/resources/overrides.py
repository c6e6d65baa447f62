"""`/v1/overrides`: what operators want of real servers, virtual addresses and the node."""

from __future__ import annotations

from typing import Final

from keepalive_py.control.caller import Role
from keepalive_py.control.fields import Field
from keepalive_py.control.resource import Answer, Call, Resource
from keepalive_py.control.resources.selection import SERVER, SERVICE

MOST_WEIGHT: Final = 2**31 - 1  # the kernel's
LONGEST: Final = 366 * 86400.0  # seconds

VIP: Final = Field(name="vip", default="", doc="This announced virtual address.", example="192.0.2.10")
NODE: Final = Field(
    name="node", type="boolean", default=False, doc="All announced addresses: the node leaves."
)
ACTION: Final = Field(
    name="action",
    required=True,
    choices=("drain", "disable", "weight"),
    doc="drain: no new connections; disable: out of the pool, connections are cut; weight: that weight.",
)
WEIGHT: Final = Field(name="weight", type="integer", least=0, most=MOST_WEIGHT, doc="With the action weight.")
SECONDS: Final = Field(
    name="seconds",
    type="number",
    default=0.0,
    least=0,
    most=LONGEST,
    doc="How long; 0: until it is taken back.",
)
REASON: Final = Field(name="reason", default="", doc="Shown to everybody.", example="disk is replaced")
FORCE: Final = Field(
    name="force",
    type="boolean",
    default=False,
    doc="Also when no server would be left that gets connections.",
)
BEHALF: Final = Field(name="on_behalf_of", default="", doc="Who asked the caller to: shown beside its name.")


def author(call: Call) -> str:
    other = call.body.get("on_behalf_of")
    return f"{call.caller.name} for {other}" if other else call.caller.name


async def show(call: Call) -> Answer:
    return await call.host.orders(call.query)


async def give(call: Call) -> Answer:
    return await call.host.give_order(call.body, author(call))


async def lift(call: Call) -> Answer:
    return await call.host.lift_order(call.query, call.caller.name)


SHOW = Resource(
    method="GET",
    path="/v1/overrides",
    summary="What operators want of servers and addresses.",
    answer="Each with author, reason and end, and how many connections its servers still have.",
    query=(SERVICE, SERVER),
    handler=show,
)
GIVE = Resource(
    method="POST",
    path="/v1/overrides",
    summary="Drain, disable or weigh a real server; drain a virtual address or the node.",
    answer="What holds now, and whether it will be remembered over a restart.",
    role=Role.OPERATOR,
    body=(ACTION, SERVER, SERVICE, VIP, NODE, WEIGHT, SECONDS, REASON, FORCE, BEHALF),
    handler=give,
    faults=(404, 409, 503),
)
LIFT = Resource(
    method="DELETE",
    path="/v1/overrides",
    summary="Take back what was wanted of a server, an address or the node.",
    answer="What held until now, and whether a restart will know that it does not any more.",
    role=Role.OPERATOR,
    query=(SERVER, SERVICE, VIP, NODE),
    handler=lift,
    faults=(404, 503),
)
