#!/usr/bin/env python3
"""Renders the chart with the real helm, and holds it to Kubernetes' schemas and to golden manifests: `make helm`.

    helm.py [--bless]

For each file of tests/deploy/values:

- `helm lint --strict` and `helm template`; the manifests are those of tests/deploy/golden (--bless writes them anew)
- each manifest against the JSON schemas of Kubernetes, of the newest and of the oldest release that the chart allows;
  unknown keys are refused
- kubectl's own types read those of them that its offline commands take
- `pointsman check` of the configuration in the ConfigMap, its files where the pod has them

Then, values that must be refused, each with its words; and that a change of the configuration changes the ConfigMap
alone.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).parent
CHART = ROOT / "deploy" / "helm" / "pointsman"
RELEASE = ["pointsman", str(CHART), "--namespace", "llm"]
NEWEST, OLDEST = "1.37.0", "1.29.0"
# Of others than Kubernetes: published.py holds them to the operator's types.
CUSTOM = "monitoring.coreos.com/v1"
Manifest = dict[str, Any]


class Plain(yaml.SafeDumper):
    """Writes texts of several lines as blocks, so that a diff of golden manifests can be read."""


def block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Plain.add_representer(str, block)


@dataclass(frozen=True)
class Refusal:
    """Values that the chart must refuse, and the words by which it does."""

    settings: list[str]
    words: str


LISTENERS = "listen: {address: 0.0.0.0:80}\nadmin: {address: 0.0.0.0:81}"
BUDGETS = f"config={LISTENERS}\nbudgets: [{{name: a\\, dollars: 1}}]"
REFUSALS = [
    Refusal(["--set", "replica=3"], "additional properties 'replica' not allowed"),
    Refusal(["--set", "replicas=two"], "got string, want integer"),
    Refusal(["--set", "image.digest=latest"], "does not match pattern"),
    Refusal(["--set", "secrets[0].name=providers"], "missing property 'secretName'"),
    Refusal(["--set", "service.type=ExternalName"], "value must be one of"),
    Refusal(["--set", "ingress.enabled=true"], "minItems"),
    Refusal(
        ["--set", "autoscaling.enabled=true,autoscaling.cpu.enabled=false,autoscaling.queue.enabled=false"],
        "nothing to go by",
    ),
    Refusal(
        ["--set", "autoscaling.enabled=true,autoscaling.minReplicas=11"], "minReplicas: 11 is more than maxReplicas, 10"
    ),
    Refusal(["--set", "fullnameOverride=1st"], "does not match pattern"),
    Refusal(["--set", "config=admin: ["], "config: no YAML"),
    Refusal(["--set", "config=version: 1"], "config: listen: is missing"),
    Refusal(
        ["--set", "config=listen: {address: 127.0.0.1:8080}"], "`127.0.0.1:8080` cannot be reached from outside the pod"
    ),
    Refusal(
        ["--set", "config=listen: {address: 0.0.0.0:8080}"], "admin.address: `` cannot be reached from outside the pod"
    ),
    Refusal(
        ["--set", f"config={LISTENERS}\nlimits: {{drain: 1m 30s}}"],
        "limits.drain: `1m 30s` is not read by the chart",
    ),
    Refusal(["--set", "valkey.enabled=true,existingConfigMap=mine"], "cannot write its `store` into existingConfigMap"),
    Refusal(
        [
            "--set",
            "valkey.enabled=true",
            "--set",
            f"config={LISTENERS}\nstore: {{redis: {{}}}}",
        ],
        "has a `store`, and valkey.enabled brings one",
    ),
    *[
        Refusal(
            [
                "--set",
                "valkey.enabled=true",
                "--set",
                f"config=listen: {{address: 0.0.0.0:80}}\nadmin: {{address: 0.0.0.0:81}}\n{section}",
            ],
            f"config: {section.split(':')[0]}: the Valkey of valkey.enabled keeps nothing on a disk",
        )
        for section in ("budgets: [{name: a\\, dollars: 1}]", "client_keys: {store: {refresh: 5s}}")
    ],
    Refusal(
        ["--set", f"config={LISTENERS}\nclient_keys: {{file: keys.jsonl}}"],
        "config: client_keys.file: a pod has no disk that is written and lasts",
    ),
    Refusal(["--set", BUDGETS], "config: budgets: each of 2 pods would count for itself"),
    Refusal(
        ["--set", "replicas=1,autoscaling.enabled=true", "--set", BUDGETS],
        "config: budgets: each of 10 pods would count for itself",
    ),
    Refusal(
        [
            "--set",
            "serviceMonitor.enabled=true",
            "--set",
            "config=listen: {address: 0.0.0.0:80}\nadmin: {address: 0.0.0.0:81\\, auth: {tokens: []}}",
        ],
        "Prometheus is a caller, too",
    ),
    Refusal(["--set", "extProc.enabled=true,networkPolicy.enabled=false"], "`config` has no `ext_proc`"),
    Refusal(
        ["--set", "extProc.enabled=true", "--set", f"config={LISTENERS}\next_proc: {{address: 0.0.0.0:82}}"],
        "networkPolicy.gateways: is missing",
    ),
    Refusal(
        [
            "--set",
            "extProc.enabled=true,networkPolicy.enabled=false",
            "--set",
            f"config={LISTENERS}\next_proc: {{allow_open: true}}",
        ],
        "ext_proc.address: `127.0.0.1:9002` cannot be reached from outside the pod",
    ),
    Refusal(
        [
            "--set",
            "extProc.enabled=true,extProc.readiness=grpc,networkPolicy.enabled=false",
            "--set",
            f"config={LISTENERS}\next_proc: {{address: 0.0.0.0:82\\, tls: {{}}}}",
        ],
        "the kubelet asks by gRPC without TLS",
    ),
    Refusal(
        ["--set", f"config={LISTENERS}\next_proc: {{address: 0.0.0.0:82}}"], "config: ext_proc: no Service leads there"
    ),
]


def main() -> None:
    the_checks_find_mistakes()
    for values in sorted((HERE / "values").glob("*.yaml")):
        check(values)
    for refusal in REFUSALS:
        said = helm("template", *RELEASE, *refusal.settings, succeeds=False)
        assert refusal.words in said, f"{refusal.settings}: refused with other words than {refusal.words!r}:\n{said}"
    a_release_may_be_called_by_a_number()
    one_pod_may_count_budgets_for_itself()
    a_change_of_the_configuration_restarts_no_pod()
    the_package_holds_the_dashboards()
    print(f"ok: the chart, {len(REFUSALS)} refusals")


def one_pod_may_count_budgets_for_itself() -> None:
    helm("template", *RELEASE, "--set", "replicas=1", "--set", BUDGETS)


def check(values: pathlib.Path) -> None:
    helm("lint", "--strict", "--namespace", "llm", "--values", str(values), str(CHART))
    manifests = render("--values", str(values))
    for manifest in manifests:
        hold_to_schema(values.name, manifest)
    what_is_copied_is_whole(manifests)
    golden(values, manifests)
    read_by_kubectl(manifests)
    configurations_are_good(values.name, manifests)
    print(f"ok: {values.name}, {len(manifests)} manifests")


def helm(*arguments: str, succeeds: bool = True) -> str:
    done = outcome(["helm", *arguments])
    assert (done.returncode == 0) == succeeds, f"helm {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
    return done.stdout if succeeds else done.stderr


def outcome(command: list[str], told: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command, with a text on its standard input; returns how it ended and what it said."""
    return subprocess.run(command, cwd=ROOT, input=told, capture_output=True, text=True, check=False)


