"""What all clients of the matrix share: prompts, tools, and what must come back."""

from __future__ import annotations

import base64
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

import pydantic

from translation.plays import DEGREES, THOUGHT, WITHOUT, WORDS

CAPABILITIES = tuple(
    "text stream tools tools_streamed parallel image structured thinking moved errors broken cancelled".split()
)
UPSTREAMS = ("chat", "responses", "messages", "gemini")
KEY = "key-of-the-client"
PNG_BASE64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PNG = base64.b64decode(PNG_BASE64)
IMAGE = f"image/png {len(PNG)} bytes"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "a city"}},
    "required": ["city"],
    "additionalProperties": False,
}
ANSWERS = {
    "tools": "It is 18 degrees in Paris.",
    "thinking": "It is 18 degrees in Paris.",
    "moved": "It is 18 degrees in Paris.",
    "parallel": "Paris has 18 degrees, Rome has 24 degrees.",
}
STATUSES = (400, 401, 429, 500, 529)
Failure = TypeVar("Failure", bound=Exception)


class Place(pydantic.BaseModel):
    """A place, as structured output is to describe it."""

    city: str


class Client:
    """An SDK: what it is, and a check for each capability that it has."""

    name: ClassVar[str]
    package: ClassVar[str]
    own: ClassVar[str]
    prefix: ClassVar[str] = "gpt-5"

    def __init__(self, url: str, vendors: str, upstream: str) -> None:
        self.url, self.vendors, self.upstream = url, vendors, upstream
        self.model = f"{self.prefix}-to-{upstream}"
        self.notes: list[str] = []

    def model_after(self) -> str:
        """Returns the model of the next upstream: a loop that began at this one goes on there."""
        return f"{self.prefix}-to-{UPSTREAMS[UPSTREAMS.index(self.upstream) - 1]}"

    def note_thought(self, answer: str, thought: str | None) -> None:
        """Compares the end of a loop with a thought; says where the SDK itself lost the thought."""
        same(answer.removesuffix(WITHOUT), ANSWERS["thinking"])
        if thought is not None:
            same(thought, THOUGHT)
        if answer.endswith(WITHOUT):
            self.notes.append("without")

    def left(self, run: str) -> None:
        """Demands that the upstream saw its client leave."""
        with urllib.request.urlopen(f"{self.vendors}/left/{run}", timeout=15) as answer:
            assert json.load(answer)["left"], "the upstream worked on"


class LoopClient(Client):
    """An SDK whose caller runs the tools: turn by turn, each streamed or whole."""

    def ended(self, play: str, *, streamed: bool = False) -> str:
        """Returns the text that ends a loop."""
        raise NotImplementedError

    def tools_streamed(self) -> None:
        for play in ("tools", "parallel"):
            same(self.ended(play, streamed=True), ANSWERS[play])

    def parallel(self) -> None:
        same(self.ended("parallel"), ANSWERS["parallel"])


def prompt(play: str) -> str:
    return f"[play:{play}] What about Paris and Rome?"


def slow() -> tuple[str, str]:
    """Returns a run's name and its prompt."""
    run = uuid.uuid4().hex
    return run, f"[play:slow] [run:{run}] What about Paris?"


def weather(city: str) -> str:
    return DEGREES[city]


def same(found: Any, wanted: Any) -> None:
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def said(error: Exception) -> None:
    """Demands the upstream's words in an error."""
    assert WORDS in str(error), f"{type(error).__name__} without the upstream's words: {error}"


def failures(ask: Callable[[str], object], kind: type[Failure]) -> Iterator[tuple[int, Failure]]:
    """Yields every status with the error that its play ends in, which must say the upstream's words."""
    for status in STATUSES:
        error: Failure | None = None
        try:
            answer = ask(f"err{status}")
        except kind as found:
            error = found
        assert error, f"no error for {status}: {answer!r}"
        said(error)
        yield status, error


def told_to_wait(error: Any, status: int) -> None:
    """Demands the upstream's Retry-After of an error with the status, and of no other."""
    same(error.response.headers.get("retry-after"), "7" if status == 429 else None)
