"""The real Envoy 1.40 asks the real binary: every mode, sizes from nothing to megabytes, streams, retries, failures.

Each line of docs/envoy.md that says what Envoy does has its check here. `check.py WORD...` runs those with such names.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

import httpx
import printed  # noqa: F401 - it adds checks of its own
from cases import (
    ANNA,
    CHECKS,
    DEFAULT,
    DUPLEX,
    ODD,
    OPEN,
    PROVE,
    REFUSED,
    STREAMED,
    check,
    in_chunks,
    of_size,
    routed,
    status,
)

from stage import PATIENCE, Stage, stage


class Upload:
    """A request whose body comes piece by piece."""

    def __init__(self, on: Stage, **fields: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", on.port, timeout=PATIENCE)
        self.connection.putrequest("POST", "/v1/chat/completions")
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        for name, value in {"content-type": "application/json", "transfer-encoding": "chunked", **named}.items():
            self.connection.putheader(name, value)
        self.connection.endheaders()

    def piece(self, body: bytes) -> None:
        """Sends a piece."""
        self.connection.send(f"{len(body):x}\r\n".encode() + body + b"\r\n")

    def end(self) -> int:
        """Ends the body, and returns the status of the answer."""
        self.connection.send(b"0\r\n\r\n")
        answer = self.connection.getresponse()
        answer.read()
        self.connection.close()
        return answer.status


@check
def header_route_body_and_length_change_together() -> None:
    with stage() as on:
        for body, upstream, model, path in [
            (ODD, on.small, "small-1", "/v1/chat/completions"),
            (PROVE, on.big, "big-1", "/api/v1/chat/completions"),
        ]:
            assert status(on, body) == 200
            got = upstream.next()
            assert got.body == routed(body, model), got.body
            assert got.fields["content-length"] == str(len(got.body)), "a length that is wrong is a 500"
            assert got.path == path
            assert not [name for name in got.fields if "pointsman" in name or "gateway-model" in name], got.fields


@check
def bodies_of_every_size_reach_their_model_byte_for_byte() -> None:
    for arguments in ([], DUPLEX):
        with stage(arguments) as on:
            for size in (0, 100, 65_535, 65_536, 65_537, 300_000, 1_048_577, 5_000_000):
                body = of_size(size)
                for sent in (body, in_chunks(body), in_chunks(body, 1_000_003)):
                    assert status(on, sent) == 200, (arguments, size)
                    assert on.small.next().body == routed(body), (arguments, size)


@check
def no_body_at_all_is_refused_and_no_prompt_reaches_an_upstream() -> None:
    for arguments in ([], DUPLEX):
        with stage(arguments) as on:
            assert status(on, b"") == 400
            assert on.small.requests.empty()


@check
def clients_of_http_2_are_served_as_those_of_http_1() -> None:
    for arguments in ([], DUPLEX):
        with stage(arguments) as on, httpx.Client(http1=False, http2=True, timeout=PATIENCE) as client:
            for size in (100, 70_000, 5_000_000):
                body = of_size(size)
                answer = client.post(f"http://127.0.0.1:{on.port}/v1/chat/completions", content=body)
                assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
                assert on.small.next().body == routed(body)


@check
def a_body_over_the_limit_is_refused() -> None:
    limited = {"config": lambda text: text.replace("drain_min: 0s", "drain_min: 0s, max_body_bytes: 1000000")}
    for arguments in ([], DUPLEX):
        with stage(arguments, **limited) as on:  # type: ignore[arg-type]
            assert status(on, of_size(999_000)) == 200
            on.small.next()
            assert status(on, of_size(3_000_000)) == 413, arguments
            assert status(on, in_chunks(of_size(3_000_000))) == 413, arguments
            assert on.small.requests.empty()


@check
def a_refusal_is_the_client_s_answer_and_the_access_log_says_why() -> None:
    for arguments in ([], DUPLEX):
        with stage(arguments) as on:
            answered, fields, body = on.send(REFUSED)
            assert (answered, fields["content-type"]) == (403, "application/json")
            assert json.loads(body)["error"]["message"] == "not today"
            assert fields["content-length"] == str(len(body))
            assert on.small.requests.empty()
            line = on.logged(fields["x-request-id"])
            assert str(line["details"]).startswith("pointsman_"), line
            assert line["pointsman"]["policy"] == "auto", line  # type: ignore[index]


@check
def an_error_is_in_the_words_of_the_client_s_api() -> None:
    with stage() as on:
        _, _, body = on.send(b"[]", path="/v1/messages")
        assert json.loads(body)["type"] == "error"


@check
def the_decision_is_in_the_metadata_for_access_logs() -> None:
    for arguments in ([], DUPLEX):
        with stage([*arguments, "--answers"]) as on:
            _, fields, _ = on.send(PROVE)
            told = on.logged(fields["x-request-id"])["pointsman"]
            wanted = {"model": "big", "policy": "auto", "reason": "rule", "rule": 1, "upstream_model": "big-1"}
            assert wanted.items() <= told.items(), told  # type: ignore[attr-defined]


@check
def what_asks_no_model_passes_as_it_is() -> None:
    for arguments in ([], ["--answers"], DUPLEX, [*DUPLEX, "--answers"]):
        with stage(arguments, sections=DEFAULT) as on:
            assert status(on, path="/v1/models", method="GET") == 200
            assert on.small.next().path == "/v1/models"
            large = b"y" * 5_000_000
            assert status(on, large, path="/v1/files") == 200, arguments
            assert on.small.next().body == large
            assert status(on, in_chunks(large), path="/v1/files") == 200, arguments
            assert on.small.next().body == large


@check
def what_asks_no_model_passes_where_modes_may_not_be_changed() -> None:
    for arguments in ([], DUPLEX, [*DUPLEX, "--answers"]):
        with stage(
            arguments, sections=DEFAULT, change=lambda text: text.replace("allow_mode_override: true", "")
        ) as on:
            large = b"y" * 700_000
            assert status(on, large, path="/v1/files") == 200, arguments
            assert on.small.next().body == large, arguments


@check
def modes_in_which_nobody_can_judge_pass_and_say_so() -> None:
    for mode in ("NONE", "STREAMED", "BUFFERED_PARTIAL"):
        with stage(sections=DEFAULT, change=with_usual_limit(mode)) as on:
            large = of_size(3_000_000)
            answered, _, _ = on.send(large)
            assert answered == 200, mode
            assert on.small.next().body == large, mode
            on.until('pointsman_ext_proc_requests_total{outcome="body_unseen"}', 1)
            on.until("pointsman_ext_proc_streams", 0)


def change_mode(mode: str) -> Callable[[str], str]:
    """Returns the change of a bootstrap to another mode."""
    return lambda text: text.replace("request_body_mode: BUFFERED", f"request_body_mode: {mode}")


def with_usual_limit(mode: str) -> Callable[[str], str]:
    """Returns the change to a mode with Envoy's own limit of bodies, 1 MiB."""
    return lambda text: change_mode(mode)(text).replace("request_body_buffer_limit: ", "# ")


