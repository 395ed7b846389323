"""Dual encoders out of tiny models of transformers: trained, exported, read again."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn
from torch.nn.functional import normalize
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from tests.trainer.hub_duals import (
    CLIPS,
    ITEMS,
    PAIRS,
    TEXTS,
    Pictures,
    config_of,
    embed,
    make,
    move,
    save_models,
)
from tests.trainer.tiny_duals import make_sentence_transformer, save_tiny_model
from trainer.config import TrainConfig
from trainer.data.corpus import Corpus, load_corpus
from trainer.data.items import Item
from trainer.encoders.choice import load_encoder, make_encoder
from trainer.encoders.dual import DualEncoder
from trainer.encoders.encoder import Encoder
from trainer.encoders.feature_cache import FeatureCache
from trainer.encoders.hub_dual import make_hub_dual_encoder
from trainer.encoders.lora import LoraError, lora_layers
from trainer.train import train


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def corpus(small_release: Path) -> Corpus:
    return load_corpus(str(small_release), "train")


def train_on(corpus: Corpus, encoder: Any, **changes: Any) -> list[float]:
    settings = {
        "dataset": "shapes@0.1.0", "num_steps": 24, "batch_size": 16, "seed": 1,
        "learning_rate": 5e-3, "languages": ("en", "de"), "cells": ("retrieval T->I",),
    }  # fmt: skip
    return train(TrainConfig.model_validate(settings | changes), corpus, encoder).losses


@pytest.fixture
def calls() -> Iterator[dict[str, int]]:
    """Items that went through each kind of tower."""
    counts: dict[str, int] = {"text": 0, "image": 0}

    def count(module: nn.Module, inputs: Any) -> None:
        modality = getattr(module, "modality", None)
        if modality in counts:
            counts[modality] += len(inputs[0])

    handle = nn.modules.module.register_module_forward_pre_hook(count)
    yield counts
    handle.remove()


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_starts_with_the_vectors_that_transformers_gives(models: Path, name: str) -> None:
    encoder = make(models, name)
    model = AutoModel.from_pretrained(models / name).eval()
    tokenizer = AutoTokenizer.from_pretrained(models / name)
    processor = AutoImageProcessor.from_pretrained(models / name, backend="pil")
    is_siglip = name.startswith("siglip")
    texts = tokenizer(
        [*TEXTS],
        padding="max_length" if is_siglip else True,
        truncation=True,
        return_attention_mask=not is_siglip,
        return_tensors="pt",
    )
    pictures = [Pictures().picture(number) for number in "12"]
    with torch.no_grad():
        text_BD = model.get_text_features(**texts).pooler_output
        image_BD = model.get_image_features(
            **processor(images=pictures, return_tensors="pt")
        ).pooler_output
    expected = normalize(torch.stack([text_BD[0], image_BD[0], text_BD[1], image_BD[1]]), dim=-1)
    torch.testing.assert_close(embed(encoder), expected, rtol=0, atol=2e-6)
    assert encoder.embedding_dim == expected.shape[1]


@pytest.mark.parametrize("name", ["clip", "siglip", "siglip2", "metaclip_2"])
def test_a_clip_learns_with_lora_and_is_exported_as_a_plain_clip(
    models: Path, corpus: Corpus, tmp_path: Path, name: str
) -> None:
    encoder = make(models, name, FeatureCache(tmp_path / "cache"))
    before = embed(encoder)
    losses = train_on(corpus, encoder)
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])
    trained = embed(encoder)
    assert (trained * before).sum(1)[::2].max() < 0.999, "texts moved"
    assert torch.equal(trained[1::2], before[1::2]), "images did not"
    encoder.save(tmp_path / "model")
    assert torch.equal(embed(encoder), trained), "saving changes nothing"
    assert (embed(load_encoder(tmp_path / "model")) * trained).sum(1).min() >= 0.99999
    assert not list((tmp_path / "model").glob("*.py"))
    reader = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    text_BD = reader.encode([*TEXTS])
    image_BD = reader.encode([Pictures().picture(number) for number in "12"])
    found = np.stack([text_BD[0], image_BD[0], text_BD[1], image_BD[1]])
    assert (found * trained.numpy()).sum(1).min() >= 0.99999


def test_a_plain_clip_keeps_every_weight_of_the_original(models: Path, tmp_path: Path) -> None:
    for name in ("clip", "siglip"):
        make(models, name).save(tmp_path / name)
        original, exported = (
            AutoModel.from_pretrained(root / name).state_dict() for root in (models, tmp_path)
        )
        assert exported.keys() == original.keys()
        for key, value in original.items():
            assert torch.equal(exported[key], value), key


def test_an_export_is_trained_on_as_its_original_would_be(
    models: Path, corpus: Corpus, tmp_path: Path
) -> None:
    make(models, "clip").save(tmp_path / "clip")
    again = make_encoder(config_of(tmp_path, "clip"), seed=1)
    first = make(models, "clip")
    assert isinstance(again, DualEncoder) and again.tune == "lora"
    assert train_on(corpus, again, num_steps=3) == pytest.approx(
        train_on(corpus, first, num_steps=3), rel=1e-5
    )


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("tune", ["heads", "lora", "full"])
def test_two_towers_learn_and_are_read_again(
    models: Path, corpus: Corpus, tmp_path: Path, name: str, tune: str
) -> None:
    encoder = make(models, name, FeatureCache(tmp_path / "cache"), tune=tune)
    losses = train_on(corpus, encoder, learning_rate=1e-3 if tune == "full" else 5e-3)
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])
    trained = embed(encoder)
    torch.testing.assert_close(trained.norm(dim=1), torch.ones(4))
    encoder.save(tmp_path / "model")
    assert (embed(load_encoder(tmp_path / "model")) * trained).sum(1).min() >= 0.99999


def test_sentence_transformers_reads_heads_without_polyscene(models: Path, tmp_path: Path) -> None:
    """One process reads all three: towers of two models, one with dense layers, and a CLIP's."""
    save_tiny_model("bert", tmp_path / "my-e5")
    make_sentence_transformer(tmp_path / "my-e5", pooling="mean_tokens", prompts={}, dense_dim=12)
    paths = []
    for number in "12":
        paths.append(str(tmp_path / f"{number}.png"))
        Pictures().picture(number).save(paths[-1])
    expected = {}
    for number, (name, tune) in enumerate(
        (("bert+dinov2", "lora"), (f"{tmp_path / 'my-e5'}+vit", "heads"), ("siglip", "heads"))
    ):
        encoder = make(models, name, tune=tune)
        encoder.precompute(ITEMS, Pictures())
        move(encoder)
        directory = tmp_path / str(number)
        encoder.save(directory)
        expected[str(directory)] = embed(encoder).numpy()
    script = """
import json, sys
from PIL import Image
from sentence_transformers import SentenceTransformer
first, second, *models = sys.argv[1:]
first, second = Image.open(first), Image.open(second)
texts = ["a red bicycle", "ein rotes Fahrrad lehnt an einer Mauer"]
for path in models:
    model = SentenceTransformer(path, trust_remote_code=True, device="cpu", local_files_only=True)
    print(json.dumps(model.encode([texts[0], first, texts[1], second]).tolist()))
assert not any(name.split(".")[0] in ("trainer", "schemas") for name in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *paths, *expected],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = [np.array(json.loads(line)) for line in done.stdout.splitlines()]
    for vectors, wanted in zip(found, expected.values(), strict=True):
        assert (vectors * wanted).sum(1).min() >= 0.99999


@pytest.mark.parametrize("name", [*CLIPS, *PAIRS])
def test_an_item_has_one_vector_whatever_it_is_batched_with(models: Path, name: str) -> None:
    encoder = make(models, name)
    items = [*ITEMS, *(Item(text=f"{TEXTS[0]} " * number) for number in range(1, 6))]
    alone = torch.cat([embed(encoder, [item]) for item in items])
    torch.testing.assert_close(embed(encoder, items), alone, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["clip", "siglip", "metaclip_2"])
def test_lora_is_on_every_linear_layer_of_the_text_side_and_no_other(
    models: Path, name: str
) -> None:
    encoder = make(models, name)
    text, image = encoder.model.text_tower, encoder.model.image_tower
    count = sum(
        type(each) is nn.Linear
        for each in AutoModel.from_pretrained(models / name).text_model.modules()
    )
    has_projection = name != "siglip"
    assert len(lora_layers(text)) == count + has_projection == 2 * 6 + 1
    assert not lora_layers(image)
    trained = {key for key, each in encoder.named_parameters() if each.requires_grad}
    assert trained and all("text_tower" in key and ".lora_" in key for key in trained)


@pytest.mark.parametrize("name", ["siglip", "bert+dinov2"])
def test_lora_in_the_vision_tower_is_trained_where_it_is_asked_for(
    models: Path, name: str, tmp_path: Path
) -> None:
    encoder = make(models, name, lora={"rank": 2, "vision": True})
    encoder.precompute(ITEMS, Pictures())
    encoder.train()
    embedding_BD = encoder([encoder.prepare(item, Pictures()) for item in ITEMS])
    (embedding_BD[0] @ embedding_BD[1]).backward()
    without = [
        key for key, each in encoder.named_parameters() if each.requires_grad and each.grad is None
    ]
    assert not without, "peft put LoRA where no forward pass goes"
    move(encoder)
    expected = embed(encoder)
    encoder.save(tmp_path)
    assert (embed(load_encoder(tmp_path)) * expected).sum(1).min() >= 0.99999
    assert (tmp_path / "adapter/adapter_model.safetensors").is_file()
    assert (tmp_path / "image/adapter/adapter_model.safetensors").is_file()


def test_lora_that_matches_nothing_is_told(models: Path) -> None:
    with pytest.raises(LoraError, match=r"resnet: LoRA matches nothing.*has no linear layer"):
        make(models, "bert+resnet", lora={"rank": 2, "vision": True})


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks for it
def test_the_adapter_alone_fits_the_original_model(models: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    encoder = make(models, "clip")
    move(encoder)
    encoder.save(tmp_path)
    settings = json.loads((tmp_path / "adapter/adapter_config.json").read_text("utf-8"))
    assert settings["base_model_name_or_path"] == "clip", "no path of this machine"
    original = AutoModel.from_pretrained(models / "clip")
    adapted = PeftModel.from_pretrained(original, str(tmp_path / "adapter")).eval()
    ids = torch.tensor([encoder.model.text_tower.prepare(TEXTS[0])])
    with torch.no_grad():
        found = adapted.get_text_features(input_ids=ids).pooler_output
    cosine = normalize(found, dim=-1)[0] @ embed(encoder)[0]
    assert cosine >= 0.99999


@pytest.mark.parametrize("name", ["clip", "bert+vit"])
def test_heads_compute_each_feature_once_even_over_runs(
    models: Path, corpus: Corpus, tmp_path: Path, name: str, calls: dict[str, int]
) -> None:
    cache = FeatureCache(tmp_path)
    first = make(models, name, cache, tune="heads")
    calls.update(text=0, image=0)
    losses = train_on(corpus, first, num_steps=4)
    rows = [
        row for row in corpus.rows if row.cell == "retrieval T->I" and row.language in ("en", "de")
    ]
    items = {item for row in rows for item in row.items}
    assert calls["image"] == len({item.image for item in items if item.image})
    assert calls["text"] == len({item.text for item in items if item.text})
    calls.update(text=0, image=0)
    second = make(models, name, cache, tune="heads")
    calls.update(text=0, image=0)
    assert train_on(corpus, second, num_steps=4) == losses
    assert calls == {"text": 0, "image": 0}


def test_a_frozen_vision_side_runs_once_for_each_image(
    models: Path, corpus: Corpus, tmp_path: Path, calls: dict[str, int]
) -> None:
    train_on(corpus, make(models, "clip", FeatureCache(tmp_path)), num_steps=12)
    rows = [
        row for row in corpus.rows if row.cell == "retrieval T->I" and row.language in ("en", "de")
    ]
    assert calls["image"] == len({item.image for row in rows for item in row.items if item.image})


def test_heads_of_a_clip_start_in_one_space(models: Path) -> None:
    model = make(models, "clip", tune="heads").model
    first, second = model.heads
    assert torch.equal(first.linear.weight, second.linear.weight)
    first, second = make(models, "bert+vit", tune="heads").model.heads
    assert first.linear.weight.shape != second.linear.weight.shape


def test_a_clip_is_trained_at_the_temperature_it_had(models: Path, tmp_path: Path) -> None:
    assert make(models, "clip").defaults.temperature == pytest.approx(0.07, rel=1e-3)
    model = AutoModel.from_pretrained(models / "clip")
    model.logit_scale.data.fill_(4.6052)
    model.save_pretrained(tmp_path / "sharp")
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (tmp_path / "sharp" / name).write_bytes((models / "clip" / name).read_bytes())
    assert make(tmp_path, "sharp").defaults.temperature == pytest.approx(0.01, rel=1e-3)
    assert make(models, "clip", tune="full").defaults.learning_rate <= 2e-5


def test_mixed_precision_is_for_training_alone(models: Path) -> None:
    exact, mixed = make(models, "clip"), make(models, "clip", dtype="bfloat16")
    assert torch.equal(embed(exact), embed(mixed))
    prepared = [mixed.prepare(item, Pictures()) for item in ITEMS]
    with torch.no_grad():
        trained = mixed.train()(prepared)
    assert trained.dtype == torch.float32
    assert not torch.equal(trained, embed(exact))
    assert (trained * embed(exact)).sum(1).min() > 0.99


def test_equal_seeds_give_equal_encoders(models: Path) -> None:
    config = config_of(models, "bert+vit")
    first, same, other = (
        torch.cat([each.flatten() for each in make_hub_dual_encoder(config, seed).parameters()])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", ["clip", "siglip", "metaclip_2+dinov2"])
def test_chunks_of_any_size_train_to_the_same_weights(
    models: Path, corpus: Corpus, name: str
) -> None:
    """Plain and GradCache, with LoRA in both towers."""
    weights = []
    for max_chunk_tokens in (None, 64):
        encoder = make(models, name, lora={"rank": 2, "vision": True}).double()
        train_on(corpus, encoder, num_steps=4, max_chunk_tokens=max_chunk_tokens)
        trained = [each.flatten() for each in encoder.parameters() if each.requires_grad]
        weights.append(torch.cat(trained))
    assert (weights[0] - weights[1]).norm() / weights[0].norm() < 1e-6


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    models: Path, corpus: Corpus, tmp_path: Path
) -> None:
    class Stopped(Exception):
        pass

    def stop(_: Encoder) -> float:
        raise Stopped

    config = TrainConfig(
        dataset="shapes@0.1.0", num_steps=8, batch_size=16, save_steps=2, eval_steps=5
    )
    whole = make(models, "bert+vit")
    losses = train(config, corpus, whole).losses
    with pytest.raises(Stopped):
        train(config, corpus, make(models, "bert+vit"), output=tmp_path, measure=stop)
    resumed = make(models, "bert+vit")
    assert train(config, corpus, resumed, output=tmp_path).losses == losses[4:]
    assert torch.equal(embed(resumed), embed(whole))
