"""A server of the API of DPVS's agent, from its published description and the way it was seen
to answer: PUT creates or updates, zeros are left out of answers, a request for several servers
is answered for the last of them, GET /vs answers from the agent's own picture unless it is asked
for DPVS's (`healthcheck=true`)."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from aiohttp import web

Json = dict[str, Any]
VS = "/v2/vs"
PROXY = {"v1": 1, "v2": 2, "v1-insecure": 17, "v2-insecure": 18, "disable": 0}
SCHEDULERS = ("", "rr", "wrr", "wlc", "conhash")
MODES = ("FNAT", "SNAT", "DR", "TUNNEL", "NAT")


@dataclass
class Served:
    """A service as DPVS holds it."""

    spec: Json
    servers: dict[tuple[str, int], Json] = field(default_factory=dict)
    local: dict[str, str] = field(default_factory=dict)


class DpvsAgent:
    """`services`: by their name. `refuse`: servers (address, port) that DPVS does not take;
    `silent`: nothing is answered at all; `dead`: DPVS does not answer the agent."""

    def __init__(self) -> None:
        self.services: dict[str, Served] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.refuse: set[tuple[str, int]] = set()
        self.silent = False
        self.dead = False
        self.tells_proxy = False
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> str:
        """Its address."""
        app = web.Application(middlewares=[self._log])
        routes: tuple[tuple[str, str, Any], ...] = (
            ("GET", VS, self.get_all),
            ("PUT", VS + "/{id}", self.put_service),
            ("DELETE", VS + "/{id}", self.delete_service),
            ("GET", VS + "/{id}/laddr", self.get_local),
            ("PUT", VS + "/{id}/laddr", self.put_local),
            ("DELETE", VS + "/{id}/laddr", self.delete_local),
            ("PUT", VS + "/{id}/rs", self.put_servers),
            ("DELETE", VS + "/{id}/rs", self.delete_servers),
        )
        for method, path, handler in routes:
            app.router.add_route(method, path, handler)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def count(self) -> Counter[str]:
        """How often each method was used on each kind of path."""
        return Counter(
            f"{method} {'/'.join(path.split('/')[4:]) or '-'}" for method, path, _ in self.requests
        )

    @web.middleware
    async def _log(self, request: web.Request, handler: Any) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.requests.append((request.method, request.path, body))
        if self.silent:
            await asyncio.sleep(3600)
        if self.dead and request.method != "GET":
            return web.json_response("DPVS does not answer", status=500)
        answer: web.StreamResponse = await handler(request, body)
        return answer

    # ------------------------------------------------------------ services

    async def get_all(self, request: web.Request, body: Any) -> web.Response:
        if request.query.get("healthcheck") != "true":
            return web.json_response({"Items": []})  # its own picture, of an agent that started just now
        if self.dead:
            return web.Response(status=204)
        return web.json_response({"Items": [self._service(name) for name in self.services]})

    def _service(self, name: str) -> Json:
        served = self.services[name]
        address, port, protocol = name.rsplit("-", 2)
        spec = served.spec
        v6 = ip_address(address).version == 6
        found = {
            "Addr": address,
            "Af": 10 if v6 else 2,
            "Bps": spec.get("Bps"),
            "ConnTimeout": spec.get("ConnTimeout"),
            "ExpireQuiescent": "true" if spec.get("ExpireQuiescent") else "false",
            "LimitProportion": spec.get("LimitProportion"),
            "Match": {"Dest": {"End": "::", "Start": "::"}, "Src": {"End": "::", "Start": "::"}},
            "Netmask": 128 if v6 else 0xFFFFFFFF,
            "Port": int(port),
            "Proto": 17 if protocol == "udp" else 6,
            "Quic": "true" if spec.get("Quic") else "false",
            "RSs": {"Items": [_server(one) for one in served.servers.values()]},
            "SchedName": spec.get("SchedName") or "wrr",
            "SynProxy": "true" if spec.get("SynProxy") else "false",
            "Timeout": spec.get("Timeout"),
            "ProxyProto": PROXY[spec.get("ProxyProtocol") or "disable"] if self.tells_proxy else None,
            "Stats": {"Conns": sum(_conns(one) for one in served.servers), "InPkts": 7},
        }
        return {"DestCheck": None, **{name: value for name, value in found.items() if value}}

    async def put_service(self, request: web.Request, body: Json) -> web.Response:
        name = request.match_info["id"]
        if not _is_name(name):
            return web.Response(status=460)
        if body.get("SchedName", "") not in SCHEDULERS:
            return web.json_response({"code": 606, "message": "spec.SchedName in body"}, status=422)
        known = name in self.services
        if known:
            self.services[name].spec = body
        else:
            self.services[name] = Served(body)
        return web.Response(status=200 if known else 201)

    async def delete_service(self, request: web.Request, body: Any) -> web.Response:
        gone = self.services.pop(request.match_info["id"], None)
        return web.Response(status=404 if gone is None else 200)

    # ------------------------------------------------------------ local addresses

    async def get_local(self, request: web.Request, body: Any) -> web.Response:
        served = self.services.get(request.match_info["id"])
        if served is None:
            return web.Response(status=404)
        found = [
            {"addr": address, "af": 10 if ":" in address else 2, "device": device}
            for address, device in served.local.items()
        ]
        return web.json_response({"Items": found})

    async def put_local(self, request: web.Request, body: Json) -> web.Response:
        served = self.services.get(request.match_info["id"])
        if served is None or not body.get("device"):
            return web.Response(status=500)
        served.local[body["addr"]] = body["device"]
        return web.Response(status=200)

    async def delete_local(self, request: web.Request, body: Json) -> web.Response:
        served = self.services.get(request.match_info["id"])
        if served is None:
            return web.Response(status=500)
        served.local.pop(body["addr"], None)
        return web.Response(status=200)

    # ------------------------------------------------------------ real servers

    async def put_servers(self, request: web.Request, body: Json) -> web.Response:
        served = self.services.get(request.match_info["id"])
        if served is None:
            return web.json_response("Invalid backend", status=461)
        if any(one["mode"] not in MODES for one in body["Items"]):
            return web.json_response({"code": 606, "message": "mode in body"}, status=422)
        taken = True
        for one in body["Items"]:
            where = (one["ip"], one["port"])
            taken = where not in self.refuse
            if taken:
                served.servers[where] = one
        return web.Response(status=200) if taken else web.json_response("Invalid backend", status=461)

    async def delete_servers(self, request: web.Request, body: Json) -> web.Response:
        served = self.services.get(request.match_info["id"])
        if served is None:
            return web.Response(status=500)
        for one in body["Items"]:
            served.servers.pop((one["ip"], one["port"]), None)
        return web.Response(status=200)


def _is_name(name: str) -> bool:
    parts = name.rsplit("-", 2)
    try:
        return len(parts) == 3 and bool(ip_address(parts[0])) and parts[1].isdigit()
    except ValueError:
        return False


def _server(one: Json) -> Json:
    spec = {**one, "inhibited": False, "overloaded": False}
    return {"Spec": spec, "Stats": {"Conns": _conns((one["ip"], one["port"]))}}


def _conns(where: tuple[str, int]) -> int:
    return where[1]
