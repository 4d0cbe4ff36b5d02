"""Sets `escalate` beside `threshold` at equal cost, on outcomes of models, with judges that are right so often.

    python -m models.escalation_study POINTSMAN [DATA] > table.md

POINTSMAN is the binary. DATA is the folder with the data sets (models/data; the second table needs
`llmrouter_outcomes_train.jsonl`, which is not in the repository). Nothing is asked and nothing is paid: a judge of
accuracy 0.8 says of four answers in five what their outcome is, and of the fifth the opposite, drawn by the seed and
the prompt. What it costs is what reading the prompt and the answer would, at the price of the model that judges.

Outcomes say no tokens. A prompt has one for every four characters, and an answer as many as its table says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEED = 7
ACCURACIES = (0.7, 0.8, 0.9, 1.0)
BUNDLE = "models/pointsman-mini"

# Tokens of what a judge is told beside the prompt and the answer, and of its word.
INSTRUCTIONS, WORD = 150, 12


@dataclass(frozen=True)
class Contest:
    """Two models on one data set."""

    title: str
    file: str
    strong: str
    weak: str
    # US dollars per million tokens, of prompts and answers alike.
    strong_price: float
    weak_price: float
    answer_tokens: int
    # Whether heads are fitted to one half of the rows, and the other half is measured; else the shipped head is.
    is_fitted: bool


@dataclass(frozen=True)
class Judge:
    """A judge that is right so often."""

    name: str
    accuracy: float
    # US dollars per million tokens.
    price: float
    # The price in words.
    at: str


NINE, SHARE = "llmrouter_outcomes_train.jsonl", "LLMRouter, the half that no head learnt from"
BEST, SMALL = "llama-3.1-nemotron-51b-instruct", "qwen2.5-7b-instruct"

# A small and a large model of today, twenty times as dear; two models with open weights, 4.5 times.
CONTESTS = (
    Contest("MMLU", "outcomes_test.jsonl", "gpt-4-1106-preview", "mixtral-8x7b", 20.0, 0.6, 8, False),
    Contest(SHARE, NINE, BEST, SMALL, 2.0, 0.1, 256, True),
    Contest(SHARE, NINE, BEST, SMALL, 0.9, 0.2, 256, True),
)


@dataclass(frozen=True)
class Outcome:
    """A prompt and the worth of both answers to it."""

    identity: str
    prompt: str
    group: str | None
    strong: float
    weak: float


def outcomes(contest: Contest, path: Path) -> list[Outcome]:
    """Returns the outcomes of a file, each of which has both models'."""
    found = []
    for place, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        if row.get("contaminated"):
            continue
        if "scores" in row:
            strong, weak = (row["scores"].get(name) for name in (contest.strong, contest.weak))
        else:
            strong, weak = row.get("strong_correct"), row.get("weak_correct")
        if strong is not None and weak is not None:
            identity = str(row.get("id", place))
            found.append(Outcome(identity, row["prompt"], row.get("group"), float(strong), float(weak)))
    return found


