"""OpenAI's own SDK asks for typed decisions: of heads, of a judge, and through a second Pointsman.

`make clients-inference` runs this against the real binary, with the committed bundle and a scripted judge.
"""

from __future__ import annotations

import http.server
import json
import pathlib
import re
import sys
import threading
from collections.abc import Sequence
from string import Template
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import openai
from openai.types.decision import Decision

from gateway import CONFIG, caught, client_keys, launched

LISTEN = "listen: {address: 127.0.0.1:0}"
QUESTIONS = Template(CONFIG.template.replace(LISTEN, "listen: {address: 127.0.0.1:0, decisions: true}"))
TEXT = "Prove that the square root of 2 is irrational."
TIERS = ["simple", "medium", "complex"]

JUDGED = """\
decisions:
  gpt-6-luna: {classifier: default, judge: small}
  judged: {judge: small}
  late: {judge: late}
  gone: {judge: gone}
"""


class Judge(http.server.ThreadingHTTPServer):
    """A model that finds the first option of each question likelier than all others, and declines where told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), JudgeHandler)
        self.bodies: list[dict[str, Any]] = []
        self.text: str | None = None
        self.status = 200


class JudgeHandler(http.server.BaseHTTPRequestHandler):
    """Answers chat completions with estimates."""

    server: Judge

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.bodies.append(body)
        if body["model"] == "late-1":
            threading.Event().wait(5)
        user = body["messages"][1]["content"]
        questions = json.loads(user[user.index("Questions:\n") + len("Questions:\n") :])
        answers = [
            {
                "question": question["question"],
                "declined": "decline" in question["instructions"],
                "likely": [] if "decline" in question["instructions"] else [{"option": 0, "probability": 0.75}],
            }
            for question in questions
        ]
        text = self.server.text or json.dumps({"answers": answers})
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        message = {"role": "assistant", "content": text}
        answer = {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        said = json.dumps({**answer, "model": body["model"], "usage": usage}).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


def choice(values: Sequence[str | bool], name: str | None = None, instructions: str = "Which?") -> Any:
    question: dict[str, Any] = {"type": "choice", "instructions": instructions}
    question["choices"] = [{"value": value} for value in values]
    return question | ({"name": name} if name else {})


def score(levels: list[str], name: str | None = None) -> Any:
    question: dict[str, Any] = {
        "type": "score",
        "instructions": "How?",
        "levels": [{"label": level} for level in levels],
    }
    return question | ({"name": name} if name else {})


def heads_answer(client: openai.OpenAI, judge: Judge) -> None:
    questions = [
        choice(["complex", "simple", "medium"], "tier"),
        score(TIERS, "tier"),
        {"type": "predicate", "instructions": "It is hard.", "name": "tier.complex"},
        choice(["red", "green"], "colour"),
    ]
    decision = client.decisions.create(model="default", input=TEXT, questions=questions)
    assert isinstance(decision, Decision)
    tier, level, hard, colour = decision.answers
    assert tier.type == "choice" and tier.choice == "complex" and tier.name == "tier", tier
    assert [option.value for option in tier.probabilities] == ["complex", "simple", "medium"], "in the question's order"
    assert abs(sum(option.probability for option in tier.probabilities) - 1) < 1e-4
    assert level.type == "score" and [step.value for step in level.probabilities] == [0, 1, 2], level
    assert abs(level.score - sum(step.value * step.probability for step in level.probabilities)) < 1e-6
    assert hard.type == "predicate" and abs(hard.probability - tier.probabilities[0].probability) < 1e-6, hard
    assert colour.type == "refusal" and colour.name == "colour", "no judge, and the API knows a refusal"
    assert decision.model == "default" and decision.usage.input_tokens > 0 and decision.usage.output_tokens == 0
    assert not judge.bodies, "nobody else was asked"


def a_judge_answers_what_no_head_does(client: openai.OpenAI, judge: Judge) -> None:
    questions = [
        choice(TIERS, "tier"),
        {"type": "predicate", "instructions": "It is about numbers."},
        choice([True, "true", "other"]),
        score(["low", "middle", "high"]),
        choice(["a", "b"], "unsaid", "decline this"),
    ]
    decision = client.decisions.create(model="gpt-6-luna", input=TEXT, questions=questions)
    tier, about, flag, level, unsaid = decision.answers
    assert tier.type == "choice" and tier.choice == "complex", tier
    assert about.type == "predicate" and about.probability == 0.75 and about.name is None, about
    assert flag.type == "choice" and flag.choice is True and flag.confidence == 0.75, flag
    assert [(option.value, option.probability) for option in flag.probabilities] == [
        (True, 0.75),
        ("true", 0.125),
        ("other", 0.125),
    ]
    assert level.type == "score" and level.score == 0.375, level
    assert unsaid.type == "refusal" and unsaid.name == "unsaid", unsaid
    assert decision.usage.output_tokens == 20 and decision.usage.total_tokens > 120, decision.usage
    assert len(judge.bodies) == 1, "one request for all four"
    assert judge.bodies[0]["response_format"]["json_schema"]["strict"] is True
    judge.bodies.clear()


def four_hundred_questions_and_items(client: openai.OpenAI, judge: Judge) -> None:
    questions: list[Any] = [
        {"type": "predicate", "instructions": f"It is {index}.", "name": str(index)} for index in range(400)
    ]
    questions[7] = choice([str(index) for index in range(255)], "7")
    items: Any = [
        {"role": "developer", "content": "Be strict."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": TEXT},
                {"type": "input_json", "data": {"ticket": [1, 2]}},
            ],
        },
        {"type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "found"},
    ]
    decision = client.decisions.create(model="judged", input=items, questions=questions)
    assert [answer.name for answer in decision.answers] == [str(index) for index in range(400)]
    many = decision.answers[7]
    assert many.type == "choice" and len(many.probabilities) == 255
    assert abs(sum(option.probability for option in many.probabilities) - 1) < 1e-6
    assert len(judge.bodies) == 20
    told = judge.bodies[0]["messages"][1]["content"]
    assert re.search(r"\[developer\]\nBe strict\.", told) and '{"ticket":[1,2]}' in told and "found" in told, told
    judge.bodies.clear()


def mistakes_are_openai_s_errors(client: openai.OpenAI, judge: Judge) -> None:
    def create(**request: Any) -> Any:
        request = {"model": "default", "input": TEXT, "questions": [choice(TIERS)]} | request
        return lambda: client.decisions.create(**request)

    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    for call, param in [
        (create(questions=[]), "questions"),
        (create(questions=[choice(TIERS)] * 401), "questions"),
        (create(questions=[choice(["one"])]), "questions"),
        (create(questions=[choice(["one", "one"])]), "questions"),
        (create(questions=[choice([str(index) for index in range(256)])]), "questions"),
        (create(extra_body={"stream": True}), "stream"),
        (create(input=" "), "input"),
        (create(model="judged", input=[{"role": "user", "content": [image]}]), "input"),
        (create(input=[{"role": "user", "content": [{"type": "input_json", "data": 7}]}]), "input"),
    ]:
        error = caught(openai.BadRequestError, call)
        assert error.param == param and error.type == "invalid_request_error", error
    error = caught(openai.NotFoundError, create(model="gpt-9"))
    assert error.code == "model_not_found" and "gpt-6-luna" in error.message, error
    assert not judge.bodies


def a_judge_that_fails_is_an_error_and_not_a_refusal(client: openai.OpenAI, judge: Judge) -> None:
    def create(model: str) -> Any:
        question: Any = {"type": "predicate", "instructions": "It is."}
        return lambda: client.decisions.create(model=model, input=TEXT, questions=[question])

    judge.text = "I would rather not."
    assert caught(openai.InternalServerError, create("judged")).code == "upstream_error"
    judge.text, judge.status = None, 401
    assert caught(openai.InternalServerError, create("judged")).code == "upstream_error", (
        "the operator's key is not the client's"
    )
    judge.status = 529
    assert caught(openai.InternalServerError, create("judged")).code == "upstream_refused"
    judge.status = 200
    assert caught(openai.InternalServerError, create("gone")).code == "upstream_unreachable"
    judge.bodies.clear()
    assert (
        client.decisions.create(model="judged", input=TEXT, questions=[choice(["a", "b"])]).answers[0].type == "choice"
    )
    judge.bodies.clear()


def a_second_pointsman_is_the_judge_of_a_policy() -> None:
    """The first one's policy asks the second's heads over `/v1/decisions`."""
    with launched(config=QUESTIONS) as (second, _):
        config = Template(
            f"""\
