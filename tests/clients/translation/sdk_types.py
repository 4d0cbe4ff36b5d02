"""The types of the vendors' SDKs as validators of requests, answers and events: strict, and nothing unknown."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import typing
from typing import Any

# Iterables are validated when they are walked, which is too late to choose among the members of a union.
typing.Iterable = typing.List  # type: ignore[misc] # noqa: UP006

import anthropic.types  # noqa: E402
import openai.types  # noqa: E402
import pydantic  # noqa: E402
import typing_extensions  # noqa: E402
from google.genai import types as google  # noqa: E402
from pydantic import ConfigDict, TypeAdapter  # noqa: E402

# Members of a request that the SDK's types lack: sampling, which Anthropic's newest SDK does not offer, and which older
# models take.
REQUEST_EXTRAS = {"messages": {"temperature", "top_k", "top_p"}}


class GenerateContentRequest(pydantic.BaseModel):
    """A body of Gemini's generateContent: the SDK has types for its parts only."""

    model_config = ConfigDict(extra="forbid", alias_generator=pydantic.alias_generators.to_camel)

    contents: list[google.Content]
    system_instruction: google.Content | None = None
    tools: list[google.Tool] | None = None
    tool_config: google.ToolConfig | None = None
    generation_config: google.GenerationConfig | None = None
    safety_settings: list[google.SafetySetting] | None = None
    cached_content: str | None = None
    service_tier: str | None = None
    store: bool | None = None  # the API's reference has it, the SDK's types do not
    labels: dict[str, str] | None = None


def forbid_extras(package: Any) -> None:
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    for name, loaded in list(sys.modules.items()):
        if name.startswith(package.__name__):
            for kind in vars(loaded).values():
                if typing_extensions.is_typeddict(kind):
                    kind.__pydantic_config__ = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


forbid_extras(openai.types)
forbid_extras(anthropic.types)

from anthropic.types import Message, message_create_params  # noqa: E402
from anthropic.types import RawMessageStreamEvent as MessageEvent  # noqa: E402
from openai.types.chat import ChatCompletion, ChatCompletionChunk, completion_create_params  # noqa: E402
from openai.types.responses import Response, ResponseStreamEvent, response_create_params  # noqa: E402


def either(params: Any, name: str) -> TypeAdapter[Any]:
    """Returns the type of a request, with and without a stream."""
    return TypeAdapter(getattr(params, f"{name}NonStreaming") | getattr(params, f"{name}Streaming"))


REQUESTS: dict[str, TypeAdapter[Any]] = {
    "chat": either(completion_create_params, "CompletionCreateParams"),
    "responses": either(response_create_params, "ResponseCreateParams"),
    "messages": either(message_create_params, "MessageCreateParams"),
    "gemini": TypeAdapter(GenerateContentRequest),
}

ANSWERS: dict[str, TypeAdapter[Any]] = {
    "chat": TypeAdapter(ChatCompletion),
    "responses": TypeAdapter(Response),
    "messages": TypeAdapter(Message),
    "gemini": TypeAdapter(google.GenerateContentResponse),
}
EVENTS: dict[str, TypeAdapter[Any]] = {
    "chat": TypeAdapter(ChatCompletionChunk),
    "responses": TypeAdapter(ResponseStreamEvent),
    "messages": TypeAdapter(MessageEvent),
    "gemini": TypeAdapter(google.GenerateContentResponse),
}


def known_members(api: str, body: dict[str, Any]) -> dict[str, Any]:
    """Returns a body without the members that the SDK's types lack and the API has."""
    extras = REQUEST_EXTRAS.get(api, set())
    return {name: value for name, value in body.items() if name not in extras}