@check
def a_body_over_envoy_s_own_limit_is_a_413_without_the_printed_one() -> None:
    with stage(sections=DEFAULT, change=with_usual_limit("BUFFERED")) as on:
        assert status(on, of_size(1_500_000)) == 413
        assert on.small.requests.empty()


@check
def a_server_s_limit_of_messages_below_envoy_s_limit_is_an_error_and_never_a_lost_body() -> None:
    for section, expected in (
        (", max_message_bytes: 100000", 500),
        (", max_message_bytes: 100000, failure: open", 200),
    ):
        with stage(section=section, sections=DEFAULT) as on:
            assert status(on, of_size(50_000)) == 200
            on.small.next()
            assert status(on, of_size(500_000)) == expected
            assert on.small.requests.empty() == (expected == 500)


@check
def a_small_body_in_the_partial_mode_is_judged() -> None:
    with stage(change=change_mode("BUFFERED_PARTIAL")) as on:
        assert status(on, PROVE) == 200
        assert on.big.next().body == routed(PROVE, "big-1")


@check
def streamed_bodies_are_judged_behind_a_buffer_filter() -> None:
    buffer = (
        "          - name: envoy.filters.http.buffer\n            typed_config: "
        '{"@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 8000000}\n'
        "          - name: envoy.filters.http.ext_proc"
    )

    def change(text: str) -> str:
        return change_mode("STREAMED")(text).replace("          - name: envoy.filters.http.ext_proc", buffer)

    with stage(section=", streamed_bodies: route", change=change) as on:
        for body in (PROVE, of_size(500_000).replace(b"xxxxxxx", b" prove ", 1)):
            assert status(on, body) == 200
            assert on.big.next().body == routed(body, "big-1")


