"""Writes bundles of the real sizes with random weights: what they say means nothing, what they cost is what counts.

`deberta`: DeBERTa-v3-base with ComplexityRouter's head; `minilm`: the six layers of all-MiniLM-L6-v2 with a linear
head. Needs torch, transformers, onnx, tokenizers: python benches/gpu/bundles.py OUT
"""

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, DebertaV2Config, DebertaV2Model

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from models.train import sequence

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


def minilm() -> torch.nn.Module:
    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, num_labels=4
    )
    return sequence.LogitsModule(BertForSequenceClassification._from_config(config, attn_implementation="eager"))


def deberta() -> torch.nn.Module:
    config = DebertaV2Config(
        vocab_size=128100,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
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


def modules() -> dict[str, torch.nn.Module]:
    torch.manual_seed(7)
    return {"minilm": minilm().eval(), "deberta": deberta().eval()}


def main() -> None:
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    for name, module in modules().items():
        source = sequence.SequenceSource(
            module, tokenizer, LEVELS, name, head="complexity", max_tokens=512, texts=TEXTS
        )
        sequence.write(Path(sys.argv[1]) / name, source)
        print(name, sum(weight.numel() for weight in module.parameters()), "weights")


if __name__ == "__main__":
    main()
