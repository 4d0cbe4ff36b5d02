"""The anthropic SDK."""

from __future__ import annotations

import functools
from typing import Any

import anthropic

from translation.checks import (
    ANSWERS,
    IMAGE,
    KEY,
    PARAMETERS,
    PNG_BASE64,
    LoopClient,
    Place,
    failures,
    prompt,
    said,
    same,
    slow,
    told_to_wait,
    weather,
)
from translation.plays import TEXT, THOUGHT

TOOL: Any = {"name": "weather", "description": "d", "input_schema": PARAMETERS}
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


@functools.cache
def sdk_of(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0, timeout=30)


class Messages(LoopClient):
    """Messages."""

    name = "anthropic (Python)"
    package = "anthropic"
    own = "messages"
    prefix = "claude"

    def sdk(self) -> Any:
        return sdk_of(self.url)

    def create(self, play: str, **options: Any) -> Any:
        messages: Any = options.pop("messages", None) or [{"role": "user", "content": prompt(play)}]
        return self.sdk().messages.create(model=self.model, max_tokens=500, messages=messages, **options)

    def text(self) -> None:
        answer = self.create("text", system="Be brief.")
        same((answer.content[0].text, answer.stop_reason), (TEXT, "end_turn"))
        usage = answer.usage
        same((usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens), (60, 40, 20))

    def stream(self) -> None:
        with self.sdk().messages.stream(
            model=self.model, max_tokens=500, messages=[{"role": "user", "content": prompt("text")}]
        ) as stream:
            same("".join(stream.text_stream), TEXT)
            last = stream.get_final_message()
        usage = last.usage
        same(
            (last.stop_reason, usage.output_tokens, usage.input_tokens, usage.cache_read_input_tokens),
            ("end_turn", 20, 60, 40),
        )

    def loop(self, play: str, then: Any = None, **options: Any) -> tuple[Any, Any]:
        messages: list[Any] = [{"role": "user", "content": prompt(play)}]
        first = self.turn(messages, **options)
        messages.append({"role": "assistant", "content": first.content})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": weather(block.input["city"])}
            for block in first.content
            if block.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results})
        return first, self.turn(messages, **{**options, **(then or {})})

    def turn(self, messages: list[Any], streamed: bool = False, **options: Any) -> Any:
        arguments: Any = {"model": self.model, "messages": messages, "tools": [TOOL], "max_tokens": 4000, **options}
        if not streamed:
            return self.sdk().messages.create(**arguments)
        with self.sdk().messages.stream(**arguments) as stream:
            return stream.get_final_message()

    def tools(self) -> None:
        first, last = self.loop("tools")
        same(([block.type for block in first.content], first.stop_reason), (["text", "tool_use"], "tool_use"))
        same(last.content[0].text, ANSWERS["tools"])

    def ended(self, play: str, *, streamed: bool = False) -> str:
        return str(self.loop(play, streamed=streamed)[1].content[0].text)

    def image(self) -> None:
        source = {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}
        parts = [{"type": "image", "source": source}, {"type": "text", "text": prompt("image")}]
        same(self.create("image", messages=[{"role": "user", "content": parts}]).content[0].text, IMAGE)

    def structured(self) -> None:
        answer = self.sdk().messages.parse(
            model=self.model, max_tokens=500, output_format=Place,
            messages=[{"role": "user", "content": prompt("structured")}],
        )  # fmt: skip
        same(answer.parsed_output, Place(city="Paris"))

    def thinking(self) -> None:
        for streamed in (False, True):
            for thought in ({"type": "enabled", "budget_tokens": 2000}, {"type": "adaptive"}):
                effort = {"output_config": {"effort": "high"}} if thought["type"] == "adaptive" else {}
                first, last = self.loop("thinking", streamed=streamed, thinking=thought, **effort)
                *thoughts, call = first.content
                same(({block.type for block in thoughts}, call.type), ({"thinking"}, "tool_use"))
                same("".join(block.thinking for block in thoughts), THOUGHT)
                if self.upstream == "chat":  # its thoughts have no seal
                    self.note_thought(last.content[0].text, None)
                else:
                    same(last.content[-1].text, ANSWERS["thinking"])

    def moved(self) -> None:
        for thought in ({"type": "enabled", "budget_tokens": 2000}, {"type": "adaptive"}):
            effort = {"output_config": {"effort": "high"}} if thought["type"] == "adaptive" else {}
            _, last = self.loop("moved", then={"model": self.model_after()}, thinking=thought, **effort)
            same(last.content[-1].text, ANSWERS["moved"])

    def errors(self) -> None:
        for status, error in failures(self.create, anthropic.APIStatusError):
            same((error.status_code, error.type), (status, KINDS[status]))
            told_to_wait(error, status)

    def broken(self) -> None:
        for play in ("cut", "midfail"):
            try:
                list(self.create(play, stream=True))
                raise AssertionError(f"{play}: a clean end")
            except anthropic.APIError as error:
                if play == "midfail":
                    said(error)

    def cancelled(self) -> None:
        run, asked = slow()
        with self.create("slow", messages=[{"role": "user", "content": asked}], stream=True) as stream:
            next(event for event in stream if event.type == "content_block_delta")
        self.left(run)


CLIENTS = (Messages,)
