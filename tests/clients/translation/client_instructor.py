"""instructor: structured output, by its modes."""

from __future__ import annotations

import logging
from typing import Any

import anthropic
import instructor
import openai

from translation.checks import (
    KEY,
    Client,
    Place,
    failures,
    prompt,
    same,
)

logging.getLogger("instructor").setLevel(logging.CRITICAL)


class Instructor(Client):
    """What the vendors share."""

    package = "instructor"
    modes: tuple[instructor.Mode, ...] = ()
    more: Any = {}  # noqa: RUF012

    def sdk(self, mode: instructor.Mode) -> Any:
        raise NotImplementedError

    def create(self, play: str, mode: instructor.Mode) -> Any:
        messages = [{"role": "user", "content": prompt(play)}]
        return self.sdk(mode).create(
            model=self.model, messages=messages, response_model=Place, max_retries=0, **self.more
        )

    def structured(self) -> None:
        for mode in self.modes:
            same(self.create("structured", mode).city, "Paris")

    def stream(self) -> None:
        messages = [{"role": "user", "content": prompt("structured")}]
        sdk = self.sdk(self.modes[0])
        *_, last = sdk.create_partial(model=self.model, messages=messages, response_model=Place, **self.more)
        same(last.city, "Paris")

    def errors(self) -> None:
        list(failures(lambda play: self.create(play, self.modes[0]), Exception))


class Chat(Instructor):
    """Chat completions."""

    name = "instructor, from_openai"
    own = "chat"
    modes = (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA)

    def sdk(self, mode: instructor.Mode) -> Any:
        return instructor.from_openai(openai.OpenAI(base_url=f"{self.url}/v1", api_key=KEY, max_retries=0), mode=mode)


class Anthropic(Instructor):
    """Messages."""

    name = "instructor, from_anthropic"
    own = "messages"
    prefix = "claude"
    modes = (instructor.Mode.ANTHROPIC_TOOLS,)
    more: Any = {"max_tokens": 500}  # noqa: RUF012

    def sdk(self, mode: instructor.Mode) -> Any:
        return instructor.from_anthropic(anthropic.Anthropic(base_url=self.url, api_key=KEY, max_retries=0), mode=mode)


CLIENTS = (Chat, Anthropic)
