#!/usr/bin/env python3
"""Boots a Debian with systemd and lets the installed unit serve in it, hardening and all: `make host` (as root).

    boot.py [--root FOLDER] [--binary FILE]

The machine is made by debootstrap (FOLDER is one that was made before, and stays) and booted by systemd-nspawn, in a
network of its own with nothing but the loopback. What runs in it is inside.py, as a unit; it ends by switching off.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 300
MIRROR = "http://deb.debian.org/debian"
PACKAGES = "systemd,systemd-sysv,dbus,python3,libstdc++6,ca-certificates"

CHECK = """\
[Unit]
After=multi-user.target dbus.service
Wants=dbus.service
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /inside.py /result.json
StandardOutput=file:/output
StandardError=file:/output
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Boots a Debian with systemd and lets the installed unit serve in it.")
    parser.add_argument("--root", help="a Debian with systemd and python3, made before")
    parser.add_argument("--binary", default="target/release/pointsman")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pointsman-host-") as folder:
        root = pathlib.Path(arguments.root or f"{folder}/root")
        if not arguments.root:
            said(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root), MIRROR])
        prepare(root, arguments.binary)
        boot(root)
        report(root)


def said(command: list[str], **variables: str) -> str:
    environment = os.environ | variables
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def prepare(root: pathlib.Path, binary: str) -> None:
    for left in ("result.json", "output", "etc/pointsman", "etc/systemd/system/pointsman.service.d"):
        path = root / left
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    said(["bash", "deploy/systemd/install"], DESTDIR=str(root), BINARY=binary)
    shutil.copy(pathlib.Path(__file__).with_name("inside.py"), root / "inside.py")
    (root / "etc" / "systemd" / "system" / "check.service").write_text(CHECK)
    wants = root / "etc" / "systemd" / "system" / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "check.service").unlink(missing_ok=True)
    (wants / "check.service").symlink_to("../check.service")


def boot(root: pathlib.Path) -> None:
    command = ["systemd-nspawn", f"--directory={root}", "--boot", "--register=no", "--keep-unit", "--private-network"]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE, check=False)


def report(root: pathlib.Path) -> None:
    result = root / "result.json"
    if not result.exists():
        output = root / "output"
        sys.exit(f"the unit does not serve:\n{output.read_text() if output.exists() else 'no output'}")
    print(json.dumps(json.loads(result.read_text()), indent=2))
    print("ok: the unit serves, reloads, hands over and refuses")


if __name__ == "__main__":
    main()
