"""Codex and the openai SDK by WebSocket, before a provider that is posted to and before one that speaks by it too.

`make clients-agents` runs this. Nobody here wrote these clients: they read what the vendor sends.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from string import Template

from openai import OpenAI
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

import gateway
from harness import CodexByWebSocket
from script import ScriptedModel, Step, responses

LOOK = "Which files are here?"
MORE = "Count them."
CONFIG = Template(
    """\
version: 1
listen: {address: 127.0.0.1:0}
admin: {address: 127.0.0.1:0}
$sections
providers:
  upstream: {base_url: "http://127.0.0.1:$port/v1", dialects: [$dialect], credential: $credential}
  nobody: {base_url: "http://127.0.0.1:$closed_port/v1"}
  afar: {base_url: "http://127.0.0.1:$afar/v1", credential: $credential, websocket: true}
models:
  small: {provider: $provider, name: small-1, context: 1000000, supports: [tools]}
policies:
  - name: auto
    match: {model: [auto]}
    strategy: {kind: split, models: {small: 1}}
"""
)


class SocketModel:
    """Answers by WebSocket what a scripted model would answer to a POST."""

    def __init__(self, model: ScriptedModel) -> None:
        self.model = model
        self.opened = 0
        self.messages: list[str] = []
        self.known: dict[str, list[object]] = {}

    def talk(self, socket: ServerConnection) -> None:
        self.opened += 1
        headers = dict(socket.request.headers.raw_items()) if socket.request else {}
        with contextlib.suppress(ConnectionClosed):
            for text in socket:
                self.messages.append(str(text))
                body = json.loads(text)
                body["input"] = self.known.get(body.get("previous_response_id") or "", []) + items(body["input"])
                step = self.model.take({name.lower(): value for name, value in headers.items()}, body)
                calls = step.calls(body) if callable(step.calls) else step.calls
                whole, events = responses(body["model"], step, calls, len(self.model.seen))
                self.known[whole["id"]] = [*body["input"], *whole["output"]]
                for event in events:
                    socket.send(json.dumps(event))


def items(given: str | list[object]) -> list[object]:
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


@contextlib.contextmanager
def sockets(model: ScriptedModel) -> Iterator[tuple[SocketModel, Server]]:
    afar = SocketModel(model)
    with serve(afar.talk, "127.0.0.1", 0, max_size=1 << 25) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield afar, server
        server.shutdown()


CLOSED = 'pointsman_websockets_closed_total{kind="responses",reason="client"}'


def main() -> int:
    """Plays both clients before each provider, and tells what went wrong."""
    for provider, dialect in (("upstream", "responses"), ("upstream", "chat"), ("afar", "responses")):
        model = ScriptedModel({})
        with sockets(model) as (afar, server):
            port = server.socket.getsockname()[1]
            config = Template(CONFIG.safe_substitute(provider=provider, dialect=dialect, afar=port))
            with gateway.started(upstream=model, config=config) as (url, admin, _):
                codex(url, model)
                messages = count(admin, 'pointsman_websocket_messages_total{direction="in",kind="request"}')
                assert messages >= 4, f"Codex sent {messages} messages"
                sdk(url, model)
                # The last one is closed a moment after its client has left.
                until = time.monotonic() + 30
                while (closed := count(admin, CLOSED)) < 3:
                    assert time.monotonic() < until, f"only {closed} WebSockets were opened"
                assert bool(afar.messages) == (provider == "afar"), f"{len(afar.messages)} messages went to {provider}"
                if provider == "afar":
                    increments = [each for each in afar.messages if '"previous_response_id"' in each]
                    assert increments, "every request was sent whole"
                    assert afar.opened <= 4, f"{afar.opened} WebSockets to the provider"
                print(f"ok: codex and the openai SDK by websocket, provider {provider} in {dialect}", flush=True)
    return 0


def codex(url: str, model: ScriptedModel) -> None:
    """Asks, has a tool run, and goes on in another process."""
    with tempfile.TemporaryDirectory() as folder:
        agent = CodexByWebSocket(url, pathlib.Path(folder), "auto")
        model.script = {
            LOOK: [Step("I look.", (agent.shell("ls"),)), Step("There is main.rs.")],
            MORE: [Step("One.")],
        }
        first, second = agent.say(LOOK), agent.say(MORE)
        assert (first.text, second.text) == ("There is main.rs.", "One."), (first, second)
    seen = [each for each in model.drain() if each.purpose == "answer" and each.ask]
    assert [(each.ask, each.step) for each in seen] == [(LOOK, 0), (LOOK, 1), (MORE, 0)], [str(each) for each in seen]
    assert all(each.model == "small-1" for each in seen)
    assert "main.rs" in json.dumps(seen[1].body), "the tool's result is missing"
    assert LOOK in json.dumps(seen[2].body), "the conversation is missing"


def sdk(url: str, model: ScriptedModel) -> None:
    """Goes on from a response that nobody but the session knows, and reads an error."""
    model.script = {LOOK: [Step("Two.")], MORE: [Step("Still two.")]}
    client = OpenAI(base_url=f"{url}/v1", api_key="sk-any", max_retries=0)
    with client.responses.connect(max_retries=0) as connection:

        def ask(text: str, **more: str) -> list[object]:
            turn = [{"role": "user", "content": text}]
            connection.response.create(model=more.pop("model", "auto"), input=turn, store=False, **more)
            events = []
            for event in connection:
                events.append(event)
                if event.type in ("response.completed", "error"):
                    break
            return events

        first = ask(LOOK)[-1]
        assert first.type == "response.completed" and first.response.output_text == "Two.", first  # type: ignore[attr-defined]
        second = ask(MORE, previous_response_id=first.response.id)[-1]  # type: ignore[attr-defined]
        assert second.response.output_text == "Still two.", second  # type: ignore[attr-defined]
        error = ask(LOOK, model="none")[-1]
        assert (error.type, error.status, error.error.code) == ("error", 404, "model_not_found"), error  # type: ignore[attr-defined]
    seen = model.drain()
    assert LOOK in json.dumps(seen[-1].body), "what the session knows was not sent"


def count(admin: str, series: str) -> int:
    with urllib.request.urlopen(f"{admin}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if line.startswith(series))


if __name__ == "__main__":
    sys.exit(main())
