"""What an exported vision-language model holds, and what it takes from sentence-transformers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import HfApi
from PIL import Image

from tests.hub_server import WRITE_TOKEN, run_client, running_hub
from tests.trainer.encoders.embedding import (
    A,
    embed,
    make,
)
from trainer.data.items import Item
from trainer.encoders.vision_language import VisionLanguageEncoder


def test_an_export_stands_alone(bases: Path, tmp_path: Path) -> None:
    encoder = make(bases / "qwen3_vl")
    encoder.save(tmp_path)
    modules = json.loads((tmp_path / "modules.json").read_text())
    assert [entry["type"].rsplit(".", 1)[-1] for entry in modules] == [
        "VisionLanguageModel", "Pooling", "Normalize"
    ]  # fmt: skip
    for path in tmp_path.glob("*.py"):
        code = path.read_text()
        assert not re.search(r"^\s*(from|import) (trainer|schemas)\b", code, re.MULTILINE), path
    for path in tmp_path.rglob("*"):
        if path.suffix in (".json", ".jinja", ".py"):
            assert str(bases) not in path.read_text(), path


def test_a_saved_models_bounds_hold_unless_a_config_names_others(
    bases: Path, tmp_path: Path
) -> None:
    make(bases / "qwen3_vl", max_tokens=9).save(tmp_path)
    assert VisionLanguageEncoder.load(tmp_path).model.max_tokens == 9
    assert make(tmp_path).model.max_tokens == 9
    assert make(tmp_path, max_tokens=11).model.max_tokens == 11


def test_an_exported_model_is_trained_on_from_where_it_was(bases: Path, tmp_path: Path) -> None:
    first = make(bases / "qwen3_vl")
    for name, parameter in first.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    first.eval().save(tmp_path)
    second = make(tmp_path).eval()
    item = Item("Find it.", "a cat", A)
    torch.testing.assert_close(embed(second, item), embed(first, item), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    "given", [7, {"text": "x", "video": "y"}, {}, ["x"], {"image": "/etc/passwd"}]
)
def test_sentence_transformers_inputs_of_other_kinds_are_refused(bases: Path, given: Any) -> None:
    model = make(bases / "qwen3_vl").model
    with pytest.raises(ValueError, match='give a text, a PIL image, or a dict with a "text"'):
        model.preprocess([given])


def test_a_text_that_spells_a_path_stays_a_text(bases: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "picture.png")
    model = make(bases / "qwen3_vl").model
    items = model.preprocess([str(tmp_path / "picture.png")])["items"]
    assert items[0].picture is None


def test_pictures_given_to_sentence_transformers_are_turned_upright_on_white(bases: Path) -> None:
    model = make(bases / "qwen3_vl").model
    turned = Image.new("RGB", (112, 56))
    turned.getexif()[0x0112] = 6
    clear = Image.new("RGBA", (56, 56), (0, 0, 0, 0))
    items = model.preprocess([turned, clear, Image.new("RGB", (56, 56), "white")])["items"]
    assert items[0].picture.tensors["image_grid_thw"].tolist() == [[1, 8, 4]]
    assert torch.equal(*(item.picture.tensors["pixel_values"] for item in items[1:]))


_ON_A_HUB = """
import sys
import numpy as np
from PIL import Image
from sentence_transformers import SentenceTransformer
from trainer.config import ModelConfig
from trainer.data.items import Item
from trainer.encoders.vision_language import VisionLanguageEncoder

class Pictures:
    def picture(self, sha256):
        return Image.new("RGB", (60, 40), "red")

encoder = VisionLanguageEncoder.from_pretrained(ModelConfig(name=sys.argv[1])).eval()
item = Item("Find it.", "a cat", "a" * 64)
mine = encoder([encoder.prepare(item, Pictures())])[0].detach().numpy()
model = SentenceTransformer(sys.argv[1], trust_remote_code=True, device="cpu")
given = {"image": Pictures().picture(""), "text": "a cat"}
theirs = model.encode([given], prompt="Find it.")[0]
print(float(mine @ theirs))
"""


def test_a_model_on_a_hub_is_read_by_its_name(bases: Path, tmp_path: Path) -> None:
    make(bases / "smolvlm").save(tmp_path / "model")
    with running_hub(tmp_path / "hub") as hub:
        api = HfApi(endpoint=hub.url, token=WRITE_TOKEN)
        api.create_repo("demo/embedder")
        api.upload_folder(repo_id="demo/embedder", folder_path=tmp_path / "model")
        printed = run_client(_ON_A_HUB, hub.url, tmp_path / "home", "demo/embedder")
    assert float(printed) >= 0.99999
    read = {request.rsplit("/", 1)[-1] for request in hub.requests if "/resolve/" in request}
    assert "model.safetensors" in read and "adapter_model.safetensors" not in read
