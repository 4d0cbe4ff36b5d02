#!/usr/bin/env python3
"""Goes once from prompts to a better bundle that serves, with three scripted models.

POINTSMAN names the binary. What the three models know comes from real outcomes (outcomes.py), so that every figure is
known beforehand, or bounded. Writes into a folder of its own, or into `--out`, which stays.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import sys
import tempfile
import time
from string import Template
from typing import Any

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reports"))

from commands import ROOT, CommandLine, Gateway, Row, read, serving, write  # noqa: E402
from outcomes import MODELS, questions  # noqa: E402
from upstream import ScriptedProvider  # noqa: E402

CONFIG = Template(pathlib.Path(__file__).with_name("pointsman.yaml").read_text("utf-8"))
WORTH = """\
  - name: worth
    match: {model: [worth]}
    strategy:
      kind: utility
      classifier: default
      models: [small, standard, frontier]
      lambda: 400 # a quarter of a cent more must bring a chance of 1 more
      output_tokens: 12
      otherwise: frontier
"""
EXACT = 1e-9
# Prompts from which on a router must be better than chance in these data.
SURE = 500


class Loop:
    """The folder, the commands and the scripted models of one round."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path) -> None:
        self.options, self.folder = options, folder
        self.command = CommandLine(options.pointsman.resolve(), folder)
        self.questions = {it.id: it for it in questions(options.outcomes, options.rows, options.seed)}
        self.figures: Row = {"rows": len(self.questions), "seed": options.seed}

    def path(self, name: str) -> pathlib.Path:
        return self.folder / name

    def rows(self, split: str) -> list[Row]:
        return [row for row in read(self.path("prompts.jsonl")) if row["split"] == split]

    def config(self, name: str, bundle: str | pathlib.Path, port: int, policies: str = "") -> None:
        self.path(name).write_text(CONFIG.substitute(port=port, bundle=bundle, policies=policies), "utf-8")

    def go(self) -> None:
        self.command.run("runs init")
        self.prepare()
        prepared = {row["prompt"]: self.questions[row["id"]] for row in read(self.path("prompts.jsonl"))}
        provider = ScriptedProvider(prepared)
        try:
            port = provider.server_port
            self.config("now.yaml", ROOT / "models" / "pointsman-mini", port)
            self.collect(provider)
            self.grade()
            self.compare_now()
            self.fit()
            self.config("next.yaml", "models/both", port, WORTH)
            self.calibrate()
            offline = self.compare_next()
            self.serve(offline)
            assert not provider.unknown, provider.unknown[:1]
        finally:
            provider.shutdown()
        self.records()

    def prepare(self) -> None:
        rows = [it.row() for it in self.questions.values()]
        write(self.path("questions.jsonl"), rows)
        split = "--split train=0.5,validation=0.25,held_out=0.25"
        counts = self.command.run(f"prepare questions.jsonl --out prompts.jsonl {split} --seed {self.options.seed}")
        assert counts["read"] == len(rows) == counts["written"] + sum(counts["dropped"].values()), counts
        assert sum(counts["splits"].values()) == counts["written"] > 0.9 * len(rows), counts
        splits: dict[str, set[str]] = {}
        for row in read(self.path("prompts.jsonl")):
            splits.setdefault(str(row.get("group") or row["id"]), set()).add(row["split"])
        assert all(len(found) == 1 for found in splits.values()), "a group stands on two sides"
        self.figures["prepare"] = {key: counts[key] for key in ("written", "dropped", "splits")}

    def collect(self, provider: ScriptedProvider) -> None:
        collect = "collect -c now.yaml --prompts prompts.jsonl --max-tokens 64 --concurrency 8"
        budget = 0.01
        cut = self.command.run(f"{collect} --out cut.jsonl --max-cost {budget}")
        assert cut["ended"] == "budget" and 0 < cut["cost_usd"] <= budget, cut
        asked = provider.answered.total()
        assert asked == cut["answered"], (asked, cut)

        prompts = self.figures["prepare"]["written"]
        counts = self.command.run(f"{collect} --out answers.jsonl --max-cost 20")
        wanted = prompts * (len(MODELS) + 1)
        assert (counts["answered"], counts["failed"], counts["ended"]) == (wanted, 0, "done"), counts
        assert provider.answered.total() - asked == wanted, provider.answered
        answers = read(self.path("answers.jsonl"))
        assert abs(sum(row["cost_usd"] for row in answers) - counts["cost_usd"]) < EXACT
        order = [row["id"] for row in read(self.path("prompts.jsonl")) for _ in range(len(MODELS) + 1)]
        assert [row["id"] for row in answers] == order, "answers stand in another order than prompts"
        assert not [row for row in answers if "degraded" in row]

        again = self.command.run(f"{collect} --out answers.jsonl")
        assert (again["answered"], again["known"]) == (0, wanted), again
        keys = ("answered", "failed", "cost_usd")
        self.figures["collect"] = {key: counts[key] for key in keys} | {"seconds": self.command.seconds[-2][1]}

    def grade(self) -> None:
        report = self.command.run("grade answers.jsonl --out graded.jsonl --rows outcomes.jsonl")
        assert (report["graded"], report["ungraded"], report["failed"]) == (report["answers"], 0, 0), report
        assert report["graders"]["choice"]["unclear"] == 0, report["graders"]
        kept = [self.questions[row["id"]] for row in read(self.path("prompts.jsonl"))]
        for model in MODELS:
            known = sum(it.right[model] for it in kept) / len(kept)
            assert abs(report["asked"][model]["quality"] - known) < EXACT, (model, known, report["asked"][model])
        self.command.run("grade graded.jsonl --out again.jsonl --rows pairs.jsonl --strong frontier --weak small")
        self.figures["grade"] = {name: round(asked["quality"], 4) for name, asked in report["asked"].items()}

    def compare_now(self) -> None:
        report = self.command.run("eval --answers graded.jsonl --report report --json")
        assert report["n"] == self.figures["prepare"]["written"], report["left_out"]
        self.figures["now"] = between(report, "auto")

    def fit(self) -> None:
        """Fits on the training rows; what is held out stands in the files and is left out."""
        held_out = len(self.rows("held_out"))
        for name in ("pairs", "outcomes"):
            rows = read(self.path(f"{name}.jsonl"))
            for part in ("train", "validation", "held_out"):
                write(self.path(f"{name}.{part}.jsonl"), [row for row in rows if row["split"] == part])
            write(self.path(f"{name}.learn.jsonl"), [row for row in rows if row["split"] != "validation"])
        base = ROOT / "models" / "pointsman-mini"
        options = f"--seed {self.options.seed} {self.options.fit} --cache cache"
        fit = f"fit --task strong_weak --data pairs.learn.jsonl --base {base} --out models/pair {options}"
        pair = self.command.run(fit)
        trained = len(self.rows("train"))
        assert (pair["n_train"], pair["held_out"]) == (trained, held_out), (pair["n_train"], pair["held_out"])
        fit = f"fit --task success --data outcomes.learn.jsonl --base models/pair --out models/both {options}"
        both = self.command.run(fit)
        assert (both["n_train"], both["held_out"]) == (trained, held_out), (both["n_train"], both["held_out"])
        nothing = f"fit --task success --data outcomes.held_out.jsonl --base {base} --out models/never {options}"
        said = self.command.run(nothing, expected=65)
        assert "held_out" in str(said), said
        assert not self.path("models/never").exists()
        self.figures["fit"] = {"n_train": trained, "held_out": held_out}

    def calibrate(self) -> None:
        """Finds the threshold on rows that nothing was fitted on."""
        calibrate = "calibrate -c next.yaml --policy auto --prompts"
        found = self.command.run(f"{calibrate} pairs.validation.jsonl --strong-share 40% --write --json")
        assert found["n"] == len(self.rows("validation")), found
        share = found["achieved"]["strong_share"]
        assert abs(share - 0.4) < 0.05 + 1 / found["n"], found
        text = self.path("next.yaml").read_text("utf-8")
        assert f"threshold: {found['threshold']}" in text, found
        said = self.command.run(f"{calibrate} pairs.held_out.jsonl --strong-share 40%", expected=65)
        assert "held_out" in str(said), said
        keys = ("before", "threshold")
        self.figures["calibrate"] = {key: found[key] for key in keys} | {"strong_share": share}

    def compare_next(self) -> dict[str, Row]:
        """Compares the policies of the new configuration on the rows that nothing learnt from."""
        compare = "eval --answers graded.jsonl --split held_out --json -c next.yaml --policy"
        reports = {name: self.command.run(f"{compare} {name} --policies auto") for name in ("auto", "worth")}
        for name, report in reports.items():
            assert report["n"] == len(self.rows("held_out")), report["left_out"]
            self.figures[f"next_{name}"] = between(report, name)
        return {name: offline(report, name) for name, report in reports.items()}

    def serve(self, offline: dict[str, Row]) -> None:
        """Serves the old configuration, replays its log on the new one, and serves that: each choice is as foretold."""
        live = self.path("live.yaml")
        live.write_text(self.path("now.yaml").read_text("utf-8"), "utf-8")
        tuned, held_out = self.rows("validation"), self.rows("held_out")
        with serving(self.command.binary, live) as gateway:
            before = self.traffic(gateway, "auto", tuned)
            self.logged(2 * len(tuned))
            replay = "replay -c now.yaml --against next.yaml decisions.jsonl --json --moved moved.jsonl"
            replayed = self.command.run(f"{replay} --min-coverage 1")
            assert (replayed["requests"], replayed["n"]) == (len(tuned), len(tuned)), replayed
            moved = {row["request_id"]: row["to"] for row in read(self.path("moved.jsonl"))}
            assert len(moved) == replayed["moved"], replayed

            live.write_text(self.path("next.yaml").read_text("utf-8"), "utf-8")
            gateway.reload()
            after = self.traffic(gateway, "auto", tuned)
            for old, new in zip(before, after, strict=True):
                foretold = moved.get(old["request_id"], old["model"])
                assert new["model"] == foretold, (old, new, foretold)
            served = {name: self.traffic(gateway, name, held_out) for name in offline}
        for name, answered in served.items():
            shares = {model: sum(it["model"] == model for it in answered) / len(answered) for model in MODELS}
            quality = sum(it["right"] for it in answered) / len(answered)
            # `worth` goes by the lengths of the answers that were seen, which nothing knows beforehand.
            if name == "auto":
                assert all(abs(shares[it] - offline[name]["shares"].get(it, 0)) < EXACT for it in MODELS), shares
                assert abs(quality - offline[name]["quality"]) < EXACT, (quality, offline[name])
            self.figures[f"served_{name}"] = {"quality": round(quality, 4), "shares": shares}
        self.figures["replay"] = {key: replayed[key] for key in ("n", "moved", "cost_increase", "quality_by_feedback")}

    def traffic(self, gateway: Gateway, policy: str, rows: list[Row]) -> list[Row]:
        """Asks each prompt, and rates the answer."""
        answered = []
        for row in rows:
            text, headers = gateway.ask(policy, row["prompt"])
            question = self.questions[row["id"]]
            model = headers["x-pointsman-model"]
            right = question.right[model]
            assert headers["x-pointsman-policy"] == policy and "x-pointsman-degraded" not in headers, headers
            assert (question.letter in text) or not right, (question.letter, text)
            gateway.rate(headers["x-request-id"], right)
            answered.append({"request_id": headers["x-request-id"], "model": model, "right": right})
        return answered

    def logged(self, lines: int) -> None:
        """Waits until the log, which another thread writes, has every decision and rating."""
        log = self.path("decisions.jsonl")
        started = time.monotonic()
        while not log.exists() or log.read_text("utf-8").count("\n") < lines:
            assert time.monotonic() - started < 30, "the decision log lacks lines"
            time.sleep(0.05)

    def records(self) -> None:
        listed = self.command.run("runs list --json")["runs"]
        done = [run["command"] for run in listed if not run.get("error")]
        wanted = [
            "prepare",
            *3 * ["collect"],
            *2 * ["grade"],
            "eval",
            *2 * ["fit"],
            "calibrate",
            *2 * ["eval"],
            "replay",
        ]
        assert done == wanted, done
        assert [run["command"] for run in listed if run.get("error")] == ["fit", "calibrate"], listed
        self.figures["data_sha256"] = listed[0]["data"][0]["sha256"]


