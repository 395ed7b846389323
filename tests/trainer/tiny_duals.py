"""Tiny dual encoders and towers with random weights, saved as a user's base model would lie."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModel,
    BertTokenizer,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    XLMRobertaTokenizer,
)

from tests.trainer.tiny_models import SENTENCES

SIDE = 32
PATCH = 8
_CORPUS = (*SENTENCES, "red circle", "green square", "blue bar", "roter Kreis", "赤の円", "دائرة")

_Part = dict[str, Any]
_TEXT: _Part = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
}  # fmt: skip
_VISION: _Part = {**_TEXT, "image_size": SIDE, "patch_size": PATCH}


def save_tiny_model(model_type: str, directory: Path, seed: int = 0) -> Path:
    """Writes a tiny model of this type with its tokenizer and image settings, where it has them.

    Weights are larger than usual, so that texts and images matter.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = _TOKENIZERS[model_type]() if model_type in _TOKENIZERS else None
    if tokenizer is not None:
        tokenizer.save_pretrained(directory)
    if model_type in _PROCESSORS:
        text = json.dumps(_PROCESSORS[model_type])
        (directory / "preprocessor_config.json").write_text(text, encoding="utf-8")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = AutoConfig.for_model(model_type, **_CONFIGS[model_type](tokenizer))
        model = AutoModel.from_config(config)
        for name, weight in model.named_parameters():
            if weight.ndim >= 2 and "norm" not in name:
                torch.nn.init.normal_(weight, std=0.25)
    model.save_pretrained(directory)
    return directory


def make_sentence_transformer(
    directory: Path, *, pooling: str, prompts: Mapping[str, str], dense_dim: int | None = None
) -> Path:
    """Adds what makes a saved text model one of sentence-transformers, in its older layout."""
    base = "sentence_transformers.models"
    parts: list[tuple[str, _Part]] = [
        ("Pooling", {"word_embedding_dimension": 32, f"pooling_mode_{pooling}": True})
    ]
    if dense_dim is not None:
        parts.append(
            ("Dense", {"in_features": 32, "out_features": dense_dim, "bias": True,
                       "activation_function": "torch.nn.modules.activation.Tanh"})
        )  # fmt: skip
    parts.append(("Normalize", {}))
    modules = [{"idx": 0, "name": "0", "path": "", "type": f"{base}.Transformer"}]
    for number, (kind, settings) in enumerate(parts, start=1):
        folder = directory / f"{number}_{kind}"
        _write(folder / "config.json", settings)
        modules.append(
            {"idx": number, "name": str(number), "path": folder.name, "type": f"{base}.{kind}"}
        )
        if kind == "Dense":
            from safetensors.torch import save_file

            layer = torch.nn.Linear(32, settings["out_features"])
            weights = {f"linear.{name}": value for name, value in layer.state_dict().items()}
            save_file(weights, folder / "model.safetensors")
    _write(directory / "modules.json", modules)
    _write(directory / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    _write(directory / "config_sentence_transformers.json", {"prompts": dict(prompts)})
    return directory


def _clip_tokenizer() -> Any:
    core = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    core.train_from_iterator(_CORPUS, trainer)
    state = json.loads(core.to_str())["model"]
    vocabulary = {**state["vocab"]}
    for token in (*(f"{letter}</w>" for letter in alphabet), "<|startoftext|>", "<|endoftext|>"):
        vocabulary.setdefault(token, len(vocabulary))
    merges: Any = [tuple(merge) for merge in state["merges"]]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=24)


def _gemma_like_tokenizer(max_tokens: int) -> Any:
    """As that of SigLIP 2: lower case, an end token, padding of its own."""
    core = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    core.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "▁")])
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, show_progress=False)
    core.train_from_iterator(_CORPUS, trainer)
    core.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        padding_side="right",
        model_max_length=max_tokens,
        model_input_names=["input_ids"],
    )


