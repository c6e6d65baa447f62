"""`keepalive-py --genhash` and `keepalive-ctl genhash`: the digest that HTTP_GET compares.

Options and output are those of genhash(1); the body is read as the checker reads it.
"""

from __future__ import annotations

import argparse
import hashlib
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NoReturn

from keepalive_py.net import Endpoint, parse_address
from keepalive_py.probing.tls import client_context
from keepalive_py.wire.http import ResponseReader, encode_get

READ = 16384
BYTES_A_LINE = 16
PROTOCOLS = {"1.0": "1.0", "1.0c": "1.0C", "1.0C": "1.0C", "1.1": "1.1"}
EXIT_USAGE = 1

Stream = socket.socket | ssl.SSLSocket


class Parser(argparse.ArgumentParser):
    """keepalived's exit status for a command line that is wrong."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def main(words: Sequence[str]) -> int:
    parser = Parser(prog="genhash", description="Print the MD5 digest of what a url answers.")
    add_arguments(parser)
    try:
        return run(parser.parse_args(list(words)))
    except SystemExit as ended:
        return int(ended.code or 0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-S", "--use-ssl", action="store_true", help="connect with TLS")
    parser.add_argument(
        "-I", "--use-sni", action="store_true", help="send a server name in TLS: the virtualhost of -V"
    )
    parser.add_argument("-s", "--server", required=True, type=address, help="IP address to connect to")
    parser.add_argument("-p", "--port", required=True, type=port, help="port to connect to")
    parser.add_argument("-u", "--url", required=True, help="path to ask for")
    parser.add_argument("-V", "--use-virtualhost", metavar="HOST", help="Host field of the request")
    parser.add_argument("-v", "--verbose", action="store_true", help="show headers and body")
    parser.add_argument("-m", "--fwmark", type=int, default=0, metavar="MARK", help="firewall mark")
    parser.add_argument("-P", "--protocol", choices=sorted(PROTOCOLS), default="1.0", help="version of HTTP")
    parser.add_argument(
        "-t", "--timeout", type=float, default=5.0, metavar="SECONDS", help="time for each step"
    )


def address(text: str) -> object:
    try:
        return parse_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"server should be an IP, not {text}") from None


def port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"invalid port number '{text}'")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """A server that cannot be reached is said, and is no failure of the command, as in genhash(1)."""
    began = time.monotonic()
    try:
        with connected(arguments) as stream:
            header, body = fetch(stream, arguments)
    except OSError as error:
        print("Connection failed" + (f": {error}" if arguments.verbose else ""))
        return 0
    if arguments.verbose:
        show(header, body)
    print(hashlib.md5(body, usedforsecurity=False).hexdigest())
    if arguments.verbose:
        took = int((time.monotonic() - began) * 1e6)
        print(f"\nGlobal response time for [{arguments.url}] = {took} usecs")
    return 0


def connected(arguments: argparse.Namespace) -> Stream:
    server = arguments.server
    plain = socket.socket(socket.AF_INET6 if server.version == 6 else socket.AF_INET)
    try:
        plain.settimeout(arguments.timeout)
        if arguments.fwmark:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, arguments.fwmark)
        plain.connect((str(server), arguments.port))
        if not arguments.use_ssl:
            return plain
        name = arguments.use_virtualhost if arguments.use_sni else None
        return client_context(None).wrap_socket(plain, server_hostname=name)
    except OSError:
        plain.close()
        raise


def fetch(stream: Stream, arguments: argparse.Namespace) -> tuple[bytes, bytes]:
    """Headers and body. An answer that is broken off counts as far as it came."""
    host = arguments.use_virtualhost or str(Endpoint(arguments.server, arguments.port))
    stream.sendall(encode_get(arguments.url, host, PROTOCOLS[arguments.protocol]))
    reader = ResponseReader()
    whole = bytearray()
    body = bytearray()
    while not reader.complete:
        piece = received(stream)
        whole += piece
        body += reader.feed(piece)
    return bytes(whole[: len(whole) - len(body)]), bytes(body)


def received(stream: Stream) -> bytes:
    try:
        return stream.recv(READ)
    except ssl.SSLEOFError:  # a server that does not say goodbye
        return b""


def show(header: bytes, body: bytes) -> None:
    title("    HTTP Header Buffer    ", header)
    title(" HTTP Header Ascii Buffer ")
    print(header.decode("latin-1"))
    title("        HTML Buffer        ", body)
    print()
    title("    HTML hash resulting    ", hashlib.md5(body, usedforsecurity=False).digest())
    title(" HTML hash final resulting ")


def title(text: str, data: bytes = b"") -> None:
    """A ruled line, and the bytes that it announces."""
    print(f"-----------------------[{text}]-----------------------")
    for line in hexdump(data):
        print(line)


def hexdump(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), BYTES_A_LINE):
        row = data[start : start + BYTES_A_LINE]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{start:04}  {row[:8].hex(' '):<23} - {row[8:].hex(' '):<23}   {text:<16}"
