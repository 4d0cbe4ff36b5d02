"""Names of the recipe's arrays: what the axes count, and what kind of number stands in them.

Numpy's types carry no axes through arithmetic. So an alias here tells its axes to a reader, as in `[rows, labels]`; a
type checker sees the kind of number only. A row is a prompt; a column is a label, a feature or an output of a layer, as
the name of the axis says.
"""

from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Floats: TypeAlias = NDArray[np.floating]

RowMask: TypeAlias = Annotated[NDArray[np.bool], "[rows]"]
RowLabels: TypeAlias = Annotated[
    NDArray[np.integer], "[rows]"
]  # which label is right, by its place among the labels; -1: not known
RowFolds: TypeAlias = Annotated[NDArray[np.integer], "[rows]"]
RowValues: TypeAlias = Annotated[Floats, "[rows]"]
RowLanguages: TypeAlias = Annotated[
    NDArray[np.str_ | np.object_], "[rows]"
]  # ISO 639-1; empty or None: too short to tell

Logits: TypeAlias = Annotated[Floats, "[rows, labels]"]
Probabilities: TypeAlias = Annotated[Floats, "[rows, labels]"]
Targets: TypeAlias = Annotated[Floats, "[rows, outputs]"]
LabelValues: TypeAlias = Annotated[Floats, "[labels]"]

# The three blocks of inputs that heads read.
Embeddings: TypeAlias = Annotated[Floats, "[rows, encoder.DIMENSION]"]
FeatureRows: TypeAlias = Annotated[Floats, "[rows, features]"]
NgramRows: TypeAlias = Annotated[csr_matrix, "[rows, ngrams.WIDTH]"]

LayerWeight: TypeAlias = Annotated[Floats, "[outputs, inputs]"]
LayerBias: TypeAlias = Annotated[Floats, "[outputs]"]
Tensors: TypeAlias = dict[str, Floats]  # of a checkpoint or of a bundle, by name
