"""Tiny vision-language models with random weights, saved as a user's base model would lie."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

SENTENCES = (
    "Retrieve an image of this caption.",
    "Represent the given image.",
    "a red bicycle leans on a stone wall",
    "ein rotes Fahrrad lehnt an einer Mauer",
    "кошка спит на диване",
    "停在墙边的自行车",
)
VISION_SIDE = 56
PATCH = 14

#: Special tokens that each family needs, beside those of every tokenizer here.
_TOKENS: Mapping[str, tuple[str, ...]] = {
    "qwen": ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"),
    "idefics": ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
                *(f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2))),
    "mllama": ("<|image|>",),
    "gemma3": ("<image_soft_token>", "<start_of_image>", "<end_of_image>"),
    "gemma4": ("<|image|>", "<|image>", "<image|>", "<|video|>", "<|audio|>"),
    "internvl": ("<IMG_CONTEXT>", "<img>", "</img>", "<video>"),
    "lfm2": ("<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>",
             *(f"<|img_row_{row}_col_{column}|>" for row in (1, 2) for column in (1, 2))),
    "paligemma": ("<image>",),
}  # fmt: skip
_GROUPS: Mapping[str, str] = {
    "qwen2_vl": "qwen", "qwen2_5_vl": "qwen", "qwen3_vl": "qwen", "qwen3_5": "qwen",
    "smolvlm": "idefics", "idefics3": "idefics", "modernvbert": "idefics",
    "mllama": "mllama", "gemma3": "gemma3", "gemma4": "gemma4", "embedding_gemma2": "gemma4",
    "internvl": "internvl", "lfm2_vl": "lfm2", "paligemma": "paligemma",
}  # fmt: skip
FAMILY_NAMES = tuple(_GROUPS)


def save_tiny_model(family: str, directory: Path, seed: int = 0) -> Path:
    """Writes config, weights, tokenizer and image settings of a tiny model; returns the directory.

    Gates of cross attention are opened and projections enlarged, so that the image matters.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(family)
    tokenizer.save_pretrained(directory)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModel.from_config(_config(family, tokenizer))
        _make_images_matter(model)
    model.save_pretrained(directory)
    _save_image_settings(_GROUPS[family], directory)
    return directory


def make_embedder(
    directory: Path, *, pooling: str, prompts: Mapping[str, str], is_chat: bool, hidden: int = 64
) -> Path:
    """Adds what makes a saved model one that sentence-transformers takes as an embedder."""
    base = "sentence_transformers"
    modules = [
        (f"{base}.base.modules.transformer.Transformer", ""),
        (f"{base}.sentence_transformer.modules.pooling.Pooling", "1_Pooling"),
        (f"{base}.base.modules.normalize.Normalize", "2_Normalize"),
    ]
    _write(directory / "modules.json", [
        {"idx": number, "name": str(number), "path": path, "type": kind}
        for number, (kind, path) in enumerate(modules)
    ])  # fmt: skip
    _write(
        directory / "1_Pooling/config.json",
        {"embedding_dimension": hidden, "pooling_mode": pooling, "include_prompt": True},
    )
    _write(directory / "2_Normalize/config.json", {})
    _write(
        directory / "config_sentence_transformers.json",
        {"model_type": "SentenceTransformer", "prompts": dict(prompts)},
    )
    call = {"method": "forward", "method_output_name": "last_hidden_state"}
    kinds: dict[str, Any] = {"text": call, "image": call}
    if is_chat:
        kinds["message"] = {**call, "format": "structured"}
    _write(directory / "sentence_bert_config.json", {
        "modality_config": kinds, "module_output_name": "token_embeddings",
        "processing_kwargs": {"chat_template": {"add_generation_prompt": True}},
    })  # fmt: skip
    return directory


def _tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Byte-level BPE of a few sentences; those with a begin token add it, as the real ones do."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>", "<cls>", "<sep>", *_TOKENS[_GROUPS[family]]]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(SENTENCES, trainer)
    names: dict[str, str] = {"pad_token": "<pad>", "eos_token": "<eos>"}
    if family == "modernvbert":
        names = {"pad_token": "<pad>", "cls_token": "<cls>", "sep_token": "<sep>"}
        ends = [(token, special.index(token)) for token in ("<cls>", "<sep>")]
        core.post_processor = processors.TemplateProcessing(
            single="<cls> $A <sep>", special_tokens=ends
        )
    elif _GROUPS[family] not in ("qwen", "idefics"):
        names["bos_token"] = "<bos>"
        core.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", special.index("<bos>"))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=core, **names)