def offline(report: Row, name: str) -> Row:
    """Returns the figures of a policy that was decided anew."""
    [router] = [it for it in report["routers"] if it["kind"] == "policy_offline"]
    assert router["name"].startswith(name), router["name"]
    return dict(router)


def between(report: Row, name: str) -> Row:
    """Asserts what holds of every router, and returns the figures of each."""
    router = [it for it in report["routers"] if it["name"].startswith(name)][-1]
    models = {it["name"]: it for it in report["models"]}
    chance, oracle = router["random_at_shares"]["quality"], report["oracle"]["quality"]
    # A draw of its models that is as often each of them; of few prompts nobody can be sure of more than the interval.
    known = router["quality"] if report["n"] >= SURE else router["quality_ci95"][1]
    assert chance <= known and router["quality"] <= oracle + EXACT, (chance, router["quality"], oracle)
    assert models["small"]["cost_usd"] <= router["cost_usd"] <= models["frontier"]["cost_usd"], router["cost_usd"]
    assert abs(sum(router["shares"].values()) - 1) < EXACT, router["shares"]
    assert report["oracle"]["quality"] >= max(it["quality"] for it in models.values()) - EXACT
    mean = sum(it["quality"] for it in models.values()) / len(models)
    assert abs(report["random"]["quality"] - mean) < EXACT, report["random"]
    everybody = [*report["models"], report["oracle"], report["random"], router]
    everybody += [router[it] for it in ("length", "random_at_shares") if router.get(it)]
    return {it["name"]: summary(it) for it in everybody}