def is_agreed(identity: str, accuracy: float) -> bool:
    """Draws whether a judge is right on a prompt. A better one errs where a worse one does, and on fewer."""
    digest = hashlib.sha256(f"{SEED} {identity}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < accuracy


def judges(contest: Contest) -> list[Judge]:
    """Returns the judges of a contest: of each accuracy, at the weak model's price and at the strong one's."""
    prices = ((contest.weak_price, "the weak price"), (contest.strong_price, "the strong price"))
    return [
        Judge(f"judge-{place}-{round(100 * accuracy)}", accuracy, price, at)
        for place, (price, at) in enumerate(prices)
        for accuracy in ACCURACIES
    ]


def answers(contest: Contest, rows: list[Outcome]) -> str:
    """Returns the rows of answers. What a judge says of one and what that costs is a grade of weight 0."""
    lines = []
    for row in rows:
        tokens = max(1, len(row.prompt) // 4) + contest.answer_tokens
        for name, score, price in (
            ("strong", row.strong, contest.strong_price),
            ("weak", row.weak, contest.weak_price),
        ):
            grades: list[dict[str, Any]] = [{"grader": "outcome", "score": score, "correct": score >= 0.5}]
            for judge in judges(contest) if name == "weak" else []:
                is_good = (score >= 0.5) == is_agreed(row.identity, judge.accuracy)
                cost = (tokens + INSTRUCTIONS + WORD) * judge.price / 1e6
                grades.append({"grader": judge.name, "score": float(is_good), "cost_usd": cost})
            answer: dict[str, Any] = {
                "kind": "answer",
                "id": row.identity,
                "prompt": row.prompt,
                "asked": name,
                "model": name,
                "answer": "",
                "cost_usd": tokens * price / 1e6,
                "grades": grades,
            }
            if row.group is not None:
                answer["group"] = row.group
            lines.append(json.dumps(answer))
    return "\n".join(lines) + "\n"


def config(contest: Contest, bundle: Path) -> str:
    """Returns a configuration with a policy for each judge, and one with a threshold."""
    names = [judge.name for judge in judges(contest)]
    models = ", ".join(f"{name}: {{provider: p}}" for name in ["strong", "weak", *names])
    checked = "\n".join(
        f"  - {{name: by-{name}, match: {{model: [by-{name}]}}, strategy: "
        f"{{kind: escalate, cheap: weak, strong: strong, check: {{judge: {{judge: {name}}}}}}}}}"
        for name in names
    )
    threshold = "{kind: threshold, classifier: default, head: strong_wins, strong: strong, weak: weak, threshold: 0.5}"
    return f"""version: 1
listen: {{address: 127.0.0.1:0}}
providers: {{p: {{base_url: http://127.0.0.1:1}}}}
models: {{{models}}}
classifiers: {{default: {{bundle: {bundle}, deadline: 10s}}}}
policies:
  - {{name: threshold, match: {{model: [threshold]}}, strategy: {threshold}}}
{checked}
"""


def run(*command: str | Path) -> str:
    """Runs a command and returns what it prints."""
    done = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, env=os.environ)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def fitted(pointsman: str, contest: Contest, path: Path, scratch: Path) -> tuple[Path, Path]:
    """Fits a head to one half of the rows; returns the bundle and the other half."""
    ready = scratch / "ready.jsonl"
    run(
        pointsman,
        "prepare",
        path,
        "--out",
        ready,
        "--split",
        "train=0.5,held_out=0.5",
        "--seed",
        str(SEED),
        "--split-files",
    )
    rows = outcomes(contest, scratch / "ready.train.jsonl")
    learnt = [
        {"prompt": row.prompt, "strong_correct": int(row.strong >= 0.5), "weak_correct": int(row.weak >= 0.5)}
        for row in rows
    ]
    data = scratch / "learnt.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in learnt), encoding="utf-8")
    bundle = scratch / "fitted"
    learns = ("--base", BUNDLE, "--task", "strong_weak", "--inputs", "dense", "--folds", "0", "--seed", str(SEED))
    run(pointsman, "fit", *learns, "--data", data, "--out", bundle)
    return bundle, scratch / "ready.held_out.jsonl"


HEADINGS = (
    "judge right",
    "judged at",
    "strong asked",
    "$ per 1k",
    "of it judges",
    "quality",
    "less threshold at its cost, 95 %",
    "less random at its cost, 95 %",
)


def difference(checked: dict[str, Any], name: str) -> str:
    """Returns the quality of a policy less that of another contender, with its interval."""
    other = next(other for other in checked["against"] if other["name"] == name)
    low, high = other["quality_ci95"]
    return f"{other['quality']:+.3f} ({low:+.3f} to {high:+.3f})"


def cells(judge: Judge, checked: dict[str, Any]) -> list[str]:
    """Returns the row of a judge."""
    return [
        str(judge.accuracy),
        judge.at,
        f"{checked['shares'].get('strong', 0):.3f}",
        f"{1e3 * checked['cost_usd']:.3f}",
        f"{1e3 * checked['judge_cost_usd']:.3f}",
        f"{checked['quality']:.3f}",
        difference(checked, "threshold on the score of threshold at its cost"),
        difference(checked, "random at its cost"),
    ]


def compared(pointsman: str, contest: Contest, bundle: Path, rows: list[Outcome], scratch: Path) -> dict[str, Any]:
    """Returns the report of a comparison of every judge's policy."""
    yaml, graded = scratch / "pointsman.yaml", scratch / "graded.jsonl"
    yaml.write_text(config(contest, bundle), encoding="utf-8")
    graded.write_text(answers(contest, rows), encoding="utf-8")
    names = [judge.name for judge in judges(contest)]
    policies = ",".join([*(f"by-{name}" for name in names), "threshold"])
    weights = ",".join(f"{name}=0" for name in names)
    chosen = ("--policy", policies, "--models", "strong,weak", "--weights", weights)
    report: dict[str, Any] = json.loads(
        run(pointsman, "eval", "--answers", graded, "-c", yaml, *chosen, "--seed", str(SEED), "--json")
    )
    return report


def compare(pointsman: str, contest: Contest, data: Path, scratch: Path) -> None:
    """Prints the table of a contest."""
    path = data / contest.file
    bundle, measured = Path(BUNDLE).resolve(), path
    if contest.is_fitted:
        bundle, measured = fitted(pointsman, contest, path, scratch)
    rows = outcomes(contest, measured)
    report = compared(pointsman, contest, bundle, rows, scratch)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"\n**{contest.title}** (`{contest.file}`, sha256 `{sha[:8]}...`, n {report['n']}, seed {SEED}):")
    print(f"{contest.strong} at {contest.strong_price} $ a million tokens, {contest.weak} at {contest.weak_price},")
    print(f"answers of {contest.answer_tokens} tokens.\n")
    print(f"| {' | '.join(HEADINGS)} |")
    print(f"|{'---|' * len(HEADINGS)}")
    routers = {router["name"]: router for router in report["routers"]}
    for judge in judges(contest):
        print(f"| {' | '.join(cells(judge, routers[f'by-{judge.name}']))} |")
    alone = {model["name"]: model for model in [*report["models"], report["oracle"]]}
    told = (f"{name} {alone[name]['quality']:.3f} at {1e3 * alone[name]['cost_usd']:.3f}" for name in alone)
    print(f"\nAlone: {'; '.join(told)}.")


def main() -> None:
    """Prints a table for each data set that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pointsman")
    parser.add_argument("data", nargs="?", type=Path, default=Path("models/data"))
    arguments = parser.parse_args()
    for contest in CONTESTS:
        data = arguments.data if (arguments.data / contest.file).exists() else Path("models/data")
        if not (data / contest.file).exists():
            print(f"\n{contest.file} is not in {arguments.data}: its table is left out", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as scratch:
            compare(arguments.pointsman, contest, data, Path(scratch))


if __name__ == "__main__":
    main()
