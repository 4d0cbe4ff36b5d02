"""The openai SDK: chat completions and responses."""

from __future__ import annotations

import functools
import json
from typing import Any

import openai

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
from translation.plays import TEXT, THOUGHT, WORDS

DATA = f"data:image/png;base64,{PNG_BASE64}"
CHAT_TOOL: Any = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": PARAMETERS}}
RESPONSES_TOOL: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}
KINDS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    529: openai.InternalServerError,
}


@functools.cache
def sdk_of(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=30)


class OpenAI(LoopClient):
    """What both APIs of the SDK share."""

    package = "openai"

    def sdk(self) -> Any:
        return sdk_of(self.url)

    def create(self, play: str, **options: Any) -> Any:
        raise NotImplementedError

    def errors(self) -> None:
        for status, error in failures(self.create, openai.APIStatusError):
            assert isinstance(error, KINDS[status]), f"{type(error).__name__} for {status}"
            told_to_wait(error, status)

    def broken(self) -> None:
        for play in ("cut", "midfail"):
            try:
                last = list(self.create(play, stream=True))[-1]
                assert getattr(last, "type", "a clean end") in ("response.failed", "error"), last
                if play == "midfail":
                    assert WORDS in last.to_json(), last
            except openai.APIError as error:
                if play == "midfail":
                    said(error)


class Chat(OpenAI):
    """Chat completions."""

    name = "openai (Python), chat"
    own = "chat"

    def create(self, play: str, **options: Any) -> Any:
        messages = options.pop("messages", None) or [{"role": "user", "content": prompt(play)}]
        return self.sdk().chat.completions.create(model=self.model, messages=messages, **options)

    def text(self) -> None:
        answer = self.create("text", max_completion_tokens=500, messages=[
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt("text")},
        ])  # fmt: skip
        same((answer.choices[0].message.content, answer.choices[0].finish_reason), (TEXT, "stop"))
        usage = answer.usage
        same((usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens_details.cached_tokens), (100, 20, 40))

    def stream(self) -> None:
        chunks = list(self.create("text", stream=True, stream_options={"include_usage": True}))
        same("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), TEXT)
        same((chunks[-1].choices, chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens), ([], 100, 20))
        same([c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason], ["stop"])

    def loop(self, play: str, then: Any = None, **options: Any) -> tuple[Any, Any]:
        """Returns the turn with the calls, and the last."""
        messages: list[Any] = [{"role": "user", "content": prompt(play)}]
        first = self.turn(messages, **options)
        messages.append(first)
        for call in first.tool_calls:
            content = weather(json.loads(call.function.arguments)["city"])
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})
        return first, self.turn(messages, **{**options, **(then or {})})

    def turn(self, messages: list[Any], streamed: bool = False, **options: Any) -> Any:
        arguments: Any = {"model": self.model, "messages": messages, "tools": [CHAT_TOOL], **options}
        if not streamed:
            return self.sdk().chat.completions.create(**arguments).choices[0].message
        with self.sdk().chat.completions.stream(**arguments) as stream:
            stream.until_done()
            return stream.get_final_completion().choices[0].message

    def tools(self) -> None:
        first, last = self.loop("tools")
        same((first.content, first.tool_calls[0].function.name), ("I will look.", "weather"))
        same(last.content, ANSWERS["tools"])

    def ended(self, play: str, *, streamed: bool = False) -> str:
        return str(self.loop(play, streamed=streamed)[1].content)

    def parallel(self) -> None:
        first, last = self.loop("parallel")
        same(len({call.id for call in first.tool_calls}), 2)
        same(last.content, ANSWERS["parallel"])

    def image(self) -> None:
        parts = [{"type": "text", "text": prompt("image")}, {"type": "image_url", "image_url": {"url": DATA}}]
        answer = self.create("image", messages=[{"role": "user", "content": parts}])
        same(answer.choices[0].message.content, IMAGE)

    def structured(self) -> None:
        messages: Any = [{"role": "user", "content": prompt("structured")}]
        answer = self.sdk().chat.completions.parse(model=self.model, messages=messages, response_format=Place)
        same(answer.choices[0].message.parsed, Place(city="Paris"))

    def thinking(self) -> None:
        for streamed in (False, True):
            first, last = self.loop("thinking", streamed=streamed, reasoning_effort="high")
            if (
                self.upstream == self.own
            ):  # the SDK has no field for the thought of an open model; it keeps it all the same
                self.note_thought(last.content, getattr(first, "reasoning_content", THOUGHT))
                continue
            same(last.content, ANSWERS["thinking"])
            same(first.reasoning_content, THOUGHT)

    def moved(self) -> None:
        _, last = self.loop("moved", then={"model": self.model_after()}, reasoning_effort="high")
        same(last.content, ANSWERS["moved"])

    def cancelled(self) -> None:
        run, asked = slow()
        with self.create("slow", messages=[{"role": "user", "content": asked}], stream=True) as stream:
            next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
        self.left(run)


