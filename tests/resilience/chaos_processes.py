"""Faults of the process and its machine: signals, limits, kills, a clock that steps, a classifier that stalls."""

from __future__ import annotations

import contextlib
import os
import pathlib
import resource
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable

import raw
from peer import EVENT_STREAM, STREAM_END, delta, says
from process import ROOT, Gateway, chat_body, waited
from stage import Scene, ask_once, burst, none_lost, staged, under_load
from table import Outcome, Row, SkippedError, must

SHUTDOWNS = 3
TINY = ROOT / "tests" / "fixtures" / "endless"
TIERS = "{kind: tiers, classifier: default, tiers: {simple: small, medium: small, complex: frontier}, otherwise: small}"


def ends_under_load(which: int) -> Callable[[], Outcome]:
    def check() -> Outcome:
        asked = sum(ended_by(which) for _ in range(SHUTDOWNS))
        return Outcome(f"{SHUTDOWNS} shutdowns", asked, 0)

    return check


def ended_by(which: int) -> int:
    """Ends a proxy under load; returns the number of requests, and raises where one was lost."""
    with staged() as stage:
        with under_load(stage, threads=6, pause=0.0) as load:
            time.sleep(0.7)
            stage.gateway.send_signal(which)
            must(waited(lambda: not stage.gateway.is_running(), 45), "it does not end")
            time.sleep(0.1)
        none_lost(load)
        status = stage.gateway.running().returncode
        must(status == 0, f"ended with {status}")
        return load.asked


def says_so_first() -> Outcome:
    """A shutdown is said before the listeners close."""
    with staged() as stage, under_load(stage, threads=1, pause=0.02):
        time.sleep(0.5)
        stage.gateway.send_signal(signal.SIGTERM)
        not_ready, accepted, until = False, False, time.monotonic() + 3
        while time.monotonic() < until and stage.gateway.is_running() and not (not_ready and accepted):
            with contextlib.suppress(OSError):
                not_ready |= stage.gateway.ask_admin("GET", "/readyz")[0] == 503
                accepted |= not_ready and ask_once(stage.gateway.listen) == 200
        must(not_ready, "/readyz never said 503")
        must(accepted, "no new connection was served once /readyz had said 503")
    return Outcome("/readyz 503 while the listener serves")


def ends_with_open_stream() -> Outcome:
    """A stream that is open when SIGTERM comes is written to its end."""
    with staged() as stage:
        stage.one.act = says(EVENT_STREAM, *[part for i in range(10) for part in (delta(f"t{i}"), 0.2)], STREAM_END)
        got: list[bool] = []

        def read() -> None:
            seen = raw.talk(stage.gateway.listen, raw.post("/v1/chat/completions", chat_body(stream=True)), 15)
            got.append(b"[DONE]" in seen.data)

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(0.6)
        stage.ends(20)
        reader.join(10)
        must(got == [True], "the stream was cut")
    return Outcome("whole", 1, 0)


def hand_over() -> Outcome:
    """SIGQUIT hands the listeners to a new process under load."""
    scene = Scene(sections="upgrade: {socket: FOLDER/upgrade.sock}")
    with staged(scene) as stage:
        host, port = stage.gateway.listen
        home = stage.folder / "new"
        home.mkdir()
        text = stage.text.replace("listen: {address: 127.0.0.1:0}", f"listen: {{address: {host}:{port}}}")
        fresh = Gateway(home, text)
        with under_load(stage, threads=4, pause=0.0) as load:
            starting = threading.Thread(target=lambda: fresh.start("--upgrade"))
            starting.start()
            time.sleep(1.0)
            stage.gateway.send_signal(signal.SIGQUIT)
            starting.join(40)
            must(waited(lambda: not stage.gateway.is_running(), 40), "the old process does not end")
            time.sleep(0.5)
        try:
            must(fresh.is_running(), "the new process ended")
            must(ask_once(fresh.listen) == 200, "the new process does not answer")
        finally:
            fresh.stop()
        return none_lost(load)


