"""The page in a real browser: what people see, press and are told when nothing comes any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import ClientSession
from chromium import Page
from conftest import Show

ONE, TWO, THREE = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"
CHECKS = Path(__file__).with_name("checks.js").read_text()
ROW = "document.querySelector('#row-0')"


def config(services: int = 2, servers: int = 3, check: str = "TCP_CHECK {\n retry 0\n }\n") -> str:
    blocks = ["bgp_announcer {\n prefix 192.0.0.0/16\n uplink left {\n interface eth1\n }\n}\n"]
    for number in range(services):
        inside = "".join(
            f" real_server 10.{number // 250}.{number % 250}.{each + 1} 80 {{\n {check} }}\n"
            for each in range(servers)
        )
        blocks.append(
            f"virtual_server 192.0.{number // 200}.{number % 200 + 1} 80 {{\n delay_loop 60\n lb_algo wlc\n"
            f" lb_kind NAT\n protocol TCP\n{inside}}}\n"
        )
    return "".join(blocks)


async def text_of(page: Page, selector: str) -> str:
    return str(await page.eval(f"document.querySelector({json.dumps(selector)}).innerText"))


async def test_a_server_that_goes_down_is_seen_with_its_reason(page: Page, show: Show) -> None:
    seen = await show(config())
    await page.until(f"{ROW}.getAttribute('aria-label').includes('3 of 3 servers up')")
    seen.daemon.fail(ONE, "timeout")
    await seen.daemon.check_now(ONE)
    await page.until(f"{ROW}.getAttribute('aria-label').includes('degraded, 2 of 3 servers up')")
    assert f"{ONE} (timeout)" in await text_of(page, "#attention")
    feed = await page.until("document.querySelector('#events').innerText.includes('Removing') && true")
    assert feed
    assert "timeout" in await text_of(page, "#events")
    assert await page.eval("document.querySelector('.strip .bad') !== null")
    assert page.complaints == []


async def test_it_asks_nobody_else(page: Page, show: Show) -> None:
    seen = await show(config())
    own = f"http://127.0.0.1:{seen.port}/"
    assert [each for each in page.asked if not each.startswith(own)] == []
    async with ClientSession() as session, session.get(own) as answer:
        policy = answer.headers["Content-Security-Policy"]
        body = await answer.text()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in body
    assert "onclick" not in body
    assert page.complaints == []


async def test_an_operator_drains_and_undrains_by_keyboard(page: Page, show: Show) -> None:
    seen = await show(config())
    await page.eval("document.querySelector('#rows').focus()")
    await page.press("Enter")
    await page.until(
        "document.querySelector('#detail .server') && document.activeElement.id === 'detail-title'"
    )
    await page.eval(f"document.querySelector('[data-focus=\"drain {ONE}\"]').focus()")
    await page.press("Enter")
    await page.until(
        "document.querySelector('#dialog').open && document.activeElement.id === 'dialog-reason'"
    )
    await page.press("Enter")  # without a reason it does not go on
    assert await page.eval("document.querySelector('#dialog').open")
    await page.type("new disk")
    await page.press("Enter")
    await page.until("!document.querySelector('#dialog').open")
    await seen.daemon.expect_service("TCP 192.0.0.1:80", {ONE: 0, TWO: 1, THREE: 1})
    await page.until("document.querySelector('.drained')?.innerText.includes('new disk')")
    await page.until("document.querySelector('[data-filter=held] .n').innerText === '1'")
    await page.click(f"[data-focus='undrain {ONE}']")
    await page.until("!document.querySelector('.drained')")
    await seen.daemon.expect_service("TCP 192.0.0.1:80", {ONE: 1, TWO: 1, THREE: 1})
    await page.press("Escape")
    await page.until("document.querySelector('#detail').hidden && document.activeElement.id === 'rows'")
    assert page.complaints == []


async def test_a_service_whose_servers_are_all_drained_is_not_well(page: Page, show: Show) -> None:
    seen = await show(config(services=1))
    for server in (ONE, TWO, THREE):
        order = {"action": "drain", "server": server, "force": True}
        await page.eval(
            f"import('/page/api.js').then((api) => api.ask('POST', '/v1/overrides', {json.dumps(order)}))"
        )
    await page.until(f"{ROW}.getAttribute('aria-label').includes('nobody gets connections')")
    assert "nobody gets connections: 3 drained" in await text_of(page, "#attention")
    assert seen.daemon.supervisor.services[0].quorum_up
    assert page.complaints == []


async def test_an_operator_drains_the_node(page: Page, show: Show) -> None:
    seen = await show(config())
    await page.click("#node")
    await page.until("document.querySelector('#dialog').open")
    await page.type("switch is replaced")
    await page.press("Enter")
    await page.until("document.querySelector('#node').innerText === 'Undrain node'")
    work = seen.daemon.supervisor.announcing.work
    assert work is not None
    assert {drain.reason for drain in work.drains.current.values()} == {"switch is replaced"}
    told = "document.querySelector('#attention').innerText"
    await page.until(f"{told}.includes('This node is drained')")
    assert "switch is replaced" in await text_of(page, "#attention")
    await page.click("#node")
    await page.until(
        f"document.querySelector('#node').innerText === 'Drain node…' && {told} === 'All is well.'"
    )
    assert page.complaints == []


async def test_an_operator_drains_one_address_by_keyboard(page: Page, show: Show) -> None:
    seen = await show(config())
    await page.eval("document.querySelector('[data-focus=\"address 192.0.0.1\"]').focus()")
    await page.press("Enter")
    await page.until("document.querySelector('#dialog').open")
    await page.type("moves to another node")
    await page.press("Enter")
    told = "document.querySelector('#attention').innerText"
    await page.until(f"{told}.includes('192.0.0.1 is drained')")
    work = seen.daemon.supervisor.announcing.work
    assert work is not None
    assert list(work.drains.current) == ["192.0.0.1"]
    focused = "document.activeElement.dataset.focus === 'address 192.0.0.1'"
    await page.until(f"{focused} && document.activeElement.innerText.startsWith('192.0.0.1 ')")
    await page.press("Enter")
    await page.until(f"{told} === 'All is well.' && {focused}")
    assert not work.drains.current
    assert page.complaints == []


async def test_a_reload_that_was_refused_is_said_with_its_place(page: Page, show: Show) -> None:
    seen = await show(config())
    assert not await seen.daemon.reload("virtual_server 192.0.0.1 eighty {\n}\n")
    await page.until("document.querySelector('#attention').innerText.includes('The last reload was refused')")
    assert "`eighty` is not a number" in await text_of(page, "#attention")
    assert await seen.daemon.reload(config())
    await page.until("!document.querySelector('#attention').innerText.includes('refused')")
    assert page.complaints == []


async def test_a_daemon_that_is_gone_is_not_mistaken_for_a_healthy_one(page: Page, show: Show) -> None:
    seen = await show(config())
    await seen.daemon.stop()
    await page.until("document.querySelector('#link.lost') && !document.querySelector('#banner').hidden")
    assert "No answer from the daemon" in await text_of(page, "#banner")
    assert await page.eval("document.body.classList.contains('lost')")


async def test_a_link_works_once_and_strangers_get_nothing(page: Page, show: Show) -> None:
    seen = await show(config())
    assert "once" not in str(await page.eval("location.href"))
    own, used = f"http://127.0.0.1:{seen.port}", {"once": "x"}
    async with ClientSession() as session:
        for method, path, headers, status in (
            ("GET", "/v1/status", {}, 401),
            ("GET", "/v1/status", {"Authorization": "Bearer guess"}, 401),
            ("POST", "/v1/overrides", {}, 401),
            ("GET", "/", {"Host": "evil.example"}, 403),
            ("POST", "/v1/overrides", {"Origin": "http://evil.example"}, 403),
            ("POST", "/session", {"Sec-Fetch-Site": "cross-site"}, 403),
            ("POST", "/session", {}, 401),
        ):
            async with session.request(method, own + path, headers=headers, json=used) as answer:
                assert (path, headers, answer.status) == (path, headers, status)
    assert page.asked.count(f"{own}/session") == 1


async def test_without_a_token_the_page_asks_for_one(page: Page, show: Show) -> None:
    seen = await show(config())
    (token,) = seen.proxy.sessions
    await page.eval("sessionStorage.clear()")
    await page.open("about:blank")
    await page.open(f"http://127.0.0.1:{seen.port}/")
    await page.until("document.querySelector('#entry')?.open")
    assert await page.eval("document.querySelectorAll('.row').length") == 0
    await page.type("guessed")
    await page.press("Enter")
    await page.until(
        "document.querySelector('#entry').open && document.querySelector('#entry-trouble').innerText"
    )
    assert await page.eval("document.querySelector('#banner').hidden")  # the daemon did answer
    await page.type(token)
    await page.press("Enter")
    await page.until("document.querySelector('#link.live') && document.querySelectorAll('.row').length === 2")
    await page.until("document.querySelectorAll('#events li').length > 0")
    assert await page.eval("document.cookie") == ""


async def test_a_flood_of_events_is_cut_and_said(page: Page, show: Show) -> None:
    seen = await show(config())
    for number in range(6000):
        seen.daemon.supervisor.journal.say("flood", f"number {number}")
    await page.until("document.querySelector('#events').innerText.includes('number 5999')")
    assert int(await page.eval("document.querySelectorAll('#events li').length")) <= 300
    assert page.complaints == []


async def test_ten_thousand_servers_are_no_burden(page: Page, show: Show) -> None:
    """Only rows in sight exist, and no turn of the page's loop takes long."""
    await show(config(1000, 10, check=""))
    await page.until("document.querySelector('[data-filter=all] .n').innerText === '1000'")
    assert int(await page.eval("document.querySelectorAll('.row').length")) < 60
    await page.eval(
        "window.longest = 0; new PerformanceObserver((seen) => { for (const each of seen.getEntries())"
        " longest = Math.max(longest, each.duration) }).observe({type: 'longtask'})"
    )
    await page.eval("document.querySelector('#rows').focus()")
    await page.press("End")
    await page.until("document.querySelector('.row.here b').innerText === '192.0.4.200:80'")
    await page.eval("document.querySelector('#find').focus()")
    await page.type("10.2.7.")
    await page.until("document.querySelector('#row-0 b').innerText === '192.0.2.108:80'")
    assert await page.eval("document.querySelectorAll('.row').length") == 1
    assert float(await page.eval("longest")) < 2000
    assert page.complaints == []


@pytest.mark.parametrize(
    ("width", "height", "phone"), [(1440, 900, False), (820, 1100, False), (390, 844, True)]
)
async def test_nothing_is_cut_off_at_any_width(
    page: Page, show: Show, width: int, height: int, phone: bool
) -> None:
    seen = await show(config())
    seen.daemon.fail(ONE)
    await seen.daemon.check_now(ONE)
    await page.look(width=width, height=height, phone=phone, dark=phone)
    await page.until("document.querySelector('.strip .bad') !== null")
    assert await page.eval("document.documentElement.scrollWidth <= innerWidth")
    await page.click("#row-0")
    await page.until("document.querySelectorAll('#detail .server').length === 3")
    assert await page.eval("document.documentElement.scrollWidth <= innerWidth")
    await page.eval(CHECKS)
    assert await page.eval("overlapping()") == []
    assert await page.eval("illegible()") == []
    assert await page.eval("nameless()") == []
