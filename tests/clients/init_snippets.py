"""Every snippet that `pointsman init` prints, as a person pastes it: `make clients-agents` runs this.

`init` looks at a scripted vendor, the gateway serves what it wrote, and each snippet is run as it stands: Claude Code,
Codex, OpenAI's SDKs, curl. Of Cursor, which is no program that can run here, its settings are asked as Cursor asks.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import tempfile
import textwrap
import threading
import urllib.request
from collections.abc import Iterator

from gateway import ROOT, binary, closed_port, follow
from harness import PACKAGES
from script import ScriptedModel, ScriptHandler
from upstream import DEADLINE

VENDOR_KEY = "sk-of-the-vendor"
MODELS = ["gpt-5.4-nano", "gpt-5.4-mini", "gpt-5.5"]
NODE = pathlib.Path(__file__).parent / "node" / "node_modules"
# What a file is called that has to be quoted in a shell.
FILE = "my gateway.yaml"


class VendorHandler(ScriptHandler):
    """Lists models, too."""

    def do_GET(self) -> None:
        listed = [{"id": name, "object": "model"} for name in MODELS]
        self.send("application/json", json.dumps({"object": "list", "data": listed}))


class Vendor(ScriptedModel):
    """The scripted model, as a vendor that lists its models."""

    def __init__(self) -> None:
        super().__init__({})
        self.RequestHandlerClass = VendorHandler


class Place:
    """A machine of its own: a home, a project, and what `init` has said there."""

    def __init__(self, folder: pathlib.Path, vendor: Vendor) -> None:
        self.home, self.project = folder / "home", folder / "project"
        self.home.mkdir()
        self.project.mkdir()
        self.vendor = vendor
        address, admin = (f"127.0.0.1:{closed_port()}" for _ in range(2))
        url = f"http://127.0.0.1:{vendor.server_port}/v1"
        bundle = str(ROOT / "models" / "pointsman-mini")
        command = [binary(), "init", "--yes", "--local", "", "-o", FILE, "--listen", address, "--admin", admin,
                   "--bundle", bundle, "--provider", f"openai={url}"]  # fmt: skip
        self.said = self.run(command, OPENAI_API_KEY=VENDOR_KEY)
        self.origin = f"http://{address}"

    def run(self, command: list[str] | str, **environment: str) -> str:
        """Runs a program, or a line in a shell, in the project; returns what it said."""
        kept = {name: os.environ[name] for name in ("PATH", "ORT_DYLIB_PATH") if name in os.environ}
        done = subprocess.run(
            ["bash", "-ec", command] if isinstance(command, str) else command,
            cwd=self.project, env=kept | {"HOME": str(self.home)} | environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=4 * DEADLINE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def snippet(self, heading: str) -> tuple[str, str]:
        """Returns a heading's whole line, and what stands under it, as it is pasted."""
        found = re.search(rf"^({heading}[^\n]*)\n\n((?:  [^\n]*\n|\n(?=  ))+)", self.said, re.MULTILINE)
        assert found, f"no snippet {heading!r} in:\n{self.said}"
        return found[1], textwrap.dedent(found[2])

    def routed(self, name: str) -> None:
        """Takes what came to the vendor: it was asked for one of its models, with its own key."""
        seen = self.vendor.drain()
        for request in seen:
            assert request.model in MODELS, f"{name}: {request.model}"
            assert request.headers["authorization"] == f"Bearer {VENDOR_KEY}", f"{name}: another key went upstream"
        assert seen, f"{name}: nothing came to the vendor"
        print(f"ok: {name}: {len(seen)} requests", flush=True)


