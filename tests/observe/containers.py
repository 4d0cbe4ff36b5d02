#!/usr/bin/env python3
"""Runs what the images and compose.yaml say, without an engine for images: the same paths, commands, ports and probes.

The final stage's files are laid out in a folder as COPY says, and its CMD is run there with its ENV; the health check's
own command has to fail before that and to succeed then. Prometheus gets compose.yaml's own arguments. Only ports and
the places of mounts differ.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

sys.dont_write_bytecode = True

import yaml  # noqa: E402

from stack import PATIENCE, ROOT, binary, closed_port, stop, until_ready  # noqa: E402

HOME = "/opt/pointsman"
Instruction = tuple[str, str]
YamlObject = dict[str, Any]


def main() -> None:
    lint()
    for name in ("Dockerfile", "Dockerfile.cuda"):
        stages = read(ROOT / name)
        sources_exist(name, stages)
        if name == "Dockerfile":
            serves(stages)
    same_but_for_the_device()
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    mounts_exist(compose)
    prometheus_runs(compose)
    names_agree(compose)
    print("ok: images and compose.yaml")


def lint() -> None:
    tools = pathlib.Path(sys.executable).parent
    run([str(tools / "hadolint"), "Dockerfile", "Dockerfile.cuda"])
    run(
        [
            str(tools / "yamllint"),
            "--strict",
            "-c",
            "tests/observe/yamllint.yaml",
            "compose.yaml",
            "config/prometheus",
            "config/grafana/provisioning",
            "config/container.yaml",
        ]
    )


def run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}"


def read(path: pathlib.Path) -> list[list[Instruction]]:
    """Returns the instructions of each stage; continued lines are joined, comments left out."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#")).replace("\\\n", " ")
    stages: list[list[Instruction]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, rest))
    return stages


def of(stage: list[Instruction], word: str) -> list[str]:
    return [rest for name, rest in stage if name == word]


def sources_exist(name: str, stages: list[list[Instruction]]) -> None:
    """Checks that all that a build copies is there, is let in by .dockerignore, and is enough for cargo."""
    build, final = stages
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    with tempfile.TemporaryDirectory() as folder:
        for arguments in of(build, "COPY") + [copy for copy in of(final, "COPY") if "--from" not in copy]:
            *sources, target = arguments.split()
            for source in sources:
                assert (ROOT / source).exists(), f"{name} copies {source}, which is not there"
                assert any(source == entry or source.startswith(f"{entry}/") for entry in allowed), (
                    f".dockerignore keeps {source} from {name}"
                )
        for arguments in of(build, "COPY"):
            *sources, target = arguments.split()
            for source in sources:
                place(ROOT / source, pathlib.Path(folder, target, "" if target != "./" else source))
        metadata = subprocess.run(
            ["cargo", "metadata", "--offline", "--locked", "--format-version=1", "--no-deps"],
            cwd=folder,
            stdout=subprocess.PIPE,
            check=True,
        )
        targets = json.loads(metadata.stdout)["packages"][0]["targets"]
        assert all(pathlib.Path(target["src_path"]).exists() for target in targets), targets
        for file in sources_of_the_build(pathlib.Path(folder)):
            shipped = file.read_text().split("#[cfg(test)]\nmod tests", 1)[0]
            for included in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', shipped):
                assert (file.parent / included).exists(), f"{file} includes {included}, which {name} does not copy"
    run(
        [
            "make",
            "--dry-run",
            *next(command for command in of(build, "RUN") if command.startswith("make")).split(" && ")[0].split()[1:],
        ]
    )


def sources_of_the_build(folder: pathlib.Path) -> list[pathlib.Path]:
    """The Rust files that an image compiles: those of the package and of its crates, without the ones of tests."""
    rooms = [folder / "src", *sorted(folder.glob("crates/*/src"))]
    files = [file for room in rooms for file in room.rglob("*.rs")]
    of_tests = {"tests", "tests.rs"}
    kept = [file for file in files if of_tests.isdisjoint(file.relative_to(folder).parts)]
    assert len(rooms) > 1 and 0 < len(kept) < len(files), (rooms, len(kept))
    return kept


def place(source: pathlib.Path, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".peers"))
    else:
        shutil.copy(source, target)