def _config(family: str, tokenizer: PreTrainedTokenizerFast) -> Any:
    def token(text: str) -> int:
        token_id = tokenizer.convert_tokens_to_ids(text)
        assert isinstance(token_id, int)
        return token_id

    group = _GROUPS[family]
    text: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 2048, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    vision: dict[str, Any] = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "image_size": VISION_SIDE, "patch_size": PATCH,
    }  # fmt: skip
    make = _CONFIGS[group]
    return AutoConfig.for_model(family, **make(family, text, vision, token))


_Part = dict[str, Any]


def _rope(**options: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10_000.0, **options}


def _qwen(family: str, text: _Part, vision: _Part, token: Callable[[str], int]) -> _Part:
    tower: _Part = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2,
        "patch_size": PATCH, "spatial_merge_size": 2, "temporal_patch_size": 2,
        "out_hidden_size": 64,
    }  # fmt: skip
    rope = _rope(mrope_section=[2, 3, 3])
    if family == "qwen2_vl":
        for name in ("intermediate_size", "out_hidden_size"):
            tower.pop(name)
        tower |= {"embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2}
    elif family == "qwen2_5_vl":
        tower |= {"window_size": 56, "fullatt_block_indexes": [1]}
    else:
        text = {**text, "head_dim": 16}
        tower |= {"num_position_embeddings": 64}
        rope = _rope(mrope_section=[2, 3, 3], mrope_interleaved=True)
    if family == "qwen3_vl":
        tower["deepstack_visual_indexes"] = [0, 1]
    if family == "qwen3_5":
        text |= {
            "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2,
            "linear_num_value_heads": 4, "linear_key_head_dim": 16, "linear_value_head_dim": 16,
        }  # fmt: skip
        rope = _rope(mrope_section=[1, 1, 0], mrope_interleaved=True, partial_rotary_factor=0.25)
    return {
        "text_config": {**text, "rope_parameters": rope}, "vision_config": tower,
        "image_token_id": token("<|image_pad|>"), "video_token_id": token("<|video_pad|>"),
        "vision_start_token_id": token("<|vision_start|>"),
        "vision_end_token_id": token("<|vision_end|>"),
    }  # fmt: skip


def _idefics(family: str, text: _Part, vision: _Part, token: Callable[[str], int]) -> _Part:
    image = {"image_token_id": token("<image>")}
    if family == "modernvbert":
        text = {
            name: value for name, value in text.items()
            if name not in ("num_key_value_heads", "eos_token_id")
        }  # fmt: skip
        text |= {
            "model_type": "modernbert",
            "eos_token_id": 4,
            "cls_token_id": 3,
            "sep_token_id": 4,
        }
        vision = {**vision, "model_type": "siglip_vision_model"}
        return {"text_config": text, "vision_config": vision, "pixel_shuffle_factor": 2, **image}
    text = {**text, "model_type": "llama"}
    return {"text_config": text, "vision_config": vision, "scale_factor": 2, "pad_token_id": 0,
            **image}  # fmt: skip


def _mllama(family: str, text: _Part, vision: _Part, token: Callable[[str], int]) -> _Part:
    text = {**text, "num_hidden_layers": 4, "cross_attention_layers": [1, 3]}
    vision = {**vision, "attention_heads": 2, "num_global_layers": 1, "vision_output_dim": 64,
              "max_num_tiles": 2, "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
              "intermediate_layers_indices": [1]}  # fmt: skip
    return {"text_config": {**text, "rope_parameters": _rope()}, "vision_config": vision,
            "image_token_index": token("<|image|>")}  # fmt: skip


def _gemma3(family: str, text: _Part, vision: _Part, token: Callable[[str], int]) -> _Part:
    return {
        "text_config": {**text, "head_dim": 16},
        "vision_config": {**vision, "model_type": "siglip_vision_model"},
        "mm_tokens_per_image": 4, "image_token_index": token("<image_soft_token>"),
        "boi_token_index": token("<start_of_image>"), "eoi_token_index": token("<end_of_image>"),
    }  # fmt: skip


def _gemma4(family: str, text: _Part, vision: _Part, token: Callable[[str], int]) -> _Part:
    tower = {
        "model_type": "gemma4_vision", "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
        "head_dim": 16, "patch_size": PATCH, "position_embedding_size": 128,
    }  # fmt: skip
    text = {**text, "head_dim": 16, "global_head_dim": 16, "num_global_key_value_heads": 2,
            "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": text["vocab_size"],
            "layer_types": ["sliding_attention", "full_attention"],
            "sliding_window": 64}  # fmt: skip
    if family == "embedding_gemma2":
        text.pop("vocab_size_per_layer_input")
        text |= {"embedding_dim": 48}
    return {
        "text_config": text, "vision_config": tower, "audio_config": None,
        "image_token_id": token("<|image|>"), "boi_token_id": token("<|image>"),
        "eoi_token_id": token("<image|>"), "video_token_id": token("<|video|>"),
        "audio_token_id": token("<|audio|>"),
    }  # fmt: skip


def _internvl(family: str, text: _Part, vision: _Part, token: Callable[[str], int]) -> _Part:
    vision = {**vision, "image_size": [VISION_SIDE] * 2, "patch_size": [PATCH] * 2}
    return {"text_config": {**text, "model_type": "qwen2"}, "vision_config": vision,
            "image_token_id": token("<IMG_CONTEXT>"), "image_seq_length": 4,
            "downsample_ratio": 0.5}  # fmt: skip


def _lfm2(family: str, text: _Part, vision: _Part, token: Callable[[str], int]) -> _Part:
    text = {**text, "model_type": "lfm2", "layer_types": ["conv", "full_attention"],
            "block_ff_dim": 128, "block_auto_adjust_ff_dim": False}  # fmt: skip
    vision = {**vision, "model_type": "siglip2_vision_model", "num_patches": 16}
    vision.pop("image_size")
    return {"text_config": text, "vision_config": vision, "downsample_factor": 2,
            "image_token_id": token("<image>"), "projector_hidden_size": 64}  # fmt: skip


def _paligemma(family: str, text: _Part, vision: _Part, token: Callable[[str], int]) -> _Part:
    vision = {**vision, "model_type": "siglip_vision_model", "projection_dim": 64}
    return {"text_config": {**text, "model_type": "gemma2", "head_dim": 16},
            "vision_config": vision, "image_token_index": token("<image>"),
            "projection_dim": 64}  # fmt: skip


_CONFIGS: Mapping[str, Callable[[str, _Part, _Part, Callable[[str], int]], _Part]] = {
    "qwen": _qwen, "idefics": _idefics, "mllama": _mllama, "gemma3": _gemma3,
    "gemma4": _gemma4, "internvl": _internvl, "lfm2": _lfm2, "paligemma": _paligemma,
}  # fmt: skip


def _save_image_settings(group: str, directory: Path) -> None:
    square = {"height": VISION_SIDE, "width": VISION_SIDE}
    qwen = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": PATCH,
            "merge_size": 2, "temporal_patch_size": 2,
            "size": {"shortest_edge": VISION_SIDE**2,
                     "longest_edge": 4 * VISION_SIDE**2}}  # fmt: skip
    settings: Mapping[str, _Part] = {
        "qwen": qwen,
        "idefics": {"image_processor_type": "Idefics3ImageProcessor",
                    "size": {"longest_edge": 2 * VISION_SIDE},
                    "max_image_size": {"longest_edge": VISION_SIDE}},
        "mllama": {"image_processor_type": "MllamaImageProcessor", "size": square,
                   "max_image_tiles": 2},
        "gemma3": {"image_processor_type": "Gemma3ImageProcessor", "size": square},
        "gemma4": {"image_processor_type": "Gemma4ImageProcessor", "patch_size": PATCH,
                   "max_soft_tokens": 70, "pooling_kernel_size": 3},
        "internvl": {"image_processor_type": "GotOcr2ImageProcessor", "size": square,
                     "max_patches": 3},
        "lfm2": {"image_processor_type": "Lfm2VlImageProcessor", "encoder_patch_size": PATCH,
                 "downsample_factor": 2, "tile_size": VISION_SIDE, "min_image_tokens": 1,
                 "max_image_tokens": 4, "max_tiles": 4},
        "paligemma": {"image_processor_type": "SiglipImageProcessor", "size": square,
                      "image_seq_length": 16},
    }  # fmt: skip
    _write(directory / "preprocessor_config.json", settings[group])


def _make_images_matter(model: torch.nn.Module) -> None:
    """Random weights hide the image: zero gates, projections of 0.02, norms that level all."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "gate" in name and parameter.numel() == 1:
                parameter.fill_(0.5)
            elif any(part in name for part in ("projector", "connector", "embed_vision", "merger")):
                if parameter.ndim == 2:
                    torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
            elif "position" not in name and "norm" not in name and parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.1)


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
