"""A vision-language model with LoRA: exported, carded, and used as its card says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.trainer.export.test_card import code_of, head
from tests.trainer.releases import write_shapes
from tests.trainer.tiny_models import save_tiny_model
from trainer.config import LoraSettings, ModelConfig, TrainConfig
from trainer.data.corpus import load_corpus
from trainer.encoders.vision_language import VisionLanguageEncoder
from trainer.export.export import export
from trainer.export.probe import take_probe
from trainer.export.record import RECORD_NAME, check_export
from trainer.train import train


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SmolVLM from a local directory, two steps with LoRA."""
    base = save_tiny_model("smolvlm", tmp_path_factory.mktemp("bases") / "my-base")
    release = write_shapes(tmp_path_factory.mktemp("shapes"), side_px=56)
    corpus = load_corpus(str(release), "train")
    config = TrainConfig(
        dataset=str(release),
        model=ModelConfig(name=str(base), lora=LoraSettings(rank=4)),
        max_rows=24,
        num_steps=2,
        batch_size=8,
        learning_rate=1e-2,
    )
    encoder = VisionLanguageEncoder.from_pretrained(config.model)
    probe = take_probe(encoder, corpus.rows, corpus.images)
    result = train(config, corpus, encoder)
    directory = tmp_path_factory.mktemp("out") / "model"
    export(
        encoder,
        directory,
        result=result,
        version=corpus.version,
        probe=probe,
        load=VisionLanguageEncoder.load,
    )
    return directory


def test_the_code_of_the_card_embeds_text_image_and_both(exported: Path, tmp_path: Path) -> None:
    code = code_of((exported / "README.md").read_text(encoding="utf-8"))
    assert "both = model.encode(" in code and "prompt=" in code
    Image.new("RGB", (56, 56), "red").save(exported / "photo.jpg")
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=exported,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (exported / "photo.jpg").unlink()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("tensor([[") == 2


def test_nothing_that_is_published_names_the_local_base(exported: Path) -> None:
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "`my-base`" in card and "base_model" not in head(card)
    assert "LoRA, rank 4" in card and "`adapter/` holds the LoRA alone" in card
    for name in [*check_export(exported).files, RECORD_NAME]:
        assert b"/my-base" not in (exported / name).read_bytes(), name
