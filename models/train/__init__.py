"""The recipe of the bundles under `models/`: fine-tune, export, quantise, calibrate, pack, check."""
