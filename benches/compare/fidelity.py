"""What a proxy does to requests, answers and errors, so that nobody is fast by not doing the work."""

from __future__ import annotations

import json
from typing import Any

from child import Request, json_of
from target import Target

SAMPLES = 60


def check(target: Target, bodies: list[str], upstream: int) -> dict[str, Any]:
    """Returns what reached the upstream and what came back."""
    Request(upstream, "POST", "/forget").ask()
    found: dict[str, Any] = {"refused of 60": sum(not answered(target, body) for body in bodies[:SAMPLES])}
    found["models"] = seen(upstream)["models"]
    status, _, data = ask(target, target.question("fidelity", x_custom={"keep": 1}, seed=7))
    found["unknown field kept"] = (seen(upstream)["last"] or {}).get("body", {}).get("x_custom") == {"keep": 1}
    found["answer kept"] = status == 200 and b'"fp_mock"' in data
    found["route of mock-large"] = route_of(target)
    for told in (429, 500):
        Request(upstream, "POST", "/forget").ask()
        status, headers, _ = ask(target, target.question(f"please fail [status {told}]"))
        tries = seen(upstream)["requests"]
        kept = ", retry-after kept" if headers.get("retry-after") == "7" else ""
        found[f"on {told}"] = f"{status} after {tries} upstream calls{kept}"
    found["2 MB body"] = ask(target, target.question("lorem ipsum " * 170_000))[0]
    found["broken JSON"] = ask(target, Request(target.port, "POST", target.spec.path, "{no", target.spec.headers))[0]
    return found


def route_of(target: Target) -> str:
    """Returns the route that a request for the large model took, where the proxy can be told to say so."""
    return ask(target, target.question("route", model="mock-large"))[1].get("x-compare-route", "not said")


def ask(target: Target, request: Request) -> tuple[int, dict[str, str], bytes]:
    try:
        return request.ask()
    except OSError as failure:
        return 0, {}, f"{target.name}: {failure}".encode()


def answered(target: Target, body: str) -> bool:
    filled = body.replace("__MODEL__", target.spec.model)
    return ask(target, Request(target.port, "POST", target.spec.path, filled, target.spec.headers))[0] == 200


def seen(upstream: int) -> dict[str, Any]:
    return json_of(Request(upstream, "GET", "/seen").ask()[2].decode())


def cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in sorted(value.items()))
    return value if isinstance(value, str) else json.dumps(value)
