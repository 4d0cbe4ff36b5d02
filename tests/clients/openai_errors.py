"""The errors of the openai SDK when something goes wrong at the proxy or behind it: `make clients` runs this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai

from gateway import caught, client_keys, closed_port, run
from openai_python import EASY, sdk
from upstream import Upstream

KEYS = client_keys(team=("pk-team", ""), hasty=("pk-hasty", ", rate_limit: {requests_per_minute: 1}"))


def ask(url: str, **options: Any) -> Callable[[], Any]:
    """Returns a call that asks for a completion."""
    arguments = {"model": "auto", "messages": EASY, **options}
    return lambda: sdk(url).chat.completions.create(**arguments)


def a_body_that_the_proxy_cannot_read_is_a_bad_request_error(url: str, _: Upstream) -> None:
    error = caught(openai.BadRequestError, ask(url, extra_body={"model": 7}))

    assert (error.code, error.param) == ("model_not_a_string", "model"), error.body


def a_body_that_the_upstream_refuses_is_a_bad_request_error(url: str, upstream: Upstream) -> None:
    error = caught(openai.BadRequestError, ask(url, user="picky"))

    upstream.request()
    assert error.code == "string_above_max_length", error.body


def an_unknown_model_is_a_not_found_error(url: str, _: Upstream) -> None:
    error = caught(openai.NotFoundError, ask(url, model="gpt-9"))

    assert (error.code, error.param, error.type) == ("model_not_found", "model", "invalid_request_error"), error.body


def an_unknown_model_is_not_found_in_the_list(url: str, _: Upstream) -> None:
    error = caught(openai.NotFoundError, lambda: sdk(url).models.retrieve("gpt-9"))

    assert error.code == "model_not_found", error.body


def an_upstream_s_rate_limit_is_a_rate_limit_error(url: str, upstream: Upstream) -> None:
    error = caught(openai.RateLimitError, ask(url, user="busy"))

    upstream.request()
    assert error.code == "rate_limit_exceeded", error.body
    assert error.response.headers["retry-after"] == "7"


def an_upstream_s_failure_is_an_internal_server_error(url: str, upstream: Upstream) -> None:
    for user, status in [("failing", 500), ("overloaded", 503)]:
        error = caught(openai.InternalServerError, ask(url, user=user))

        upstream.request()
        assert error.status_code == status, error
        assert "the upstream says" in error.message, error.body


def an_upstream_that_is_gone_is_an_internal_server_error(url: str, _: Upstream) -> None:
    error = caught(openai.InternalServerError, ask(url, model="gone"))

    assert (error.status_code, error.code, error.type) == (502, "upstream_unreachable", "server_error"), error.body


def an_upstream_that_is_late_is_an_internal_server_error(url: str, upstream: Upstream) -> None:
    error = caught(openai.InternalServerError, ask(url, model="late", user="silent"))

    upstream.request()
    assert (error.status_code, error.code) == (504, "upstream_timeout"), error.body
    assert upstream.saw_the_client_leave()


def a_client_that_does_not_wait_gets_its_timeout_and_the_upstream_s_work_ends(url: str, upstream: Upstream) -> None:
    impatient = sdk(url, timeout=2).chat.completions
    caught(openai.APITimeoutError, lambda: impatient.create(model="auto", messages=EASY, user="silent"))

    upstream.request()
    assert upstream.saw_the_client_leave()


def a_stream_that_is_closed_ends_the_upstream_s_work(url: str, upstream: Upstream) -> None:
    with ask(url, stream=True, user="endless")() as stream:
        next(stream)

    upstream.request()
    assert upstream.saw_the_client_leave()


def a_stream_that_the_upstream_cuts_is_an_api_error(url: str, upstream: Upstream) -> None:
    events = ask(url, stream=True, user="broken")()
    error = caught(openai.APIError, lambda: list(events))

    upstream.request()
    assert error.code == "upstream_error", error.body


def a_response_that_the_upstream_cuts_fails_under_its_own_id(url: str, upstream: Upstream) -> None:
    events = list(sdk(url).responses.create(model="auto", input="hi", stream=True, user="broken"))

    upstream.request()
    assert (events[0].type, events[-1].type) == ("response.created", "response.failed"), events
    failed = events[-1].response
    assert (failed.id, failed.status, failed.error.code) == (events[0].response.id, "failed", "upstream_error"), failed
    assert events[-1].sequence_number == len(events) - 1, events


def an_answer_that_the_upstream_cuts_is_an_internal_server_error(url: str, upstream: Upstream) -> None:
    error = caught(openai.InternalServerError, ask(url, user="broken"))

    upstream.request()
    assert (error.status_code, error.code) == (502, "upstream_error"), error.body


def a_proxy_that_is_not_there_is_a_connection_error(_: str, __: Upstream) -> None:
    caught(openai.APIConnectionError, ask(f"http://127.0.0.1:{closed_port()}"))


def a_known_key_is_let_in_and_goes_no_further(url: str, upstream: Upstream) -> None:
    sdk(url, "pk-team").chat.completions.create(model="auto", messages=EASY)

    assert "authorization" not in upstream.request()["headers"]


def an_unknown_key_is_an_authentication_error(url: str, _: Upstream) -> None:
    for call in (ask(url), sdk(url).models.list):
        error = caught(openai.AuthenticationError, call)

        assert error.code == "invalid_api_key", error.body


def a_client_s_own_rate_limit_is_a_rate_limit_error(url: str, upstream: Upstream) -> None:
    completions = sdk(url, "pk-hasty").chat.completions
    first = completions.with_raw_response.create(model="auto", messages=EASY)
    error = caught(openai.RateLimitError, lambda: completions.create(model="auto", messages=EASY))

    upstream.request()
    assert first.headers["x-ratelimit-remaining-requests"] == "0", first.headers
    assert error.code == "rate_limit_exceeded", error.body
    assert 1 <= int(error.response.headers["retry-after"]) <= 60


if __name__ == "__main__":
    run([
        a_body_that_the_proxy_cannot_read_is_a_bad_request_error,
        a_body_that_the_upstream_refuses_is_a_bad_request_error,
        an_unknown_model_is_a_not_found_error,
        an_unknown_model_is_not_found_in_the_list,
        an_upstream_s_rate_limit_is_a_rate_limit_error,
        an_upstream_s_failure_is_an_internal_server_error,
        an_upstream_that_is_gone_is_an_internal_server_error,
        an_upstream_that_is_late_is_an_internal_server_error,
        a_client_that_does_not_wait_gets_its_timeout_and_the_upstream_s_work_ends,
        a_stream_that_is_closed_ends_the_upstream_s_work,
        a_stream_that_the_upstream_cuts_is_an_api_error,
        a_response_that_the_upstream_cuts_fails_under_its_own_id,
        an_answer_that_the_upstream_cuts_is_an_internal_server_error,
        a_proxy_that_is_not_there_is_a_connection_error,
    ])  # fmt: skip
    run(
        [
            a_known_key_is_let_in_and_goes_no_further,
            an_unknown_key_is_an_authentication_error,
            a_client_s_own_rate_limit_is_a_rate_limit_error,
        ],
        sections=KEYS,
        credential="none",
    )
