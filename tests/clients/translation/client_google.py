"""The google-genai SDK."""

from __future__ import annotations

import functools
from typing import Any

from google import genai
from google.genai import errors, types

from translation.checks import (
    ANSWERS,
    IMAGE,
    KEY,
    PARAMETERS,
    PNG,
    LoopClient,
    Place,
    failures,
    prompt,
    said,
    same,
    slow,
    weather,
)
from translation.plays import TEXT, THOUGHT

TOOL = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather", parameters_json_schema=PARAMETERS)])


@functools.cache
def sdk_of(url: str) -> genai.Client:
    return genai.Client(api_key=KEY, vertexai=False, http_options=types.HttpOptions(base_url=url, timeout=30000))


class Google(LoopClient):
    """generateContent and streamGenerateContent."""

    name = "google-genai (Python)"
    package = "google-genai"
    own = "gemini"
    prefix = "gemini-3"

    def sdk(self) -> Any:
        return sdk_of(self.url)

    def ask(self, contents: Any, *, streamed: bool = False, model: str = "", **config: Any) -> list[Any]:
        """Returns the whole answer, or its pieces."""
        options = types.GenerateContentConfig(
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **config
        )
        sdk = self.sdk()
        if streamed:
            return list(
                sdk.models.generate_content_stream(model=model or self.model, contents=contents, config=options)
            )
        return [sdk.models.generate_content(model=model or self.model, contents=contents, config=options)]

    def text(self) -> None:
        [answer] = self.ask(prompt("text"), system_instruction="Be brief.", max_output_tokens=500)
        same((answer.text, answer.candidates[0].finish_reason), (TEXT, types.FinishReason.STOP))
        usage = answer.usage_metadata
        same((usage.prompt_token_count, usage.cached_content_token_count, usage.total_token_count), (100, 40, 120))

    def stream(self) -> None:
        pieces = self.ask(prompt("text"), streamed=True)
        same("".join(piece.text or "" for piece in pieces), TEXT)
        last = pieces[-1]
        same((last.candidates[0].finish_reason, last.usage_metadata.prompt_token_count), (types.FinishReason.STOP, 100))

    def loop(self, play: str, then: Any = None, **options: Any) -> tuple[list[types.Part], str]:
        contents: list[types.Content] = [types.Content(role="user", parts=[types.Part(text=prompt(play))])]
        answers = self.ask(contents, tools=[TOOL], **options)
        parts = [part for answer in answers for part in answer.candidates[0].content.parts or []]
        contents.append(types.Content(role="model", parts=parts))
        results = []
        for call in (part.function_call for part in parts if part.function_call):
            result = types.Part.from_function_response(name=call.name, response={"output": weather(call.args["city"])})
            result.function_response.id = call.id
            results.append(result)
        contents.append(types.Content(role="user", parts=results))
        return parts, "".join(
            answer.text or "" for answer in self.ask(contents, tools=[TOOL], **{**options, **(then or {})})
        )

    def tools(self) -> None:
        parts, last = self.loop("tools")
        same((parts[0].text, parts[1].function_call.name), ("I will look.", "weather"))
        same(last, ANSWERS["tools"])

    def ended(self, play: str, *, streamed: bool = False) -> str:
        return self.loop(play, streamed=streamed)[1]

    def image(self) -> None:
        [answer] = self.ask([types.Part.from_bytes(data=PNG, mime_type="image/png"), prompt("image")])
        same(answer.text, IMAGE)

    def structured(self) -> None:
        config: Any = {"response_mime_type": "application/json", "response_schema": Place}
        same(self.ask(prompt("structured"), **config)[0].parsed, Place(city="Paris"))
        raw = {"response_mime_type": "application/json", "response_json_schema": Place.model_json_schema()}
        same(Place.model_validate_json(self.ask(prompt("structured"), **raw)[0].text), Place(city="Paris"))

    def thinking(self) -> None:
        thought = types.ThinkingConfig(include_thoughts=True, thinking_level=types.ThinkingLevel.HIGH)
        for streamed in (False, True):
            parts, last = self.loop("thinking", streamed=streamed, thinking_config=thought)
            same("".join(part.text or "" for part in parts if part.thought), THOUGHT)
            if self.upstream == "chat":  # its thoughts have no seal
                self.note_thought(last, None)
            else:
                same(last, ANSWERS["thinking"])

    def moved(self) -> None:
        thought = types.ThinkingConfig(include_thoughts=True, thinking_level=types.ThinkingLevel.HIGH)
        _, last = self.loop("moved", then={"model": self.model_after()}, thinking_config=thought)
        same(last, ANSWERS["moved"])

    def errors(self) -> None:
        for status, error in failures(lambda play: self.ask(prompt(play)), errors.APIError):
            same(error.code, status)

    def broken(self) -> None:
        for play in ("cut", "midfail"):
            try:
                pieces = self.ask(prompt(play), streamed=True)
            except Exception as error:  # of the SDK's or of its HTTP client
                if play == "midfail":
                    said(error)
                continue
            raise AssertionError(f"{play}: a clean end: {pieces[-1]}")

    def cancelled(self) -> None:
        run, asked = slow()
        sdk = sdk_of.__wrapped__(self.url)  # one of its own: only its end ends the stream
        stream = sdk.models.generate_content_stream(model=self.model, contents=asked)
        next(piece for piece in stream if piece.text)
        stream.close()
        sdk.close()
        self.left(run)


CLIENTS = (Google,)
