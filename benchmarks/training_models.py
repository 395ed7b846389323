"""Random-weight vision-language models in published shapes, saved for every library to read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

SENTENCES_PATH = Path(__file__).parents[1] / "tests" / "schemas" / "text_rules" / "sentences.json"
_SPECIAL = ("<pad>", "<eos>")


@dataclass(frozen=True)
class Shape:
    """Sizes of a model and of what it is trained on.

    Args:
        model_type: As transformers names it.
        language_model: Attribute of the language model.
        text: Of the language model's config.
        vision: Of the vision tower's config.
        rest: Of the whole model's config; `token` in it becomes that token's id.
        special_tokens: What marks an image in the text.
        image_text: An image in the chat template that sentence-transformers renders.
        image_processor: Its settings, without the side of a picture.
        image_side_px: Of the pictures.
        num_pairs: In a batch, each with one hard negative.
    """

    model_type: str
    language_model: str
    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    rest: Mapping[str, Any]
    special_tokens: tuple[str, ...]
    image_text: str
    image_processor: Mapping[str, Any]
    processor: str
    image_side_px: int
    num_pairs: int

    def image_tokens(self) -> int:
        """Vectors that the language model sees of one picture."""
        patches = (self.image_side_px // self.vision["patch_size"]) ** 2
        merged = self.vision.get("spatial_merge_size") or self.rest["scale_factor"]
        return patches // merged**2


_SMOLVLM: dict[str, Any] = {
    "model_type": "smolvlm",
    "language_model": "text_model",
    "rest": {"scale_factor": 2, "pad_token_id": "<pad>", "image_token_id": "<image>"},
    "special_tokens": (
        "<image>",
        "<fake_token_around_image>",
        "<global-img>",
        "<end_of_utterance>",
    ),
    "image_text": "<image>",
    "image_processor": {
        "image_processor_type": "Idefics3ImageProcessor",
        "do_image_splitting": False,
    },
    "processor": "Idefics3Processor",
}

_SMOLVLM_256M: dict[str, Any] = {**_SMOLVLM, "rest": {**_SMOLVLM["rest"], "scale_factor": 4}}

SHAPES: Mapping[str, Shape] = {
    # SmolVLM's parts at the size of a unit test: what a library does around the model shows.
    "smolvlm-tiny": Shape(
        **_SMOLVLM,
        text={
            "model_type": "llama", "vocab_size": 2048, "hidden_size": 64,
            "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2,
        },
        vision={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "patch_size": 14,
        },
        image_side_px=56,
        num_pairs=16,
    ),
    # SmolVLM-256M: SmolLM2-135M behind SigLIP-B/16, here with smaller pictures.
    "smolvlm": Shape(
        **_SMOLVLM_256M,
        text={
            "model_type": "llama", "vocab_size": 49_280, "hidden_size": 576,
            "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
            "num_key_value_heads": 3,
        },
        vision={
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
            "num_attention_heads": 12, "patch_size": 16,
        },
        image_side_px=128,
        num_pairs=16,
    ),
    "qwen2-vl-2b": Shape(
        model_type="qwen2_vl",
        language_model="language_model",
        text={
            "vocab_size": 151_936, "hidden_size": 1536, "intermediate_size": 8960,
            "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]
            },
        },
        vision={
            "depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16,
            "mlp_ratio": 4, "patch_size": 14, "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        rest={
            "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
            "vision_start_token_id": "<|vision_start|>",
            "vision_end_token_id": "<|vision_end|>", "tie_word_embeddings": True,
        },
        special_tokens=(
            "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"
        ),
        image_text="<|vision_start|><|image_pad|><|vision_end|>",
        image_processor={
            "image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14,
            "merge_size": 2, "temporal_patch_size": 2,
        },
        processor="Qwen2VLProcessor",
        image_side_px=448,
        num_pairs=1024,
    ),
}  # fmt: skip


def save_model(shape: Shape, directory: Path, dtype: torch.dtype) -> None:
    """Writes config, random weights, tokenizer, image settings and a chat template.

    The template renders an item as the trainer's plain format does, so that every
    library embeds the same token ids.
    """
    tokenizer = _tokenizer(shape)
    tokenizer.save_pretrained(directory)
    end: Any = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    rest = {
        name: tokenizer.convert_tokens_to_ids(value) if isinstance(value, str) else value
        for name, value in shape.rest.items()
    }
    vision = dict(shape.vision)
    if "embed_dim" not in vision:
        vision["image_size"] = shape.image_side_px
    config = AutoConfig.for_model(
        shape.model_type,
        text_config={**shape.text, **end, "max_position_embeddings": 4096},
        vision_config=vision,
        **rest,
    )
    torch.manual_seed(0)
    AutoModel.from_config(config, dtype=dtype).save_pretrained(directory)
    _save_image_settings(shape, directory)
    template = (
        "{% for message in messages %}{% for part in message.content %}"
        "{% if part.type == 'image' %}IMAGE{% else %}{{ part.text }}{% endif %}"
        "{% endfor %}{% endfor %}<eos>"
    ).replace("IMAGE", shape.image_text)
    (directory / "chat_template.jinja").write_text(template, encoding="utf-8")


def sentences() -> list[str]:
    """Two sentences in each of 93 languages."""
    found: dict[str, list[str]] = json.loads(SENTENCES_PATH.read_text(encoding="utf-8"))
    return [sentence for pair in found.values() for sentence in pair]


def _tokenizer(shape: Shape) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2_000,
        special_tokens=[*_SPECIAL, *shape.special_tokens],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(sentences(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", model_max_length=4096
    )


def _save_image_settings(shape: Shape, directory: Path) -> None:
    side = shape.image_side_px
    if shape.model_type == "qwen2_vl":
        size = {"shortest_edge": side**2, "longest_edge": side**2}
        settings = {**shape.image_processor, "size": size}
        processor: dict[str, Any] = {"processor_class": shape.processor}
    else:
        edge = {"longest_edge": side}
        settings = {**shape.image_processor, "size": edge, "max_image_size": edge}
        processor = {"processor_class": shape.processor, "image_seq_len": shape.image_tokens()}
    (directory / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (directory / "processor_config.json").write_text(json.dumps(processor), encoding="utf-8")
