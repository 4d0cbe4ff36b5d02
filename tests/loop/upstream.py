"""A provider of three models that answer questions right or wrong as an outcome file says, each at its pace."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from outcomes import LETTERS, Question

# How people and models write that a choice is the right one.
WORDINGS = (
    "{letter}",
    "**{letter}**",
    "({letter})",
    "The answer is ({letter}).",
    "Answer: {letter}",
    "Of the four, only one agrees with what was said. So the correct answer is {letter}.",
    "Let me think. {other} looks right at first, and is not.\n\nThe answer is {letter}.",
    "\\boxed{{{letter}}}",
    '{{"answer": "{letter}"}}',
)
# Milliseconds to the answer by model; a third more or less of it by prompt.
PACE = {"small": 6, "standard": 12, "frontier": 24}


class ScriptedProvider(ThreadingHTTPServer):
    """Chat completions of the three models, on a free port of loopback."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, questions: dict[str, Question]) -> None:
        """Takes the questions by their prompts, as Pointsman sends them."""
        super().__init__(("127.0.0.1", 0), ProviderHandler)
        self.questions = questions
        self.lock = threading.Lock()
        self.answered: collections.Counter[str] = collections.Counter()
        self.unknown: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, model: str, prompt: str) -> str | None:
        """Returns the model's answer, by its ability and in words of its own; `None` to what nobody asked for."""
        question = self.questions.get(prompt)
        with self.lock:
            if question is None:
                self.unknown.append(prompt)
                return None
            self.answered[model] += 1
        drawn = hashlib.sha256(f"{model} {prompt}".encode()).digest()
        wrong = [letter for letter in LETTERS if letter != question.letter][drawn[0] % 3]
        said, other = (question.letter, wrong) if question.right[model] else (wrong, question.letter)
        time.sleep(PACE[model] * (2 + drawn[1] / 128) / 3000)
        return WORDINGS[drawn[2] % len(WORDINGS)].format(letter=said, other=other)


class ProviderHandler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedProvider

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        model, prompt = body["model"], body["messages"][-1]["content"]
        text = self.server.answer(model, prompt)
        if text is None:
            self.send(400, {"error": {"code": "unknown_question", "message": "nobody prepared this question"}})
            return
        usage = {"prompt_tokens": 8 + len(prompt) // 5, "completion_tokens": 1 + len(text) // 4}
        usage["total_tokens"] = sum(usage.values())
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        about = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model}
        self.send(200, about | {"choices": [choice], "usage": usage})

    def send(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
