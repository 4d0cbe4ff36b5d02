"""The processors that score as this one does.

ONNX Runtime chooses its kernels by instruction set, and they round differently.
"""

import platform
from pathlib import Path

# From the richest to the poorest, with the flag that each needs besides those of the poorer ones.
SETS = {"avx512f": "avx512f", "avx2": "fma", "avx": "avx"}
# `export.Int8Graph` gives the same bits with both: `benches/instruction_sets` measures it.
ALIKE = ["avx2", "avx512f"]


def instruction_set() -> str:
    """Returns the richest set of float kernels that ONNX Runtime finds here.

    Names are those of `tests/default_bundle.rs`.
    """
    if platform.machine() != "x86_64":
        return platform.machine()
    flags = Path("/proc/cpuinfo").read_text("utf-8").split()
    return next((name for name, flag in SETS.items() if flag in flags), "sse")


def alike() -> list[str]:
    """Returns the sets that give the int8 graph's scores as this processor gives them, to the last bit."""
    return ALIKE if instruction_set() in ALIKE else [instruction_set()]
