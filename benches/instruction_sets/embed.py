"""Runs an encoder over rows of token ids, one row a run: `embed.py MODEL ROWS.json OUT.npy`.

Needs numpy and onnxruntime only, so that it runs wherever they do: under an emulator too.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def main(model: str, rows: str, out: str) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    embeddings = []
    for row in json.loads(Path(rows).read_text("utf-8")):
        ids = np.array([row], np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        embeddings.append(session.run(["sentence_embedding"], inputs)[0][0])
    np.save(out, np.stack(embeddings))


main(*sys.argv[1:])
