"""A tuned encoder as it ships: exported, run by ONNX Runtime, its embeddings kept on disk by text."""

import hashlib
from pathlib import Path

import numpy as np

from . import export, scorer
from .arrays import Embeddings, Tensors


class OnnxEncoder:
    """A tuned encoder, exported as float32, float16 and int8, with its tensors."""

    def __init__(self, tuned: Tensors, folder: Path):
        prefix = "encoder."
        self.tuned, self.folder = tuned, folder
        self.weights = {name.removeprefix(prefix): value for name, value in tuned.items() if name.startswith(prefix)}
        self.full, self.half, self.int8 = (folder / f"model.{precision}.onnx" for precision in ("fp32", "fp16", "int8"))
        folder.mkdir(parents=True, exist_ok=True)
        export.write(export.Graph(self.weights), self.full)
        export.write(export.HalfGraph(self.weights), self.half)
        export.write(export.Int8Graph(self.weights), self.int8)

    def file(self, precision: str) -> Path:
        return {"fp32": self.full, "fp16": self.half, "int8": self.int8}[precision]

    def embed(self, rows: list[list[int]], file: Path | None = None) -> Embeddings:
        """Returns the embeddings of rows of token ids by the int8 graph, or by another."""
        file = file or self.int8
        key = hashlib.sha256(file.read_bytes() + str(rows).encode()).hexdigest()[:16]
        kept = self.folder / f"embeddings-{key}.npy"
        if not kept.exists():
            np.save(kept, scorer.embed(scorer.session(file), rows))
        embeddings: Embeddings = np.load(kept)
        return embeddings
