"""Towers out of tiny models of transformers: what they read, and what is no tower."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from tests.trainer.hub_duals import TEXTS, Pictures, config_of, embed, make, save_models
from tests.trainer.tiny_duals import make_sentence_transformer, save_tiny_model
from tests.trainer.tiny_models import save_tiny_model as save_tiny_vision_language_model
from trainer.config import ModelConfig
from trainer.encoders.base_model import BaseModelError
from trainer.encoders.choice import make_encoder
from trainer.encoders.dual import DualEncoder
from trainer.encoders.hub_dual import is_dual, make_hub_dual_encoder, text_prefix
from trainer.errors import SettingError
from trainer.portable.clip import ClipTextTower
from trainer.portable.hub_towers import HubImageTower, HubTextTower


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("name", ["clip", "siglip", "metaclip_2", "bert+vit"])
def test_a_long_text_is_truncated_with_its_end_kept(models: Path, name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(models / name.split("+")[0])
    ids = make(models, name).model.text_tower.prepare("a red bicycle leans " * 500)
    assert len(ids) == tokenizer.model_max_length
    assert ids[-1] == tokenizer("a red bicycle")["input_ids"][-1]
    ids = make(models, name, max_tokens=8).model.text_tower.prepare("red " * 50)
    assert len(ids) == (16 if name == "siglip" else 8), "SigLIP was trained with one length"


def test_a_special_token_that_a_text_spells_out_ends_nothing(models: Path) -> None:
    tokens = make(models, "clip").model.text_tower.prepare("a red<|endoftext|> bicycle")
    end = AutoTokenizer.from_pretrained(models / "clip").eos_token_id
    assert tokens.count(end) == 1
    assert tokens[-1] == end


def test_texts_are_prepared_alike_by_many_threads(models: Path) -> None:
    tower = make(models, "clip").model.text_tower
    texts = [f"{TEXTS[number % 2]} {number} " * (number % 40) for number in range(2_000)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tower.prepare, texts)) == [tower.prepare(text) for text in texts]


def test_a_thread_of_a_picture_does_not_become_gigabytes(models: Path) -> None:
    tower = make(models, "clip").model.image_tower
    thin = Image.new("RGB", (60_000, 1), "red")
    assert tower.prepare(thin)["pixel_values"].shape == (3, 32, 32)
    pixels = Pictures().picture("1").resize((32 * 40, 40))
    middle = pixels.crop((600, 0, 680, 40))
    found, expected = tower.prepare(pixels), tower.prepare(middle)
    assert (found["pixel_values"] - expected["pixel_values"]).abs().max() < 0.1


@pytest.mark.parametrize(("pooling", "dense_dim"), [("mean_tokens", None), ("cls_token", 12)])
def test_a_model_of_sentence_transformers_keeps_its_pooling_and_prompt(
    models: Path, tmp_path: Path, pooling: str, dense_dim: int | None
) -> None:
    directory = save_tiny_model("bert", tmp_path / "text")
    prompts = {"query": "query: ", "passage": "passage: "}
    make_sentence_transformer(directory, pooling=pooling, prompts=prompts, dense_dim=dense_dim)
    tower = make(models, f"{directory}+vit", tune="heads").model.text_tower
    assert isinstance(tower, HubTextTower)
    reader = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    expected = reader.encode([*TEXTS], prompt_name="query")
    with torch.no_grad():
        found = tower([tower.prepare(text) for text in TEXTS]).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert len(tower.prepare("red " * 100)) == 24


@pytest.mark.parametrize(
    ("name", "prompts", "default", "expected"),
    [
        ("multilingual-e5-base", {}, None, "query: "),
        ("e5-small-v2", {}, None, "query: "),
        ("multilingual-e5-large-instruct", {}, None, ""),
        ("recipe5", {}, None, ""),
        ("other", {"query": "find: ", "document": "search_document: "}, None, "find: "),
        ("other", {"query": "Instruct: Find the passage\nQuery:"}, None, ""),
        ("other", {"query": "q: ", "topic": "topic: "}, "topic", "topic: "),
    ],
)  # fmt: skip
def test_the_prefix_of_texts_is_what_the_model_was_trained_with(
    tmp_path: Path, name: str, prompts: dict[str, str], default: str | None, expected: str
) -> None:
    settings = {"prompts": prompts, "default_prompt_name": default}
    path = tmp_path / "config_sentence_transformers.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    assert text_prefix(tmp_path, f"owner/{name}") == expected


def test_an_image_network_gives_class_token_and_mean_or_its_own_pooling(models: Path) -> None:
    pictures = [Pictures().picture(number) for number in "12"]
    for name in ("dinov2", "vit", "siglip_vision_model", "resnet"):
        tower = make(models, f"bert+{name}", tune="heads").model.image_tower
        assert isinstance(tower, HubImageTower)
        processor = AutoImageProcessor.from_pretrained(models / name, backend="pil")
        network = AutoModel.from_pretrained(models / name).eval()
        with torch.no_grad():
            found = tower([tower.prepare(picture) for picture in pictures])
            output = network(**processor(images=pictures, return_tensors="pt"))
        states = output.last_hidden_state
        expected = output.pooler_output.flatten(1)
        if name in ("dinov2", "vit"):
            expected = torch.cat([states[:, 0], states[:, 1:].mean(1)], dim=1)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
        assert tower.dim == expected.shape[1]


def test_one_side_of_a_clip_serves_as_a_tower(models: Path) -> None:
    encoder = make(models, "metaclip_2+dinov2", tune="heads")
    assert isinstance(encoder.model.text_tower, ClipTextTower)
    assert not any("vision_model" in key for key in encoder.model.text_tower.state_dict())
    assert embed(encoder).shape == (4, 16)


def test_which_names_are_dual_encoders(models: Path) -> None:
    assert is_dual(ModelConfig(name="owner/text+owner/image"), None)
    assert is_dual(config_of(models, "siglip2"), models / "siglip2")
    assert not is_dual(config_of(models, "bert"), models / "bert")
    assert isinstance(make_encoder(config_of(models, "clip")), DualEncoder)


def test_directories_may_have_a_plus_in_their_names(models: Path, tmp_path: Path) -> None:
    text = save_tiny_model("bert", tmp_path / "a+b")
    encoder = make_hub_dual_encoder(ModelConfig(name=f"{text}+{models / 'vit'}", embedding_dim=16))
    assert embed(encoder).shape == (4, 16)


@pytest.mark.parametrize("name", ["a/b+", "+a/b", "a/b+c/d+e/f"])
def test_other_than_two_towers_are_told(name: str) -> None:
    with pytest.raises(BaseModelError, match=r"does not name two towers.*Write TEXT\+IMAGE"):
        make_hub_dual_encoder(ModelConfig(name=name))


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("nobody/nothing", "nobody/nothing@v1+nobody/other"):
        with pytest.raises(BaseModelError, match=r"^nobody/nothing: .*Check --model") as caught:
            config = ModelConfig(name=name)
            assert not is_dual(config, None) or make_hub_dual_encoder(config)
        assert "\n" not in str(caught.value)


def test_a_directory_that_lacks_something_is_one_line(models: Path, tmp_path: Path) -> None:
    for number, (file, said) in enumerate(
        (
            ("tokenizer.json", "tokenizer"),
            ("preprocessor_config.json", "preprocessor_config"),
            ("model.safetensors", "safetensors"),
        )
    ):
        directory = tmp_path / str(number)
        directory.mkdir()
        for path in (models / "clip").iterdir():
            if path.name != file:
                (directory / path.name).write_bytes(path.read_bytes())
        with pytest.raises(BaseModelError, match=said) as caught:
            make_hub_dual_encoder(ModelConfig(name=str(directory)))
        assert "\n" not in str(caught.value)


def test_weights_that_are_not_there_are_never_random(models: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    directory = save_tiny_model("clip", tmp_path / "clip")
    weights = load_file(directory / "model.safetensors")
    del weights["text_projection.weight"]
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BaseModelError, match=r"lack 1 tensors.*text_projection"):
        make_hub_dual_encoder(ModelConfig(name=str(directory)))


def test_what_is_no_tower_is_told(models: Path, tmp_path: Path) -> None:
    vlm = save_tiny_vision_language_model("smolvlm", tmp_path / "vlm")
    for name, said in (
        (f"bert+{vlm}", r'vlm: .*a model of type "smolvlm" is no image tower'),
        (f"{vlm}+vit", r'vlm: .*a model of type "smolvlm" is no text tower'),
        ("vit+vit", r'vit: .*a model of type "vit" is no text tower'),
        ("bert+bert", r'bert: .*a model of type "bert" is no image tower'),
    ):
        with pytest.raises(BaseModelError, match=said):
            make(models, name)


def test_damaged_weights_are_told(tmp_path: Path) -> None:
    directory = save_tiny_model("clip", tmp_path / "clip")
    (directory / "model.safetensors").write_bytes(b"half")
    with pytest.raises(BaseModelError, match=r"clip: .*its weights are damaged"):
        make(tmp_path, "clip")


def test_a_bound_on_pixels_is_refused_in_words(models: Path) -> None:
    with pytest.raises(SettingError, match=r"--max-image-pixels 4096: .*Leave the option out"):
        make(models, "clip", max_image_pixels=4096)
