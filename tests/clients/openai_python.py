"""The openai SDK against the proxy: `make clients` runs this."""

from __future__ import annotations

import openai
from gateway import Upstream, run

EASY = [{"role": "user", "content": "What is the capital of France?"}]


def sdk(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="sk-of-the-client", max_retries=0, timeout=30)


def a_completion_is_answered_by_the_chosen_model(url: str, upstream: Upstream) -> None:
    raw = sdk(url).chat.completions.with_raw_response.create(model="auto", messages=EASY, temperature=0.2)

    answer, request = raw.parse(), upstream.requests.get_nowait()
    chosen = raw.headers["x-pointsman-model"]
    assert chosen in ("small", "frontier"), chosen
    assert raw.headers["x-pointsman-reason"] in ("tier", "low_confidence"), raw.headers["x-pointsman-reason"]
    assert request["body"] == {"messages": EASY, "model": f"{chosen}-1", "temperature": 0.2}, request["body"]
    assert request["headers"]["authorization"] == "Bearer sk-of-the-client"
    assert answer.choices[0].message.content == f"by {chosen}-1"
    assert answer.usage and answer.usage.total_tokens == 7


def a_stream_arrives_event_by_event(url: str, upstream: Upstream) -> None:
    upstream.first_event_seen.clear()
    words = []
    for event in sdk(url).chat.completions.create(model="auto", messages=EASY, stream=True):
        upstream.first_event_seen.set()  # only now the upstream goes on
        words.append(event.choices[0].delta.content or "")

    upstream.requests.get_nowait()
    assert "".join(words) in ("by small-1", "by frontier-1"), words


def an_unknown_model_is_a_not_found_error(url: str, _: Upstream) -> None:
    error = caught(openai.NotFoundError, lambda: sdk(url).chat.completions.create(model="gpt-9", messages=EASY))

    assert (error.code, error.param, error.type) == ("model_not_found", "model", "invalid_request_error"), error.body


def a_bad_request_is_a_bad_request_error(url: str, _: Upstream) -> None:
    completions = sdk(url).chat.completions
    error = caught(openai.BadRequestError, lambda: completions.create(model="auto", messages=EASY, extra_body={"model": 7}))

    assert (error.code, error.param) == ("model_not_a_string", "model"), error.body


def an_upstream_that_is_gone_is_a_server_error(url: str, _: Upstream) -> None:
    error = caught(openai.InternalServerError, lambda: sdk(url).chat.completions.create(model="gone", messages=EASY))

    assert (error.status_code, error.code) == (502, "upstream_unreachable"), error.body


def an_upstream_s_rate_limit_is_a_rate_limit_error(url: str, upstream: Upstream) -> None:
    error = caught(openai.RateLimitError, lambda: sdk(url).chat.completions.create(model="auto", messages=EASY, user="busy"))

    upstream.requests.get_nowait()
    assert error.code == "rate_limit_exceeded", error.body
    assert error.response.headers["retry-after"] == "1"


def caught(kind: type[openai.APIStatusError], call) -> openai.APIStatusError:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


if __name__ == "__main__":
    run([
        a_completion_is_answered_by_the_chosen_model,
        a_stream_arrives_event_by_event,
        an_unknown_model_is_a_not_found_error,
        a_bad_request_is_a_bad_request_error,
        an_upstream_that_is_gone_is_a_server_error,
        an_upstream_s_rate_limit_is_a_rate_limit_error,
    ])  # fmt: skip
