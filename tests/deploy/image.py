#!/usr/bin/env python3
"""Builds an image of a Dockerfile with buildah, runs it, and lets it serve: `make image`.

    image.py [--binary FILE] [--file Dockerfile] [--env NAME=VALUE] [--keep] [--report FILE]

The base images are made here (bases.py). With `--binary` the first stage is not run: what the last stage copies of it
is taken from outside (the binary given, and the libraries and licences that `make setup licences` made), and the last
stage is built as it stands.

What runs is the image's own user, entry point, command and health check, by buildah in a chroot, in a network of its
own that reaches nothing: a scripted upstream within it stands for the provider.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

sys.dont_write_bytecode = True

from bases import ROOT, STORE, buildah, command, make_bases, remove_store  # noqa: E402

HOME = "opt/pointsman"
BUILD_PATIENCE, RUN_PATIENCE = 3600, 60
CLONE_NEWNET = 0x40000000
PROMPTS = ("What is the capital of France?", "Prove that there are infinitely many primes.")
Json = dict[str, Any]


def main() -> None:
    arguments = options()
    STORE.mkdir(parents=True, exist_ok=True)
    report: Json = {"dockerfile": arguments.file, "binary": arguments.binary or "built inside"}
    try:
        with timed(report, "base images"):
            make_bases(arguments.file, arguments.binary is None)
        with timed(report, "image"):
            build(arguments)
        report |= sizes()
        with timed(report, "serving"):
            report |= serve()
    finally:
        if not arguments.keep:
            remove_store()
    text = json.dumps(report, indent=2)
    if arguments.report:
        pathlib.Path(arguments.report).write_text(text + "\n", "utf-8")
    print(text)
    print(f"ok: {arguments.file} was built and serves")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Builds an image with buildah, runs it, and lets it serve.")
    parser.add_argument("--binary", help="a release binary, in place of the first stage")
    parser.add_argument("--file", default="Dockerfile")
    parser.add_argument("--env", action="append", default=[], help="a variable of the build, NAME=VALUE; several times")
    parser.add_argument("--keep", action="store_true", help="leaves images and base images in target/images")
    parser.add_argument("--report", help="a file for what was measured")
    return parser.parse_args()


@contextlib.contextmanager
def timed(report: Json, name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    report[f"{name}, s"] = round(time.monotonic() - started)


# --- the image


def build(arguments: argparse.Namespace) -> None:
    file, binary = arguments.file, arguments.binary
    shared = ["bud", "--isolation=chroot", "--pull-never", "--format=docker", f"--ignorefile={ROOT}/.dockerignore"]
    shared += [f"--env={variable}" for variable in arguments.env]
    if binary is None:
        buildah(*shared, "-f", str(ROOT / file), "-t", "pointsman", str(ROOT), patience=BUILD_PATIENCE)
        return
    with tempfile.TemporaryDirectory(dir=STORE) as folder:
        outside = pathlib.Path(folder, "outside")
        stages = re.split(r"(?m)^(?=FROM )", (ROOT / file).read_text())
        for source in re.findall(r"^COPY --from=build (\S+)", stages[-1], re.MULTILINE):
            here = ROOT / source.removeprefix(f"/{HOME}/")
            place(pathlib.Path(binary) if source.endswith("/release/pointsman") else here, outside / source.lstrip("/"))
        last = pathlib.Path(folder, "Dockerfile")
        last.write_text(stages[-1])
        context = f"build={outside}"
        buildah(*shared, "--build-context", context, "-f", str(last), "-t", "pointsman", str(ROOT))


def place(source: pathlib.Path, target: pathlib.Path) -> None:
    assert source.exists(), f"there is no {source}: make setup licences"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)


@functools.cache
def image() -> Json:
    found: Json = json.loads(buildah("inspect", "--type", "image", "pointsman"))["Docker"]["config"]
    return found


def sizes() -> Json:
    """Returns the megabytes of the image: as it lies on a disk, as it is pulled, and of its largest parts."""
    with tempfile.TemporaryDirectory(dir=STORE) as folder:
        buildah("push", "pointsman", f"oci:{folder}/oci:pointsman")
        pulled = sum(file.stat().st_size for file in pathlib.Path(folder, "oci", "blobs", "sha256").iterdir())
    container = buildah("from", "--pull-never", "pointsman")
    root = pathlib.Path(buildah("mount", container))
    parts = {
        "binary": root / "usr/local/bin/pointsman",
        "ONNX Runtime": root / HOME / ".tools",
        "bundle": root / HOME / "models",
        "licences": root / HOME / "licences",
        "whole": root,
    }
    found = {name: size(path) for name, path in parts.items()}
    binary = subprocess.check_output(["file", "--brief", str(parts["binary"])], text=True)
    assert ", stripped" in binary, f"the binary is not stripped: {binary}"
    buildah("rm", container)
    return {"size, MB": {name: megabytes(size) for name, size in (found | {"compressed": pulled}).items()}}


def size(path: pathlib.Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    # A file of several names counts once.
    return sum({(found.st_dev, found.st_ino): found.st_size for found in (file.stat() for file in files)}.values())


def megabytes(size: int) -> float:
    return round(size / 1e6, 1)


# --- running


class Provider(http.server.BaseHTTPRequestHandler):
    """A provider that answers every chat with the name of the model that it was asked for."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": f"I am {asked}"}}
        usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
        answer = {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": asked,
            "choices": [choice],
            "usage": usage,
        }
        body = json.dumps(answer)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