@contextlib.contextmanager
def image(final: list[Instruction]) -> Iterator[tuple[pathlib.Path, dict[str, str]]]:
    """Lays the final stage out in a folder, with free ports instead of its own; yields the folder and the changes."""
    with tempfile.TemporaryDirectory(prefix="pointsman-image-") as folder:
        root = pathlib.Path(folder)
        assert of(final, "WORKDIR") == [HOME]
        for arguments in of(final, "COPY"):
            *options, source, target = arguments.split()
            if options and source == f"{HOME}/target/release/pointsman":
                place(pathlib.Path(binary()), root / target.lstrip("/"))
            else:
                place(ROOT / source.removeprefix(f"{HOME}/"), root / HOME.lstrip("/") / target)
        ports = of(final, "EXPOSE")[0].split()
        free = {port: str(closed_port()) for port in ports}
        config = root / HOME.lstrip("/") / "config" / "container.yaml"
        text = config.read_text()
        for port, other in free.items():
            assert f":{port}" in text, f"config/container.yaml does not listen on {port}, which the image exposes"
            text = text.replace(f"0.0.0.0:{port}", f"127.0.0.1:{other}")
        config.write_text(text)
        yield root, free


def succeeds(command: list[str]) -> bool:
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def serves(stages: list[list[Instruction]]) -> None:
    """Runs ENTRYPOINT and CMD as the image would, and its health check."""
    final = stages[-1]
    with image(final) as (root, ports), contextlib.ExitStack() as end:
        environment = dict(pair.split("=", 1) for pair in of(final, "ENV"))
        within = {name: str(root) + value for name, value in environment.items() if value.startswith("/")}
        environment |= within
        assert pathlib.Path(environment["ORT_DYLIB_PATH"]).exists()
        probe = json.loads(of(final, "HEALTHCHECK")[0].split("CMD ", 1)[1])
        probe[-1] = probe[-1].replace("/9090", f"/{ports['9090']}")
        healthy = functools.partial(succeeds, probe)
        assert not healthy(), "the health check succeeds where nothing runs"

        command = json.loads(of(final, "ENTRYPOINT")[0]) + json.loads(of(final, "CMD")[0])
        path = f"{root}/usr/local/bin:{os.environ['PATH']}"
        executable = shutil.which(command[0], path=path)
        assert executable == f"{root}/usr/local/bin/pointsman", executable
        log = end.enter_context(tempfile.TemporaryFile("w+"))
        process = subprocess.Popen(
            [executable, *command[1:]], cwd=root / HOME.lstrip("/"), env=environment | {"PATH": path}, stderr=log
        )
        end.callback(stop, process)
        deadline = time.monotonic() + PATIENCE
        while not healthy():
            assert process.poll() is None and time.monotonic() < deadline, (log.seek(0), log.read())
            time.sleep(0.1)
        admin = f"http://127.0.0.1:{ports['9090']}"
        body = json.dumps(
            {"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]}
        ).encode()
        with urllib.request.urlopen(
            urllib.request.Request(f"{admin}/v1/decide", body, {"content-type": "application/json"})
        ) as answer:
            decision = json.load(answer)
        assert decision["model"] == "small" and decision["degraded"] is None, decision
        with urllib.request.urlopen(f"{admin}/readyz") as answer:
            ready = json.load(answer)
        assert ready["classifiers"]["default"]["state"] == "ready", ready


def same_but_for_the_device() -> None:
    """Checks that the GPU's image differs in its base and its library only, so that what was run stands for it."""
    cpu, gpu = (read(ROOT / name) for name in ("Dockerfile", "Dockerfile.cuda"))
    for word in ("RUN", "WORKDIR", "USER", "EXPOSE", "ENTRYPOINT", "CMD"):
        assert of(cpu[-1], word) == of(gpu[-1], word), word
    assert [probe.split("CMD ")[1] for probe in of(cpu[-1], "HEALTHCHECK")] == [
        probe.split("CMD ")[1] for probe in of(gpu[-1], "HEALTHCHECK")
    ]
    differing = set(of(cpu[-1], "COPY")) ^ set(of(gpu[-1], "COPY"))
    assert all(".tools" in copy for copy in differing), differing
    fetch = next(command for command in of(gpu[0], "RUN") if "wheel.py" in command).split(" && ")[1]
    arguments = shlex.split(fetch)[2:]
    assert len(arguments) == 7 and re.fullmatch("[0-9a-f]{64}", arguments[3]), arguments
    release = re.search(r"onnxruntime\.so\.([0-9.]+)", next(copy for copy in of(cpu[-1], "COPY") if ".tools" in copy))
    assert release and release[1] == arguments[1], "the images have different releases of ONNX Runtime"
    if "--fetch" in sys.argv:  # 250 MB
        with tempfile.TemporaryDirectory() as folder:
            run([sys.executable, str(ROOT / ".ci" / "wheel.py"), *arguments[:-1], folder])
            library = of(gpu[-1], "ENV")[0].rsplit("/", 1)[1]
            assert pathlib.Path(folder, "onnxruntime", "capi", library).exists(), library
            print("ok: the GPU's libraries were fetched")


def mounts(service: YamlObject) -> dict[str, str]:
    """Returns what is mounted from the repository: place in the container to place here."""
    parts = [volume.split(":") for volume in service.get("volumes", [])]
    return {target: source for source, target, *_ in parts if source.startswith("./")}


def mounts_exist(compose: YamlObject) -> None:
    for name, service in compose["services"].items():
        for source in mounts(service).values():
            assert (ROOT / source).exists(), f"{name} mounts {source}, which is not there"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), f"{name} is open to the network"
        build = service.get("build")
        if build:
            assert (
                ROOT
                / (build if isinstance(build, str) else build["context"])
                / (build.get("dockerfile", "Dockerfile") if isinstance(build, dict) else "Dockerfile")
            ).exists()


