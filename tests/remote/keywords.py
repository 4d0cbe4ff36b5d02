"""A runtime for MLServer that classifies: `hard` in a text makes it complex, `middling` medium."""

from __future__ import annotations

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

LABELS = ["simple", "medium", "complex"]


class KeywordClassifier(MLModel):  # type: ignore[misc]  # of a library without types here
    """Tells prompts apart by words; MLServer runs it."""

    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = self.decode(payload.inputs[0], default_codec=StringCodec)
        if any("crash" in text for text in texts):
            raise ValueError("asked to")
        classes = [2 if "hard" in text else 1 if "middling" in text else 0 for text in texts]
        logits = np.array(
            [[4.0 if place == found else 0.0 for place in range(3)] for found in classes], dtype=np.float32
        )
        exponents = np.exp(logits)
        outputs = [
            NumpyCodec.encode_output("logits", logits),
            NumpyCodec.encode_output("probabilities", exponents / exponents.sum(axis=1, keepdims=True)),
            NumpyCodec.encode_output("difficulty", np.array(classes, dtype=np.float64)),
            StringCodec.encode_output("label", [LABELS[found] for found in classes]),
        ]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
