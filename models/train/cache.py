"""Arrays in the work folder: what took long is read there when it came of the same inputs."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Array = NDArray[Any]


def key(*parts: object) -> str:
    """Returns a name for inputs: arrays by their bytes, everything else as it prints."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(content(part))
    return digest.hexdigest()[:16]


def content(part: object) -> bytes:
    if isinstance(part, csr_matrix):
        part = np.concatenate([part.data.view(np.uint8), part.indices.view(np.uint8), part.indptr.view(np.uint8)])
    return np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode()


def arrays(file: Path, compute: Callable[[], Mapping[str, Array]]) -> dict[str, Array]:
    """Returns the arrays of `file`, which are computed and written first unless it is there."""
    if not file.exists():
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, allow_pickle=True, **compute())
        partial.replace(file)
    with np.load(file) as kept:
        return {name: kept[name] for name in kept.files}
