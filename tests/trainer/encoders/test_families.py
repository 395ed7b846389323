"""Every family of vision-language models, tiny and with random weights, through the one path."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tests.trainer.tiny_models import FAMILY_NAMES
from trainer.config import ModelConfig
from trainer.data.items import Item
from trainer.encoders.lora import lora_layers
from trainer.encoders.vision_language import VisionLanguageEncoder
from trainer.grad_cache import backward
from trainer.portable.families import FAMILIES, UnknownFamilyError, family_of

_SIZES = {"a" * 64: (60, 40), "b" * 64: (200, 90), "c" * 64: (30, 120), "d" * 64: (60, 40)}
A, B, C, D = _SIZES
QUERIES = [
    Item("Retrieve an image of this caption.", "a red bicycle"),
    Item("Represent the given image.", None, A),
    Item("Which animal is it?", "кошка спит на диване", B),
    Item(None, "停在墙边的自行车"),
]
DOCUMENTS = [
    Item(None, None, A),
    Item(None, "a red bicycle leans on a stone wall", D),
    Item(None, "ein rotes Fahrrad"),
    Item(None, None, C),
    Item(None, "wall", A),  # a hard negative
]
ITEMS = [*QUERIES, *DOCUMENTS]


class Noise:
    """Pictures of noise, another for each seed."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self._pictures = {
            sha256: Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
            for sha256, (width, height) in _SIZES.items()
        }

    def picture(self, sha256: str) -> Image.Image:
        return self._pictures[sha256]


PICTURES = Noise()


@pytest.fixture(params=FAMILY_NAMES)
def encoder(request: pytest.FixtureRequest, bases: Path) -> VisionLanguageEncoder:
    """A family's encoder with LoRA that has been moved from its start."""
    encoder = VisionLanguageEncoder.from_pretrained(ModelConfig(name=str(bases / request.param)))
    torch.manual_seed(0)
    for name, parameter in encoder.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.05)
    return encoder


def embed(encoder: VisionLanguageEncoder, items: list[Item], pictures: Any = PICTURES) -> Tensor:
    with torch.no_grad():
        return encoder([encoder.prepare(item, pictures) for item in items])


def test_the_table_of_families_is_what_is_tested() -> None:
    assert set(FAMILIES) == set(FAMILY_NAMES)


def test_text_image_and_both_give_unit_vectors_whatever_they_are_padded_to(
    encoder: VisionLanguageEncoder,
) -> None:
    together_BD = embed(encoder, ITEMS)
    assert together_BD.shape == (len(ITEMS), encoder.embedding_dim)
    assert together_BD.dtype == torch.float32
    torch.testing.assert_close(together_BD.norm(dim=1), torch.ones(len(ITEMS)))
    alone_BD = torch.cat([embed(encoder, [item]) for item in ITEMS])
    torch.testing.assert_close(together_BD, alone_BD, rtol=0, atol=1e-6)
    assert torch.unique(together_BD.round(decimals=3), dim=0).shape[0] == len(ITEMS)


def test_another_picture_gives_another_vector_to_items_that_have_one(
    encoder: VisionLanguageEncoder,
) -> None:
    first_BD = embed(encoder, ITEMS)
    encoder._pictures.clear()
    second_BD = embed(encoder, ITEMS, Noise(1))
    distance_B = (first_BD - second_BD).norm(dim=1)
    for item, distance in zip(ITEMS, distance_B.tolist(), strict=True):
        assert distance > 0.01 if item.image else distance < 1e-6, item


def test_lora_is_on_every_linear_layer_of_the_language_model_and_nowhere_else(
    encoder: VisionLanguageEncoder,
) -> None:
    network = encoder.model.model
    language_model = network.get_submodule(encoder.model.family.language_model)
    linear = {
        name.removesuffix(".base_layer")
        for name, module in language_model.named_modules()
        if isinstance(module, nn.Linear) and ".lora_" not in name
    }
    place = encoder.model.family.language_model
    assert set(lora_layers(network)) == {f"{place}.{name}" for name in linear}
    assert {name for name, item in encoder.named_parameters() if item.requires_grad} == {
        name for name, _ in encoder.named_parameters() if ".lora_" in name
    }
    assert not encoder.trains_vision


