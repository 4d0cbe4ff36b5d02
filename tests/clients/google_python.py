"""The google-genai SDK through the proxy, by the name of a virtual model: `make clients` runs this."""

from __future__ import annotations

import functools
from typing import Any

from google import genai
from google.genai import errors, types

from gateway import caught, client_keys, run
from upstream import Upstream

EASY = "What is the capital of France?"
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            parameters=types.Schema(type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}),
        )
    ]
)
BY_MODEL = ("by small-1", "by frontier-1")


@functools.cache  # a client that nobody holds closes its connections
def sdk(url: str, key: str = "sk-of-the-client") -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url, timeout=30_000))


def config(**options: Any) -> types.GenerateContentConfig:
    off = types.AutomaticFunctionCallingConfig(disable=True)
    return types.GenerateContentConfig(automatic_function_calling=off, **options)


def contents_are_answered_by_the_chosen_model(url: str, upstream: Upstream) -> None:
    answer = sdk(url).models.generate_content(model="auto", contents=EASY, config=config(temperature=0.5))

    request = upstream.request()
    assert request["path"] in (f"/v1/models/{name}-1:generateContent" for name in ("small", "frontier")), request
    assert request["body"]["contents"] == [{"parts": [{"text": EASY}], "role": "user"}], request["body"]
    assert request["body"]["generationConfig"] == {"temperature": 0.5} and "model" not in request["body"], request[
        "body"
    ]
    assert answer.text in BY_MODEL, answer
    assert answer.usage_metadata and answer.usage_metadata.candidates_token_count == 2


def contents_stream_chunk_by_chunk(url: str, upstream: Upstream) -> None:
    chunks = list(sdk(url).models.generate_content_stream(model="auto", contents=EASY))

    assert upstream.request()["path"].endswith("-1:streamGenerateContent?alt=sse")
    assert len(chunks) == 2 and "".join(chunk.text or "" for chunk in chunks) in BY_MODEL, chunks


def functions_are_called_and_stream(url: str, upstream: Upstream) -> None:
    models = sdk(url).models
    answer = models.generate_content(model="auto", contents=EASY, config=config(tools=[WEATHER]))
    upstream.request()
    chunks = list(models.generate_content_stream(model="auto", contents=EASY, config=config(tools=[WEATHER])))
    upstream.request()

    for reply in (answer, chunks[-1]):
        assert reply.function_calls, reply
        call = reply.function_calls[0]
        assert (call.name, call.args) == ("weather", {"city": "Paris"}), reply


def tokens_are_counted(url: str, upstream: Upstream) -> None:
    count = sdk(url).models.count_tokens(model="auto", contents=EASY)

    assert upstream.request()["path"].endswith("-1:countTokens")
    assert count.total_tokens == 5


def models_are_listed(url: str, _: Upstream) -> None:
    names = [model.name for model in sdk(url).models.list()]
    assert names == [f"models/{name}" for name in ("gone", "late", "auto", "frontier", "small")], names
    assert sdk(url).models.get(model="auto").display_name == "auto"


def an_unknown_model_is_a_client_error(url: str, _: Upstream) -> None:
    error = caught(errors.ClientError, lambda: sdk(url).models.generate_content(model="gemini-next", contents=EASY))

    assert (error.code, error.status) == (404, "NOT_FOUND"), error
    assert "gemini-next" in str(error.message), error


def an_upstream_that_is_gone_is_a_server_error(url: str, _: Upstream) -> None:
    error = caught(errors.ServerError, lambda: sdk(url).models.generate_content(model="gone", contents=EASY))

    assert (error.code, error.status) == (502, "UNAVAILABLE"), error


def a_key_is_needed_and_does_not_go_upstream(url: str, upstream: Upstream) -> None:
    sdk(url, "pk-of-the-team").models.generate_content(model="auto", contents=EASY)
    request = upstream.request()
    error = caught(errors.ClientError, lambda: sdk(url, "pk-2").models.generate_content(model="auto", contents=EASY))

    assert "x-goog-api-key" not in request["headers"] and "key=" not in request["path"], request
    assert (error.code, error.status) == (401, "UNAUTHENTICATED"), error


if __name__ == "__main__":
    run(
        [
            contents_are_answered_by_the_chosen_model,
            contents_stream_chunk_by_chunk,
            functions_are_called_and_stream,
            tokens_are_counted,
            models_are_listed,
            an_unknown_model_is_a_client_error,
            an_upstream_that_is_gone_is_a_server_error,
        ]
    )
    run(
        [a_key_is_needed_and_does_not_go_upstream],
        client_keys(team=("pk-of-the-team", "")),
        credential="none",
    )
