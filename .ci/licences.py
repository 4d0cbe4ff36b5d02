"""Writes the licences of what ships with the binary: `make licences` puts them into target/licences.

    licences.py FOLDER

- crates.txt: every crate that is linked into the binary, with its version and licence, and the texts that came with
  them; texts that are the same stand there once
- onnxruntime.txt: those of the ONNX Runtime that lies in .tools, where `make setup` put them
"""

from __future__ import annotations

import collections
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMES = re.compile(r"^(LICEN[CS]E|COPYING|NOTICE|UNLICENSE|COPYRIGHT)", re.IGNORECASE)
Json = dict[str, Any]


@dataclass(frozen=True)
class Crate:
    """A crate of others that is linked into the binary."""

    name: str
    version: str
    licence: str
    texts: list[str]


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    crates = linked(metadata())
    silent = [crate.name for crate in crates if not crate.licence]
    if silent:
        sys.exit(f"crates without a licence: {', '.join(silent)}")
    (folder / "crates.txt").write_text(page(crates), "utf-8")
    notices = ROOT / ".tools" / "onnxruntime.txt"
    if notices.exists():
        shutil.copyfile(notices, folder / "onnxruntime.txt")
    print(f"{folder}: {len(crates)} crates")


def metadata() -> Json:
    command = ["cargo", "metadata", "--locked", "--format-version=1"]
    host = re.search(r"^host: (\S+)", subprocess.check_output(["rustc", "-vV"], text=True), re.MULTILINE)
    assert host, "rustc says no host"
    found: Json = json.loads(subprocess.check_output([*command, f"--filter-platform={host[1]}"], cwd=ROOT))
    return found


def linked(found: Json) -> list[Crate]:
    """Returns what the root package needs when it runs: neither build scripts' crates nor those of tests."""
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    packages = {package["id"]: package for package in found["packages"]}
    open_ids, seen = [found["resolve"]["root"]], set()
    while open_ids:
        current = open_ids.pop()
        if current in seen:
            continue
        seen.add(current)
        kinds = ((dep["pkg"], {kind["kind"] for kind in dep["dep_kinds"]}) for dep in nodes[current]["deps"])
        open_ids += [package for package, kind in kinds if None in kind]
    ours = set(found["workspace_members"])
    return [read(packages[one]) for one in sorted(seen - ours, key=lambda one: packages[one]["name"])]


def read(package: Json) -> Crate:
    folder = pathlib.Path(package["manifest_path"]).parent
    files = sorted(file for file in folder.iterdir() if file.is_file() and NAMES.match(file.name))
    licence = package["license"] or (f"see {package['license_file']}" if package["license_file"] else "")
    texts = [file.read_text("utf-8", errors="replace").strip() for file in files]
    return Crate(package["name"], package["version"], licence, texts)


def page(crates: list[Crate]) -> str:
    texts: dict[str, str] = {}
    holders: dict[str, list[str]] = collections.defaultdict(list)
    for crate in crates:
        for text in crate.texts:
            key = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
            texts.setdefault(key, text)
            holders[key].append(f"{crate.name} {crate.version}")
    table = "".join(f"{crate.name} {crate.version}: {crate.licence}\n" for crate in crates)
    parts = [f"{'=' * 80}\n{', '.join(dict.fromkeys(holders[key]))}\n{'=' * 80}\n\n{texts[key]}\n" for key in texts]
    head = "The crates that are linked into the binary, and their licences. Rust's own library: MIT OR Apache-2.0.\n"
    return f"{head}\n{table}\n" + "\n".join(parts)


if __name__ == "__main__":
    main()