def summary(figures: Row) -> Row:
    kept: dict[str, Any] = {"quality": round(figures["quality"], 4), "usd_per_1k": round(1000 * figures["cost_usd"], 4)}
    kept["ci95"] = figures["quality_ci95"]
    kept["shares"] = {name: round(share, 3) for name, share in figures["shares"].items()}
    kept |= {key: round(figures[key], 4) for key in ("pgr", "arena_score") if figures.get(key) is not None}
    if figures.get("latency_ms"):
        kept["ms"] = {key: round(figures["latency_ms"][key], 1) for key in ("p50", "p95")}
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    binary = pathlib.Path(os.environ.get("POINTSMAN", ROOT / "target" / "debug" / "pointsman"))
    parser.add_argument("--pointsman", type=pathlib.Path, default=binary)
    parser.add_argument("--outcomes", type=pathlib.Path, default=ROOT / "models" / "data" / "outcomes_test.jsonl")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--fit", default="--folds 0", help="options of `fit`; what is held out judges it anyway")
    parser.add_argument("--out", type=pathlib.Path, help="a new folder that stays")
    parser.add_argument("--pictures", type=pathlib.Path, help="takes pictures of the report into this folder")
    options = parser.parse_args()
    options.outcomes = options.outcomes.resolve()
    with contextlib.ExitStack() as end:
        if options.out:
            options.out.mkdir(parents=True)
        folder = options.out or end.enter_context(tempfile.TemporaryDirectory(prefix="pointsman-loop-"))
        loop = Loop(options, pathlib.Path(folder).resolve())
        started = time.monotonic()
        loop.go()
        loop.figures["seconds"] = round(time.monotonic() - started, 1)
        loop.figures["command_seconds"] = loop.command.seconds
        print(json.dumps(loop.figures, indent=1))
        if options.pictures:
            import pictures

            pictures.take(loop.path("report") / "index.html", options.pictures)


if __name__ == "__main__":
    main()
