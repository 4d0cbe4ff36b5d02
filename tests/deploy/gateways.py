#!/usr/bin/env python3
"""Holds deploy/gateways to what gateways publish, to the chart and to the configuration in it: `make gateways`.

There is no cluster and no controller here. So, for each gateway, its manifests and what the chart makes of its values:

- custom resources against reduced schemas of their types (tests/deploy/schemas, which say where they are from), the
  rest against Kubernetes' JSON schemas; `make schemas` has those of the Gateway API and of Istio
- names, ports, headers and limits against each other: what one manifest calls another, the chart's Service, the
  configuration's headers and models, its failure mode and deadline
- `pointsman check` of the configuration
- what becomes Envoy's filter and cluster, by the real Envoy: gateways_envoy.py, which also sends requests through it

At last, mistakes that these checks must find.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import yaml

import gateways_envoy
import helm
from gateways_setup import (
    FOLDER,
    GATEWAYS,
    NAMESPACE,
    Manifest,
    Setup,
    clusters,
    container_ports,
    pods_of,
    processors,
    service_of,
    under,
)

HERE = pathlib.Path(__file__).parent
PUBLISHED = ("gateway.networking.k8s.io/", "networking.istio.io/")  # published.py


def main() -> None:
    every_file_is_checked()
    texts = {str(file.relative_to(FOLDER)): file.read_text("utf-8") for file in FOLDER.rglob("*.yaml")}
    for gateway in GATEWAYS:
        setup = Setup(gateway, texts)
        check(setup)
        helm.configurations_are_good(gateway.name, setup.chart)
        print(f"ok: {gateway.name}, {len(setup.manifests)} manifests")
    mistakes = the_checks_find_mistakes(texts)
    print(f"ok: {len(GATEWAYS)} gateways, {mistakes} mistakes found")
    setups = [Setup(gateway, texts) for gateway in GATEWAYS if gateway.name != "agentgateway"]  # which is no Envoy
    gateways_envoy.requests_go_where_they_should(setups)


def every_file_is_checked() -> None:
    found = {str(file.relative_to(FOLDER)) for file in FOLDER.rglob("*.yaml")}
    named = {file for gateway in GATEWAYS for file in [*gateway.files, *gateway.values]}
    assert found == named, f"deploy/gateways: {sorted(found ^ named)}: of no gateway, or not there"


def check(setup: Setup) -> None:
    try:
        for manifest in setup.manifests:
            is_of_its_schema(manifest)
        named_once(setup)
        references_lead_somewhere(setup)
        the_listener_is_reached(setup)
        every_model_has_its_route(setup)
        the_filter_agrees_with_the_configuration(setup)
        gateways_envoy.is_taken_by_envoy(processors(setup), clusters(setup))
    except AssertionError as error:
        raise AssertionError(f"{setup.gateway.name}: {error}") from None


# --- schemas


def schemas() -> dict[str, Any]:
    files = sorted((HERE / "schemas").glob("*.yaml"))
    return {kind: schema for file in files for kind, schema in yaml.safe_load(file.read_text())["kinds"].items()}


SCHEMAS = schemas()


def is_of_its_schema(manifest: Manifest) -> None:
    api, kind = manifest["apiVersion"], f"{manifest['apiVersion']}/{manifest['kind']}"
    if api in ("v1", "apps/v1"):
        helm.hold_to_schema("deploy/gateways", manifest)
    elif not api.startswith(PUBLISHED):
        assert kind in SCHEMAS, f"{kind}: of no schema"
        unknown = set(manifest) - {"apiVersion", "kind", "metadata", "spec"}
        assert not unknown, f"{helm.name(manifest)}: {unknown}"
        wrong = jsonschema.Draft202012Validator(SCHEMAS[kind]).iter_errors(manifest["spec"])
        said = [f"{one.json_path}: {one.message}" for one in wrong]
        assert not said, f"{helm.name(manifest)}: {'; '.join(said)}"


def named_once(setup: Setup) -> None:
    names = [helm.name(manifest) for manifest in setup.manifests]
    assert len(names) == len(set(names)), f"named twice: {names}"
    for manifest in setup.manifests:
        namespace = manifest["metadata"].get("namespace")
        expected = None if manifest["kind"] == "GatewayClass" else NAMESPACE
        assert namespace == expected, f"{helm.name(manifest)}: in the namespace {namespace}"


# --- what manifests call each other


def references_lead_somewhere(setup: Setup) -> None:
    for manifest in setup.manifests:
        for reference in [
            *under("targetRefs", manifest),
            *under("targetRef", manifest),
            *under("parentRefs", manifest),
        ]:
            setup.one(reference["kind"], reference["name"])
    for route in setup.of("HTTPRoute"):
        for backend in under("backendRefs", route):
            if backend.get("kind", "Service") == "Service":
                setup.service(backend["name"], backend["port"])
            else:
                assert backend["group"] == "inference.networking.k8s.io", backend
                setup.one(backend["kind"], backend["name"])
    pools_and_backends_lead_somewhere(setup)
    for policy in setup.of("TrafficPolicy"):
        setup.one("GatewayExtension", policy["spec"]["extProc"]["extensionRef"]["name"])
    for name, provider in setup.config["providers"].items():
        url = re.fullmatch(r"http://([\w.-]+):(\d+)/v1", provider["base_url"])
        assert url, f"providers.{name}.base_url: {provider['base_url']}"
        setup.service(service_of(url[1]), int(url[2]))


def pools_and_backends_lead_somewhere(setup: Setup) -> None:
    for pool in setup.of("InferencePool"):
        pods = pods_of(setup, pool["spec"]["selector"]["matchLabels"])
        ports = {one["number"] for one in pool["spec"]["targetPorts"]}
        assert ports == container_ports(pods), f"{helm.name(pool)}: {ports} are no ports of its pods"
    for route in setup.of("AIGatewayRoute"):
        for backend in under("backendRefs", route):
            setup.one("AIServiceBackend", backend["name"])
    for backend in setup.of("AIServiceBackend"):
        endpoint = setup.one("Backend", backend["spec"]["backendRef"]["name"])["spec"]["endpoints"][0]["fqdn"]
        setup.service(service_of(endpoint["hostname"]), endpoint["port"])


# --- the way to Pointsman


def the_listener_is_reached(setup: Setup) -> None:
    listener = int(setup.config["ext_proc"]["address"].rpartition(":")[2])
    asked = list(addresses(setup))
    assert asked, "nothing asks Pointsman"
    for service, port, by_pod in asked:
        found = setup.service(service, port)
        assert found["targetPort"] == "ext-proc", f"{service}:{port} leads to {found['targetPort']}"
        # Envoy Gateway, kgateway and agentgateway speak HTTP/2 by this; Istio by the name, too.
        assert (found["name"], found["appProtocol"]) == ("grpc", "kubernetes.io/h2c"), found
        if by_pod:
            assert setup.one("Service", service)["spec"].get("clusterIP") == "None", f"{service}: one address for all"
            assert port == listener, f"{port}: a headless Service has the pods' own port, {listener}"
    assert listener in container_ports(pods_of(setup, {"app.kubernetes.io/component": "gateway"}))
    rules = setup.one("NetworkPolicy", "pointsman")["spec"]["ingress"]
    peers = [peer for rule in rules if {"port": "ext-proc"} in rule.get("ports", []) for peer in rule["from"]]
    proxies = {"matchLabels": {"kubernetes.io/metadata.name": setup.gateway.proxies}}
    assert {"namespaceSelector": proxies} in peers, f"the NetworkPolicy keeps {setup.gateway.proxies} out"


def addresses(setup: Setup) -> Iterator[tuple[str, int, bool]]:
    """Yields Service, port, and whether its name has to resolve to pods, of whatever a gateway asks."""
    for policy in setup.of("EnvoyExtensionPolicy"):
        yield from ((one["name"], one["port"], False) for one in under("backendRefs", policy))
    for one in [*under("grpcService", setup.of("GatewayExtension")), *under("extProc", setup.of("AgentgatewayPolicy"))]:
        yield one["backendRef"]["name"], one["backendRef"]["port"], False
    for processor in processors(setup):
        cluster = processor["grpc_service"]["envoy_grpc"]["cluster_name"]
        if istio := re.fullmatch(r"outbound\|(\d+)\|\|(.+)", cluster):
            yield service_of(istio[2]), int(istio[1]), False
            continue
        found = [one for one in clusters(setup) if one["name"] == cluster]
        assert found, f"cluster {cluster}: nobody brings it"
        for address in under("socket_address", found[0]):
            yield service_of(address["address"]), address["port_value"], True


# --- headers and models


def every_model_has_its_route(setup: Setup) -> None:
    """A route for each model of the catalog that leads to a server of that name, and one for what was not judged."""
    keys = {setup.model_header: dict(setup.names), setup.upstream_header: {name: name for name in setup.names.values()}}
    reached: set[str] = set()
    for route in setup.of("HTTPRoute"):
        *judged, rest = route["spec"]["rules"]
        for rule in judged:
            header = rule["matches"][0]["headers"][0]
            models = keys.get(header["name"].lower())
            assert models is not None, f"{header['name']}: no header of the configuration ({', '.join(keys)})"
            assert header["value"] in models, f"{header['name']}: {header['value']}: no model ({', '.join(models)})"
            name = models[header["value"]]
            reached.add(name)
            serves(setup, rule["backendRefs"][0], name)
        # Envoy Gateway and kgateway ask only where a route has matched already.
        assert [*under("headers", rest)] == [], f"{helm.name(route)}: the last rule is not for every request"
        serves(setup, rest["backendRefs"][0], setup.asked)
    for rule in under("rules", setup.of("AIGatewayRoute")):
        header, backend = rule["matches"][0]["headers"][0], rule["backendRefs"][0]
        assert header["name"] == "x-ai-eg-model", header
        assert header["value"] in {*setup.names.values(), setup.asked}, f"{header['value']}: no name of a model"
        reached.add(header["value"])
        serves(setup, backend, backend.get("modelNameOverride", header["value"]))
    missing = set(setup.names.values()) - reached
    assert not missing, f"{missing}: without a route"


def serves(setup: Setup, backend: Manifest, model: str) -> None:
    """Checks that the server behind a backend is called by a model's name."""
    kind = backend.get("kind") or ("Service" if "port" in backend else "AIServiceBackend")
    if kind == "InferencePool":
        labels = setup.one(kind, backend["name"])["spec"]["selector"]["matchLabels"]
    else:
        name = backend["name"]
        if kind == "AIServiceBackend":
            inner = setup.one(kind, name)["spec"]["backendRef"]["name"]
            name = service_of(setup.one("Backend", inner)["spec"]["endpoints"][0]["fqdn"]["hostname"])
        labels = setup.one("Service", name)["spec"]["selector"]
    arguments = pods_of(setup, labels)["spec"]["containers"][0]["args"]
    assert model in arguments, f"{backend['name']}: does not serve {model}"


