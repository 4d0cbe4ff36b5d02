"""Writes bundles of real sizes with random weights: what they say means nothing, what they cost is what counts.

`teacher`: the six layers of all-MiniLM-L6-v2 with a linear head; `student`: three of them, narrower between; `deberta`:
DeBERTa-v3-base with ComplexityRouter's head. Each in float32, float16, bfloat16 and int8, as far as it can be exported.
Needs torch, transformers, onnx, onnxruntime, tokenizers: python benches/gpu/bundles.py OUT [--dry]
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, DebertaV2Config, DebertaV2Model

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from models.train import graph_file, sequence, sequence_bundle
from models.train.encoder import sha256

LEVELS = ["trivial", "simple", "moderate", "complex"]
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "the",
    *["what", "is", "time", "prove", "that", "every", "even", "number", "a", "sum", "of", "two", "primes", "hello"],
]
TEXTS = ["the", "prove that every even number is the sum of two primes", "the " * 600]
# What the manifest says of each, and how far its golden scores may be off: those are PyTorch's, in float32.
PRECISIONS = {"fp32": ("fp32", 1e-3), "fp16": ("fp16", 1e-2), "bf16": ("fp16", 5e-2), "int8": ("int8", 5e-2)}


def bert(layers: int, between: int) -> torch.nn.Module:
    config = BertConfig(
        hidden_size=384, num_hidden_layers=layers, num_attention_heads=12, intermediate_size=between, num_labels=4
    )
    return sequence.LogitsModule(BertForSequenceClassification._from_config(config, attn_implementation="eager"))


def deberta(layers: int) -> torch.nn.Module:
    config = DebertaV2Config(
        vocab_size=128100,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=layers,
        num_attention_heads=12,
        max_position_embeddings=512,
        type_vocab_size=0,
        relative_attention=True,
        position_buckets=256,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type="p2c|c2p",
        position_biased_input=False,
        max_relative_positions=-1,
        pad_token_id=0,
    )
    return sequence.ComplexityRouter(DebertaV2Model(config), 256, len(LEVELS))


def modules(is_dry: bool = False) -> dict[str, torch.nn.Module]:
    """Returns the architectures; those of a dry run are a layer deep and leave the largest out."""
    torch.manual_seed(7)
    made = {"teacher": bert(1 if is_dry else 6, 1536), "student": bert(1 if is_dry else 3, 768)}
    if not is_dry:
        made["deberta"] = deberta(12)
    return {name: module.eval() for name, module in made.items()}


def half(folder: Path, _module: torch.nn.Module) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(folder / graph_file.MODEL)), folder / graph_file.MODEL)


def brain(folder: Path, module: torch.nn.Module) -> None:
    graph_file.write(folder, module.to(torch.bfloat16))


def eight_bits(folder: Path, _module: torch.nn.Module) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = str(folder / graph_file.MODEL)
    quantize_dynamic(path, path, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])


CONVERT: dict[str, Callable[[Path, torch.nn.Module], None]] = {"fp16": half, "bf16": brain, "int8": eight_bits}


def convert(folder: Path, full: Path, precision: str, module: torch.nn.Module) -> None:
    """Writes a copy of the bundle in `full` whose graph has another precision."""
    shutil.copytree(full, folder, dirs_exist_ok=True)
    CONVERT[precision](folder, module)
    path = folder / "bundle.yaml"
    manifest = yaml.safe_load(path.read_text("utf-8"))
    manifest["name"] = folder.name
    manifest["encoder"]["precision"], manifest["golden_tolerance"] = PRECISIONS[precision]
    manifest["files"] = {name: sha256(folder / name) for name in manifest["files"] if (folder / name).exists()}
    path.write_text(yaml.safe_dump(manifest, sort_keys=False, width=120), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dry", action="store_true", help="one layer, to try the scripts out")
    arguments = parser.parse_args()
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    for name, module in modules(arguments.dry).items():
        full = arguments.out / f"{name}-fp32"
        source = sequence_bundle.SequenceSource(
            module, tokenizer, LEVELS, full.name, head="complexity", max_tokens=512, texts=TEXTS
        )
        sequence_bundle.write(full, source)
        print(name, sum(weight.numel() for weight in module.parameters()), "weights")
        for precision in CONVERT:  # bf16 changes the module for good, and no later one reads it
            folder = arguments.out / f"{name}-{precision}"
            try:
                convert(folder, full, precision, module)
            except Exception as error:  # exporters raise what they like
                shutil.rmtree(folder, ignore_errors=True)
                print(f"{folder.name} cannot be exported: {str(error).splitlines()[0]}", file=sys.stderr)


if __name__ == "__main__":
    main()
