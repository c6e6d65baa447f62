"""`GET /`: the page, and what belongs to it. It asks the API like anybody else; these files hold
nothing of the daemon's, so they are for everybody who can connect.

The policy lets the page load nothing but its own files and speak to nobody but us.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from keepalive_py.control.caller import Role
from keepalive_py.control.faults import not_found
from keepalive_py.control.resource import Answer, Call, Encoded, Resource

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX: Final = "index.html"


@cache
def files() -> dict[str, bytes]:
    """The page's files, by name. They are a few kilobytes, and read once."""
    folder = resources.files("keepalive_py.control") / "page"
    return {each.name: each.read_bytes() for each in folder.iterdir() if kind_of(each.name)}


def kind_of(name: str) -> str:
    return TYPES.get(name[name.rfind(".") :], "")


async def index(call: Call) -> Answer:
    return Encoded(files()[INDEX], kind_of(INDEX), headers=HEADERS)


async def part(call: Call) -> Answer:
    name = call.path["file"]
    content = files().get(name)
    if content is None:
        raise not_found("file of the page", name, files())
    return Encoded(content, kind_of(name), headers=HEADERS)


async def caller(call: Call) -> Answer:
    return {"name": call.caller.name, "role": call.caller.role.word}


PAGE = Resource(
    method="GET",
    path="/",
    summary="The page for a browser.",
    answer="HTML.",
    role=Role.NOBODY,
    type=TYPES[".html"],
    handler=index,
)
PART = Resource(
    method="GET",
    path="/page/{file}",
    summary="A file of the page.",
    answer="CSS, JavaScript or SVG.",
    role=Role.NOBODY,
    type="*/*",
    handler=part,
    faults=(404,),
)
CALLER = Resource(
    method="GET",
    path="/v1/caller",
    summary="Who asks, and what they may.",
    answer="Name and role: read-only or operator.",
    handler=caller,
)