# --- modes and failures


def the_filter_agrees_with_the_configuration(setup: Setup) -> None:
    passes = setup.config["ext_proc"].get("failure", "closed") == "open"
    deadline = milliseconds(setup.config["ext_proc"].get("deadline", "150ms"))
    found = list(filters(setup))
    assert len(found) == 1, f"{len(found)} filters ask Pointsman"
    for body, response, timeout, fails_open in found:
        assert response, "answers are sent to Pointsman, too"
        if body == "fullduplexstreamed":
            assert not fails_open, "in full duplex nothing fails open"
        else:
            assert body == "buffered", f"{body}: no mode in which a header can come from the body"
            assert fails_open == passes, f"fails open: the gateway {fails_open}, Pointsman {passes}"
        assert timeout is None or milliseconds(timeout) > deadline, (
            f"{timeout} is not above the deadline of {deadline} ms"
        )


def filters(setup: Setup) -> Iterator[tuple[str, bool, str | None, bool]]:
    """Yields the mode of the request's body, whether no answer is sent, the timeout, and whether it fails open."""
    for one in processors(setup):
        # Without it the cluster's name is the authority, and the server refuses one that is no host.
        host = one["grpc_service"]["envoy_grpc"].get("authority", "")
        assert host, "no authority"
        service_of(host)
        mode = one["processing_mode"]
        assert mode["request_header_mode"] == "SEND", mode
        if mode["request_body_mode"] == "FULL_DUPLEX_STREAMED":
            assert mode["request_trailer_mode"] == "SEND", "full duplex needs trailers sent"
        yield plain(mode["request_body_mode"]), silent(mode), one.get("message_timeout"), one["failure_mode_allow"]
    for one in under("extProc", setup.of("EnvoyExtensionPolicy")):
        mode = one["processingMode"]
        yield plain(mode["request"]["body"]), "response" not in mode, one["messageTimeout"], one["failOpen"]
    for one in under("extProc", setup.of("GatewayExtension")):
        mode = one["processingMode"]
        yield plain(mode["requestBodyMode"]), silent(mode), one["messageTimeout"], one["failOpen"]
    for one in under("extProc", setup.of("AgentgatewayPolicy")):
        mode = one["processingOptions"]
        yield plain(mode["requestBodyMode"]), silent(mode), None, one["failureMode"] == "FailOpen"


