"""What answers of every vendor's shape cost, asked for by the public SDKs: `make clients` runs this.

Each record of usage_records.json is a model of its own at its own price. The scripted upstream answers with the record,
its usage event only when it is asked for one, and the metrics must say the cost that the record's arithmetic comes to.
"""

from __future__ import annotations

import ast
import json
import operator
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import Template
from typing import Any

import anthropic
import openai

from gateway import ROOT, started
from upstream import DEADLINE

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
TURNS: Any = [{"role": "user", "content": "hello"}]
OPERATORS: dict[type, Any] = {ast.Add: operator.add, ast.Mult: operator.mul, ast.Div: operator.truediv}


def records() -> list[Any]:
    """Returns the records that an SDK can ask for."""
    every = json.loads((ROOT / "tests/fixtures/usage_records.json").read_text("utf-8"))
    return [record for record in every if record["path"] in (CHAT, MESSAGES, RESPONSES)]


def result(node: ast.AST) -> float:
    """Returns what a sum of products comes to."""
    if isinstance(node, ast.Expression):
        return result(node.body)
    if isinstance(node, ast.BinOp):
        return float(OPERATORS[type(node.op)](result(node.left), result(node.right)))
    assert isinstance(node, ast.Constant) and isinstance(node.value, int | float), ast.dump(node)
    return float(node.value)


class Vendors(ThreadingHTTPServer):
    """Every vendor at once: the model of a request is the number of the record that answers it."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    server: Vendors

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        record = self.server.answers[int(request["model"].removeprefix("m"))]
        answer, is_stream = record["answer"], isinstance(record["answer"], list)
        if is_stream:
            asked = request.get("stream_options", {}).get("include_usage")
            body = "".join(event(data) for data in answer if asked or not is_usage_event(data))
        else:
            body = json.dumps(answer)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if is_stream else "application/json")
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Says nothing."""


def event(data: Any) -> str:
    if isinstance(data, str):
        return f"data: {data}\n\n"
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data)}\n\n"


def is_usage_event(data: Any) -> bool:
    return isinstance(data, dict) and data.get("choices") == []


def configuration(answers: list[Any]) -> Template:
    numbers = range(len(answers))
    models = "".join(
        f"  m{number}: {{provider: p, price: {json.dumps(answers[number]['price'])}}}\n" for number in numbers
    )
    policy = "  - {name: p%d, match: {model: [ask-%d]}, strategy: {kind: split, models: {m%d: 1}}}\n"
    policies = "".join(policy % (number, number, number) for number in numbers)
    return Template(
        "version: 1\nlisten: {address: 127.0.0.1:0}\nadmin: {address: 127.0.0.1:0}\n"
        "providers:\n  p: {base_url: 'http://127.0.0.1:$port/v1', credential: none}\n"
        f"models:\n{models}policies:\n{policies}"
    )


def ask(url: str, number: int, record: Any) -> None:
    """Asks as a user of the vendor's SDK does, and reads the whole answer."""
    model, stream = f"ask-{number}", isinstance(record["answer"], list)
    if record["path"] == MESSAGES:
        claude = anthropic.Anthropic(base_url=url, api_key="k", max_retries=0)
        answer: Any = claude.messages.create(model=model, max_tokens=9, messages=TURNS, stream=stream)
    elif record["path"] == RESPONSES:
        answer = openai.OpenAI(base_url=f"{url}/v1", api_key="k").responses.create(
            model=model, input="hi", stream=stream
        )
    else:
        answer = openai.OpenAI(base_url=f"{url}/v1", api_key="k").chat.completions.create(
            model=model, messages=TURNS, stream=stream
        )
    for chunk in answer if stream else ():
        assert record["path"] != CHAT or chunk.choices, f"{record['name']}: an event that nobody asked for: {chunk}"


def cost(admin: str, number: int) -> float | None:
    text = urllib.request.urlopen(f"{admin}/metrics").read().decode()
    line = next(
        (line for line in text.splitlines() if line.startswith(f'pointsman_cost_usd_total{{model="m{number}"}}')), "0"
    )
    return float(line.split()[-1]) or None


def main() -> None:
    """Asks for each record once."""
    answers = records()
    with started(upstream=Vendors(answers), config=configuration(answers)) as (url, admin, _):
        for number, record in enumerate(answers):
            expected = result(ast.parse(record["arithmetic"], mode="eval"))
            ask(url, number, record)
            until = time.monotonic() + DEADLINE
            while (seen := cost(admin, number)) is None and time.monotonic() < until:
                time.sleep(0.01)
            assert seen is not None, f"{record['vendor']}, {record['name']}: no cost"
            assert abs(seen - expected) < 1e-9, f"{record['vendor']}, {record['name']}: {seen} is not {expected}"
            print(f"ok {record['vendor']}, {record['name']}: {record['arithmetic']} = ${expected:.6f}")


if __name__ == "__main__":
    main()