@dataclass
class Running:
    """A container whose main process runs."""

    name: str
    process: subprocess.Popen[str]
    log: list[str]

    def healthy(self) -> bool:
        """Runs the image's own health check within the container."""
        test = image()["Healthcheck"]["Test"]
        assert test[0] == "CMD", test
        inside = command("run", "--isolation=chroot", self.name, "--", *test[1:])
        return subprocess.run(inside, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def serve() -> Json:
    """Sends prompts through the image in a network of its own: its ports are free there, and no provider is."""
    enter_own_network()
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    with running(f"http://127.0.0.1:{provider.server_port}/v1") as container:
        started = time.monotonic()
        while not container.healthy():
            assert container.process.poll() is None, "\n".join(container.log)
            assert time.monotonic() < started + RUN_PATIENCE, "\n".join(container.log)
            time.sleep(0.1)
        ready = round(time.monotonic() - started, 1)
        answers = {prompt: ask(prompt) for prompt in PROMPTS}
        easy, hard = answers.values()
        assert easy["model"] == "small" and hard["model"] != "small", answers
        assert easy["answer"] == "I am gpt-4.1-nano", answers
        process = main_process()
        memory = resident(process)
        os.kill(process, signal.SIGTERM)
        assert container.process.wait(RUN_PATIENCE) == 0, "\n".join(container.log)
    provider.shutdown()
    chosen = {prompt: answer["model"] for prompt, answer in answers.items()}
    return {"ready after, s": ready, "answered by": chosen, "memory, MB": memory}


def enter_own_network() -> None:
    """Moves this process into a new network, in which only the loopback is."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare of the network: run this as root")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14s", b"lo", 0x1 | 0x40, b""))  # SIOCSIFFLAGS: up, running


@contextlib.contextmanager
def running(upstream: str) -> Iterator[Running]:
    config = image()
    home = config["WorkingDir"]
    with tempfile.TemporaryDirectory(dir=STORE) as folder:
        served = pathlib.Path(folder, "container.yaml")
        text = (ROOT / "config" / "container.yaml").read_text()
        served.write_text(text.replace("https://api.openai.com/v1", upstream))
        served.chmod(0o644)
        pathlib.Path(folder).chmod(0o755)
        name = buildah("from", "--pull-never", "pointsman")
        volume = f"--volume={served}:{home}/config/container.yaml:ro"  # as compose.yaml mounts it
        inside = command("run", "--isolation=chroot", volume, name, "--", *config["Entrypoint"], *config["Cmd"])
        process = subprocess.Popen(inside, stderr=subprocess.PIPE, text=True)
        log: list[str] = []
        threading.Thread(target=lambda: log.extend(process.stderr or ()), daemon=True).start()
        try:
            yield Running(name, process, log)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(RUN_PATIENCE)


def ask(prompt: str) -> Json:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": prompt}]}).encode()
    fields = {"content-type": "application/json", "authorization": "Bearer key"}
    request = urllib.request.Request("http://127.0.0.1:8080/v1/chat/completions", body, fields)
    with urllib.request.urlopen(request, timeout=RUN_PATIENCE) as answer:
        found = json.load(answer)
        return {"model": answer.headers["x-pointsman-model"], "answer": found["choices"][0]["message"]["content"]}


def main_process() -> int:
    """Returns the process of the image's binary in this network."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str((folder / "exe").readlink()).endswith("/usr/local/bin/pointsman") and same_network(folder):
                return int(folder.name)
    raise AssertionError("no process of the image runs")


def resident(process: int) -> float:
    """Returns the megabytes that a process has in memory, and checks that it is the image's user's."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    owner, memory = (re.search(rf"^{key}:\s+(\d+)", status, re.MULTILINE) for key in ("Uid", "VmRSS"))
    assert owner and memory, status
    assert owner[1] == image()["User"].split(":")[0], f"pointsman runs as {owner[1]}"
    return megabytes(int(memory[1]) * 1024)


def same_network(folder: pathlib.Path) -> bool:
    return (folder / "ns" / "net").readlink() == pathlib.Path("/proc/self/ns/net").readlink()


if __name__ == "__main__":
    if os.geteuid():
        sys.exit("image: buildah and debootstrap need root here")
    main()