def test_gradients_chunk_by_chunk_are_those_of_a_plain_pass(
    encoder: VisionLanguageEncoder,
) -> None:
    encoder.double()  # rounding of float32 alone comes to 2e-6
    plain = _gradients(encoder, None)
    chunked = _gradients(encoder, max_chunk_tokens=40)
    assert plain.keys() == chunked.keys()
    for name, gradient in plain.items():
        assert gradient.norm() > 0, name
        assert (gradient - chunked[name]).norm() <= 1e-6 * gradient.norm(), name


@pytest.mark.parametrize("max_chunk_tokens", [None, 40])
def test_the_vision_tower_sees_each_picture_of_a_step_once(
    encoder: VisionLanguageEncoder, max_chunk_tokens: int | None
) -> None:
    seen = _count_pictures(encoder)
    _gradients(encoder, max_chunk_tokens)
    prepared = [encoder.prepare(item, PICTURES) for item in ITEMS]
    tensors = {p.image: p.picture.tensors["pixel_values"] for p in prepared if p.picture}
    assert sum(seen) == sum(len(pixels) for pixels in tensors.values())
    assert len(tensors) == 4
    assert len(seen) <= len({pixels.shape[1:] for pixels in tensors.values()})


def test_an_export_gives_the_same_vectors_to_sentence_transformers_and_reloaded(
    encoder: VisionLanguageEncoder, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    encoder.eval().save(tmp_path / "model")
    trained_BD = embed(encoder, ITEMS)
    reloaded = VisionLanguageEncoder.load(tmp_path / "model")
    assert not any(parameter.requires_grad for parameter in reloaded.parameters())
    torch.testing.assert_close(embed(reloaded, ITEMS), trained_BD, rtol=0, atol=2e-6)
    model = SentenceTransformer(
        str(tmp_path / "model"), device="cpu", trust_remote_code=True, local_files_only=True
    )
    assert model.get_embedding_dimension() == encoder.embedding_dim
    for item, trained_D in zip(ITEMS, trained_BD.numpy(), strict=True):
        vector_D = model.encode([_input(item)], prompt=item.instruction)[0]
        assert vector_D @ trained_D >= 0.99999, item
    documents = model.encode([_input(item) for item in DOCUMENTS])  # kinds mixed, no prompt
    assert (documents * trained_BD[len(QUERIES) :].numpy()).sum(1).min() >= 0.99999


def test_pictures_are_written_as_the_familys_own_processor_writes_them(
    encoder: VisionLanguageEncoder,
) -> None:
    reader, tokenizer = encoder.model.reader, encoder.model.tokenizer
    family = encoder.model.model.config.model_type
    for sha256 in (A, B, C):
        image = reader(PICTURES.picture(sha256), sha256)
        found = reader._process(PICTURES.picture(sha256))
        expected = _REFERENCES[family](reader, found)
        if isinstance(expected, str):
            expected = tokenizer(expected, add_special_tokens=False)["input_ids"]
        assert list(image.token_ids) == expected, sha256


def test_a_family_without_a_way_is_refused_by_name() -> None:
    with pytest.raises(UnknownFamilyError, match=r'"bert".*qwen3_vl'):
        family_of("bert")


def _gradients(encoder: VisionLanguageEncoder, max_chunk_tokens: int | None) -> dict[str, Tensor]:
    prepared = [encoder.prepare(item, PICTURES) for item in ITEMS]
    encoder.zero_grad()

    def loss_of(embedding_ID: Tensor) -> Tensor:
        query_BD, candidate_ND = embedding_ID.split([len(QUERIES), len(DOCUMENTS)])
        return cross_entropy(query_BD @ candidate_ND.T / 0.02, torch.arange(len(QUERIES)))

    backward(encoder, prepared, loss_of, max_chunk_tokens)
    return {
        name: parameter.grad.clone()
        for name, parameter in encoder.named_parameters()
        if parameter.grad is not None
    }


def _count_pictures(encoder: VisionLanguageEncoder) -> list[int]:
    """Pictures, tiles or patches in each call of the vision tower from now on."""
    seen: list[int] = []
    tower: Any = encoder.model.vision_parts[0]

    def count(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        pixels = args[0] if args else kwargs["pixel_values"]
        seen.append(len(pixels))

    tower.register_forward_pre_hook(count, with_kwargs=True)
    return seen


def _input(item: Item) -> Any:
    parts: dict[str, Any] = {}
    if item.image is not None:
        parts["image"] = PICTURES.picture(item.image)
    if item.text is not None:
        parts["text"] = item.text
    return parts if len(parts) == 2 else next(iter(parts.values()))


def _qwen_reference(reader: Any, found: Any) -> str:
    from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor

    processor = SimpleNamespace(image_token="<|image_pad|>", image_processor=reader.processor)
    return Qwen2VLProcessor.replace_image_token(processor, found, 0)  # pyright: ignore


def _idefics_reference(reader: Any, found: Any) -> str:
    from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

    edge, tag = "<fake_token_around_image>", "<global-img>"
    return get_image_prompt_string(
        found["rows"][0][0], found["cols"][0][0], 4, edge, "<image>", tag
    )


def _mllama_reference(reader: Any, found: Any) -> str:
    return "<|image|>"


def _gemma3_reference(reader: Any, found: Any) -> str:
    from transformers.models.gemma3.processing_gemma3 import Gemma3Processor

    start, end = "<start_of_image>", "<end_of_image>"
    block = f"\n\n{start}{'<image_soft_token>' * 4}{end}\n\n"  # of the processor's constructor
    processor = SimpleNamespace(full_image_sequence=block)
    return Gemma3Processor.replace_image_token(processor, found, 0)  # pyright: ignore


def _gemma4_reference(reader: Any, found: Any) -> str:
    from transformers.models.gemma4.processing_gemma4 import Gemma4Processor

    processor = SimpleNamespace(boi_token="<|image>", image_token="<|image|>", eoi_token="<image|>")
    return Gemma4Processor.replace_image_token(processor, found, 0)  # pyright: ignore


def _internvl_reference(reader: Any, found: Any) -> str:
    from transformers.models.internvl.processing_internvl import InternVLProcessor

    processor = SimpleNamespace(
        start_image_token="<img>", end_image_token="</img>", image_token="<IMG_CONTEXT>",
        image_seq_length=4,
    )  # fmt: skip
    return InternVLProcessor.replace_image_token(processor, found, 0)  # pyright: ignore


def _lfm2_reference(reader: Any, found: Any) -> str:
    from transformers.models.lfm2_vl.processing_lfm2_vl import Lfm2VlProcessor

    processor: Any = object.__new__(Lfm2VlProcessor)
    processor.image_processor = reader.processor
    processor.image_token = "<image>"
    processor.image_start_token, processor.image_end_token = "<|image_start|>", "<|image_end|>"
    processor.image_thumbnail_token = "<|img_thumbnail|>"
    patch = reader.processor.encoder_patch_size
    size = [side * patch for side in found["spatial_shapes"][-1].tolist()]
    return processor.replace_image_token(
        {**found, "image_sizes": [size]}, 0, use_image_special_tokens=True
    )


def _paligemma_reference(reader: Any, found: Any) -> str:
    return "<image>" * reader.processor.image_seq_length


_REFERENCES: Mapping[str, Any] = {
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"), _qwen_reference),
    **dict.fromkeys(("smolvlm", "idefics3", "modernvbert"), _idefics_reference),
    **dict.fromkeys(("gemma4", "embedding_gemma2"), _gemma4_reference),
    "mllama": _mllama_reference,
    "gemma3": _gemma3_reference,
    "internvl": _internvl_reference,
    "lfm2_vl": _lfm2_reference,
    "paligemma": _paligemma_reference,
}
