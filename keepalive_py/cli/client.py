"""Asking the running daemon, over its control socket."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from keepalive_py.daemon.paths import control_name

PATIENCE: Final = 30.0  # seconds for an answer
VARIABLE: Final = "KEEPALIVE_CONTROL"


class NotAnswered(Exception):
    """No daemon, or none that may be asked; the message is for the operator."""


class Refused(Exception):
    """The daemon's own words on why it will not."""

    def __init__(self, status: int, error: Mapping[str, str]) -> None:
        text = error.get("message") or f"HTTP status {status}"
        super().__init__(f"{text}\n  hint: {error['hint']}" if error.get("hint") else text)
        self.status = status
        self.code = error.get("code", "")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client:
    """One connection for each request. Raises NotAnswered, Refused."""

    def __init__(self, path: str, timeout: float = PATIENCE) -> None:
        self.path = path
        self.timeout = timeout

    def get(self, resource: str, **query: object) -> Any:
        words = {name: value for name, value in query.items() if value is not None}
        return self.ask("GET", resource + (f"?{urlencode(words)}" if words else ""))

    def post(self, resource: str, **body: object) -> Any:
        return self.ask("POST", resource, {name: value for name, value in body.items() if value is not None})

    def delete(self, resource: str, **query: object) -> Any:
        words = {name: value for name, value in query.items() if value is not None}
        return self.ask("DELETE", resource + (f"?{urlencode(words)}" if words else ""))

    def ask(self, method: str, resource: str, body: Mapping[str, object] | None = None) -> Any:
        """The answer, decoded if it is JSON."""
        response = self.open(method, resource, body)
        try:
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NotAnswered(f"the answer of {self.path} broke off: {error}") from None
        if response.headers.get_content_type() == "application/json":
            return json.loads(data)
        return data.decode("utf-8", "replace")

    def open(
        self,
        method: str,
        resource: str,
        body: Mapping[str, object] | None = None,
        header: Mapping[str, str] | None = None,
    ) -> http.client.HTTPResponse:
        """An answer that is still to be read, for streams."""
        connection = UnixConnection(self.path, self.timeout)
        text = None if body is None else json.dumps(body)
        try:
            connection.request(method, resource, text, {"Content-Type": "application/json", **(header or {})})
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise NotAnswered(self.why(error)) from None
        if response.status >= 400:
            raise Refused(response.status, error_in(response.read()))
        return response

    def why(self, error: Exception) -> str:
        if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
            return (
                f"no daemon answers at {self.path}\n"
                f"  hint: is keepalive-py running? name another socket with --control or ${VARIABLE}"
            )
        if isinstance(error, PermissionError):
            return f"{self.path} may only be used by its owner: be root, or the daemon's user"
        if isinstance(error, TimeoutError):
            return f"{self.path} did not answer within {self.timeout:g} s"
        return f"{self.path}: {error}"


def error_in(data: bytes) -> dict[str, str]:
    try:
        found = json.loads(data)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def control_argument(parser: argparse.ArgumentParser, default: str = argparse.SUPPRESS) -> None:
    """Before the command, with the default, and after it, where it says nothing unless it is given."""
    parser.add_argument(
        "--control",
        metavar="PATH",
        default=default,
        help=f"the daemon's control socket (default ${VARIABLE} or {control_name()})",
    )


def json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")


def asking(work: Callable[[Client, argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """A command that asks the daemon; when it cannot, it says why and returns 1 (refused) or 2
    (nobody answers)."""

    def run(given: argparse.Namespace) -> int:
        try:
            return work(Client(given.control), given)
        except Refused as error:
            print(f"keepalive-ctl: {error}", file=sys.stderr)
            return 1
        except NotAnswered as error:
            print(f"keepalive-ctl: {error}", file=sys.stderr)
            return 2

    return run


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
