"""What took long and came of the same inputs is read from the work folder."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix


def key(*parts) -> str:
    """Returns a name for inputs: arrays by their bytes, everything else as it prints."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, csr_matrix):
            part = np.concatenate([part.data.view(np.uint8), part.indices.view(np.uint8), part.indptr.view(np.uint8)])
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return digest.hexdigest()[:16]


def arrays(file: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Returns the arrays of `file`, which are computed and written first unless it is there."""
    if not file.exists():
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, **compute())
        partial.replace(file)
    with np.load(file) as kept:
        return {name: kept[name] for name in kept.files}