@contextlib.contextmanager
def serving(place: Place) -> Iterator[None]:
    """Runs the commands that `init` names, and lets the gateway serve."""
    _, commands = place.snippet("Next:")
    check, serve = (line for line in commands.splitlines() if line)
    # Whatever the binary's file is called, people type its name.
    (place.home / "bin").mkdir()
    (place.home / "bin" / "pointsman").symlink_to(binary())
    path = f"{place.home / 'bin'}:{os.environ['PATH']}"
    place.run(check, PATH=path, OPENAI_API_KEY=VENDOR_KEY)
    kept = {name: os.environ[name] for name in ("ORT_DYLIB_PATH",) if name in os.environ}
    process = subprocess.Popen(
        ["bash", "-ec", f"exec {serve}"], cwd=place.project, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, env=kept | {"PATH": path, "HOME": str(place.home), "OPENAI_API_KEY": VENDOR_KEY},
    )  # fmt: skip
    log: list[str] = []
    ready: queue.Queue[dict[str, str] | None] = queue.Queue()
    threading.Thread(target=follow, args=(process, log, ready), daemon=True).start()
    try:
        assert ready.get(timeout=DEADLINE), "\n".join(log)
        yield
    finally:
        process.terminate()
        process.wait(DEADLINE)


def claude_code(place: Place) -> None:
    _, lines = place.snippet("Claude Code")
    machine = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x64"
    folder = PACKAGES / "@anthropic-ai" / f"claude-agent-sdk-{sys.platform}-{machine}"
    quiet = dict.fromkeys(("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "IS_SANDBOX"), "1")
    said = place.run(f"{lines.rstrip()} -p Hello", PATH=f"{folder}:{os.environ['PATH']}", **quiet)
    assert "Noted." in said, said


def codex(place: Place) -> None:
    heading, settings = place.snippet("Codex")
    exports = re.search(r"`(export [^`]+)`", heading)
    assert exports, heading
    (place.home / ".codex").mkdir()
    (place.home / ".codex" / "config.toml").write_text(settings)
    path = f"{PACKAGES / '.bin'}:{os.environ['PATH']}"
    said = place.run(f"{exports[1]}; codex exec --json --skip-git-repo-check Hello", PATH=path)
    assert '"turn.completed"' in said, said


def cursor(place: Place) -> None:
    heading, settings = place.snippet("Cursor")
    values = {line[:25].strip(): line[25:].split("#")[0].strip() for line in settings.splitlines()}
    model = re.search(r"the model `([^`]+)`", heading)
    assert model, heading
    body = {"model": model[1], "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    request = urllib.request.Request(
        f"{values['Override OpenAI Base URL']}/chat/completions", json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {values['OpenAI API Key']}"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        assert b"data: [DONE]" in answer.read()


def python_sdk(place: Place) -> None:
    _, code = place.snippet("OpenAI's SDK for Python")
    (place.project / "hello.py").write_text(code)
    place.run([sys.executable, "hello.py"])


def python_sdk_by_its_variables(place: Place) -> None:
    heading, code = place.snippet("OpenAI's SDK for Python")
    url, key = (re.search(rf'{name}="([^"]+)"', code) for name in ("base_url", "api_key"))
    assert url and key and "OPENAI_BASE_URL and OPENAI_API_KEY" in heading, heading
    bare = re.sub(r"OpenAI\(.*\)", "OpenAI()", code)
    place.run([sys.executable, "-c", bare], OPENAI_BASE_URL=url[1], OPENAI_API_KEY=key[1])


def node_sdk(place: Place) -> None:
    _, code = place.snippet("OpenAI's SDK for JavaScript")
    (place.project / "hello.mjs").write_text(code)
    if not (place.project / "node_modules").exists():
        (place.project / "node_modules").symlink_to(NODE)
    place.run(["node", "hello.mjs"])


def curl(place: Place) -> None:
    _, command = place.snippet("curl")
    said = place.run(command)
    assert said.startswith("HTTP/1.1 200") and "x-pointsman-model" in said, said


SNIPPETS = [claude_code, codex, cursor, python_sdk, python_sdk_by_its_variables, node_sdk, curl]


def main() -> int:
    vendor = Vendor()
    threading.Thread(target=vendor.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(pathlib.Path(folder), vendor)
        with serving(place):
            vendor.drain()
            for snippet in SNIPPETS:
                if sys.argv[1:] and snippet.__name__ not in sys.argv[1:]:
                    continue
                snippet(place)
                place.routed(snippet.__name__.replace("_", " "))
    vendor.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
