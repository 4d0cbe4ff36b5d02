"""The decision log of a proxy: what was read of each request."""

from __future__ import annotations

import json
import pathlib
import tempfile
import time

from script import ScriptedRequest
from upstream import DEADLINE
from wire import JsonObject


class DecisionLog:
    """A log with texts in a folder that ends with the context; `section` is its section of the configuration."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name, "decisions.jsonl")
        self.section = "decision_log: " + json.dumps({"path": str(self.path), "text": True})
        self.lines: dict[str, JsonObject] = {}

    def __enter__(self) -> DecisionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()

    def of(self, seen: ScriptedRequest) -> JsonObject:
        """Returns a request's line; it is written a little after the answer."""
        request_id = seen.headers["x-request-id"]
        end = time.monotonic() + DEADLINE
        while request_id not in self.lines:
            assert time.monotonic() < end, f"no line for {seen}"
            self.lines = {line["request_id"]: line for line in map(json.loads, self.whole_lines())}
            time.sleep(0 if request_id in self.lines else 0.05)
        return self.lines[request_id]

    def whole_lines(self) -> list[str]:
        """Returns the lines that are written to their end; the proxy may be in the middle of one."""
        text = self.path.read_text("utf-8") if self.path.exists() else ""
        return text[: text.rfind("\n") + 1].splitlines()
