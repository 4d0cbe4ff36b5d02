"""The recipe of the bundles under `models/`: fine-tune, export, quantise, calibrate, pack, check."""

import os

# ONNX Runtime reads these when it starts: it keeps nothing for its vendor and sends it nothing (docs/security.md).
for variable in ("ORT_TELEMETRY_DISABLED", "ORT_RUNNING_UNIT_TESTS"):
    os.environ.setdefault(variable, "1")
