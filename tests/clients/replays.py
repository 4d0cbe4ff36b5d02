"""Requests of agents as they were recorded.

What cannot be provoked without a person, and agents that do not install everywhere.

A file under `agents/recorded` holds a request with `@ASK@` where the person's words stood; long texts are cut. It is
sent with easy words there and with hard ones: a turn goes where the words belong, and what an agent asks for itself
goes to the cheapest model both times.
"""

from __future__ import annotations

import json
import pathlib
import urllib.request
from collections.abc import Callable, Iterator

from asks import EASY, HARD
from decisions import DecisionLog
from script import ScriptedModel
from upstream import DEADLINE
from wire import JsonObject

RECORDED = pathlib.Path(__file__).parent / "agents" / "recorded"


def replay(
    url: str, upstream: ScriptedModel, decided: Callable[[str], str], log: DecisionLog
) -> Iterator[tuple[str, str]]:
    """Yields what each request was, and, where it was not read or did not go as it should, that."""
    for path in sorted(RECORDED.glob("*.json")):
        for ask in (EASY, HARD):
            recorded = json.loads(path.read_text().replace("@ASK@", ask))
            send(url, recorded)
            (seen,) = upstream.drain()
            is_answer = recorded["purpose"] == "answer"
            line = log.of(seen)
            found = (
                seen.model,
                line["features"]["purpose"],
                line["features"]["plan_mode"],
                is_answer and line["text"].strip(),
            )
            wanted = (
                decided(ask if is_answer else EASY),
                recorded["purpose"],
                recorded["plan_mode"],
                is_answer and ask,
            )
            wrong = "" if found == wanted else f"is {found} instead of {wanted}"
            yield f"{path.stem} ({recorded['agent']}) about {ask[:24]!r}", wrong


def send(url: str, recorded: JsonObject) -> None:
    """Sends a recorded request as it was, but for the ask, and reads the answer."""
    headers = {**recorded["headers"], "content-type": "application/json", "authorization": "Bearer sk-of-the-client"}
    request = urllib.request.Request(url + recorded["path"], json.dumps(recorded["body"]).encode(), headers)
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        answer.read()
