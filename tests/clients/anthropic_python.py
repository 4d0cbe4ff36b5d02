"""The anthropic SDK through the proxy, by the name of a virtual model: `make clients` runs this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anthropic

from gateway import caught, client_keys, closed_port, run
from upstream import Upstream

EASY = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
BY_MODEL = ("by small-1", "by frontier-1")


def sdk(url: str, key: str = "sk-of-the-client", **options: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key=key, **{"max_retries": 0, "timeout": 30, **options})


def ask(url: str, user: str | None = None, **options: Any) -> Callable[[], Any]:
    """Returns a call that asks for a message."""
    metadata = {"metadata": {"user_id": user}} if user else {}
    arguments = {"model": "auto", "max_tokens": 64, "messages": EASY, **metadata, **options}
    return lambda: sdk(url).messages.create(**arguments)


def a_message_is_answered_by_the_chosen_model(url: str, upstream: Upstream) -> None:
    answer = ask(url, system="Be brief.")()

    request = upstream.request()
    chosen = request["body"]["model"]
    assert request["path"] == "/v1/messages", request["path"]
    assert request["body"] == {"max_tokens": 64, "messages": EASY, "model": chosen, "system": "Be brief."}, request[
        "body"
    ]
    assert request["headers"]["anthropic-version"]
    assert answer.content[0].text == f"by {chosen}" and f"by {chosen}" in BY_MODEL, answer
    assert answer.usage.output_tokens == 2


def a_message_streams_event_by_event(url: str, upstream: Upstream) -> None:
    names = []
    for event in ask(url, "paused", stream=True)():
        upstream.first_event_seen.set()  # only now the upstream goes on
        names.append(event.type)

    upstream.request()
    assert (names[0], names[-1]) == ("message_start", "message_stop"), names


def a_streamed_message_is_put_together(url: str, upstream: Upstream) -> None:
    with sdk(url).messages.stream(model="auto", max_tokens=64, messages=EASY) as stream:
        text = "".join(stream.text_stream)

    upstream.request()
    assert text == stream.get_final_text() and text in BY_MODEL, text
    assert stream.get_final_message().usage.output_tokens == 2


def tools_are_called_and_stream(url: str, upstream: Upstream) -> None:
    answer = ask(url, tools=[WEATHER])()
    upstream.request()
    with sdk(url).messages.stream(model="auto", max_tokens=64, messages=EASY, tools=[WEATHER]) as stream:
        streamed = stream.get_final_message()
    upstream.request()

    for message in (answer, streamed):
        assert message.stop_reason == "tool_use", message
        assert (message.content[0].name, message.content[0].input) == ("weather", {"city": "Paris"}), message


def tokens_are_counted(url: str, upstream: Upstream) -> None:
    count = sdk(url).messages.count_tokens(model="auto", messages=EASY)

    request = upstream.request()
    assert request["path"] == "/v1/messages/count_tokens", request["path"]
    assert request["body"]["model"] in ("small-1", "frontier-1"), request["body"]
    assert count.input_tokens == 5


def beta_calls_are_routed_with_their_header_and_query(url: str, upstream: Upstream) -> None:
    options = {"model": "auto", "max_tokens": 64, "messages": EASY}
    answer = sdk(url).beta.messages.create(**options, betas=["some-beta"], extra_query={"beta": "true"})
    request = upstream.request()

    assert answer.content[0].text in BY_MODEL, answer
    assert (request["path"], request["headers"]["anthropic-beta"]) == ("/v1/messages?beta=true", "some-beta"), request


def models_are_listed(url: str, _: Upstream) -> None:
    assert [model.id for model in sdk(url).models.list()] == ["gone", "late", "auto", "frontier", "small"]
    assert sdk(url).models.retrieve("auto").display_name == "auto"


def an_unreadable_body_is_a_bad_request_error(url: str, _: Upstream) -> None:
    error = caught(anthropic.BadRequestError, ask(url, extra_body={"model": 7}))

    assert (error.body["type"], error.type) == ("error", "invalid_request_error"), error.body
    assert error.body["error"]["code"] == "model_not_a_string", error.body


def an_unknown_model_is_a_not_found_error(url: str, _: Upstream) -> None:
    error = caught(anthropic.NotFoundError, ask(url, model="claude-next"))

    assert error.type == "not_found_error", error.body


def an_upstream_s_errors_are_the_sdk_s(url: str, upstream: Upstream) -> None:
    failures = {
        "picky": (anthropic.BadRequestError, "invalid_request_error"),
        "busy": (anthropic.RateLimitError, "rate_limit_error"),
        "failing": (anthropic.InternalServerError, "api_error"),
        "crowded": (anthropic.OverloadedError, "overloaded_error"),
    }
    for user, (kind, name) in failures.items():
        error = caught(kind, ask(url, user))

        upstream.request()
        assert error.type == name, error.body
        assert error.response.headers.get("retry-after") == ("7" if user == "busy" else None)


def an_upstream_that_is_gone_is_an_internal_server_error(url: str, _: Upstream) -> None:
    error = caught(anthropic.InternalServerError, ask(url, model="gone"))

    assert (error.status_code, error.type) == (502, "api_error"), error.body


def an_upstream_that_is_late_is_a_timeout_error(url: str, upstream: Upstream) -> None:
    error = caught(anthropic.GatewayTimeoutError, ask(url, "silent", model="late"))

    upstream.request()
    assert error.type == "timeout_error", error.body
    assert upstream.saw_the_client_leave()


def a_client_that_does_not_wait_gets_its_timeout(url: str, upstream: Upstream) -> None:
    caught(anthropic.APITimeoutError, ask(url, "silent", timeout=2))

    upstream.request()
    assert upstream.saw_the_client_leave()


def a_stream_that_is_closed_ends_the_upstream_s_work(url: str, upstream: Upstream) -> None:
    with ask(url, "endless", stream=True)() as stream:
        next(iter(stream))

    upstream.request()
    assert upstream.saw_the_client_leave()


def a_stream_that_the_upstream_cuts_is_an_api_status_error(url: str, upstream: Upstream) -> None:
    events = ask(url, "broken", stream=True)()
    try:
        list(events)
        raise AssertionError("no error")
    except anthropic.APIStatusError as error:
        assert error.body["error"]["type"] == "api_error", error.body

    upstream.request()


def a_proxy_that_is_not_there_is_a_connection_error(_: str, __: Upstream) -> None:
    caught(anthropic.APIConnectionError, ask(f"http://127.0.0.1:{closed_port()}"))


def a_known_key_is_let_in_and_goes_no_further(url: str, upstream: Upstream) -> None:
    sdk(url, "pk-team").messages.create(model="auto", max_tokens=64, messages=EASY)

    assert not {"authorization", "x-api-key"} & upstream.request()["headers"].keys()


def an_unknown_key_is_an_authentication_error(url: str, _: Upstream) -> None:
    error = caught(anthropic.AuthenticationError, ask(url))

    assert error.type == "authentication_error", error.body


def a_message_that_no_policy_is_for_passes_untouched(url: str, upstream: Upstream) -> None:
    sent = []
    http = anthropic.DefaultHttpxClient(event_hooks={"request": [lambda request: sent.append(request.read())]})
    with http:
        sdk(url, http_client=http).messages.create(model="claude-next", max_tokens=64, messages=EASY)

    request = upstream.request()
    assert request["raw"] == sent[0], request["raw"]
    assert request["headers"]["authorization"] == "Bearer sk-of-the-client", (
        "the default provider takes the client's key"
    )


if __name__ == "__main__":
    run([
        a_message_is_answered_by_the_chosen_model,
        a_message_streams_event_by_event,
        a_streamed_message_is_put_together,
        tools_are_called_and_stream,
        tokens_are_counted,
        beta_calls_are_routed_with_their_header_and_query,
        models_are_listed,
        an_unreadable_body_is_a_bad_request_error,
        an_unknown_model_is_a_not_found_error,
        an_upstream_s_errors_are_the_sdk_s,
        an_upstream_that_is_gone_is_an_internal_server_error,
        an_upstream_that_is_late_is_a_timeout_error,
        a_client_that_does_not_wait_gets_its_timeout,
        a_stream_that_is_closed_ends_the_upstream_s_work,
        a_stream_that_the_upstream_cuts_is_an_api_status_error,
        a_proxy_that_is_not_there_is_a_connection_error,
    ])  # fmt: skip
    run(
        [a_known_key_is_let_in_and_goes_no_further, an_unknown_key_is_an_authentication_error],
        sections=client_keys(team=("pk-team", "")),
        credential="none",
    )
    run([a_message_that_no_policy_is_for_passes_untouched], sections="default_provider: upstream")
