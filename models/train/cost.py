"""The CPU time of one prompt by the encoders of two bundles, in turn in one process, so that a busy machine hits both.

One prompt a run, one thread, no spinning: the process's own CPU time, the median of the rounds.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import onnxruntime
import yaml

from .export import OUTPUT

LONGEST_ID = 30_000
LEAST_SECONDS = 0.02  # of the runs that one figure is taken of


def session(folder: Path) -> onnxruntime.InferenceSession:
    manifest = yaml.safe_load((folder / "bundle.yaml").read_text("utf-8"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(folder / manifest["encoder"]["file"], options, ["CPUExecutionProvider"])


def seconds(model: onnxruntime.InferenceSession, tokens: int, runs: int) -> float:
    """Returns the CPU seconds of a run over random tokens: what they are makes no difference."""
    ids = np.random.default_rng(tokens).integers(1000, LONGEST_ID, (1, tokens))
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    started = time.process_time()
    for _ in range(runs):
        model.run([OUTPUT], inputs)
    return (time.process_time() - started) / runs


def run(arguments: argparse.Namespace) -> None:
    """Prints the table."""
    models = [session(folder) for folder in (arguments.bundle, arguments.teacher)]
    print("| tokens | bundle, ms | teacher, ms | ratio |\n|---|---|---|---|")
    for tokens in (int(tokens) for tokens in arguments.tokens.split(",")):
        runs = [max(1, round(LEAST_SECONDS / seconds(model, tokens, 2))) for model in models]
        rounds = [
            [seconds(model, tokens, count) for model, count in zip(models, runs, strict=True)]
            for _ in range(arguments.rounds)
        ]
        own, other = np.median(np.array(rounds), axis=0)
        print(f"| {tokens} | {1000 * own:.2f} | {1000 * other:.2f} | {own / other:.2f} |", flush=True)
