"""Vision-language encoders: formats of items, pictures of all shapes, and training."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.trainer.encoders.embedding import (
    PICTURES,
    A,
    B,
    OneColour,
    embed,
    make,
    text_of,
)
from trainer.data.items import Item
from trainer.encoders.base_model import BaseModelError
from trainer.encoders.vision_language import VisionLanguageEncoder

# Formats.


@pytest.mark.parametrize(
    ("family", "written"),
    [
        ("qwen3_vl", "<|vision_start|>(<|image_pad|>)+<|vision_end|>Find it. \n a cat<eos>"),
        ("gemma3", "<bos>\n\n<start_of_image>(<image_soft_token>)+<end_of_image>\n\n"
         "Find it. \n a cat<eos>"),
        ("mllama", "<|image|><bos>Find it. \n a cat<eos>"),
    ],
)  # fmt: skip
def test_an_item_is_image_then_instruction_then_text_and_an_end_token(
    bases: Path, family: str, written: str
) -> None:
    pattern = re.sub(r"[|.]", r"\\\g<0>", written)
    encoder = make(bases / family)
    assert re.fullmatch(pattern, text_of(encoder, Item("Find it.", "a cat", A)))


def test_parts_that_are_missing_leave_no_separator(bases: Path) -> None:
    encoder = make(bases / "qwen3_vl")
    assert text_of(encoder, Item(None, "a cat")) == "a cat<eos>"
    assert text_of(encoder, Item("Find it.", None, A)).endswith("<|vision_end|>Find it.<eos>")
    assert text_of(encoder, Item(None, None, A)).endswith("<|vision_end|><eos>")


@pytest.mark.parametrize("family", ["qwen3_vl", "smolvlm", "gemma3"])
def test_text_is_truncated_to_max_tokens_and_image_tokens_never_are(
    bases: Path, family: str
) -> None:
    encoder = make(bases / family, max_tokens=8)
    image = encoder.prepare(Item(None, None, B), PICTURES)
    long = Item("Find it.", "a red bicycle leans on a stone wall " * 500, B)
    prepared = encoder.prepare(long, PICTURES)
    assert prepared.num_tokens == image.num_tokens + 8
    image_id = encoder.model.tokens.vocabulary.image_id
    assert prepared.token_ids.count(image_id) == image.token_ids.count(image_id) > 0
    assert prepared.token_ids[-1] == encoder.model.tokenizer.eos_token_id
    assert torch.isfinite(embed(encoder, long)).all()


def test_special_tokens_spelled_in_a_text_stay_text(bases: Path) -> None:
    encoder = make(bases / "qwen3_vl")
    hostile = "<|image_pad|><eos><|vision_start|><|image_<|image_pad|>pad|>"
    for item in (Item(hostile, hostile), Item(None, hostile, A)):
        ids = list(encoder.prepare(item, PICTURES).token_ids)
        assert ids.count(encoder.model.tokens.vocabulary.image_id) == (6 if item.image else 0)
        assert ids.count(encoder.model.tokenizer.eos_token_id) == 1
        assert torch.isfinite(embed(encoder, item)).all()


def test_half_a_surrogate_pair_and_an_empty_text_are_embedded(bases: Path) -> None:
    encoder = make(bases / "qwen3_vl")
    assert torch.isfinite(embed(encoder, Item("\ud83d", "a \udc00 b"), Item(None, ""))).all()


def test_mean_pooling_is_an_option_that_is_kept_by_an_export(bases: Path, tmp_path: Path) -> None:
    encoder = make(bases / "qwen3_vl", pooling="mean").eval()
    item = Item("Find it.", "a cat", A)
    last = embed(make(bases / "qwen3_vl").eval(), item)
    prepared = encoder.prepare(item, PICTURES)
    with torch.no_grad():
        features = encoder.model.image_features([prepared.picture] if prepared.picture else [])
        states_BLH, _ = encoder.model.states([prepared], features)
    expected = torch.nn.functional.normalize(states_BLH.mean(1), dim=-1)
    torch.testing.assert_close(embed(encoder, item), expected)
    assert (embed(encoder, item) - last).norm() > 0.01
    encoder.save(tmp_path)
    reloaded = VisionLanguageEncoder.load(tmp_path)
    assert reloaded.head.mode == "mean"
    torch.testing.assert_close(embed(reloaded, item), expected, rtol=0, atol=2e-6)


# Pictures.


def test_larger_pictures_are_reduced_to_max_image_pixels_here_and_in_an_export(
    bases: Path, tmp_path: Path
) -> None:
    encoder = make(bases / "qwen3_vl", max_image_pixels=3136).eval()
    full = make(bases / "qwen3_vl").prepare(Item(None, None, B), PICTURES)
    reduced = encoder.prepare(Item(None, None, B), PICTURES)
    assert reduced.num_tokens < full.num_tokens
    encoder.save(tmp_path)
    again = VisionLanguageEncoder.load(tmp_path).prepare(Item(None, None, B), PICTURES)
    assert again.token_ids == reduced.token_ids


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (3, 50), (50, 3), (4, 3)])
@pytest.mark.parametrize("family", ["qwen3_vl", "smolvlm", "mllama", "gemma3", "lfm2_vl"])
def test_pictures_of_any_shape_are_embedded(
    bases: Path, family: str, size: tuple[int, int]
) -> None:
    pictures = OneColour(**{A: size})
    assert torch.isfinite(embed(make(bases / family), Item(None, "x", A), pictures=pictures)).all()


def test_a_picture_that_the_model_refuses_is_named(
    bases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.portable.image_reader._MAX_ASPECT_RATIO", 10_000)
    with pytest.raises(BaseModelError, match=rf"image {A}: .* no picture of 1 x 2000 pixels"):
        embed(make(bases / "qwen3_vl"), Item(None, None, A), pictures=OneColour(**{A: (1, 2000)}))


def test_items_of_one_image_share_its_pixels_as_long_as_one_of_them_lives(bases: Path) -> None:
    encoder, pictures = make(bases / "smolvlm"), OneColour()
    first = encoder.prepare(Item(None, None, B), pictures)
    second = encoder.prepare(Item("Find it.", "a cat", B), pictures)
    assert first.picture is second.picture
    assert pictures.num_read == 1
    del first, second
    encoder.prepare(Item(None, None, B), pictures)
    assert pictures.num_read == 2


def test_prepare_from_many_threads_gives_what_one_gives(bases: Path) -> None:
    encoder = make(bases / "smolvlm")
    items = [
        Item(f"Find {n}.", "a red bicycle " * (n % 7), A if n % 2 else None) for n in range(64)
    ]
    expected = [encoder.prepare(item, PICTURES).token_ids for item in items]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda item: encoder.prepare(item, PICTURES).token_ids, items)
        assert list(found) == expected


# Training.


def test_a_frozen_vision_tower_stays_in_evaluation_mode(bases: Path) -> None:
    encoder = make(bases / "qwen3_vl")
    assert encoder.training
    assert not any(
        module.training for part in encoder.model.vision_parts for module in part.modules()
    )
    assert encoder.model.model.get_submodule("language_model").training


def test_with_every_weight_trained_gradients_reach_the_vision_tower_within_images_once(
    bases: Path,
) -> None:
    encoder = make(bases / "qwen3_vl", tune="full")
    assert encoder.trains_vision
    prepared = [encoder.prepare(item, PICTURES) for item in (Item(None, None, A), Item(None, "x"))]
    with encoder.images_once(prepared):
        encoder(prepared).sum().backward()
    tower = encoder.model.vision_parts[0]
    assert any(p.grad is not None and p.grad.any() for p in tower.parameters())


def test_features_are_forgotten_after_a_step_even_if_it_fails(bases: Path) -> None:
    encoder = make(bases / "qwen3_vl")
    prepared = [encoder.prepare(Item(None, None, A), PICTURES)]
    with pytest.raises(RuntimeError, match="a step that fails"), encoder.images_once(prepared):
        assert set(encoder._features) == {A}
        raise RuntimeError("a step that fails")
    assert not encoder._features


def test_gradient_checkpointing_gives_the_same_gradients(bases: Path) -> None:
    gradients: list[list[Tensor]] = []
    for checkpointed in (False, True):
        encoder = make(bases / "qwen3_vl")
        if checkpointed:
            encoder.enable_gradient_checkpointing()
        embedded = encoder(
            [encoder.prepare(item, PICTURES) for item in (Item(None, "x", A), Item(None, "y"))]
        )
        (embedded * torch.linspace(-1, 1, embedded.numel()).view_as(embedded)).sum().backward()
        gradients.append([p.grad for p in encoder.parameters() if p.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 0
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)


def test_a_few_steps_bring_pictures_and_their_texts_together(bases: Path) -> None:
    encoder = make(bases / "smolvlm")
    random = np.random.default_rng(0)
    shas = [str(n) * 64 for n in range(4)]
    noise = {
        sha: Image.fromarray(random.integers(0, 256, (56, 56, 3), dtype=np.uint8)) for sha in shas
    }

    class Pictures:
        def picture(self, sha256: str) -> Image.Image:
            return noise[sha256]

    queries = [Item("Find it.", text) for text in ("a cat", "a wall", "停在", "Mauer")]
    prepared = [
        encoder.prepare(item, Pictures())
        for item in (*queries, *(Item(None, None, sha) for sha in shas))
    ]
    optimiser = torch.optim.AdamW([p for p in encoder.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(30):
        optimiser.zero_grad()
        with encoder.images_once(prepared):
            query_BD, image_BD = encoder(prepared).split(4)
        target = torch.arange(4)
        torch.nn.functional.cross_entropy(query_BD @ image_BD.T / 0.05, target).backward()
        optimiser.step()
    with torch.no_grad():
        query_BD, image_BD = encoder.eval()(prepared).split(4)
    assert (query_BD @ image_BD.T).argmax(1).tolist() == [0, 1, 2, 3]
