#!/usr/bin/env python3
"""Holds dashboards, provisioning, the Prometheus operator's and gateways' manifests to types that are published.

There is no Grafana, no operator and no gateway's controller in the package registries, but their types are on npm:
`@grafana/schema` of the releases that the dashboards are for, Grafana's foundation SDK for queries, and
`@kubernetes-models` of the Prometheus operator, of the Gateway API and of Istio (other gateways' resources: see
gateways.py). Each JSON is written as a TypeScript literal of its type, and the compiler
looks for keys that the type does not have and for values that it does not allow. Keys that have defaults may be left
out, as Grafana fills them in.

In published types an enum is no text, although it is one in JSON: copies are read in which an enum is the union of
its values.
"""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).parent
MODULES = HERE / "node" / "node_modules"
WORK = ROOT / "target" / "published"
ENUM = re.compile(r"export declare enum (\w+) \{(.*?)\n\}", re.DOTALL)
RELEASES = {"11": "grafana-schema-11", "12": "grafana-schema-12"}
PUBLISHERS = {"gateway.networking.k8s.io": "gateway-api", "networking.istio.io": "istio"}
Json = dict[str, Any]

LOOSE = """\
/** A type whose keys may be left out. */
type Loose<T> = T extends ReadonlyArray<infer U> ? Loose<U>[] : T extends object ? {[K in keyof T]?: Loose<T[K]>} : T;
"""
# Grafana publishes no types of provisioning files: these are the keys of its documentation ("Provision Grafana").
PROVISIONING = """\
export interface Datasources {
    apiVersion: 1;
    deleteDatasources?: {name: string; orgId?: number}[];
    prune?: boolean;
    datasources: Datasource[];
}
interface Datasource {
    name: string; type: string; access?: "proxy" | "direct"; orgId?: number; uid?: string; url?: string; user?: string;
    database?: string; basicAuth?: boolean; basicAuthUser?: string; withCredentials?: boolean; isDefault?: boolean;
    version?: number; editable?: boolean; jsonData?: Prometheus; secureJsonData?: Record<string, string>;
}
interface Prometheus {
    timeInterval?: string; httpMethod?: "GET" | "POST"; queryTimeout?: string; manageAlerts?: boolean;
    prometheusType?: string; prometheusVersion?: string; cacheLevel?: string; incrementalQuerying?: boolean;
    disableMetricsLookup?: boolean;
    exemplarTraceIdDestinations?: {name: string; datasourceUid?: string; url?: string}[];
}
export interface Providers {
    apiVersion: 1;
    providers: Provider[];
}
interface Provider {
    name: string; orgId?: number; folder?: string; folderUid?: string; type: "file"; disableDeletion?: boolean;
    editable?: boolean; updateIntervalSeconds?: number; allowUiUpdates?: boolean;
    options: {path: string; foldersFromFilesStructure?: boolean};
}
"""
PANELS = {
    "timeseries": "timeseries",
    "stat": "stat",
    "table": "table",
    "heatmap": "heatmap",
    "state-timeline": "statetimeline",
}


def main() -> None:
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    for release, package in RELEASES.items():
        dist = MODULES / package / "dist"
        copy_types(dist / "types" if (dist / "types").exists() else dist / "esm", WORK / f"grafana-{release}")
    copy_types(MODULES / "@grafana" / "grafana-foundation-sdk" / "dist", WORK / "foundation")
    (WORK / "provisioning.d.ts").write_text(PROVISIONING)
    (WORK / "node_modules").symlink_to(MODULES)
    count = sum(write_dashboards(release) for release in RELEASES)
    write_provisioning()
    write_operator()
    routes = write_gateways()
    compile_all()
    the_compiler_finds_mistakes()
    print(
        f"ok: {count} panels in the types of Grafana {' and '.join(RELEASES)}, provisioning, the operator's manifests, "
        f"{routes} of the Gateway API and Istio"
    )


# --- types


def copy_types(source: pathlib.Path, target: pathlib.Path) -> None:
    for file in source.rglob("*.d.ts"):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(ENUM.sub(union, file.read_text("utf-8")), "utf-8")


def union(match: re.Match[str]) -> str:
    """Returns an enum as the union of its values, and its members as types of their own."""
    name, body = match.groups()
    members = re.findall(r"^\s+(\w+) = (\"[^\"]*\"|-?\d+)", body, re.MULTILINE)
    types = " ".join(f"type {member} = {value};" for member, value in members)
    values = " | ".join(value for _, value in members)
    return f"export type {name} = {values};\nexport declare namespace {name} {{ {types} }}"


# --- literals


def write_dashboards(release: str) -> int:
    schema = f"./grafana-{release}"
    lines = [
        f'import type * as grafana from "{schema}/raw/dashboard/x/dashboard_types.gen";',
        'import type * as prometheus from "./foundation/prometheus/types.gen";',
    ]
    for kind in PANELS.values():
        file = next((WORK / f"grafana-{release}" / "raw" / "composable" / kind / "panelcfg" / "x").glob("*.d.ts"))
        module = f"{schema}/raw/composable/{kind}/panelcfg/x/{file.name.removesuffix('.d.ts')}"
        lines.append(f'import type * as {kind} from "{module}";')
    lines.append(LOOSE)
    panels = 0
    for file in sorted((ROOT / "config" / "grafana" / "dashboards").glob("*.json")):
        dashboard = json.loads(file.read_text())
        found = dashboard.pop("panels")
        lines.append(literal(f"{file.stem}", "Loose<grafana.Dashboard>", dashboard))
        for panel in found:
            lines += panel_literals(f"{file.stem}_{panel['id']}", panel)
        panels += len(found)
    (WORK / f"dashboards-{release}.ts").write_text("\n".join(lines), "utf-8")
    return panels


