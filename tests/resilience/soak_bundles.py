"""Copies of the default bundle behind a link, each with a hash of its own."""

from __future__ import annotations

import pathlib
import shutil

from process import ROOT


class Bundles:
    """The folder of versions, and the link `current` to one of them."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder / "bundles"
        self.folder.mkdir()
        self.link = self.folder / "current"
        self.swaps = 0
        self.link.symlink_to(self.make("soak-0").name)

    def make(self, version: str) -> pathlib.Path:
        """Makes a copy whose manifest names another version, and so has another hash."""
        source, copy = ROOT / "models" / "pointsman-mini", self.folder / version
        copy.mkdir()
        for file in source.iterdir():
            if file.name != "bundle.yaml":
                shutil.copyfile(file, copy / file.name)
        lines = (source / "bundle.yaml").read_text("utf-8").splitlines(keepends=True)
        changed = [f'version: "{version}"\n' if line.startswith("version:") else line for line in lines]
        (copy / "bundle.yaml").write_text("".join(changed), "utf-8")
        return copy

    def swap(self) -> str:
        """Points the link at a new copy, in one step, and removes all but the last two; returns the new version."""
        self.swaps += 1
        version = f"soak-{self.swaps}"
        fresh = self.folder / "next"
        self.make(version)
        fresh.symlink_to(version)
        fresh.replace(self.link)
        old = self.folder / f"soak-{self.swaps - 2}"
        if old.is_dir():
            shutil.rmtree(old)
        return version
