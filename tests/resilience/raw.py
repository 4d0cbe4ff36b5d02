"""Clients that write bytes as they are, and read what comes back without believing it."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from process import Address

Parts = bytes | list[bytes | float]


@dataclass
class Seen:
    """The bytes that came back, and whether the other side closed."""

    data: bytes
    is_closed: bool

    @property
    def statuses(self) -> list[int]:
        return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3})", self.data)]

    @property
    def final(self) -> list[int]:
        """The statuses but for the interim ones."""
        return [code for code in self.statuses if code >= 200]


def is_whole(data: bytes) -> bool:
    """Tells whether the bytes hold one whole final answer and nothing else is expected."""
    head, gap, rest = data.partition(b"\r\n\r\n")
    while gap and re.match(rb"HTTP/1\.[01] 1\d\d", head):
        head, gap, rest = rest.partition(b"\r\n\r\n")
    if not gap:
        return False
    if re.match(rb"HTTP/1\.[01] (204|304)", head):
        return True
    if found := re.search(rb"(?i)\r\ncontent-length: *(\d+)", head):
        return len(rest) >= int(found[1])
    return rb"chunked" in head.lower() and rest.endswith(b"0\r\n\r\n")


def talk(to: Address, parts: Parts, timeout: float = 5.0, linger: float = 0.0) -> Seen:
    """Sends parts (numbers are pauses) and reads one whole answer, or until the end, or until the time is over.

    With `linger` it goes on reading for so long after a whole answer: for a second one that nobody asked for.
    """
    data, is_closed, until = b"", False, time.monotonic() + timeout
    with socket.create_connection(to, timeout=timeout) as connection:
        for part in [parts] if isinstance(parts, bytes) else parts:
            if not isinstance(part, bytes):
                time.sleep(part)
                continue
            try:
                connection.sendall(part)
            except OSError:
                break
        while (left := until - time.monotonic()) > 0 and not is_closed:
            more = received(connection, left)
            if more is None:
                break
            is_closed = not more
            data += more
            if is_whole(data):
                until, linger = min(until, time.monotonic() + linger), 0.0
                if until <= time.monotonic():
                    break
    return Seen(data, is_closed)


def received(connection: socket.socket, patience: float) -> bytes | None:
    """Returns what came: nothing at the end, None where the time is over."""
    connection.settimeout(patience)
    try:
        return connection.recv(65536)
    except TimeoutError:
        return None
    except OSError:
        return b""


def head(method: str, path: str, *fields: str, host: str = "x") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *([f"host: {host}"] if host else []), *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def post(path: str, body: bytes, *fields: str, kind: str = "application/json") -> bytes:
    labels = [f"content-type: {kind}"] if kind else []
    return head("POST", path, *labels, f"content-length: {len(body)}", *fields) + body


@contextlib.contextmanager
def connected(to: Address, timeout: float = 10.0) -> Iterator[socket.socket]:
    connection = socket.create_connection(to, timeout=timeout)
    try:
        yield connection
    finally:
        connection.close()