def plain(mode: str) -> str:
    return mode.replace("_", "").lower()


def silent(mode: dict[str, str]) -> bool:
    said = {plain(value) for key, value in mode.items() if plain(key).startswith("response")}
    return len([key for key in mode if plain(key).startswith("response")]) == 3 and said <= {"skip", "none"}


def milliseconds(span: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(ms|s)", span).groups()  # type: ignore[union-attr]
    return float(number) * (1 if unit == "ms" else 1000)


# --- mistakes


MISTAKES = [
    # file, what stands there, what it becomes, by which words it is found
    ("istio/envoyfilter.yaml", "outbound|9002|", "outbound|9003|", "has no port 9003"),
    ("istio/envoyfilter.yaml", "pointsman-ext-proc.llm", "pointsman-extproc.llm", "0 of it"),
    (
        "istio/envoyfilter.yaml",
        "authority: pointsman-ext-proc.llm.",
        "authority: outbound|9002||x.llm.",
        "no Service of",
    ),
    ("istio/envoyfilter.yaml", "request_body_mode: BUFFERED", "request_body_mode: STREAMED", "no mode in which"),
    ("istio/envoyfilter.yaml", "failure_mode_allow: false", "failure_mode_allow: true", "fails open"),
    ("istio/envoyfilter.yaml", "message_timeout: 1s", "message_timeout: 100ms", "not above the deadline"),
    ("istio/envoyfilter.yaml", "allow_mode_override", "allow_mode_overrides", "allow_mode_overrides"),
    ("istio/gateway.yaml", "name: inference-gateway", "name: gateway", "0 of it"),
    ("httproute.yaml", "name: x-pointsman-model", "name: x-model", "no header of the configuration"),
    ("httproute.yaml", "value: small", "value: tiny", "no model"),
    ("httproute.yaml", "name: qwen-small, port: 8000", "name: qwen-large, port: 8000", "does not serve"),
    ("models.yaml", "Qwen/Qwen3-32B, auto", "Qwen/Qwen3-32B", "does not serve auto"),
    ("inference-extension/httproute.yaml", "X-Gateway-Model-Name", "X-Model-Name", "no header of the configuration"),
    ("inference-extension/inferencepools.yaml", "failureMode: FailOpen", "failureMode: Open", "is not one of"),
    ("inference-extension/inferencepools.yaml", "number: 8000", "number: 8001", "no ports of its pods"),
    ("inference-extension/envoyfilter.yaml", "trailer_mode: SEND", "trailer_mode: SKIP", "needs trailers sent"),
    (
        "envoy-gateway/policy.yaml",
        "body: Buffered}\n        allowModeOverride: true\n      messageTimeout: 1s\n      failOpen: false",
        "body: FullDuplexStreamed}\n        allowModeOverride: true\n      messageTimeout: 1s\n      failOpen: true",
        "should not be valid",
    ),
    ("envoy-gateway/policy.yaml", "[pointsman]", "[envoy.filters.http.x]", "should not be valid"),
    ("envoy-gateway/policy.yaml", "failOpen", "failopen", "was unexpected"),
    ("envoy-gateway/gateway.yaml", "bufferLimit: 16Mi", "bufferLimit: much", "does not match"),
    ("envoy-ai-gateway/patch.yaml", "cluster_name: pointsman,", "cluster_name: pointman,", "nobody brings it"),
    ("envoy-ai-gateway/patch.yaml", "port_value: 9002", "port_value: 9000", "has no port 9000"),
    ("envoy-ai-gateway/patch.yaml", "type: STRICT_DNS", "type: STRICT", "STRICT"),
    ("envoy-ai-gateway/routes.yaml", "value: Qwen/Qwen3-4B", "value: small", "no name of a model"),
    ("values-envoy-gateway.yaml", "headless: true", "headless: false", "one address for all"),
    ("values-envoy-gateway.yaml", "name: envoy-gateway-system", "name: default", "keeps envoy-gateway-system out"),
    ("kgateway/policy.yaml", "requestBodyMode: BUFFERED", "requestBodyMode: Buffered", "is not one of"),
    ("kgateway/policy.yaml", "extensionRef: {name: pointsman}", "extensionRef: {name: other}", "0 of it"),
    ("agentgateway/policy.yaml", "kind: Gateway", "kind: HTTPRoute", "is not one of"),
    ("agentgateway/policy.yaml", "Buffered #", "Streamed #", "is not one of"),
    ("values.yaml", "failure: closed", "failure: open", "fails open"),
]


def the_checks_find_mistakes(texts: dict[str, str]) -> int:
    for file, right, wrong, words in MISTAKES:
        gateway = next(one for one in reversed(GATEWAYS) if file in [*one.files, *one.values])
        assert right in texts[file], f"{file} has no {right}"
        try:
            check(Setup(gateway, texts | {file: texts[file].replace(right, wrong, 1)}))
        except AssertionError as error:
            assert words in str(error), f"{file}: {wrong}: found by other words than {words!r}: {error}"
        else:
            raise SystemExit(f"{file}: {wrong}: passes")
    return len(MISTAKES)


if __name__ == "__main__":
    main()
