"""The page's files: whole, and under a policy that lets them load nothing else."""

from __future__ import annotations

import re

from control_rig import Rig

from keepalive_py.control.resources.page import POLICY, files


async def test_it_is_served_with_a_strict_policy(rig: Rig) -> None:
    answer = await rig.ask("GET", "/")
    assert answer.status == 200
    assert answer.header["content-type"] == "text/html; charset=utf-8"
    assert answer.header["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.header["x-frame-options"] == "DENY"


async def test_every_part_that_it_names_is_there(rig: Rig) -> None:
    text = b"".join(files().values()).decode()
    named = set(re.findall(r'/page/([\w.]+)"', text)) | set(re.findall(r'from "\./([\w.]+)"', text))
    assert named == set(files()) - {"index.html"}
    for name in named:
        answer = await rig.ask("GET", f"/page/{name}")
        assert (answer.status, answer.body) == (200, files()[name])


async def test_nothing_else_is(rig: Rig) -> None:
    for name in ("app.jsx", "..%2f__init__.py", "%2e%2e/server.py", "app.js%00"):
        answer = await rig.ask("GET", f"/page/{name}")
        assert answer.status == 404, name
    assert (await rig.ask("GET", "/page/stile.css")).error["hint"] == "did you mean `style.css`?"


async def test_who_asks_is_told_what_they_may(rig: Rig) -> None:
    assert (await rig.ask("GET", "/v1/caller")).json["role"] == "operator"


def test_nothing_comes_from_elsewhere() -> None:
    for name, content in files().items():
        found = set(re.findall(rb"https?://[^\s\"')]+", content)) - {b"http://www.w3.org/2000/svg"}
        assert not found, name