class Responses(OpenAI):
    """Responses."""

    name = "openai (Python), responses"
    own = "responses"

    def create(self, play: str, **options: Any) -> Any:
        asked = options.pop("input", prompt(play))
        return self.sdk().responses.create(model=self.model, input=asked, store=False, **options)

    def text(self) -> None:
        answer = self.create("text", instructions="Be brief.", max_output_tokens=500)
        same((answer.output_text, answer.status, answer.instructions), (TEXT, "completed", "Be brief."))
        usage = answer.usage
        same((usage.input_tokens, usage.output_tokens, usage.input_tokens_details.cached_tokens), (100, 20, 40))

    def stream(self) -> None:
        events = list(self.create("text", stream=True))
        same([event.sequence_number for event in events], list(range(len(events))))
        same("".join(e.delta for e in events if e.type == "response.output_text.delta"), TEXT)
        same((events[0].type, events[-1].type), ("response.created", "response.completed"))
        same((events[-1].response.output_text, events[-1].response.usage.input_tokens), (TEXT, 100))

    def loop(self, play: str, then: Any = None, **options: Any) -> tuple[Any, Any]:
        items: list[Any] = [{"role": "user", "content": prompt(play)}]
        first = self.turn(items, **options)
        items += first.output
        for call in first.output:
            if call.type == "function_call":
                output = weather(json.loads(call.arguments)["city"])
                items.append({"type": "function_call_output", "call_id": call.call_id, "output": output})
        return first, self.turn(items, **{**options, **(then or {})})

    def turn(self, items: list[Any], streamed: bool = False, **options: Any) -> Any:
        arguments: Any = {"model": self.model, "input": items, "tools": [RESPONSES_TOOL], "store": False, **options}
        if not streamed:
            return self.sdk().responses.create(**arguments)
        with self.sdk().responses.stream(**arguments) as stream:
            stream.until_done()
            return stream.get_final_response()

    def tools(self) -> None:
        first, last = self.loop("tools")
        same([item.type for item in first.output], ["message", "function_call"])
        same(last.output_text, ANSWERS["tools"])

    def ended(self, play: str, *, streamed: bool = False) -> str:
        return str(self.loop(play, streamed=streamed)[1].output_text)

    def image(self) -> None:
        parts = [
            {"type": "input_text", "text": prompt("image")},
            {"type": "input_image", "image_url": DATA, "detail": "auto"},
        ]
        same(self.create("image", input=[{"role": "user", "content": parts}]).output_text, IMAGE)

    def structured(self) -> None:
        answer = self.sdk().responses.parse(model=self.model, input=prompt("structured"), text_format=Place)
        same(answer.output_parsed, Place(city="Paris"))

    def thinking(self) -> None:
        options: Any = {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        for streamed in (False, True):
            first, last = self.loop("thinking", streamed=streamed, **options)
            *thoughts, call = first.output
            same(({item.type for item in thoughts}, call.type), ({"reasoning"}, "function_call"))
            same("".join(part.text for item in thoughts for part in item.summary or item.content or []), THOUGHT)
            if self.upstream == "chat":  # its thoughts have no seal
                self.note_thought(last.output_text, None)
            else:
                same(last.output_text, ANSWERS["thinking"])

    def moved(self) -> None:
        options: Any = {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        same(self.loop("moved", then={"model": self.model_after()}, **options)[1].output_text, ANSWERS["moved"])

    def cancelled(self) -> None:
        run, asked = slow()
        with self.create("slow", input=asked, stream=True) as stream:
            next(event for event in stream if event.type == "response.output_text.delta")
        self.left(run)


CLIENTS = (Chat, Responses)
