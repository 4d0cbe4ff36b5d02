#!/usr/bin/env python3
"""Installs the systemd unit into a folder and holds it to systemd's own tools, without a running systemd: `make unit`.

- `make install` with DESTDIR, with a stand-in for the binary
- `systemd-analyze verify` of the unit, with the folder as the root
- `systemd-analyze security --offline=true`: the exposure may not be above THRESHOLD; the page docs/hosts.md says what
  it is
- a hand-over that is ended, as systemd ends a reload that takes too long, ends the new process too
- `systemd-sysusers` and `systemd-tmpfiles` within the folder make the user and the folders, with their modes
"""

from __future__ import annotations

import os
import pathlib
import re
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = "usr/local/lib/systemd/system/pointsman.service"
THRESHOLD = 1.5
FILES = """
    bin/pointsman lib/pointsman/libonnxruntime.so lib/pointsman/hand-over share/pointsman/pointsman-mini/bundle.yaml
    share/doc/pointsman/crates.txt share/doc/pointsman/onnxruntime.txt share/doc/pointsman/gpu.conf
""".split()
MODES = {"etc/pointsman": 0o750, "etc/pointsman/secrets": 0o700, "etc/pointsman/pointsman.yaml": 0o640}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pointsman-unit-") as folder:
        root = pathlib.Path(folder)
        installed(root)
        again_keeps_the_configuration(root)
        verified(root)
        exposure = security(root)
        if os.geteuid() == 0:
            users_and_folders(root)
        else:
            print("skipped: users and folders, which only root makes")
    with tempfile.TemporaryDirectory(prefix="pointsman-unit-") as folder:
        a_prefix_holds_everywhere(pathlib.Path(folder))
    with tempfile.TemporaryDirectory(prefix="pointsman-unit-") as folder:
        a_reload_that_is_given_up_leaves_no_second_process(pathlib.Path(folder))
    page = (ROOT / "docs" / "hosts.md").read_text()
    assert f"**{exposure}**" in page, f"docs/hosts.md has another exposure than {exposure}"
    print(f"ok: the unit, exposure {exposure}")


def run(command: list[str], **variables: str) -> str:
    code, said = outcome(command, **variables)
    assert code == 0, f"{' '.join(command)}:\n{said}"
    return said


def outcome(command: list[str], **variables: str) -> tuple[int, str]:
    """Runs a command; returns its exit code and all that it says."""
    environment = os.environ | variables
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def installed(root: pathlib.Path, prefix: str = "/usr/local") -> None:
    # Something that runs stands for the binary: this is about files.
    run(["bash", "deploy/systemd/install"], DESTDIR=str(root), PREFIX=prefix, BINARY="/bin/true")
    for file in FILES:
        assert (root / prefix.lstrip("/") / file).is_file(), f"{file} was not installed"


def again_keeps_the_configuration(root: pathlib.Path) -> None:
    config = root / "etc" / "pointsman" / "pointsman.yaml"
    config.write_text("changed\n")
    installed(root)
    assert config.read_text() == "changed\n", "a second install overwrites the configuration"


def verified(root: pathlib.Path) -> None:
    # What a unit of systemd's own would bring is not in the folder: that is all that may be missed.
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin" / "kill").write_bytes(pathlib.Path("/bin/true").read_bytes())
    (root / "bin" / "kill").chmod(0o755)
    _, text = outcome(["systemd-analyze", "verify", f"--root={root}", f"/{UNIT}"])
    said = [line for line in text.splitlines() if line and not re.search(r"\.target|\.slice|\.socket", line)]
    assert not said, "\n".join(["systemd-analyze verify:", *said])


def security(root: pathlib.Path) -> str:
    """Returns the overall exposure, as systemd rates it: 0 is none, 10 is all."""
    command = ["systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager"]
    said = run([*command, f"--threshold={THRESHOLD * 10:.0f}", f"/{UNIT}"])
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found, said
    return found[1]


def users_and_folders(root: pathlib.Path) -> None:
    run(["systemd-sysusers", f"--root={root}"])
    passwd = (root / "etc" / "passwd").read_text()
    line = r"^pointsman:[^:]*:\d+:\d+:Pointsman:/var/lib/pointsman:/usr/sbin/nologin$"
    assert re.search(line, passwd, re.MULTILINE), passwd
    run(["systemd-tmpfiles", "--create", f"--root={root}", str(root / "usr/local/lib/tmpfiles.d/pointsman.conf")])
    for path, mode in MODES.items():
        assert stat.S_IMODE((root / path).stat().st_mode) == mode, f"{path} has mode {(root / path).stat().st_mode:o}"


def a_prefix_holds_everywhere(root: pathlib.Path) -> None:
    installed(root, "/opt/vendor")
    for file in (file for file in root.rglob("*") if file.suffix in (".service", ".conf", ".yaml")):
        assert not re.search("/usr/local/(bin|lib|share)/", file.read_text()), f"{file} names another prefix"
    unit = (root / "opt/vendor/lib/systemd/system/pointsman.service").read_text()
    assert "ExecStart=/opt/vendor/bin/pointsman" in unit


def a_reload_that_is_given_up_leaves_no_second_process(root: pathlib.Path) -> None:
    """Runs the hand-over with a stand-in that never gets ready, and ends it."""
    binary, noted = root / "pointsman", root / "new.pid"
    binary.write_text(f"#!/bin/sh\necho $$ > {noted}.part && mv {noted}.part {noted}\nexec sleep 600\n")
    binary.chmod(0o755)
    text = (ROOT / "deploy" / "systemd" / "hand-over").read_text()
    script = root / "hand-over"
    script.write_text(text.replace("/usr/local/bin/pointsman", str(binary)).replace("/run/pointsman", str(root)))
    with subprocess.Popen(["sh", str(script)], env=os.environ | {"MAINPID": "0"}) as reload:
        wait_for(noted.exists, "the new process")
        new = int(noted.read_text())
        reload.terminate()
        assert reload.wait(30) == 1
    wait_for(lambda: not running(new), "the end of the new process")


def running(pid: int) -> bool:
    """Tells whether a process runs: one that has ended and that nobody has asked for does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.05)


if __name__ == "__main__":
    main()