@check
def a_compressed_body_is_judged_and_goes_on_plain() -> None:
    for arguments in ([], DUPLEX):
        with stage(arguments) as on:
            assert status(on, gzip.compress(PROVE), content_encoding="gzip") == 200
            got = on.big.next()
            assert got.body == routed(PROVE, "big-1") and "content-encoding" not in got.fields


@check
def a_stream_of_events_passes_as_it_comes_and_its_usage_is_counted() -> None:
    for arguments in (["--answers"], [*DUPLEX, "--answers"]):
        with stage(arguments) as on:
            connection = http.client.HTTPConnection("127.0.0.1", on.port, timeout=PATIENCE)
            fields = {"content-type": "application/json", "x-answer": "held"}
            connection.request("POST", "/v1/chat/completions", STREAMED, fields)
            answer = connection.getresponse()
            assert answer.headers["x-pointsman-model"] == "small"
            first = answer.readline()
            assert b"one" in first, "the first event waits for none after it"
            on.small.gate.set()
            rest = answer.read()
            connection.close()
            assert b"two" in rest and rest.endswith(b"data: [DONE]\n\n"), rest
            assert b"usage" not in rest, "the client has not asked for it"
            assert b'"include_usage":true' in on.small.next().body
            on.until('pointsman_tokens_total{direction="output",model="small"}', 9)
            on.until("pointsman_ext_proc_streams", 0)


@check
def a_stream_is_not_asked_for_its_usage_where_nobody_takes_it_out_again() -> None:
    with stage() as on:
        assert b"usage" in on.send(STREAMED, x_answer="sse")[2]
        assert on.small.next().body == routed(STREAMED)


@check
def a_whole_answer_s_usage_is_counted_and_large_answers_pass() -> None:
    for arguments in (["--answers"], [*DUPLEX, "--answers"]):
        with stage(arguments) as on:
            assert status(on, ODD) == 200
            on.until('pointsman_tokens_total{direction="output",model="small"}', 4)
            assert len(on.send(ODD, x_answer="large")[2]) == 2 << 20


@check
def no_stream_stays_open_for_a_completion_that_nobody_reads() -> None:
    with stage() as on:
        connection = http.client.HTTPConnection("127.0.0.1", on.port, timeout=PATIENCE)
        connection.request(
            "POST", "/v1/chat/completions", ODD, {"x-answer": "held", "content-type": "application/json"}
        )
        answer = connection.getresponse()
        on.until("pointsman_ext_proc_streams", 0)
        on.small.gate.set()
        assert answer.read().endswith(b"data: [DONE]\n\n")


@check
def a_client_that_leaves_ends_its_stream() -> None:
    for arguments in (["--answers"], [*DUPLEX, "--answers"]):
        with stage(arguments) as on:
            connection = http.client.HTTPConnection("127.0.0.1", on.port, timeout=PATIENCE)
            fields = {"x-answer": "held", "content-type": "application/json"}
            connection.request("POST", "/v1/chat/completions", STREAMED, fields)
            answer = connection.getresponse()
            answer.readline()
            on.until("pointsman_ext_proc_streams", 1)
            answer.close()
            connection.close()
            on.until("pointsman_ext_proc_streams", 0)
            on.small.gate.set()
            half = Upload(on)
            half.piece(ODD[:10])
            half.connection.close()
            on.until("pointsman_ext_proc_streams", 0)
            on.until("pointsman_request_body_bytes_in_flight", 0)


@check
def a_retry_sends_the_changed_body_again() -> None:
    retry = "timeout: 0s, retry_policy: {retry_on: 5xx, num_retries: 2}"
    for arguments in ([], DUPLEX):
        with stage(
            arguments, change=lambda text: text.replace("timeout: 0s, prefix_rewrite", f"{retry}, prefix_rewrite")
        ) as on:
            on.big.failures = 1
            assert status(on, PROVE) == 200
            assert [on.big.next().body for _ in range(2)] == [routed(PROVE, "big-1")] * 2
            assert on.metric('pointsman_ext_proc_requests_total{outcome="routed"}') == 1


@check
def a_budget_holds_for_envoy_s_requests_too() -> None:
    sections = ANNA + "budgets: [{name: daily, per: client, period: day, requests: 2}]"
    with stage(sections=sections) as on:
        assert status(on, ODD) == 401
        answers = [on.send(ODD, authorization="Bearer anna") for _ in range(3)]
        assert [answer[0] for answer in answers] == [200, 200, 429]
        assert int(answers[2][1]["retry-after"]) > 0
        assert on.small.next().fields["authorization"] == "Bearer sk-of-one"


