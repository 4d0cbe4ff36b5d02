"""Requests and configurations that the checks have in common, and the list of the checks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from stage import Stage

ODD = b'{ "messages":[{"role":"user","content":"h\\u0069"}],\n"temperature":1.0, "model" : "auto","x":1e3 }'
PROVE = b'{"model":"auto","messages":[{"role":"user","content":"prove it"}]}'
PASSED = b'{"model":"somebody/else","messages":[{"role":"user","content":"hi"}]}'
REFUSED = b'{"model":"auto","messages":[{"role":"user","content":"refuse me"}]}'
STREAMED = b'{"model":"auto","stream":true,"messages":[{"role":"user","content":"hi"}]}'
DUPLEX = ["--body-mode", "full-duplex-streamed"]
DEFAULT = "default_provider: one"
ANNA = f"clients: {{anna: {{keys: [{{sha256: {hashlib.sha256(b'anna').hexdigest()}}}]}}}}\n"
OPEN = ", failure: open"

Check = Callable[[], None]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Makes a function one of the checks."""
    CHECKS.append(function)
    return function


def routed(body: bytes, model: str = "small-1") -> bytes:
    """Returns a body for the model that was chosen: every other byte as it was."""
    return body.replace(b'"auto"', f'"{model}"'.encode(), 1)


def of_size(size: int) -> bytes:
    """Returns a prompt of so many bytes."""
    empty = b'{"model":"auto","messages":[{"role":"user","content":""}]}'
    return empty.replace(b'""', b'"' + b"x" * (size - len(empty)) + b'"') if size > len(empty) else empty


def in_chunks(body: bytes, size: int = 40_000) -> Iterator[bytes]:
    """Yields a body piece by piece."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


def status(on: Stage, *arguments: object, **named: object) -> int:
    """Returns the status of an answer."""
    return on.send(*arguments, **named)[0]  # type: ignore[arg-type]
