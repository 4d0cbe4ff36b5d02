"""Encoders with random weights and tokenizers of a few words, as folders on a disk: what people download, tiny."""

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import DebertaV2Config, DistilBertConfig, ModernBertConfig

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
# Words that show a level, from the lowest to the highest.
LEVELS = {
    "trivial": "hello thanks hi bye".split(),
    "simple": "translate spell name list".split(),
    "moderate": "summarise explain draft rewrite".split(),
    "complex": "prove derive design optimise".split(),
}
FILLERS = "the a of harbour vessel tide ledger keeper hour cargo in and for my".split()
VOCABULARY = 200


def deberta() -> Any:
    config = DebertaV2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
        type_vocab_size=0,
        relative_attention=True,
        position_buckets=16,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type="p2c|c2p",
        position_biased_input=False,
        max_relative_positions=-1,
        pad_token_id=0,
    )
    return transformers.DebertaV2Model(config)


def distilbert() -> Any:
    config = DistilBertConfig(vocab_size=VOCABULARY, dim=32, hidden_dim=64, n_layers=2, n_heads=2, pad_token_id=0)
    return transformers.DistilBertModel(config)


def modernbert() -> Any:
    config = ModernBertConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=2,
        local_attention=8,
        global_attn_every_n_layers=2,
        max_position_embeddings=512,
        pad_token_id=0,
        cls_token_id=2,
        sep_token_id=3,
        bos_token_id=2,
        eos_token_id=3,
    )
    return transformers.ModernBertModel(config)


def bert() -> Any:
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    return transformers.BertModel(config)


def tokenizer(limit: int) -> Any:
    """Returns a tokenizer that was trained on the words of the rows."""
    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = [word for level in LEVELS.values() for word in level]
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY - 20, special_tokens=SPECIALS)
    inner.train_from_iterator([*words, *FILLERS, "abcdefghijklmnopqrstuvwxyz"], trainer)
    inner.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=limit, **names)


def write(folder: Path, model: Any, limit: int = 512) -> Path:
    """Writes an encoder with its tokenizer, as `from_pretrained` reads it."""
    torch.manual_seed(7)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.1)
    model.save_pretrained(folder)
    tokenizer(limit).save_pretrained(folder)
    return folder