def reload_storm(many: Callable[[Gateway], None]) -> Callable[[], Outcome]:
    def check() -> Outcome:
        with staged() as stage:
            with under_load(stage, threads=2, pause=0.01) as load:
                before = stage.gateway.usage()
                many(stage.gateway)
                threads = stage.gateway.usage().threads
                must(threads < before.threads + 40, f"{before.threads} -> {threads} threads")
                began = time.monotonic()
                status = stage.gateway.reload(20)[0]
                took = time.monotonic() - began
                must(status == 200, f"/reload afterwards: {status}")
                must(took < 10, f"/reload afterwards took {took:.1f} s")
            outcome = none_lost(load, f"{threads} threads, /reload after {took:.1f} s")
            stage.ends()
            return outcome

    return check


def hangups(gateway: Gateway) -> None:
    for _ in range(100):
        gateway.send_signal(signal.SIGHUP)
        time.sleep(0.005)


def given_up(gateway: Gateway) -> None:
    """Asks for 200 reloads and waits for none."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(gateway.admin, timeout=2) as connection:
            connection.sendall(b"POST /reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")


def edits(gateway: Gateway) -> None:
    text = gateway.path.read_text("utf-8")
    for number in range(100):
        fresh = gateway.path.with_suffix(".new")
        fresh.write_text(f"{text}# {number}\n", "utf-8")
        fresh.replace(gateway.path)
        time.sleep(0.01)


def killed() -> Outcome:
    """SIGKILL, then a new start on the same folder with a log: it serves, and the log's lines are whole."""
    with staged(Scene(sections="decision_log: {path: FOLDER/logs/d.jsonl, text: true}")) as stage:
        with under_load(stage, threads=2):
            time.sleep(1)
            stage.gateway.send_signal(signal.SIGKILL)
            stage.gateway.running().wait()
        stage.gateway.start()
        stage.serves()
        with under_load(stage, threads=2) as load:
            time.sleep(1)
        return none_lost(load)


def paused() -> Outcome:
    """SIGSTOP for two seconds, as a machine that is suspended."""
    with staged(Scene(provider="")) as stage:
        with under_load(stage, threads=2) as load:
            time.sleep(0.3)
            stage.gateway.send_signal(signal.SIGSTOP)
            time.sleep(2)
            stage.gateway.send_signal(signal.SIGCONT)
            time.sleep(0.5)
        return none_lost(load)


def no_descriptors() -> Outcome:
    """More connections than file descriptors: once they are gone, requests are answered again."""
    with staged(limits={resource.RLIMIT_NOFILE: 80}) as stage:
        held: list[socket.socket] = []
        for _ in range(200):
            with contextlib.suppress(OSError):
                held.append(socket.create_connection(stage.gateway.listen, timeout=1))
        time.sleep(1)
        must(stage.gateway.is_running(), "the process ended")
        for each in held:
            each.close()
        must(waited(lambda: ask_once(stage.gateway.listen, timeout=2) == 200, 20), "it does not recover")
        with under_load(stage, threads=2) as load:
            time.sleep(1)
        return none_lost(load)


def little_memory() -> Outcome:
    """Bodies beyond the memory that the process may map are refused; the process stays."""
    scene = Scene(limits="max_bytes_in_flight: 67108864, max_body_bytes: 33554432")
    with staged(scene, {resource.RLIMIT_AS: 3 << 30}) as stage:
        seen = burst(stage.gateway.listen, 24, chat_body("x" * 20_000_000), threads=12)
        must(set(seen) <= {200, 400, 413, 503, 502, 504}, dict(seen))
        stage.serves()
        must(
            waited(lambda: stage.gateway.total("pointsman_request_body_bytes_in_flight") == 0), "bytes still in flight"
        )
        return Outcome(str(dict(seen)), 24, 0)


def faketime() -> str:
    """Returns the library that steps a process's clock: what FAKETIME_LIBRARY names, or where Debian puts it."""
    if named := os.environ.get("FAKETIME_LIBRARY"):
        return named
    for place in pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"):
        return str(place)
    raise SkippedError("no libfaketime here (Debian's package `libfaketime`)")


