"""The base images of a Dockerfile, made here: there is no registry of images, but debootstrap and a Rust toolchain.

They have the names that the Dockerfile has them by: debian:bookworm-slim, less what the published one leaves out, and
rust:1.95-bookworm, which is that with the toolchain that is installed here. buildah keeps them in a store of this
check's own, without a file system of layers.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
STORE = ROOT / "target" / "images"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"

SOURCES = """\
Types: deb
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
# What the published images have apt leave no caches by.
APT_CLEAN = """\
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
# What debian:*-slim has no files of.
SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "usr/share/groff")
SLIM_DPKG = "".join(f"path-exclude /{folder}/*\n" for folder in SLIM) + "path-include /usr/share/doc/*/copyright\n"


def buildah(*arguments: str, patience: int = 600) -> str:
    """Runs buildah with a store of this check's own; raises with its words when it fails."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=patience, check=False)
    if done.returncode:
        raise SystemExit(f"buildah {' '.join(arguments)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout.strip()


def command(*arguments: str) -> list[str]:
    return ["buildah", f"--root={STORE}/root", f"--runroot={STORE}/run", "--storage-driver=vfs", *arguments]


def remove_store() -> None:
    subprocess.run(command("rm", "--all"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(STORE, ignore_errors=True)


def run_in(container: str, script: str) -> None:
    buildah("run", "--isolation=chroot", container, "--", "bash", "-ec", script)


def make_bases(file: str, with_rust: bool) -> None:
    images = json.loads(buildah("images", "--json") or "[]") or []
    known = {name for image in images for name in image.get("names") or []}
    names = re.findall(r"^FROM (\S+)", (ROOT / file).read_text(), re.MULTILINE)
    assert names[-1].startswith("debian:bookworm"), f"{file}: only a Debian base can be made here, not {names[-1]}"
    debian = f"docker.io/library/{names[-1]}"
    if debian not in known:
        make_debian(debian)
    rust = f"docker.io/library/{names[0]}"
    if with_rust and rust not in known:
        make_rust(rust, debian)


def make_debian(name: str) -> None:
    with tempfile.TemporaryDirectory(dir=STORE) as folder:
        root = pathlib.Path(folder, "debian")
        mirror = re.search(r"^URIs: (\S+)", SOURCES, re.MULTILINE)
        assert mirror
        debootstrap = ["debootstrap", "--variant=minbase", "bookworm", str(root), mirror[1]]
        done = subprocess.run(debootstrap, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, f"debootstrap:\n{done.stdout[-4000:]}"
        slim(root)
        container = buildah("from", "scratch")
        buildah("add", container, str(root), "/")
        buildah(
            "config", "--cmd=bash", "--env=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container
        )
        buildah("commit", "--rm", container, name)


def slim(root: pathlib.Path) -> None:
    """Leaves out what the published slim image leaves out, so that sizes can be compared."""
    for pattern in ("var/cache/apt/archives/*.deb", "var/cache/apt/*.bin", "var/lib/apt/lists/*", "var/log/*.log"):
        for file in root.glob(pattern):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    for folder in SLIM:
        for file in sorted(root.joinpath(folder).rglob("*"), reverse=True):
            if file.name != "copyright" and (file.is_file() or file.is_symlink()):
                file.unlink()
    root.joinpath("etc/dpkg/dpkg.cfg.d/docker").write_text(SLIM_DPKG)
    root.joinpath("etc/apt/apt.conf.d/docker-clean").write_text(APT_CLEAN)
    root.joinpath("etc/apt/sources.list").unlink(missing_ok=True)
    root.joinpath("etc/apt/sources.list.d/debian.sources").write_text(SOURCES)


def make_rust(name: str, debian: str) -> None:
    """Makes the image of the toolchain that is here, which has to be of the release that the Dockerfile names."""
    release = re.search(r"rust:([0-9.]+)", name)
    version = subprocess.check_output(["rustc", "--version"], text=True).split()[1]
    assert release and version.startswith(release[1]), f"{name} needs Rust {release}, here is {version}"
    sysroot = subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()
    container = buildah("from", "--pull-never", debian)
    packages = "ca-certificates gcc g++ libc6-dev make git python3"
    run_in(container, f"apt-get update && apt-get install -y --no-install-recommends {packages}")
    buildah("add", container, sysroot, "/usr/local/toolchain")
    run_in(container, "ln -s /usr/local/toolchain/bin/* /usr/local/bin/")
    # The authorities of this machine, for registries behind a proxy of one's own.
    buildah("add", container, AUTHORITIES, AUTHORITIES)
    variables = dict.fromkeys(("CARGO_HTTP_CAINFO", "PIP_CERT"), AUTHORITIES)
    variables |= {key: value for key, value in os.environ.items() if key in ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT")}
    buildah("config", *(f"--env={key}={value}" for key, value in variables.items()), container)
    buildah("commit", "--rm", container, name)
