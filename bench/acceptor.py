"""The cheapest server that behaves: accepts, answers a request if there is one, closes.

`acceptor.py tcp|http PORT COUNTS`: COUNTS is a file of two 64-bit numbers, connections taken
and requests answered, which the driver reads while we run.
"""

from __future__ import annotations

import contextlib
import mmap
import select
import socket
import sys

ANSWER = b"HTTP/1.0 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"


def serve(kind: str, port: int, counts: str) -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", port))
    listener.listen(65535)
    listener.setblocking(False)
    with open(counts, "r+b") as file:
        shown = memoryview(mmap.mmap(file.fileno(), 16)).cast("Q")
    poll = select.epoll()
    poll.register(listener.fileno(), select.EPOLLIN)
    open_ones: dict[int, socket.socket] = {}
    while True:
        for fd, _events in poll.poll():
            if fd == listener.fileno():
                shown[0] += take_all(listener, poll, open_ones)
            else:
                shown[1] += finish(open_ones.pop(fd), kind)


def take_all(listener: socket.socket, poll: select.epoll, open_ones: dict[int, socket.socket]) -> int:
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            open_ones[connection.fileno()] = connection
            poll.register(connection.fileno(), select.EPOLLIN)
            taken += 1
    return taken


def finish(connection: socket.socket, kind: str) -> int:
    """The peer has spoken or gone."""
    answered = 0
    with contextlib.suppress(OSError):
        if connection.recv(4096) and kind == "http":
            connection.send(ANSWER)
            answered = 1
    connection.close()
    return answered


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3])
