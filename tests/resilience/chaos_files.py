"""Faults of files: configurations and bundles that are broken, missing or no files, and logs that cannot be written."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import shutil
import socket
import threading
import time
from collections.abc import Callable

from process import ROOT, Gateway, checked, waited
from stage import Load, Scene, Stage, none_lost, staged, under_load
from table import Outcome, Row, must

Spoil = Callable[[Stage], None]
TINY = ROOT / "tests" / "fixtures" / "tiny"
TIERS = "{kind: tiers, classifier: default, tiers: {simple: small, medium: small, complex: frontier}, otherwise: small}"
# What a process may map: one that reads a device without end is to meet its own bound, and not the machine's.
ENOUGH = {resource.RLIMIT_AS: 4 << 30}
ANSWER = 20.0  # the longest that /reload and `check` may take on a busy machine


def text(of: Callable[[Stage], str]) -> Spoil:
    return lambda stage: stage.write(of(stage))


def with_macros(macros: str, rule: str) -> Spoil:
    def spoil(stage: Stage) -> None:
        ruled = stage.text.replace(
            "    strategy:", f"    rules:\n      - {{when: '{rule}', use: small}}\n    strategy:"
        )
        stage.write(f"{ruled}{macros}")

    return spoil


def fan_out(levels: int, width: int) -> str:
    lines = [f"  m{level}: {' || '.join([f'macros.m{level + 1}'] * width)}\n" for level in range(levels)]
    return f"macros:\n{''.join(lines)}  m{levels}: prompt.turns > 1\n"


def in_place(make: Callable[[pathlib.Path], object]) -> Spoil:
    """Returns a way to put something that is no file in the place of the configuration."""

    def spoil(stage: Stage) -> None:
        stage.gateway.path.unlink()
        make(stage.gateway.path)

    return spoil


def make_socket(path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def sparse(path: pathlib.Path) -> None:
    with path.open("wb") as file:
        file.truncate(4 << 30)


def no_text(stage: Stage) -> None:
    stage.gateway.path.write_bytes(bytes(range(256)) * 64)


def halves(stage: Stage) -> None:
    """Writes the file in place, piece by piece, as an editor without care does; ends with a half."""
    for part in range(1, 10):
        stage.gateway.path.write_text(stage.text[: len(stage.text) * part // 20], "utf-8")
        time.sleep(0.05)


NESTED = "[" * 20_000
ALIASES = "x0: &x0 [a, a]\n" + "".join(f"x{i}: &x{i} [*x{i - 1}, *x{i - 1}]\n" for i in range(1, 40))

BAD_CONFIGS: list[tuple[str, Spoil]] = [
    ("is half written", halves),
    ("is empty", text(lambda _: "")),
    ("has an unknown key", text(lambda stage: stage.text + "\nunknown: 1\n")),
    ("is no YAML", text(lambda stage: stage.text + "\n\t{[\n")),
    ("is no text", no_text),
    ("nests 20,000 deep", text(lambda stage: stage.text + f"\nconstants: {{a: {NESTED}\n")),
    ("expands its aliases without end", text(lambda stage: stage.text + ALIASES)),
    ("has a macro that is wrong, used by another", with_macros("macros:\n  big: macros.long && prompt.turns > 1\n  long: prompt.tokenz > 100\n", "macros.big")),
    ("has macros that use each other", with_macros("macros: {a: macros.b, b: macros.a}\n", "macros.a")),
    ("has a macro that uses itself", with_macros("macros: {a: macros.a || true}\n", "macros.a")),
    ("has macros that fan out", with_macros(fan_out(16, 10), "macros.m0")),
    ("has a rule without a bound", with_macros(f"constants: {{c: {list(range(300))}}}\n", "constants.c.exists(a, constants.c.exists(b, constants.c.exists(d, a + b + d < 0)))")),
    ("has a rule nested 5,000 deep", with_macros("", "(" * 5000 + "true" + ")" * 5000)),
    ("is a pipe", in_place(os.mkfifo)),
    ("is a folder", in_place(pathlib.Path.mkdir)),
    ("is a socket", in_place(make_socket)),
    ("is a link to a device without end", in_place(lambda path: path.symlink_to("/dev/zero"))),
    ("is a link to itself", in_place(lambda path: path.symlink_to(path))),
    ("is a link to nothing", in_place(lambda path: path.symlink_to("nothing"))),
    ("is a file of 4 GiB", in_place(sparse)),
    ("is gone", in_place(lambda _: None)),
    ("may not be read", in_place(lambda path: path.symlink_to("/proc/self/mem"))),
]  # fmt: skip

# The fan-out, and nothing else here, may be either refused or served: it is right, and only large.
EITHER = {"has macros that fan out"}


def bad_config(name: str, spoil: Spoil) -> Callable[[], Outcome]:
    def check() -> Outcome:
        with staged(limits=ENOUGH) as stage:
            with under_load(stage, threads=2, pause=0.02) as load:
                spoil(stage)
                time.sleep(1.0)
                refused(stage, name)
                if not stage.gateway.path.is_fifo():
                    status, words = checked(stage.gateway.path, ANSWER)
                    must(status in ({0, 78} if name in EITHER else {66, 74, 78}), f"check: {status} {words[:200]}")
                good_again(stage)
            outcome = none_lost(load)
            stage.ends()
            return outcome

    return check


def refused(stage: Stage, name: str) -> None:
    """Raises unless /reload answers in time, and the old generation serves on."""
    try:
        status, _, body = stage.gateway.ask_admin("POST", "/reload", timeout=ANSWER)
    except TimeoutError:
        must(False, f"/reload has no answer in {ANSWER} s")
        return
    must(name in EITHER or status >= 400, f"/reload: {status} {body[:200]!r}")
    stage.serves()


def good_again(stage: Stage) -> None:
    """Puts a good configuration there; raises unless it is served."""
    path = stage.gateway.path
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    before = stage.gateway.generation()
    stage.write(stage.text + "# good again\n")
    must(waited(lambda: stage.gateway.generation() > before, ANSWER), "a good file afterwards is not served")


def hangs_while_ending() -> Outcome:
    """SIGTERM while a reload reads from a pipe that nobody writes."""
    with staged() as stage:
        in_place(os.mkfifo)(stage)
        threading.Thread(target=lambda: quietly(stage.gateway), daemon=True).start()
        time.sleep(0.5)
        stage.ends()
    return Outcome("ended with 0")


def quietly(gateway: Gateway) -> None:
    with contextlib.suppress(OSError):
        gateway.reload(5)


def linked_config() -> Outcome:
    """The configuration is a link; its target is edited, then the link points elsewhere."""
    with staged() as stage:
        one, two = stage.folder / "a" / "one.yaml", stage.folder / "b" / "two.yaml"
        for file in (one, two):
            file.parent.mkdir()
            file.write_text(stage.text, "utf-8")
        fresh = stage.folder / "link"
        fresh.symlink_to(one)
        fresh.replace(stage.gateway.path)
        time.sleep(0.5)
        with under_load(stage, threads=2, pause=0.02) as load:
            before = stage.gateway.generation()
            one.write_text(stage.text + "# edited\n", "utf-8")
            must(waited(lambda: stage.gateway.generation() > before), "an edit of the link's target is not seen")
            before = stage.gateway.generation()
            two.write_text(stage.text + "# another\n", "utf-8")
            fresh.symlink_to(two)
            fresh.replace(stage.gateway.path)
            must(waited(lambda: stage.gateway.generation() > before), "another target of the link is not seen")
        return none_lost(load)


def busy_folder() -> Outcome:
    """A change is seen although another file beside it is written all the time."""
    with staged() as stage:
        stop = threading.Event()

        def write() -> None:
            with (stage.folder / "other.log").open("a") as file:
                while not stop.wait(0.02):
                    file.write("x\n")
                    file.flush()

        threading.Thread(target=write, daemon=True).start()
        try:
            before = stage.gateway.generation()
            stage.write(stage.text + "# changed\n")
            must(waited(lambda: stage.gateway.generation() > before, 8), "a change is not seen in 8 s")
        finally:
            stop.set()
    return Outcome("seen")


def bundle_scene() -> Scene:
    return Scene(sections="classifiers: {default: {bundle: FOLDER/bundles/current}}", strategy=TIERS)


def with_bundle(act: Spoil) -> Callable[[], Outcome]:
    """Returns a check around a proxy that reads a small bundle behind a link."""

    def check() -> Outcome:
        with staged(bundle_scene(), runs=False) as stage:
            home = stage.folder / "bundles"
            shutil.copytree(TINY, home / "v1")
            (home / "current").symlink_to("v1")
            stage.gateway.start()
            must(any("model_info" in name for name in stage.gateway.metrics()), "the good bundle is not served")
            with under_load(stage, threads=2, pause=0.02) as load:
                act(stage)
            stage.serves()
            outcome = none_lost(load)
            stage.ends()
            return outcome

    return check


def spoiled_bundle(spoil: Callable[[pathlib.Path], object]) -> Callable[[], Outcome]:
    def act(stage: Stage) -> None:
        bundle = stage.folder / "bundles" / "v1"
        saved = stage.folder / "saved"
        shutil.copytree(bundle, saved)
        before = stage.gateway.generation()
        spoil(bundle)
        time.sleep(2.5)
        try:
            status, _, body = stage.gateway.ask_admin("POST", "/reload", timeout=ANSWER)
            must(status >= 400, f"/reload: {status} {body[:200]!r}")
        except TimeoutError:
            must(False, f"/reload has no answer in {ANSWER} s")
        must(stage.gateway.generation() == before, "a spoiled bundle is served")
        shutil.rmtree(bundle, ignore_errors=True)
        shutil.copytree(saved, bundle)
        must(waited(lambda: stage.gateway.reload(ANSWER)[0] == 200, ANSWER), "the good bundle is not served again")

    return with_bundle(act)


def swapped_bundle(stage: Stage) -> None:
    home = stage.folder / "bundles"
    for number in range(2, 7):
        fresh = home / f"v{number}"
        shutil.copytree(home / "v1", fresh)
        manifest = (fresh / "bundle.yaml").read_text().replace('"1.0.0"', f'"1.0.{number}"')
        (fresh / "bundle.yaml").write_text(manifest, "utf-8")
        (home / "next").symlink_to(fresh.name)
        (home / "next").replace(home / "current")
        must(serves_version(stage, f"1.0.{number}"), f"version {number} behind the link is not served")


def serves_version(stage: Stage, version: str) -> bool:
    def is_served() -> bool:
        return any("model_info" in name and f'"{version}"' in name for name in stage.gateway.metrics())

    return waited(is_served, ANSWER)


def half(path: pathlib.Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def flipped(path: pathlib.Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def piped(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


BAD_BUNDLES: list[tuple[str, Callable[[pathlib.Path], object]]] = [
    ("is removed", shutil.rmtree),
    ("lacks its manifest", lambda bundle: (bundle / "bundle.yaml").unlink()),
    ("has half a manifest", lambda bundle: half(bundle / "bundle.yaml")),
    ("has half of its weights", lambda bundle: half(bundle / "heads.safetensors")),
    ("has weights of another hash", lambda bundle: flipped(bundle / "heads.safetensors")),
    ("has a tokenizer of another hash", lambda bundle: flipped(bundle / "tokenizer.json")),
    ("has a pipe as its weights", lambda bundle: piped(bundle / "heads.safetensors")),
    ("has a pipe as its manifest", lambda bundle: piped(bundle / "bundle.yaml")),
]


def log_scene(path: str = "FOLDER/logs/d.jsonl", more: str = "") -> Scene:
    return Scene(sections=f"decision_log: {{path: {path}, text: true{more}}}")


def log_lines(folder: pathlib.Path) -> int:
    """Returns the number of lines in all files of a log; raises where one is no JSON."""
    count = 0
    for file in folder.glob("d*.jsonl"):
        for line in file.read_text("utf-8").splitlines():
            json.loads(line)
            count += 1
    return count


def full_disk() -> Outcome:
    """Writes beyond 16 KiB of a file fail: nothing is lost but lines, and those are counted."""
    with staged(log_scene(), {resource.RLIMIT_FSIZE: 16384}) as stage:
        with under_load(stage, threads=4) as load:
            time.sleep(3)
            must(
                waited(lambda: stage.gateway.total("pointsman_decision_log_dropped_total") > 0),
                "no line was lost, although the disk is full, or none was counted",
            )
        stage.serves()
        outcome = none_lost(load)
        stage.ends()
        return outcome


def full_device() -> Outcome:
    with staged(log_scene("/dev/full"), runs=False) as stage:
        try:
            stage.gateway.start()
        except AssertionError as refusal:
            must("decision_log" in str(refusal), str(refusal)[-300:])
            return Outcome("refused at the start")
        with under_load(stage, threads=2) as load:
            time.sleep(1.5)
        return none_lost(load, "served, lines lost")


def log_removed(all_of_it: bool) -> Callable[[], Outcome]:
    def check() -> Outcome:
        with staged(log_scene()) as stage:
            logs = stage.folder / "logs"
            with under_load(stage, threads=2) as load:
                time.sleep(1)
                if all_of_it:
                    shutil.rmtree(logs)
                else:
                    (logs / "d.jsonl").unlink()
                must(waited((logs / "d.jsonl").exists, 10), "the log is not written again")
            outcome = none_lost(load)
            stage.ends()
            log_lines(logs)
            return outcome

    return check


def log_rotated() -> Outcome:
    with staged(log_scene()) as stage:
        logs = stage.folder / "logs"
        with under_load(stage, threads=2) as load:
            for turn in range(5):
                time.sleep(0.5)
                (logs / "d.jsonl").rename(logs / f"d.{turn}.jsonl")
                must(waited((logs / "d.jsonl").exists, 10), "the log is not written again")
        outcome = none_lost(load)
        stage.ends()
        lines = log_lines(logs)
        must(lines == load.asked, f"{load.asked} requests, {lines} lines over the rotated files")
        return outcome


def two_writers() -> Outcome:
    with staged(log_scene(more=", max_bytes: 65536, max_files: 10000")) as stage:
        (stage.folder / "second").mkdir()
        second = Gateway(stage.folder / "second", stage.text)
        second.start()
        try:
            with under_load(stage, threads=2) as load:
                beside = Load(second.listen, 2)
                beside.start()
                time.sleep(3)
                beside.stop()
        finally:
            second.stop()
        outcome = none_lost(load)
        none_lost(beside)
        stage.ends()
        lines, asked = log_lines(stage.folder / "logs"), load.asked + beside.asked
        must(lines == asked, f"{asked} requests of two processes, {lines} lines")
        return Outcome(outcome.seen, asked, outcome.lost)


def rows() -> list[Row]:
    config = "refused in time, the old generation serves on, a good file is served again, SIGTERM ends it; none lost"
    bundle = "refused in time, the old bundle serves on, the good one is served again; none lost"
    return [
        *[Row("config", name, config, bad_config(name, spoil)) for name, spoil in BAD_CONFIGS],
        Row("config", "is a pipe, and SIGTERM comes", "the process ends with 0 within 10 s", hangs_while_ending),
        Row("config", "is a link", "edits of the target and another target are served; none lost", linked_config),
        Row("config", "lies beside a file that is always written", "a change is seen within 8 s", busy_folder),
        *[Row("bundle", name, bundle, spoiled_bundle(spoil)) for name, spoil in BAD_BUNDLES],
        Row("bundle", "is swapped five times behind a link", "each is served; none lost", with_bundle(swapped_bundle)),
        Row("log", "the disk is full", "no request lost; lost lines are counted", full_disk),
        Row("log", "the path is a device that is full", "refused at the start, or no request lost", full_device),
        Row("log", "the file is removed", "it is written again; no request lost", log_removed(False)),
        Row("log", "the folder is removed", "it is written again; no request lost", log_removed(True)),
        Row("log", "the file is rotated by another", "a line for each request; none lost", log_rotated),
        Row("log", "two processes write one log", "a line for each request, each whole; none lost", two_writers),
    ]