def clock_steps() -> Outcome:
    """The wall clock steps ten years ahead, then ten back, while requests run."""
    library = faketime()
    with staged(runs=False) as stage:
        clock = stage.folder / "clock"
        clock.write_text("+0", "utf-8")
        stage.gateway.environment |= {
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        stage.gateway.start()
        with under_load(stage, threads=2) as load:
            for step in ("+10y", "-10y", "+0"):
                clock.write_text(step, "utf-8")
                time.sleep(1)
        stage.serves()
        return none_lost(load)


def classifier(deadline: str, prompts: list[str], bundle: pathlib.Path) -> Callable[[], Outcome]:
    """Returns a check of prompts that a classifier cannot answer in time."""

    def check() -> Outcome:
        scene = Scene(sections=f"classifiers: {{default: {{bundle: {bundle}, deadline: {deadline}}}}}", strategy=TIERS)
        with staged(scene, runs=False) as stage:
            try:
                stage.gateway.start()
            except AssertionError as error:
                raise SkippedError(f"it does not start here: {str(error)[-200:]}") from error
            seen: Counter[int] = Counter()
            with under_load(stage, threads=2, pause=0.02) as load:
                for prompt in prompts:
                    seen += burst(stage.gateway.listen, 2, chat_body(prompt), threads=2)
            must(set(seen) == {200}, dict(seen))
            outcome = none_lost(load)
            stage.serves()
            stage.ends(20)
            return outcome

    return check


def no_home() -> Outcome:
    """The folder of the configuration is removed under load."""
    with staged() as stage:
        with under_load(stage, threads=2) as load:
            saved = stage.gateway.path.read_text("utf-8")
            shutil.rmtree(stage.folder)
            time.sleep(3)
            must(stage.gateway.reload(20)[0] >= 400, "a reload of nothing worked")
            stage.folder.mkdir()
            stage.gateway.path.write_text(saved + "# back\n", "utf-8")
            must(waited(lambda: stage.gateway.generation() > 1, 15), "the configuration is back, and is not served")
        return none_lost(load)


def port_taken() -> Outcome:
    """A second process on the same addresses says so and ends; the first serves on."""
    with staged() as stage:
        host, port = stage.gateway.listen
        home = stage.folder / "second"
        home.mkdir()
        text = stage.text.replace("listen: {address: 127.0.0.1:0}", f"listen: {{address: {host}:{port}}}")
        second = Gateway(home, text)
        try:
            second.start()
            must(False, "a second process serves the same address")
        except AssertionError:
            pass
        finally:
            second.stop()
        with under_load(stage, threads=2) as load:
            time.sleep(1)
        return none_lost(load)


def rows() -> list[Row]:
    storm = "threads bounded, the next /reload answers within 10 s, none lost"
    return [
        Row("process", "SIGTERM under load", "0 lost, ended with 0", ends_under_load(signal.SIGTERM)),
        Row("process", "SIGINT under load", "0 lost, ended with 0", ends_under_load(signal.SIGINT)),
        Row("process", "SIGTERM, seen by a load balancer", "/readyz 503 while connections are served", says_so_first),
        Row("process", "SIGTERM within a stream", "the stream is whole", ends_with_open_stream),
        Row("process", "SIGQUIT hands over under load", "0 lost", hand_over),
        Row("process", "SIGHUP a hundred times", storm, reload_storm(hangups)),
        Row("process", "200 reloads that nobody waits for", storm, reload_storm(given_up)),
        Row("process", "a hundred edits of the configuration", storm, reload_storm(edits)),
        Row("process", "SIGKILL and a new start", "it serves, 0 lost", killed),
        Row("process", "SIGSTOP for two seconds", "0 lost", paused),
        Row("process", "out of file descriptors", "it serves again when some are free, 0 lost", no_descriptors),
        Row("process", "480 MB of bodies, 64 MiB allowed", "refused or answered, no abort", little_memory),
        Row("process", "the clock steps ten years", "0 lost", clock_steps),
        Row("process", "the configuration's folder is removed", "0 lost, served again when it is back", no_home),
        Row("process", "a second process on the same address", "the second ends, the first loses none", port_taken),
        Row("classifier", "a deadline that is always missed", "otherwise serves; 0 lost",
            classifier("1ms", ["word " * 200] * 5, ROOT / "models" / "pointsman-mini")),
        Row("classifier", "a run that never ends", "otherwise serves; 0 lost",
            classifier("50ms", ["forever", "forever and ever", "hello"], TINY)),
    ]  # fmt: skip
