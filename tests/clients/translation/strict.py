"""The SDKs' own types as strict validators of requests: nothing unknown, nothing of another type."""

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

from translation.plays import UnfitError  # noqa: E402


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

from anthropic.types import message_create_params as messages  # noqa: E402
from openai.types.chat import completion_create_params as chat  # noqa: E402
from openai.types.responses import response_create_params as responses  # noqa: E402


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


CHAT: TypeAdapter[Any] = TypeAdapter(
    chat.CompletionCreateParamsNonStreaming | chat.CompletionCreateParamsStreaming,
)
RESPONSES: TypeAdapter[Any] = TypeAdapter(
    responses.ResponseCreateParamsNonStreaming | responses.ResponseCreateParamsStreaming
)
MESSAGES: TypeAdapter[Any] = TypeAdapter(
    messages.MessageCreateParamsNonStreaming | messages.MessageCreateParamsStreaming
)
GEMINI: TypeAdapter[Any] = TypeAdapter(GenerateContentRequest)


def validate(types: TypeAdapter[Any], body: Any) -> None:
    """Raises what is wrong with a body."""
    try:
        types.validate_python(body)
    except pydantic.ValidationError as error:
        problems = [f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]
        raise UnfitError("not of the SDK's types: " + "; ".join(problems[:6])) from error
