"""`/v1/config…`: what configuration runs, what a reload would change, going back."""

from __future__ import annotations

from typing import Final

from keepalive_py.control.caller import Role
from keepalive_py.control.faults import Fault, not_found
from keepalive_py.control.fields import Field
from keepalive_py.control.resource import Answer, Call, Resource

NUMBER: Final = Field(
    name="generation", doc="Its number in the history.", type="integer", required=True, least=1, example=3
)
CONFIRM: Final = Field(
    name="confirm", doc="Let pass what is held back for removing too much.", type="boolean", default=False
)


async def status(call: Call) -> Answer:
    return call.host.configuring().status()


async def history(call: Call) -> Answer:
    return await call.host.configuring().history()


async def texts(call: Call) -> Answer:
    found = await call.host.configuring().texts(number_in(call.path["generation"]))
    if found is None:
        raise not_found("generation", call.path["generation"])
    return found


async def preview(call: Call) -> Answer:
    return await call.host.configuring().preview()


async def apply(call: Call) -> Answer:
    return await call.host.configuring().apply(confirm=call.body["confirm"])


async def rollback(call: Call) -> Answer:
    number = call.body["generation"]
    if await call.host.configuring().texts(number) is None:
        raise not_found("generation", str(number))
    return await call.host.configuring().go_back(number)


def number_in(text: str) -> int:
    """Raises Fault."""
    if not text.isdecimal() or len(text) > 15:
        raise Fault(404, "not-found", f"`{text[:40]}` is not the number of a generation")
    return int(text)


RESOURCES: Final = (
    Resource(
        method="GET",
        path="/v1/config",
        summary="What configuration runs, and what was refused or is held back.",
        answer="Digest, generation and files, the last refusal, what is held, the last plan.",
        handler=status,
    ),
    Resource(
        method="GET",
        path="/v1/config/history",
        summary="The last good configurations.",
        answer="Number, time, digest and counts of each generation, the newest first.",
        handler=history,
    ),
    Resource(
        method="GET",
        path="/v1/config/history/{generation}",
        summary="A generation with the texts it was read from.",
        answer="The generation and its files.",
        role=Role.OPERATOR,
        handler=texts,
        faults=(404,),
    ),
    Resource(
        method="GET",
        path="/v1/config/preview",
        summary="What a reload would do now.",
        answer="Changes, diagnostics, and whether it would be refused or held back.",
        handler=preview,
    ),
    Resource(
        method="POST",
        path="/v1/config/apply",
        summary="Reload, and say what came of it.",
        answer="As /v1/config, and whether the reload has finished.",
        role=Role.OPERATOR,
        body=(CONFIRM,),
        handler=apply,
    ),
    Resource(
        method="POST",
        path="/v1/config/rollback",
        summary="Run an older generation instead of the files.",
        answer="As /v1/config, and whether the reload has finished.",
        role=Role.OPERATOR,
        body=(NUMBER,),
        handler=rollback,
        faults=(404,),
    ),
)
