"""`GET /v1/checks` and `POST /v1/checks/run`."""

from __future__ import annotations

from keepalive_py.control.caller import Role
from keepalive_py.control.faults import bad, not_found
from keepalive_py.control.resource import Answer, Call, Encoded, Resource
from keepalive_py.control.resources.selection import SERVER, SERVICE, STATE


async def checks(call: Call) -> Answer:
    return Encoded(await call.host.listing("checks", call.query))


async def run(call: Call) -> Answer:
    service, server = call.body["service"], call.body["server"]
    if not service and not server:
        raise bad(
            "missing-field", "`service` or `server` must be given", "to run all checks at once is too much"
        )
    started = call.host.run_checks(service, server)
    if not started:
        what = " of ".join(each for each in (server, service) if each)
        raise not_found("running check of", what)
    return {"started": started}


CHECKS = Resource(
    method="GET",
    path="/v1/checks",
    summary="The checks of all real servers.",
    answer="Each with its last verdict, how long it took, and its latest runs.",
    query=(SERVICE, SERVER, STATE),
    handler=checks,
)
RUN = Resource(
    method="POST",
    path="/v1/checks/run",
    summary="Run checks now, outside of their interval.",
    answer="How many were started. Their verdicts count as any other.",
    role=Role.OPERATOR,
    body=(SERVICE, SERVER),
    handler=run,
    faults=(404,),
)
