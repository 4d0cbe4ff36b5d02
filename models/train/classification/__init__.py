"""Fine-tunes any Hugging Face encoder on labelled prompts, and writes a classifier's bundle.

Nothing here knows the data or the encoder of the default bundle. `command` runs it: rows, network, training, bundle.
"""
