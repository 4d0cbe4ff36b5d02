"""pydantic-ai's agents: they run their tools themselves."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Coroutine
from typing import Any

import anthropic
import openai
from pydantic_ai import Agent, BinaryContent, ModelHTTPError
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from translation.checks import (
    ANSWERS,
    IMAGE,
    KEY,
    PNG,
    Client,
    Place,
    failures,
    prompt,
    same,
    slow,
    weather,
)
from translation.plays import TEXT


@functools.cache
def openai_provider(url: str) -> OpenAIProvider:
    return OpenAIProvider(openai_client=openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0))


@functools.cache
def anthropic_provider(url: str) -> AnthropicProvider:
    client = anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=0)
    return AnthropicProvider(anthropic_client=client)


class PydanticAI(Client):
    """What the models share."""

    package = "pydantic-ai-slim"
    thinks: Any = {}  # noqa: RUF012

    def llm(self) -> Any:
        raise NotImplementedError

    def agent(self, **options: Any) -> Agent[None, Any]:
        return Agent(self.llm(), retries=0, **{"model_settings": {"max_tokens": 4000}, **options})

    def run(self, play: Any, **options: Any) -> Any:
        asked = prompt(play) if isinstance(play, str) else play
        return finished(self.agent(**options).run(asked))

    def streamed(self, asked: str, **options: Any) -> str:
        async def read() -> str:
            async with self.agent(**options).run_stream(asked) as stream:
                return "".join([piece async for piece in stream.stream_text(delta=True, debounce_by=None)])

        return str(finished(read()))

    def text(self) -> None:
        answer = self.run("text", instructions="Be brief.")
        same((answer.output, answer.usage.input_tokens, answer.usage.output_tokens), (TEXT, 100, 20))

    def stream(self) -> None:
        same(self.streamed(prompt("text")), TEXT)

    def tools(self) -> None:
        same(self.run("tools", tools=[weather]).output, ANSWERS["tools"])

    def tools_streamed(self) -> None:
        same(self.streamed(prompt("parallel"), tools=[weather]), ANSWERS["parallel"])

    def parallel(self) -> None:
        same(self.run("parallel", tools=[weather]).output, ANSWERS["parallel"])

    def image(self) -> None:
        same(self.run([prompt("image"), BinaryContent(data=PNG, media_type="image/png")]).output, IMAGE)

    def structured(self) -> None:
        same(self.run("structured", output_type=Place).output, Place(city="Paris"))

    def thinking(self) -> None:
        self.note_thought(self.run("thinking", tools=[weather], model_settings=self.thinks).output, None)

    def errors(self) -> None:
        for status, error in failures(self.run, ModelHTTPError):
            same(error.status_code, status)

    def cancelled(self) -> None:
        run, asked = slow()

        async def leave() -> None:
            async with asyncio.timeout(20):
                async with self.agent().run_stream(asked) as stream:
                    async for _ in stream.stream_text(delta=True, debounce_by=None):
                        break
                    await stream.cancel()

        finished(leave())
        self.left(run)


# One loop for all: the clients' connections outlive a run.
LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(work, LOOP).result(60)


class Chat(PydanticAI):
    """Chat completions."""

    name = "pydantic-ai, OpenAIChatModel"
    own = "chat"
    thinks: Any = {"openai_reasoning_effort": "high"}  # noqa: RUF012

    def llm(self) -> OpenAIChatModel:
        return OpenAIChatModel(self.model, provider=self.provider())

    def provider(self) -> Any:
        return openai_provider(self.url)


class Responses(Chat):
    """Responses."""

    name = "pydantic-ai, OpenAIResponsesModel"
    own = "responses"
    thinks: Any = {  # noqa: RUF012
        "openai_reasoning_effort": "high",
        "openai_reasoning_summary": "auto",
        "openai_store": False,
        "openai_include_encrypted_reasoning": True,
    }

    def llm(self) -> Any:
        return OpenAIResponsesModel(self.model, provider=self.provider())


class Anthropic(PydanticAI):
    """Messages."""

    name = "pydantic-ai, AnthropicModel"
    own = "messages"
    prefix = "claude"
    thinks: Any = {"anthropic_thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 4000}  # noqa: RUF012

    def llm(self) -> AnthropicModel:
        return AnthropicModel(self.model, provider=anthropic_provider(self.url))


CLIENTS = (Chat, Responses, Anthropic)
