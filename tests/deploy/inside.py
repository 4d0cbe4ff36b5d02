"""Checks of the installed unit, run by boot.py within the machine that it booted; writes what was seen to a file."""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.request
from typing import Any

CONFIG = pathlib.Path("/etc/pointsman/pointsman.yaml")
DROP_IN = pathlib.Path("/etc/systemd/system/pointsman.service.d")
KEY = "key-that-only-root-reads"
Json = dict[str, Any]


class Provider(http.server.BaseHTTPRequestHandler):
    """A provider that answers every chat with the key that it was given."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": self.headers["authorization"]}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        body = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


def main() -> None:
    provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    said("systemd-sysusers")
    said("systemd-tmpfiles", "--create")
    configure(provider.server_port)
    said("systemctl", "daemon-reload")
    seen: Json = {"start, s": took("systemctl", "start", "pointsman")}
    ask()  # at once: `start` returns when requests are served
    seen["exposure"] = exposure()
    seen["answered by"] = ask()
    who_runs()
    a_change_is_loaded()
    seen["hand-over"] = handed_over()
    a_bad_configuration_is_not_tried_again()
    pathlib.Path(sys.argv[1]).write_text(json.dumps(seen))


def configure(port: int) -> None:
    """Points the provider to the scripted one, with a key that systemd hands over."""
    secret = pathlib.Path("/etc/pointsman/secrets/openai")
    secret.write_text(KEY)
    secret.chmod(0o600)
    text = CONFIG.read_text().replace("https://api.openai.com/v1", f"http://127.0.0.1:{port}/v1")
    text, found = re.subn(
        "credential: passthrough", "credential: {file: /run/credentials/pointsman.service/openai}", text
    )
    assert found == 1, text
    CONFIG.write_text(text + "\nupgrade: {socket: /run/pointsman/upgrade.sock}\n")
    DROP_IN.mkdir(exist_ok=True)
    DROP_IN.joinpath("key.conf").write_text(f"[Service]\nLoadCredential=openai:{secret}\n")


def said(*command: str, succeeds: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if (done.returncode == 0) != succeeds:
        journal = subprocess.run(
            ["journalctl", "-u", "pointsman", "-n", "40", "--no-pager"], capture_output=True, text=True, check=False
        )
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}\n{journal.stdout}")
    return done.stdout.strip()


def took(*command: str) -> float:
    started = time.monotonic()
    said(*command)
    return round(time.monotonic() - started, 1)


def ask() -> str:
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "What is the capital of France?"}]})
    fields = {"content-type": "application/json"}
    request = urllib.request.Request("http://127.0.0.1:8080/v1/chat/completions", body.encode(), fields)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = json.load(answer)["choices"][0]["message"]["content"]
        assert found == f"Bearer {KEY}", found
        return str(answer.headers["x-pointsman-model"])


def shown(name: str) -> str:
    return said("systemctl", "show", "--property", name, "--value", "pointsman")


def exposure() -> str:
    text = said("systemd-analyze", "security", "--no-pager", "pointsman")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", text)
    assert found, text
    return found[1]


def who_runs() -> None:
    status = pathlib.Path(f"/proc/{shown('MainPID')}/status").read_text()
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE), status
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE), status
    assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE), status
    uid = said("id", "-u", "pointsman")
    assert re.search(rf"^Uid:\s+{uid}\s", status, re.MULTILINE), status
    assert ready()["classifiers"]["default"]["state"] == "ready", ready()


def ready() -> Json:
    with urllib.request.urlopen("http://127.0.0.1:9090/readyz", timeout=30) as answer:
        found: Json = json.load(answer)
        return found


def generation() -> int:
    with urllib.request.urlopen("http://127.0.0.1:9090/generation", timeout=30) as answer:
        return int(json.load(answer)["generation"])


def a_change_is_loaded() -> None:
    before = generation()
    CONFIG.write_text(CONFIG.read_text() + "# changed\nlimits: {drain: 20s}\n")
    deadline = time.monotonic() + 30
    while generation() == before:
        assert time.monotonic() < deadline, "a changed configuration is not loaded"
        time.sleep(0.2)
    said("systemctl", "reload", "pointsman")


def handed_over() -> Json:
    """Lets `systemctl reload` replace the process under requests; none may fail.

    The key lies in a file of the group's then: systemd shows credentials to a service's first process alone.
    """
    key = pathlib.Path("/etc/pointsman/key")
    key.write_text(KEY)
    said("chown", "root:pointsman", str(key))
    CONFIG.write_text(CONFIG.read_text().replace("/run/credentials/pointsman.service/openai", str(key)))
    DROP_IN.joinpath("key.conf").unlink()
    said("cp", "/usr/local/share/doc/pointsman/hand-over.conf", str(DROP_IN))
    said("systemctl", "daemon-reload")
    said("systemctl", "restart", "pointsman")  # NotifyAccess is of the start
    before, answered, failed, over = shown("MainPID"), 0, 0, threading.Event()

    def go_on() -> None:
        nonlocal answered, failed
        while not over.is_set():
            try:
                ask()
                answered += 1
            except Exception as error:
                failed += 1
                print(f"while handing over: {error!r}", flush=True)

    asking = threading.Thread(target=go_on, daemon=True)
    asking.start()
    seconds = took("systemctl", "reload", "pointsman")
    deadline = time.monotonic() + 60
    while shown("MainPID") == before or pathlib.Path(f"/proc/{before}").exists():
        assert time.monotonic() < deadline, f"the old process {before} is still there"
        time.sleep(0.2)
    over.set()
    asking.join()
    assert shown("ActiveState") == "active" and shown("NRestarts") == "0", said("systemctl", "status", "pointsman")
    assert answered and not failed, f"{answered} answered, {failed} failed"
    ask()
    return {"reload, s": seconds, "answered meanwhile": answered, "failed": failed}


def a_bad_configuration_is_not_tried_again() -> None:
    good = CONFIG.read_text()
    CONFIG.write_text(good + "unknown_key: 1\n")
    said("systemctl", "restart", "pointsman", succeeds=False)
    assert shown("ExecMainStatus") == "78" and shown("NRestarts") == "0", said("systemctl", "status", "pointsman")
    assert shown("ActiveState") == "failed"
    CONFIG.write_text(good)
    with contextlib.suppress(SystemExit):
        said("systemctl", "reset-failed", "pointsman")
    said("systemctl", "start", "pointsman")
    said("systemctl", "stop", "pointsman")
    assert shown("Result") == "success", shown("Result")


if __name__ == "__main__":
    main()
