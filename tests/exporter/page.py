"""Runs docs/coming-from/complexity-classifier.md word for word, on a checkpoint with random weights.

Needs the packages of models/train/requirements.txt: `make exporter`. With --size full the checkpoint is as large as
DeBERTa-v3-base, and each command's time and memory are printed.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import checkpoints

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "coming-from" / "complexity-classifier.md"
PROMPTS = ["Hello", "Fix the spelling: teh quikc borwn fox", "Prove that the square root of 2 is irrational.", "Why?"]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """Returns the commands of a page: what stands behind `$ ` in its consoles, without remarks."""
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    return [re.sub(r"\s{2,}#.*", "", line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]


def prepare(folder: Path, page: str, binary: Path, size: str) -> dict[str, str]:
    """Puts into a folder what the page takes for granted, and returns the environment of its commands."""
    checkpoints.complexity_router(folder, size)
    tools = folder / "tools"
    tools.mkdir()
    (tools / "pointsman").symlink_to(binary)
    (tools / "python").symlink_to(sys.executable)
    [config] = blocks(page, "yaml")
    settings, _tests = config.split("\ntests:\n")
    assert "bundle: models/pointsman-mini" in settings
    settings = settings.replace("bundle: models/pointsman-mini", "bundle: my-bundle").replace("50ms", "10s")
    (folder / "pointsman.yaml").write_text(settings, "utf-8")
    rows = [json.dumps({"prompt": prompt, "label": str(index % 4)}) for index, prompt in enumerate(4 * PROMPTS)]
    (folder / "test.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    path = f"{tools}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Runs a command, prints what it took, and returns what it printed."""
    print(f"$ {command}", flush=True)
    started = time.monotonic()
    with (folder / "output").open("w+b") as output:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    print(text[-1500:])
    spent, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(f"  took {time.monotonic() - started:.1f} s, {spent:.1f} s of CPU, {peak:.0f} MiB at most\n", flush=True)
    if process.returncode:
        sys.exit(f"{PAGE.name}: exit code {process.returncode} of: {command}")
    return text


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pointsman", type=Path, default=ROOT / "target" / "debug" / "pointsman")
    options.add_argument("--size", choices=list(checkpoints.SIZES), default="tiny")
    options.add_argument("--keep", type=Path, help="a folder to work in that stays")
    arguments = options.parse_args()
    page = PAGE.read_text("utf-8")
    folder = Path(arguments.keep or tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    try:
        environment = prepare(folder, page, arguments.pointsman.resolve(), arguments.size)
        said = [run(command, folder, environment) for command in commands(page)]
        assert len(said) >= 4, "the page lost its commands"
        assert any("my-bundle: ok" in text for text in said), "nothing verified the bundle"
    finally:
        if not arguments.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