def _xlm_roberta_tokenizer() -> Any:
    """Pieces are words and letters; a trained Unigram would be another one in every process."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    words = sorted({f"▁{word}" for text in _CORPUS for word in text.split()})
    letters = sorted({letter for text in _CORPUS for letter in text if letter != " "})
    pieces = [*words, "▁", *letters]
    vocabulary = [(token, 0.0) for token in special]
    vocabulary += [(piece, -float(number)) for number, piece in enumerate(pieces, start=1)]
    return XLMRobertaTokenizer(vocab=vocabulary, model_max_length=24)


def _bert_tokenizer() -> Any:
    letters = sorted({letter for text in _CORPUS for letter in text.lower() if letter != " "})
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", ":", *letters]
    words += [f"##{letter}" for letter in letters]
    words += sorted({word for text in _CORPUS for word in text.lower().split() if len(word) > 1})
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    return BertTokenizer(vocab=vocabulary, model_max_length=24)


_TOKENIZERS: Mapping[str, Callable[[], Any]] = {
    "clip": _clip_tokenizer,
    "siglip": lambda: _gemma_like_tokenizer(16),
    "siglip2": lambda: _gemma_like_tokenizer(64),
    "metaclip_2": _xlm_roberta_tokenizer,
    "altclip": _xlm_roberta_tokenizer,
    "chinese_clip": _bert_tokenizer,
    "bert": _bert_tokenizer,
    "xlm-roberta": _xlm_roberta_tokenizer,
}
_SQUARE = {"height": SIDE, "width": SIDE}
_CLIP_IMAGES = {"image_processor_type": "CLIPImageProcessor", "crop_size": _SQUARE,
                "size": {"shortest_edge": SIDE}}  # fmt: skip
_PROCESSORS: Mapping[str, _Part] = {
    "clip": _CLIP_IMAGES,
    "metaclip_2": _CLIP_IMAGES,
    "altclip": _CLIP_IMAGES,
    "chinese_clip": {"image_processor_type": "ChineseCLIPImageProcessor", "crop_size": _SQUARE,
                     "size": {"shortest_edge": SIDE}},
    "siglip": {"image_processor_type": "SiglipImageProcessor", "size": _SQUARE},
    "siglip2": {"image_processor_type": "Siglip2ImageProcessor", "patch_size": PATCH,
                "max_num_patches": 16},
    "siglip_vision_model": {"image_processor_type": "SiglipImageProcessor", "size": _SQUARE},
    "dinov2": {"image_processor_type": "BitImageProcessor", "crop_size": _SQUARE,
               "size": {"shortest_edge": SIDE + 8}},
    "vit": {"image_processor_type": "ViTImageProcessor", "size": _SQUARE},
    "resnet": {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": SIDE}},
}  # fmt: skip


def _clip(tokenizer: Any) -> _Part:
    return {"text_config": _text(tokenizer, 24), "vision_config": _VISION, "projection_dim": 24}


def _text(tokenizer: Any, max_tokens: int) -> _Part:
    return {
        **_TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": max_tokens,
        "pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id, "projection_dim": 24,
    }  # fmt: skip


def _siglip(tokenizer: Any) -> _Part:
    text = {**_text(tokenizer, 16), "projection_size": 32}
    return {"text_config": text, "vision_config": _VISION}


def _siglip2(tokenizer: Any) -> _Part:
    text = {**_text(tokenizer, 64), "projection_size": 32}  # its processor knows no other length
    vision = {name: value for name, value in _VISION.items() if name != "image_size"}
    return {"text_config": text, "vision_config": {**vision, "num_patches": 16}}


def _altclip(tokenizer: Any) -> _Part:
    text = {**_bert(tokenizer), "project_dim": 20, "max_position_embeddings": 26}
    return {"text_config": text, "vision_config": _VISION, "projection_dim": 24}


def _chinese_clip(tokenizer: Any) -> _Part:
    return {"text_config": _bert(tokenizer), "vision_config": _VISION, "projection_dim": 24}


def _bert(tokenizer: Any) -> _Part:
    return {**_TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": 24,
            "pad_token_id": tokenizer.pad_token_id}  # fmt: skip


def _xlm_roberta(tokenizer: Any) -> _Part:
    return {**_bert(tokenizer), "max_position_embeddings": 26}


_CONFIGS: Mapping[str, Callable[[Any], _Part]] = {
    "clip": _clip,
    "metaclip_2": _clip,
    "siglip": _siglip,
    "siglip2": _siglip2,
    "altclip": _altclip,
    "chinese_clip": _chinese_clip,
    "bert": _bert,
    "xlm-roberta": _xlm_roberta,
    "siglip_vision_model": lambda _: _VISION,
    "dinov2": lambda _: {**_VISION, "mlp_ratio": 2},
    "vit": lambda _: _VISION,
    "resnet": lambda _: {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
}


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