def render(*arguments: str) -> list[Manifest]:
    text = helm("template", *RELEASE, "--kube-version", NEWEST, *arguments)
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


# --- schemas


def hold_to_schema(values: str, manifest: Manifest) -> None:
    import kubernetes_validate

    if manifest["apiVersion"] == CUSTOM:
        return
    for version in (NEWEST, OLDEST):
        if version == OLDEST and uses_newer_keys(manifest):
            continue
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            raise AssertionError(f"{values}: {name(manifest)}, Kubernetes {version}: {error.message}") from None


def uses_newer_keys(manifest: Manifest) -> bool:
    """Tells whether the values themselves say what an older Kubernetes does not know: image volumes came with 1.31."""
    return '"image": {"reference"' in json.dumps(manifest)


def name(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


# --- golden manifests


def golden(values: pathlib.Path, manifests: list[Manifest]) -> None:
    file = HERE / "golden" / values.name
    head = f"# Written by `make helm BLESS=--bless`: what the chart makes of tests/deploy/values/{values.name}.\n"
    parts = [yaml.dump(shown(manifest), Dumper=Plain, sort_keys=False, width=140) for manifest in manifests]
    text = head + "---\n".join(parts)
    if "--bless" in sys.argv:
        file.write_text(text, "utf-8")
    expected = file.read_text("utf-8") if file.exists() else ""
    if text != expected:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as new:
            new.write(text)
            new.flush()
            diff = outcome(["diff", "-u", str(file), new.name]).stdout
        raise AssertionError(f"{file} differs (make helm BLESS=--bless takes it as it is now):\n{diff}")


def shown(manifest: Manifest) -> Manifest:
    """Returns the manifest without what is copied from config/, which changes for other reasons."""
    if manifest["kind"] == "PrometheusRule":
        return manifest | {"spec": {"groups": f"{len(manifest['spec']['groups'])} groups"}}
    if manifest["metadata"]["name"].endswith("-dashboards"):
        return manifest | {"data": dict.fromkeys(sorted(manifest["data"]), "a dashboard")}
    return manifest


def what_is_copied_is_whole(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        if manifest["kind"] == "PrometheusRule":
            files = [ROOT / "config" / "prometheus" / file for file in ("rules.yaml", "alerts.yaml")]
            groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
            assert manifest["spec"]["groups"] == groups, "the PrometheusRule has other groups than config/prometheus"
        if manifest["metadata"]["name"].endswith("-dashboards"):
            ours = (ROOT / "config" / "grafana" / "dashboards").glob("*.json")
            dashboards = {f"pointsman-{file.name}": json.loads(file.read_text()) for file in ours}
            assert {key: json.loads(text) for key, text in manifest["data"].items()} == dashboards
            assert len(json.dumps(manifest)) < 1 << 20, "a ConfigMap holds a mebibyte"


# --- kubectl


def read_by_kubectl(manifests: list[Manifest]) -> None:
    """Lets kubectl read what its offline commands take: those with pods, by its own types, which drop unknown keys."""
    for manifest in manifests:
        if manifest["kind"] not in ("Deployment", "Job"):
            continue
        container = manifest["spec"]["template"]["spec"]["containers"][0]["name"]
        # Another image, because kubectl shows nothing where it changed nothing.
        command = "kubectl set image --local --filename=- --output=json".split()
        done = outcome([*command, f"{container}=example.com/other:1"], json.dumps(manifest))
        assert done.returncode == 0 and done.stdout, f"kubectl: {name(manifest)}: {done.stderr}"
        lost = list(missing(manifest, json.loads(done.stdout)))
        assert not lost, f"kubectl: {name(manifest)}: does not know {', '.join(lost)}"


def missing(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Yields the paths that are in ours and not in theirs."""
    if isinstance(ours, dict):
        for key, value in ours.items():
            if not isinstance(theirs, dict) or key not in theirs:
                if value not in ({}, [], None, ""):
                    yield f"{path}.{key}"
            else:
                yield from missing(value, theirs[key], f"{path}.{key}")
    elif isinstance(ours, list):
        for index, value in enumerate(ours):
            yield from missing(value, theirs[index], f"{path}[{index}]")


def the_checks_find_mistakes() -> None:
    """Checks that the checks check: a key that nobody knows is found by the schemas and by kubectl."""
    wrong = next(manifest for manifest in render() if manifest["kind"] == "Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {"periodSeconds": 1}
    for look in (see_by_schema, see_by_kubectl):
        try:
            look(wrong)
        except AssertionError as error:
            assert "readinesProbe" in str(error), error
        else:
            raise SystemExit(f"a mistake passes {look.__name__}")


def see_by_schema(manifest: Manifest) -> None:
    hold_to_schema("a mistake", manifest)


def see_by_kubectl(manifest: Manifest) -> None:
    read_by_kubectl([manifest])


# --- the configuration


def configurations_are_good(values: str, manifests: list[Manifest]) -> None:
    """Runs `pointsman check` on what the ConfigMaps hold, the pod's folders laid out in a folder."""
    for manifest in manifests:
        if manifest["kind"] != "ConfigMap" or "pointsman.yaml" not in manifest["data"]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            text = manifest["data"]["pointsman.yaml"]
            for file, content in manifest["data"].items():
                put(root / file, content)
            for path in sorted(set(re.findall(r"/run/secrets/[\w./-]+", text))):
                put(root / path.lstrip("/"), secret(path))
            for inside, here in {
                "/run/secrets": f"{root}/run/secrets",
                "/opt/pointsman/models": f"{ROOT}/models",
                "/bundles/large": f"{ROOT}/models/pointsman-mini",
                "ca: ca.pem": f"ca: {authority()[0]}",
            }.items():
                text = text.replace(inside, here)
            put(root / "pointsman.yaml", text)
            done = outcome([binary(), "check", "-c", str(root / "pointsman.yaml")])
            assert done.returncode == 0, f"{values}: {name(manifest)}: pointsman check:\n{done.stdout}{done.stderr}"


def put(file: pathlib.Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, "utf-8")


def secret(path: str) -> str:
    if path.endswith(("tls.crt", "tls.key")):
        return pathlib.Path(authority()[path.endswith("tls.key")]).read_text()
    return "redis://user:password@store:6379" if path.endswith("/url") else "key-of-this-test"


@functools.cache
def authority() -> tuple[str, str]:
    """Makes a certificate and its key, for the listener and as an authority."""
    folder = tempfile.mkdtemp(prefix="pointsman-helm-")
    atexit.register(shutil.rmtree, folder)
    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    kind = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=llm.example.com"
    named = ["-addext", "subjectAltName=DNS:llm.example.com", "-keyout", key, "-out", cert]
    made = outcome([*kind.split(), *named])
    assert made.returncode == 0, made.stderr
    return cert, key


@functools.cache
def binary() -> str:
    """Returns what `cargo build` made, or the binary that POINTSMAN names."""
    if named := os.environ.get("POINTSMAN"):
        return named
    metadata = ["cargo", "metadata", "--format-version=1", "--no-deps", "--offline"]
    target = json.loads(subprocess.check_output(metadata, cwd=ROOT))["target_directory"]
    return str(pathlib.Path(target, "debug", "pointsman"))


# --- what holds over manifests


def a_release_may_be_called_by_a_number() -> None:
    """Holds a release called 123 to the schemas: YAML takes what is not quoted for a number."""
    settings = ["--set", "valkey.enabled=true,autoscaling.enabled=true,ingress.enabled=true,ingress.hosts[0].host=h"]
    text = helm("template", "123", *RELEASE[1:], "--kube-version", NEWEST, *settings)
    manifests = [manifest for manifest in yaml.safe_load_all(text) if manifest]
    for manifest in manifests:
        hold_to_schema("release 123", manifest)
    configurations_are_good("release 123", manifests)


def a_change_of_the_configuration_restarts_no_pod() -> None:
    before, after = (
        {name(manifest): manifest for manifest in render("--no-hooks", "--set-string", f"config={text}")}
        for text in (minimal("small"), minimal("large"))
    )
    changed = [which for which in before if before[which] != after[which]]
    assert changed == ["ConfigMap/pointsman"], f"a change of the configuration changes {changed}"


def minimal(model: str) -> str:
    return f"{LISTENERS}\nmodels: {{{model}: {{}}}}"


def the_package_holds_the_dashboards() -> None:
    """Packs the chart: links to config/ have to become files."""
    with tempfile.TemporaryDirectory() as folder:
        helm("package", str(CHART), "--destination", folder)
        archive = next(pathlib.Path(folder).glob("pointsman-*.tgz"))
        members = subprocess.check_output(["tar", "-tzf", str(archive)], text=True).splitlines()
        assert sum(member.startswith("pointsman/files/dashboards/") for member in members) == 5, members
        version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
        assert version and archive.name == f"pointsman-{version[1]}.tgz", f"{archive.name}: not the crate's version"
        both = "dashboards.enabled=true,prometheusRule.enabled=true"
        whole = helm("template", "pointsman", str(archive), "--set", both)
        assert "Pointsman: Traffic and savings" in whole and "PointsmanDown" in whole


if __name__ == "__main__":
    main()