version: 1
listen: {{address: 127.0.0.1:0}}
admin: {{address: 127.0.0.1:0}}
providers:
  upstream: {{base_url: "http://127.0.0.1:$port/v1", credential: none}}
  second: {{base_url: "http://{second["listen"]}/v1", credential: none}}
models:
  small: {{provider: upstream, name: small-1}}
  frontier: {{provider: upstream, name: frontier-1}}
  heads: {{provider: second, name: default}}
policies:
  - name: auto
    match: {{model: [auto]}}
    strategy:
      kind: judge
      judge: heads
      protocol: decisions
      choices:
        - {{label: simple, model: small, description: small talk}}
        - {{label: medium, model: small, description: work}}
        - {{label: complex, model: frontier, description: proofs}}
      otherwise: small
"""
        )
        with launched(config=config) as (first, upstream):
            client = openai.OpenAI(base_url=f"http://{first['listen']}/v1", api_key="sk-1", max_retries=0)
            asked: Any = [{"role": "user", "content": TEXT}]
            client.chat.completions.create(model="auto", messages=asked)
            assert upstream.requests.get(timeout=10)["body"]["model"] == "frontier-1"


def main() -> None:
    judge = Judge()
    with launched(JUDGED, "none", judge, config=QUESTIONS) as (addresses, _):
        client = openai.OpenAI(base_url=f"http://{addresses['listen']}/v1", api_key="sk-1", max_retries=0)
        for check in [
            heads_answer,
            a_judge_answers_what_no_head_does,
            four_hundred_questions_and_items,
            mistakes_are_openai_s_errors,
            a_judge_that_fails_is_an_error_and_not_a_refusal,
        ]:
            check(client, judge)
            print(f"ok: {check.__name__.replace('_', ' ')}", flush=True)
    with launched(client_keys(team=("pk-1", ", rate_limit: {requests_per_minute: 1}")), config=QUESTIONS) as (
        addresses,
        _,
    ):
        base = f"http://{addresses['listen']}/v1"
        questions: Any = [choice(TIERS)]
        known = openai.OpenAI(base_url=base, api_key="pk-1", max_retries=0)
        known.decisions.create(model="default", input=TEXT, questions=questions)
        caught(openai.RateLimitError, lambda: known.decisions.create(model="default", input=TEXT, questions=questions))
        stranger = openai.OpenAI(base_url=base, api_key="pk-2", max_retries=0)
        caught(
            openai.AuthenticationError,
            lambda: stranger.decisions.create(model="default", input=TEXT, questions=questions),
        )
        print("ok: keys", flush=True)
    a_second_pointsman_is_the_judge_of_a_policy()
    print("ok: a second pointsman is the judge of a policy", flush=True)


if __name__ == "__main__":
    main()
