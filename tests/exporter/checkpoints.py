"""Checkpoints with random weights, as people have them: no download, the sizes from a configuration."""

import random
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import DebertaV2Config, DebertaV2Model, PreTrainedTokenizerFast

BASE = "microsoft/deberta-v3-base"
SPECIALS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
# What differs between the sizes; `full` is the published configuration of DeBERTa-v3-base.
SIZES: dict[str, dict[str, int]] = {
    "tiny": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 600,
    },
    "full": {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "vocab_size": 128100,
    },
}


def tokenizer(size: int) -> PreTrainedTokenizerFast:
    """Returns a unigram tokenizer of `size` pieces, every byte's among them."""
    rng = random.Random(7)
    letters = [chr(code) for code in range(33, 127)]
    pieces = [*SPECIALS, "▁", *letters]
    known = set(pieces)
    while len(pieces) < size:
        piece = rng.choice(["", "▁"]) + "".join(rng.choices("etaoinshrdlucmfwypvbgkqjxz", k=rng.randint(2, 6)))
        if piece not in known:
            known.add(piece)
            pieces.append(piece)
    inner = Tokenizer(models.Unigram([(piece, -float(len(piece) < 2)) for piece in pieces], unk_id=3))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=512, **names)


def configuration(size: str) -> Any:
    return DebertaV2Config(
        **SIZES[size],
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


def complexity_router(folder: Path, size: str) -> None:
    """Writes a ComplexityRouter of four levels, and the encoder that it is on, as `from_pretrained` finds it."""
    torch.manual_seed(7)
    config = configuration(size)
    config.save_pretrained(folder / BASE)
    tokenizer(config.vocab_size - 100).save_pretrained(folder / BASE)
    state = {f"encoder.{name}": tensor for name, tensor in DebertaV2Model(config).state_dict().items()}
    for name, (rows, columns) in {"head.0": (256, config.hidden_size), "head.3": (4, 256)}.items():
        state |= {f"{name}.weight": torch.randn(rows, columns) * 0.2, f"{name}.bias": torch.randn(rows) * 0.1}
    (folder / "ComplexityRouter").mkdir()
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()}, folder / "ComplexityRouter" / "model.safetensors"
    )
