#!/usr/bin/env python3
"""Installs the systemd unit into a folder and holds it to systemd's own tools, without a running systemd: `make unit`.

- `make install` with DESTDIR, with a stand-in for the binary
- `systemd-analyze verify` of the unit, with the folder as the root
- `systemd-analyze security --offline=true`: the exposure may not be above THRESHOLD; the page docs/hosts.md says what it is
- `systemd-sysusers` and `systemd-tmpfiles` within the folder make the user and the folders, with their modes
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import stat
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = "usr/local/lib/systemd/system/pointsman.service"
THRESHOLD = 1.5


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
    page = (ROOT / "docs" / "hosts.md").read_text()
    assert f"**{exposure}**" in page, f"docs/hosts.md has another exposure than {exposure}"
    print(f"ok: the unit, exposure {exposure}")


def run(command: list[str], **variables: str) -> str:
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}"
    return done.stdout


def installed(root: pathlib.Path, prefix: str = "/usr/local") -> None:
    # Something that runs stands for the binary: this is about files.
    run(["bash", "deploy/systemd/install"], DESTDIR=str(root), PREFIX=prefix, BINARY="/bin/true")
    for file in ("bin/pointsman", "lib/pointsman/libonnxruntime.so", "share/pointsman/pointsman-mini/bundle.yaml", "share/doc/pointsman/crates.txt"):
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
    done = subprocess.run(["systemd-analyze", "verify", f"--root={root}", f"/{UNIT}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if line and not re.search(r"\.target|\.slice|\.socket", line)]
    assert not said, "\n".join(["systemd-analyze verify:", *said])


def security(root: pathlib.Path) -> str:
    """Returns the overall exposure, as systemd rates it: 0 is none, 10 is all."""
    command = ["systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager", "--json=short", f"/{UNIT}"]
    rated = json.loads(run(command))
    assert rated, "no ratings"
    said = run([*(word for word in command if word != "--json=short"), f"--threshold={THRESHOLD * 10:.0f}"])
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found, said
    return found[1]


def users_and_folders(root: pathlib.Path) -> None:
    run(["systemd-sysusers", f"--root={root}"])
    passwd = (root / "etc" / "passwd").read_text()
    assert re.search(r"^pointsman:x?!?\*?:\d+:\d+:Pointsman:/var/lib/pointsman:/usr/sbin/nologin$", passwd, re.MULTILINE), passwd
    run(["systemd-tmpfiles", "--create", f"--root={root}", str(root / "usr/local/lib/tmpfiles.d/pointsman.conf")])
    for path, mode in {"etc/pointsman": 0o750, "etc/pointsman/secrets": 0o700, "etc/pointsman/pointsman.yaml": 0o640}.items():
        assert stat.S_IMODE((root / path).stat().st_mode) == mode, f"{path} has mode {(root / path).stat().st_mode:o}"


def a_prefix_holds_everywhere(root: pathlib.Path) -> None:
    installed(root, "/opt/vendor")
    for file in (file for file in root.rglob("*") if file.suffix in (".service", ".conf", ".yaml")):
        assert "/usr/local/bin" not in file.read_text() and "/usr/local/lib/pointsman" not in file.read_text(), f"{file} names another prefix"
    unit = (root / "opt/vendor/lib/systemd/system/pointsman.service").read_text()
    assert "ExecStart=/opt/vendor/bin/pointsman" in unit


if __name__ == "__main__":
    main()