@check
def a_server_that_is_away_is_passed_over_or_an_error_as_configured() -> None:
    for section, expected in (("", 500), (OPEN, 200)):
        with stage(section=section, sections=DEFAULT) as on:
            assert on.server
            on.server.end(signal.SIGKILL)
            answered = status(on, ODD)
            assert answered == expected or (expected == 500 and answered >= 500), answered
            if expected == 200:
                assert on.small.next().body == ODD, "as it came"
            on.restart()
            on.until_healthy()
            assert status(on, PROVE) == 200
            assert on.big.next().body == routed(PROVE, "big-1")


@check
def full_duplex_fails_closed_whatever_is_configured() -> None:
    with stage(DUPLEX, section=OPEN, sections=DEFAULT) as on:
        assert on.server
        on.server.end(signal.SIGKILL)
        assert status(on, ODD) >= 500
        assert on.small.requests.empty()


@check
def a_server_that_dies_amid_a_body_never_sends_an_empty_one_upstream() -> None:
    for arguments, section, passes in (([], OPEN, True), ([], "", False), (DUPLEX, OPEN, False)):
        with stage(arguments, section=section, sections=DEFAULT) as on:
            upload = Upload(on)
            upload.piece(ODD[:20])
            on.until("pointsman_ext_proc_streams", 1)
            assert on.server
            on.server.end(signal.SIGKILL)
            try:
                upload.piece(ODD[20:])
                answered = upload.end()
            except (ConnectionError, http.client.HTTPException):
                answered = 500  # Envoy answered before the body was there
            assert (answered == 200) == passes, (arguments, section, answered)
            if passes:
                assert on.small.next().body == ODD
            else:
                assert on.small.requests.empty()


@check
def a_server_that_is_slow_is_given_up_within_the_timeout() -> None:
    for section, passes in (("", False), (OPEN, True)):
        with stage(
            section=section,
            sections=DEFAULT,
            change=lambda text: text.replace("message_timeout: 30s", "message_timeout: 1s"),
        ) as on:
            assert status(on, ODD) == 200
            on.small.next()
            assert on.server
            on.server.child.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, on.server.child.pid, os.WSTOPPED)  # every thread of it stands
            try:
                began = time.monotonic()
                answered = status(on, PROVE)
                assert time.monotonic() - began < 30
            finally:
                on.server.child.send_signal(signal.SIGCONT)
            assert answered == (200 if passes else 504), answered


@check
def a_shutdown_answers_what_is_open_and_health_checks_lead_elsewhere() -> None:
    for arguments in ([], DUPLEX):
        with stage(arguments, sections=DEFAULT) as on:
            upload = Upload(on)
            upload.piece(PROVE[:20])
            on.until("pointsman_ext_proc_streams", 1)
            assert on.server
            on.server.child.send_signal(signal.SIGTERM)
            on.server.line(lambda line: "Draining" in line)
            upload.piece(PROVE[20:])
            assert upload.end() == 200
            assert on.big.next().body == routed(PROVE, "big-1")
            assert on.server.child.wait(PATIENCE) == 0
            on.until_healthy(False)


@check
def a_hundred_requests_at_once_are_each_their_own() -> None:
    for arguments in ([], DUPLEX, ["--answers"]):
        with stage(arguments) as on:
            failures: list[object] = []

            def ask(index: int, on: Stage = on, failures: list[object] = failures) -> None:
                word = "prove" if index % 2 else "hello"
                text = (
                    f'{{"model":"auto","messages":[{{"role":"user","content":"{word} {index} {"z" * index * 900}"}}]}}'
                )
                if status(on, text.encode()) != 200:
                    failures.append(index)

            threads = [threading.Thread(target=ask, args=(index,)) for index in range(100)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(PATIENCE)
            assert not failures, failures
            for upstream, word, model in ((on.small, b"hello", b"small-1"), (on.big, b"prove", b"big-1")):
                got = [upstream.next().body for _ in range(50)]
                assert all(word in body and model in body for body in got)
            on.until("pointsman_ext_proc_streams", 0)


def main() -> None:
    words = sys.argv[1:]
    chosen = [one for one in CHECKS if not words or any(word in one.__name__ for word in words)]
    failed = []
    for one in chosen:
        began = time.monotonic()
        try:
            one()
            outcome = "ok"
        except Exception as error:
            failed.append(one.__name__)
            outcome = f"FAILED: {type(error).__name__}: {error}"
        print(f"{time.monotonic() - began:6.1f} s  {one.__name__}: {outcome}", flush=True)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