def panel_literals(name: str, panel: Json) -> list[str]:
    if panel["type"] == "row":
        return [literal(name, "Loose<grafana.RowPanel>", panel)]
    kind = PANELS[panel["type"]]
    options, targets = panel.pop("options"), panel.pop("targets")
    custom = panel["fieldConfig"]["defaults"].pop("custom", None)
    found = [
        literal(name, "Loose<grafana.Panel>", panel),
        literal(f"{name}_options", f"Loose<{kind}.Options>", options),
        literal(f"{name}_targets", "Loose<prometheus.Dataquery>[]", targets),
    ]
    return found if custom is None else [*found, literal(f"{name}_custom", f"Loose<{kind}.FieldConfig>", custom)]


def literal(name: str, kind: str, value: object) -> str:
    return f"export const {re.sub(r'[^A-Za-z0-9_]', '_', name)}: {kind} = {json.dumps(value)};"


def write_provisioning() -> None:
    folder = ROOT / "config" / "grafana" / "provisioning"
    lines = ['import type {Datasources, Providers} from "./provisioning";']
    for kind, files in {"Datasources": "datasources", "Providers": "dashboards"}.items():
        lines += [
            literal(f"{files}_{file.stem}", kind, yaml.safe_load(file.read_text()))
            for file in (folder / files).glob("*.yaml")
        ]
    (WORK / "provisioned.ts").write_text("\n".join(lines), "utf-8")


def write_operator() -> None:
    """Writes what the chart makes for the operator, with the rules that golden manifests leave out."""
    command = (
        "helm template pointsman deploy/helm/pointsman --set serviceMonitor.enabled=true,prometheusRule.enabled=true"
    )
    text = subprocess.check_output(command.split(), cwd=ROOT, stderr=subprocess.DEVNULL, text=True)
    manifests = [one for one in yaml.safe_load_all(text) if one and "monitoring.coreos.com" in one["apiVersion"]]
    kinds = [manifest["kind"] for manifest in manifests]
    assert sorted(kinds) == ["PrometheusRule", "ServiceMonitor"], kinds
    module = "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1"
    lines = [f'import type {{I{kind}}} from "{module}/{kind}";' for kind in kinds]
    lines += [literal(manifest["kind"], f"I{manifest['kind']}", manifest) for manifest in manifests]
    (WORK / "operator.ts").write_text("\n".join(lines), "utf-8")


def write_gateways() -> int:
    """Writes what deploy/gateways has of the Gateway API and of Istio; returns how many manifests that are."""
    imports: set[str] = set()
    lines: list[str] = []
    for file in sorted((ROOT / "deploy" / "gateways").rglob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text("utf-8")):
            package = PUBLISHERS.get(manifest.get("apiVersion", "").split("/")[0])
            if not package:
                continue
            kind, module = manifest["kind"], f"@kubernetes-models/{package}/{manifest['apiVersion']}/{manifest['kind']}"
            imports.add(f'import type {{I{kind}}} from "{module}";')
            lines.append(literal(f"{file.parent.name}_{kind}_{len(lines)}", f"I{kind}", manifest))
    (WORK / "gateways.ts").write_text("\n".join([*sorted(imports), *lines]), "utf-8")
    return len(lines)


# --- the compiler


def compiled(release: str, *files: str) -> str:
    """Returns what the TypeScript compiler complains of, with the types of a release of Grafana."""
    options: Json = {"noEmit": True, "strict": True, "skipLibCheck": True, "types": []}
    options |= {"module": "esnext", "moduleResolution": "bundler", "target": "es2022"}
    options["paths"] = {"@grafana/schema": [f"./grafana-{release}/index.d.ts"]}
    (WORK / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": list(files)}))
    command = ["node", f"{MODULES}/typescript/bin/tsc", "--project", f"{WORK}/tsconfig.json", "--pretty", "false"]
    return subprocess.run(command, cwd=WORK, stdout=subprocess.PIPE, text=True, check=False).stdout


def compile_all() -> None:
    others = ["provisioned.ts", "operator.ts", "gateways.ts"]
    for release in RELEASES:
        if said := compiled(release, f"dashboards-{release}.ts", *others):
            sys.exit(f"published types, Grafana {release}:\n{said}")


def the_compiler_finds_mistakes() -> None:
    """Checks that the check checks: a key that nobody knows, a value that no type allows, in each kind of file."""
    mistakes = {
        "dashboards-12.ts": [
            ('"graphTooltip": 1', '"graphTooltip": 7'),
            ('"colorMode": "value"', '"colorMode": "loud"'),
            ('"expr": ', '"exprs": '),
        ],
        "provisioned.ts": [('"access": "proxy"', '"access": "by proxy"'), ('"isDefault": true', '"default": true')],
        "operator.ts": [
            ('"interval": "15s"', '"intervall": "15s"'),
            ('"targetLabel": "job"', '"targetLabel": 1'),
        ],
        "gateways.ts": [
            ('"backendRefs": ', '"backendRef": '),
            ('"operation": "INSERT_BEFORE"', '"operation": "INSERT_SOMEWHERE"'),
            ('"gatewayClassName": ', '"className": '),
        ],
    }
    for file, changes in mistakes.items():
        text = (WORK / file).read_text()
        for right, wrong in changes:
            assert right in text, f"{file} has no {right}"
            (WORK / "mistake.ts").write_text(text.replace(right, wrong, 1))
            assert "mistake.ts" in compiled("12", "mistake.ts"), f"{file}: {wrong} passes"


if __name__ == "__main__":
    main()
