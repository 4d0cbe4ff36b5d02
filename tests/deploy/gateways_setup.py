"""The gateways of deploy/gateways: which manifests and which of the chart's values belong to each."""

from __future__ import annotations

import pathlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

import helm

FOLDER = helm.ROOT / "deploy" / "gateways"
NAMESPACE = "llm"
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Gateway:
    """A gateway: the manifests that make it ask Pointsman, and the chart's values."""

    name: str
    files: list[str]
    values: list[str] = field(default_factory=lambda: ["values.yaml"])
    # Where its proxies run: NetworkPolicies have to let them in.
    proxies: str = NAMESPACE


OTHERS = ["values.yaml", "values-envoy-gateway.yaml"]
MODELS = ["models.yaml", "httproute.yaml"]
GATEWAYS = [
    Gateway("istio", [*MODELS, "istio/gateway.yaml", "istio/envoyfilter.yaml"]),
    Gateway(
        "inference-extension",
        [
            "models.yaml",
            "istio/gateway.yaml",
            "inference-extension/envoyfilter.yaml",
            "inference-extension/inferencepools.yaml",
            "inference-extension/httproute.yaml",
        ],
    ),
    Gateway(
        "envoy-gateway",
        [*MODELS, "envoy-gateway/gateway.yaml", "envoy-gateway/policy.yaml"],
        OTHERS,
        "envoy-gateway-system",
    ),
    Gateway(
        "envoy-ai-gateway",
        ["models.yaml", "envoy-gateway/gateway.yaml", "envoy-ai-gateway/patch.yaml", "envoy-ai-gateway/routes.yaml"],
        OTHERS,
        "envoy-gateway-system",
    ),
    Gateway("kgateway", [*MODELS, "kgateway/gateway.yaml", "kgateway/policy.yaml"]),
    Gateway("agentgateway", [*MODELS, "agentgateway/gateway.yaml", "agentgateway/policy.yaml"]),
]


class Setup:
    """A gateway's manifests beside what the chart makes of its values, with the configuration in it."""

    def __init__(self, gateway: Gateway, texts: dict[str, str]) -> None:
        self.gateway = gateway
        self.manifests: list[Manifest] = [one for file in gateway.files for one in yaml.safe_load_all(texts[file])]
        self.chart = rendered(tuple(texts[file] for file in gateway.values))
        text = next(one["data"]["pointsman.yaml"] for one in self.chart if "pointsman.yaml" in one.get("data", {}))
        self.config: Manifest = yaml.safe_load(text)
        section = self.config["ext_proc"]
        self.model_header: str = section.get("model_header", "x-pointsman-model")
        self.upstream_header: str = section.get("upstream_model_header", "x-gateway-model-name")
        self.names: dict[str, str] = {key: model["name"] for key, model in self.config["models"].items()}
        self.asked: str = self.config["policies"][0]["match"]["model"][0]

    def of(self, kind: str) -> list[Manifest]:
        return [one for one in [*self.manifests, *self.chart] if one["kind"] == kind]

    def one(self, kind: str, name: str) -> Manifest:
        found = [one for one in self.of(kind) if one["metadata"]["name"] == name]
        assert len(found) == 1, f"{kind}/{name}: {len(found)} of it"
        return found[0]

    def service(self, name: str, port: int) -> Manifest:
        """Returns the port of a Service."""
        ports = self.one("Service", name)["spec"]["ports"]
        found: list[Manifest] = [one for one in ports if one["port"] == port]
        assert found, f"Service/{name} has no port {port}"
        return found[0]


RENDERED: dict[tuple[str, ...], list[Manifest]] = {}


def rendered(values: tuple[str, ...]) -> list[Manifest]:
    """Returns what the chart makes of values; the same values are rendered once."""
    if values not in RENDERED:
        with tempfile.TemporaryDirectory() as made:
            folder = pathlib.Path(made)
            flags: list[str] = []
            for index, text in enumerate(values):
                (folder / f"{index}.yaml").write_text(text, "utf-8")
                flags += ["--values", str(folder / f"{index}.yaml")]
            RENDERED[values] = helm.render("--no-hooks", *flags)
    return RENDERED[values]


def under(key: str, value: Any) -> Iterator[Manifest]:
    """Yields what stands under a key, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield from inner if isinstance(inner, list) else [inner]
            else:
                yield from under(key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from under(key, inner)


def service_of(host: str) -> str:
    """Returns the name of the Service that a host of this namespace is."""
    found = re.fullmatch(rf"([\w-]+)\.{NAMESPACE}(\.svc\.cluster\.local)?", host)
    assert found, f"{host}: no Service of {NAMESPACE}"
    return found[1]


def pods_of(setup: Setup, labels: dict[str, str]) -> Manifest:
    found = [one["spec"]["template"] for one in setup.of("Deployment")]
    found = [pod for pod in found if labels.items() <= pod["metadata"]["labels"].items()]
    assert len(found) == 1, f"{labels}: labels of {len(found)} kinds of pods"
    pod: Manifest = found[0]
    return pod


def container_ports(pod: Manifest) -> set[int]:
    return {port["containerPort"] for container in pod["spec"]["containers"] for port in container["ports"]}


def processors(setup: Setup) -> list[Manifest]:
    """Returns the filters' own configurations, of the manifests that hold Envoy's."""
    kind = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"
    held = [*setup.of("EnvoyFilter"), *setup.of("EnvoyPatchPolicy")]
    return [one for one in under("typed_config", held) if one.get("@type") == kind]


def clusters(setup: Setup) -> list[Manifest]:
    patches = under("jsonPatches", setup.of("EnvoyPatchPolicy"))
    return [one["operation"]["value"] for one in patches if one["type"].endswith(".Cluster")]
