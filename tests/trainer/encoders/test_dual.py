"""Two towers made small: a random BERT with a tokenizer of whole words, and a descriptor."""

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
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import BertConfig, BertModel

from trainer.config import LoraSettings, ModelConfig, Tune
from trainer.data.items import Item
from trainer.encoders.dual import DualEncoder, seeded_model
from trainer.encoders.feature_cache import FeatureCache
from trainer.encoders.ngram import make_ngram_encoder
from trainer.errors import ModelError, SettingError
from trainer.portable.bert_text import BertTextTower
from trainer.portable.efficientnet import EfficientNetImageTower
from trainer.portable.ngram import DescriptorImageTower, NgramTextTower

WORDS = ["[PAD]", "[UNK]", "red", "green", "circle", "bar", "a", "query:"]
ITEMS = [Item(text="a red circle"), Item(image="0"), Item(text="bar"), Item(image="1")]


class Pictures:
    def picture(self, sha256: str) -> Image.Image:
        noise = np.random.default_rng(int(sha256)).integers(0, 255, (5, 7, 3), dtype=np.uint8)
        return Image.fromarray(noise).resize((70, 50))


def text_tower(layers: tuple[int, ...] | None = None) -> BertTextTower:
    tokenizer = Tokenizer(
        models.WordLevel({word: id_ for id_, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=16,
        initializer_range=0.5,
    )
    return BertTextTower(
        BertModel(config, False), tokenizer, prefix="query: ", max_tokens=12, layers=layers
    )


def make_encoder(
    tune: Tune = "heads",
    cache: FeatureCache | None = None,
    image: Any = None,
    *,
    layers: tuple[int, ...] | None = None,
    seed: int = 1,
    is_seeded: bool = False,
) -> DualEncoder:
    config = ModelConfig(embedding_dim=8, head_dropout=0.0)
    model = seeded_model(text_tower(layers), image or DescriptorImageTower(), config, seed)
    return DualEncoder(
        model,
        note="tiny",
        tune=tune,
        lora=LoraSettings(rank=2),
        seed=seed,
        cache=cache,
        is_seeded=is_seeded,
    )


def embed(encoder: DualEncoder, items: list[Item]) -> torch.Tensor:
    return encoder([encoder.prepare(item, Pictures()) for item in items])


@pytest.fixture
def num_calls() -> Iterator[dict[str, int]]:
    """Calls of each tower."""
    calls: dict[str, int] = {}

    def count(module: nn.Module, *_: Any) -> None:
        if isinstance(module, BertTextTower | DescriptorImageTower | EfficientNetImageTower):
            calls[module.modality] = calls.get(module.modality, 0) + 1

    handle = nn.modules.module.register_module_forward_pre_hook(count)
    yield calls
    handle.remove()


def test_what_was_computed_before_gives_the_vectors_of_the_towers(
    num_calls: dict[str, int],
) -> None:
    encoder = make_encoder().eval()
    expected = embed(encoder, ITEMS)
    encoder.precompute(ITEMS[:2], Pictures())
    torch.testing.assert_close(embed(encoder, ITEMS), expected, rtol=0, atol=1e-6)
    encoder.precompute(ITEMS, Pictures())
    num_calls.clear()
    torch.testing.assert_close(embed(encoder, ITEMS), expected, rtol=0, atol=1e-6)
    assert not num_calls
    torch.testing.assert_close(expected.norm(dim=1), torch.ones(4))


def test_a_second_run_reads_features_from_disk(tmp_path: Path, num_calls: dict[str, int]) -> None:
    cache = FeatureCache(tmp_path)
    tower = EfficientNetImageTower([32]).eval()
    first = make_encoder(cache=cache, image=tower)
    first.precompute(ITEMS, Pictures())
    assert num_calls == {"text": 1, "image": 1}
    second = make_encoder(cache=cache, image=tower)
    second.precompute(ITEMS, Pictures())
    assert num_calls == {"text": 1, "image": 1}
    torch.testing.assert_close(embed(second, ITEMS), embed(first, ITEMS), rtol=0, atol=0)


def test_other_weights_do_not_read_those_features(tmp_path: Path) -> None:
    encoder = make_encoder(cache=FeatureCache(tmp_path))
    name = encoder.model.text_tower.fingerprint()
    with torch.no_grad():
        next(encoder.model.text_tower.parameters())[0, 0] += 1e-3
    assert encoder.model.text_tower.fingerprint() != name


def test_a_fingerprint_follows_weights_and_what_towers_read() -> None:
    def encoder(side: int) -> DualEncoder:
        torch.manual_seed(0)
        return make_encoder(image=EfficientNetImageTower([side]).eval())

    first = encoder(32)
    assert encoder(32).fingerprint() == first.fingerprint()
    assert encoder(64).fingerprint() != first.fingerprint(), "equal weights, other pixels"
    with torch.no_grad():
        first.model.heads[0].linear.weight[0, 0] += 1e-3
    assert encoder(32).fingerprint() != first.fingerprint()


def test_only_training_sets_the_scale_and_only_once() -> None:
    encoder = make_encoder().eval()
    encoder.precompute(ITEMS, Pictures())
    assert not encoder.model.text_head.is_fitted
    encoder.train()
    encoder.precompute(ITEMS, Pictures())
    mean = encoder.model.text_head.mean_F.clone()
    assert mean.abs().sum() > 0
    encoder.precompute([Item(text="green")], Pictures())
    assert torch.equal(encoder.model.text_head.mean_F, mean)


@pytest.mark.parametrize("layers", [(2,), (2, 1), (0, 1, 2)])
def test_each_layer_is_averaged_over_its_own_tokens_and_has_length_one(
    layers: tuple[int, ...],
) -> None:
    tower = text_tower(layers).eval()
    texts = [tower.prepare(text) for text in ("a red circle", "bar", "a green bar")]
    with torch.no_grad():
        features = tower(texts).view(3, len(layers), 16)
        for text, found in zip(texts, features, strict=True):
            states = tower.bert(torch.tensor([text]), output_hidden_states=True).hidden_states
            for layer, vector in zip(layers, found, strict=True):
                expected = nn.functional.normalize(states[layer][0].mean(0), dim=0)
                torch.testing.assert_close(vector, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("tune", ["heads", "lora"])
def test_a_model_of_several_layers_is_read_again(tune: Tune, tmp_path: Path) -> None:
    encoder = make_encoder(tune, layers=(2, 1)).eval()
    expected = embed(encoder, ITEMS).detach()
    encoder.save(tmp_path)
    again = embed(DualEncoder.load(tmp_path), ITEMS).detach()
    torch.testing.assert_close(again, expected, rtol=0, atol=1e-6)


def test_an_export_that_names_no_layers_has_the_last_one(tmp_path: Path) -> None:
    encoder = make_encoder().eval()
    expected = embed(encoder, ITEMS).detach()
    encoder.save(tmp_path)
    config = json.loads((tmp_path / "dual_config.json").read_text(encoding="utf-8"))
    assert config["towers"]["text"]["settings"].pop("layers") == [2]
    (tmp_path / "dual_config.json").write_text(json.dumps(config), encoding="utf-8")
    again = embed(DualEncoder.load(tmp_path), ITEMS).detach()
    torch.testing.assert_close(again, expected, rtol=0, atol=0)


def test_restarted_with_a_seed_it_is_as_made_with_that_seed() -> None:
    encoder = make_encoder(is_seeded=True)
    encoder.precompute(ITEMS, Pictures())
    with torch.no_grad():
        encoder.model.text_head.linear.weight.zero_()  # as if it had been trained
    encoder.eval()
    assert encoder.restart(2)
    fresh = make_encoder(seed=2)
    assert not encoder.model.text_head.is_fitted
    for each in (encoder, fresh):
        each.precompute(ITEMS[:3], Pictures())
    state = fresh.state_dict()
    assert encoder.training and encoder.state_dict().keys() == state.keys()
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, state[name]), name


@pytest.mark.parametrize(("tune", "is_seeded"), [("lora", True), ("full", True), ("heads", False)])
def test_what_a_seed_alone_does_not_make_is_not_restarted(tune: Tune, is_seeded: bool) -> None:
    encoder = make_encoder(tune, is_seeded=is_seeded)
    before = encoder.model
    assert not encoder.restart(2)
    assert encoder.model is before


@pytest.mark.parametrize(
    ("tune", "trained"),
    [("heads", {"head"}), ("lora", {"head", "lora"}), ("full", {"head", "bert"})],
)
def test_only_what_is_tuned_gets_gradients(tune: Tune, trained: set[str]) -> None:
    encoder = make_encoder(tune)
    encoder.precompute(ITEMS, Pictures())
    (embed(encoder, ITEMS)[:, 0]).sum().backward()
    got = {
        "lora" if "lora_" in name else "head" if "_head." in name else "bert"
        for name, each in encoder.named_parameters()
        if each.grad is not None
    }
    assert got == trained


def test_an_item_with_both_is_refused_in_words() -> None:
    encoder = make_encoder()
    with pytest.raises(ValueError, match="not both as one"):
        encoder.prepare(Item(text="a red circle", image="0"), Pictures())
    with pytest.raises(ValueError, match="train a vision-language model"):
        encoder.model.preprocess([{"text": "a bar", "image": Pictures().picture("0")}])
    with pytest.raises(ValueError, match="PIL image"):
        encoder.model.preprocess([3])


def test_sentence_transformers_gives_the_same_vectors_without_polyscene(tmp_path: Path) -> None:
    expected: dict[str, np.ndarray] = {}
    tunes: tuple[Tune, ...] = ("heads", "lora")
    for tune in tunes:
        encoder = make_encoder(tune)
        encoder.precompute(ITEMS, Pictures())
        with torch.no_grad():
            for name, each in encoder.named_parameters():
                if "lora_B" in name:
                    each.normal_(0, 0.1)
        encoder.eval()
        encoder.save(tmp_path / tune)
        expected[str(tmp_path / tune)] = embed(encoder, ITEMS).detach().numpy()
    paths = []
    for item in ITEMS:
        if item.image:
            paths.append(str(tmp_path / f"{item.image}.png"))
            Pictures().picture(item.image).save(paths[-1])
    script = """
import json, sys
from PIL import Image
from sentence_transformers import SentenceTransformer
first, second = (Image.open(path) for path in sys.argv[1:3])
for path in sys.argv[3:]:
    model = SentenceTransformer(path, trust_remote_code=True, device="cpu")
    vectors = model.encode(["a red circle", first, "bar", second])
    assert model.get_embedding_dimension() == 8
    try:
        model.encode({"text": "bar", "image": first})
    except ValueError as exc:
        assert "not both as one" in str(exc), exc
    else:
        raise SystemExit("fused input was taken")
    print(json.dumps(vectors.tolist()))
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


def test_a_model_read_again_gives_the_same_vectors(tmp_path: Path) -> None:
    encoder = make_ngram_encoder(ModelConfig(embedding_dim=8))
    encoder.precompute(ITEMS, Pictures())
    encoder.eval()
    encoder.save(tmp_path)
    torch.testing.assert_close(
        embed(DualEncoder.load(tmp_path), ITEMS), embed(encoder, ITEMS), rtol=0, atol=1e-6
    )


def test_a_directory_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"dual_config\.json"):
        DualEncoder.load(tmp_path)
    make_ngram_encoder(ModelConfig(embedding_dim=8)).save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"half")
    with pytest.raises(ModelError, match="damaged"):
        DualEncoder.load(tmp_path)


def test_equal_seeds_give_equal_heads_and_others_do_not() -> None:
    first, same, other = (
        make_ngram_encoder(ModelConfig(embedding_dim=8), seed).model.text_head.linear.weight
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_ngram_encoder_has_nothing_but_heads() -> None:
    with pytest.raises(SettingError, match="only heads"):
        make_ngram_encoder(ModelConfig(tune="lora"))


def test_ngrams_of_like_words_are_alike() -> None:
    tower = NgramTextTower()
    bicycle, bicycles, house = tower(
        [tower.prepare(text) for text in ("bicycle", "Bicycles", "ox")]
    )
    assert bicycle @ bicycles > 0.7
    assert abs(bicycle @ house) < 0.2
