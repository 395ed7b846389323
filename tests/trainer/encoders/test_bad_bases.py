"""Base models that cannot be used are refused in one line, with the remedy."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.trainer.encoders.embedding import (
    A,
    embed,
    make,
)
from trainer.config import ModelConfig
from trainer.data.items import Item
from trainer.encoders.base_model import BaseModelError
from trainer.encoders.vision_language import VisionLanguageEncoder


def test_a_base_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match=r"no such directory\. Check --model") as error:
        make(tmp_path / "none")
    assert "\n" not in str(error.value)
    with pytest.raises(BaseModelError, match=r"the directory has no config\.json"):
        make(tmp_path)


def test_a_hub_that_cannot_be_reached_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BaseModelError, match=r"not to be read from the Hub.*HF_TOKEN") as error:
        VisionLanguageEncoder.from_pretrained(ModelConfig(name="nobody/no-such-model"))
    assert "\n" not in str(error.value)


def test_a_type_without_a_way_names_those_that_have_one(bases: Path, tmp_path: Path) -> None:
    base = shutil.copytree(bases / "smolvlm", tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "model_type": "llava_next"}))
    with pytest.raises(
        BaseModelError, match=r'"llava_next" are not supported\..*qwen3_vl.*smolvlm'
    ):
        make(base)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("preprocessor_config.json", "no preprocessor_config.json.*copy that file"),
        ("tokenizer.json", "the model cannot be read"),
        ("model.safetensors", "the model cannot be read"),
    ],
)
def test_a_base_without_one_of_its_files_is_refused(
    bases: Path, tmp_path: Path, name: str, what: str
) -> None:
    base = shutil.copytree(bases / "smolvlm", tmp_path / "base")
    (base / name).unlink()
    with pytest.raises(BaseModelError, match=what) as error:
        make(base)
    assert "\n" not in str(error.value)


def test_damaged_or_missing_weights_are_refused(bases: Path, tmp_path: Path) -> None:
    base = shutil.copytree(bases / "smolvlm", tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    name = next(name for name in weights if "q_proj" in name)
    del weights[name]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BaseModelError, match=r"lack 1 tensors of the model, such as .*q_proj"):
        make(base)
    whole = (bases / "smolvlm/model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BaseModelError, match="the model cannot be read"):
        make(base)


def test_image_settings_that_do_not_belong_to_the_model_are_said(
    bases: Path, tmp_path: Path
) -> None:
    base = shutil.copytree(bases / "gemma3", tmp_path / "base")
    settings = json.loads((base / "preprocessor_config.json").read_text())
    settings["size"] = {"height": 112, "width": 112}
    (base / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(BaseModelError, match="the image settings do not fit the model"):
        embed(make(base), Item(None, None, A))


def test_heads_are_not_for_one_model_of_both(bases: Path) -> None:
    with pytest.raises(BaseModelError, match='tune "heads" is for two towers'):
        make(bases / "smolvlm", tune="heads")