def prometheus_runs(compose: YamlObject) -> None:
    """Runs Prometheus with the service's own arguments, its mounts where they are here."""
    service = compose["services"]["prometheus"]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as end:
        places = {target: str(ROOT / source) for target, source in mounts(service).items()} | {"/prometheus": folder}
        arguments = [mapped(argument, places) for argument in service["command"]]
        url = f"127.0.0.1:{closed_port()}"
        process = subprocess.Popen(["prometheus", *arguments, f"--web.listen-address={url}"], stderr=subprocess.DEVNULL)
        end.callback(stop, process)
        assert until_ready(process, f"http://{url}/-/ready"), f"prometheus {' '.join(arguments)} does not start"
        with urllib.request.urlopen(f"http://{url}/api/v1/rules") as answer:
            groups = json.load(answer)["data"]["groups"]
        assert {pathlib.Path(group["file"]).name for group in groups} == {"rules.yaml", "alerts.yaml"}, groups


def mapped(argument: str, places: dict[str, str]) -> str:
    option, path = argument.split("=", 1)
    inside = max((place for place in places if fnmatch.fnmatch(path, f"{place}*")), key=len, default=None)
    return f"{option}={places[inside]}{path.removeprefix(inside)}" if inside else argument


def names_agree(compose: YamlObject) -> None:
    """Checks that hosts, ports and folders that configurations name are those of compose.yaml."""
    services = compose["services"]
    config = yaml.safe_load((ROOT / "config/prometheus/prometheus.yaml").read_text())
    targets = [target for job in config["scrape_configs"] for one in job["static_configs"] for target in one["targets"]]
    assert all(target.split(":")[0] in services for target in targets), targets
    assert "pointsman:9090" in targets and any(port.endswith(":9090") for port in services["pointsman"]["ports"])
    assert services["pointsman-gpu"]["networks"]["default"]["aliases"] == ["pointsman"]
    grafana = mounts(services["grafana"])
    provisioning = ROOT / grafana["/etc/grafana/provisioning"]
    source = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"][0]
    assert (
        source["url"] == "http://prometheus:9090"
        and source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]
    )
    provider = yaml.safe_load((provisioning / "dashboards/pointsman.yaml").read_text())["providers"][0]
    dashboards = list((ROOT / grafana[provider["options"]["path"]]).glob("*.json"))
    assert len({json.loads(file.read_text())["uid"] for file in dashboards}) == 5, dashboards


if __name__ == "__main__":
    main()
