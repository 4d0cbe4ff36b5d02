"""The openai SDK through the proxy, call by call: `make clients` runs this."""

from __future__ import annotations

import json
from typing import Any

import openai
import pydantic

from gateway import run
from upstream import Upstream
from wire import JsonObject

EASY = [{"role": "user", "content": "What is the capital of France?"}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)


class Place(pydantic.BaseModel):
    """A place, as structured output is to describe it."""

    city: str


def sdk(url: str, key: str = "sk-of-the-client", **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, **{"max_retries": 0, "timeout": 30, **options})


def was_routed(request: JsonObject, path: str) -> None:
    assert request["path"] == path, request["path"]
    assert request["body"]["model"] in ("small-1", "frontier-1"), request["body"]


def a_completion_is_answered_by_the_chosen_model(url: str, upstream: Upstream) -> None:
    raw = sdk(url).chat.completions.with_raw_response.create(model="auto", messages=EASY, temperature=0.2)

    answer, request = raw.parse(), upstream.request()
    chosen = raw.headers["x-pointsman-model"]
    assert chosen in ("small", "frontier"), chosen
    assert raw.headers["x-pointsman-reason"] in ("tier", "low_confidence"), raw.headers["x-pointsman-reason"]
    assert request["body"] == {"messages": EASY, "model": f"{chosen}-1", "temperature": 0.2}, request["body"]
    assert request["headers"]["authorization"] == "Bearer sk-of-the-client"
    assert answer.choices[0].message.content == f"by {chosen}-1"
    assert answer.usage and answer.usage.total_tokens == 7
    assert answer._request_id == raw.headers["x-pointsman-request-id"]


def a_stream_arrives_event_by_event(url: str, upstream: Upstream) -> None:
    words = []
    for event in sdk(url).chat.completions.create(model="auto", messages=EASY, stream=True, user="paused"):
        upstream.first_event_seen.set()  # only now the upstream goes on
        words.append(event.choices[0].delta.content or "")

    was_routed(upstream.request(), "/v1/chat/completions")
    assert "".join(words) in ("by small-1", "by frontier-1"), words


def usage_comes_last_in_a_stream_that_asks_for_it(url: str, upstream: Upstream) -> None:
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    events = list(sdk(url).chat.completions.create(model="auto", messages=EASY, **asked))

    was_routed(upstream.request(), "/v1/chat/completions")
    assert events[-1].choices == [] and events[-1].usage.total_tokens == 7, events[-1]


def a_legacy_completion_is_answered(url: str, upstream: Upstream) -> None:
    answer = sdk(url).completions.create(model="auto", prompt="The capital of France is")

    was_routed(upstream.request(), "/v1/completions")
    assert answer.choices[0].text in ("by small-1", "by frontier-1"), answer


def tools_are_called(url: str, upstream: Upstream) -> None:
    answer = sdk(url).chat.completions.create(model="auto", messages=EASY, tools=[WEATHER])

    assert upstream.request()["body"]["tools"] == [WEATHER]
    [call] = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Paris"}), call


def tool_calls_stream(url: str, upstream: Upstream) -> None:
    with sdk(url).chat.completions.stream(model="auto", messages=EASY, tools=[WEATHER]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]

    was_routed(upstream.request(), "/v1/chat/completions")
    assert [json.loads(event.arguments) for event in done] == [{"city": "Paris"}], done
    assert stream.get_final_completion().choices[0].message.tool_calls[0].function.name == "weather"


def structured_output_is_parsed(url: str, upstream: Upstream) -> None:
    answer = sdk(url).chat.completions.parse(model="auto", messages=EASY, response_format=Place)

    assert upstream.request()["body"]["response_format"]["json_schema"]["name"] == "Place"
    assert answer.choices[0].message.parsed == Place(city="Paris")


def a_response_is_answered(url: str, upstream: Upstream) -> None:
    answer = sdk(url).responses.create(model="auto", input="What is the capital of France?")

    was_routed(upstream.request(), "/v1/responses")
    assert answer.output_text in ("by small-1", "by frontier-1"), answer.output_text
    assert answer.usage and answer.usage.total_tokens == 7


def a_response_streams(url: str, upstream: Upstream) -> None:
    events = []
    for event in sdk(url).responses.create(model="auto", input="hi", stream=True, user="paused"):
        upstream.first_event_seen.set()
        events.append(event)

    was_routed(upstream.request(), "/v1/responses")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == text in ("by small-1", "by frontier-1"), text


def a_response_is_parsed(url: str, upstream: Upstream) -> None:
    answer = sdk(url).responses.parse(model="auto", input="Where is the Louvre?", text_format=Place)

    was_routed(upstream.request(), "/v1/responses")
    assert answer.output_parsed == Place(city="Paris")


def embeddings_are_answered(url: str, upstream: Upstream) -> None:
    answer = sdk(url).embeddings.create(model="auto", input=["one", "two"], encoding_format="float")

    was_routed(upstream.request(), "/v1/embeddings")
    assert answer.data[0].embedding == [0.5, -0.5]


def an_image_arrives_byte_for_byte_but_for_the_model(url: str, upstream: Upstream) -> None:
    sent = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [lambda request: sent.append(request.read())]})
    image = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}
    turn = {"role": "user", "content": [{"type": "text", "text": "Was ist das? \N{FACE WITH MONOCLE}"}, image]}
    with http:
        sdk(url, http_client=http).chat.completions.create(model="auto", messages=[turn])

    request = upstream.request()
    was_routed(request, "/v1/chat/completions")
    model = json.dumps(request["body"]["model"]).encode()
    assert sent[0].count(b'"auto"') == 1
    assert request["raw"] == sent[0].replace(b'"auto"', model), request["raw"]


def models_are_listed(url: str, _: Upstream) -> None:
    models = sdk(url).models

    assert [model.id for model in models.list()] == ["gone", "late", "auto", "frontier", "small"], models.list()
    assert models.retrieve("auto").owned_by == "pointsman"


if __name__ == "__main__":
    run([
        a_completion_is_answered_by_the_chosen_model,
        a_stream_arrives_event_by_event,
        usage_comes_last_in_a_stream_that_asks_for_it,
        a_legacy_completion_is_answered,
        tools_are_called,
        tool_calls_stream,
        structured_output_is_parsed,
        a_response_is_answered,
        a_response_streams,
        a_response_is_parsed,
        embeddings_are_answered,
        an_image_arrives_byte_for_byte_but_for_the_model,
        models_are_listed,
    ])  # fmt: skip
