"""`images.safety`: new images are shown to a named model, and unsafe ones are kept out."""

from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from builder.commands.images import register
from builder.config import BuildConfig, ConfigError, SafetyConfig, config_from
from builder.images.safety import SafetyModel, SafetyModelError
from builder.images.store import ImageStore
from builder.release.build import published_config

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def save_model(directory: Path, *, bias: float = 0.0, is_multi_label: bool = False) -> Path:
    """A tiny ViT with random weights, whose label "unsafe" is that of bright pictures."""
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=16,
        id2label={0: "fine", 1: "Unsafe", 2: "gore"},
        label2id={"fine": 0, "Unsafe": 1, "gore": 2},
        problem_type="multi_label_classification" if is_multi_label else None,
    )
    model = transformers.ViTForImageClassification(config)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([0.0, bias, bias]))
    model.save_pretrained(directory)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(directory)
    return directory


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    directory = tmp_path / "pictures"
    directory.mkdir()
    random = np.random.default_rng(0)
    for number in range(20):
        pixels = random.integers(0, 255, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(directory / f"{number}.png")
    return directory


def add(tmp_path: Path, pictures: Path, **safety: object) -> tuple[str, BaseException | None]:
    path = tmp_path / "build.yaml"
    settings = {"images": {"embedder": "descriptor", "safety": safety}}
    path.write_text(str(settings))
    app = typer.Typer()
    register(app)
    arguments = ["images", "add", str(pictures), "-c", str(path), "-w", str(tmp_path / "ws")]
    result = CliRunner().invoke(app, arguments)
    return result.output, result.exception


def test_unsafe_images_are_refused_and_counted(tmp_path: Path, pictures: Path) -> None:
    model = save_model(tmp_path / "model", bias=1.0)  # 0.42 each for two labels, 0.16 for the first
    said, _ = add(tmp_path, pictures, model=str(model), labels=["unsafe", "gore"], threshold=0.9)
    assert "20 added" in said
    # Already in the store: only new images are shown to the model.
    said, _ = add(tmp_path, pictures, model=str(model), labels=["unsafe", "gore"], threshold=0.8)
    assert "20 already there, 0 refused" in said
    said, error = add(
        tmp_path / "pictures", pictures, model=str(model), labels=["unsafe", "gore"], threshold=0.8
    )
    assert "20 refused (unsafe_image 20)" in said
    assert "every image was refused (unsafe_image 20)" in str(error)
    with ImageStore(tmp_path / "pictures" / "ws" / "images") as store:
        assert len(store) == 0 and store.refused_by_reason() == {"unsafe_image": 20}


def test_the_threshold_divides_images_by_what_the_model_sees(tmp_path: Path) -> None:
    directory = save_model(tmp_path / "model")
    model = transformers.ViTForImageClassification.from_pretrained(directory)
    with torch.no_grad():
        model.classifier.weight.normal_(std=3.0)
    model.save_pretrained(directory)
    random = np.random.default_rng(1)
    images: list[bytes] = []
    for number in range(40):
        pixels = random.integers(0, 6 * (number + 1), (48, 48, 3)).astype(np.uint8)
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(path)
        images.append(path.read_bytes())
    num_refused = [
        sum(
            words is not None
            for words in SafetyModel(
                SafetyConfig(model=str(directory), labels=("unsafe",), threshold=threshold)
            ).unsafe_words(images)
        )
        for threshold in (1e-9, 0.2, 1.0)
    ]
    assert num_refused[0] == 40 and num_refused == sorted(num_refused, reverse=True)


def test_labels_of_several_choices_are_not_added_up(tmp_path: Path, pictures: Path) -> None:
    images = [path.read_bytes() for path in pictures.iterdir()]
    for is_multi_label, num in ((True, 0), (False, 20)):
        directory = save_model(tmp_path / f"m{is_multi_label}", is_multi_label=is_multi_label)
        config = SafetyConfig(model=str(directory), labels=("unsafe", "gore"), threshold=0.6)
        words = SafetyModel(config).unsafe_words(images)  # 0.5 each, or a third each
        assert sum(word is not None for word in words) == num


def test_a_model_that_cannot_be_used_is_named(tmp_path: Path, pictures: Path) -> None:
    model = save_model(tmp_path / "model")
    _, error = add(tmp_path, pictures, model=str(model), labels=["nsfw"])
    assert isinstance(error, SafetyModelError)
    assert "no label nsfw. It has fine, Unsafe, gore" in str(error)
    _, error = add(tmp_path, pictures, model=str(tmp_path / "gone"), labels=["nsfw"])
    assert isinstance(error, SafetyModelError) and "cannot be loaded" in str(error)
    broken = save_model(tmp_path / "broken", bias=float("nan"))
    _, error = add(tmp_path, pictures, model=str(broken), labels=["gore"])
    assert isinstance(error, SafetyModelError) and "gives NaN" in str(error)
    _, error = add(tmp_path, pictures, model=str(model), labels=[])
    assert isinstance(error, ConfigError) and "images.safety.labels" in str(error)


def test_the_model_changes_neither_set_nor_release() -> None:
    plain, screened = (
        config_from({"images": {"safety": safety}})
        for safety in (None, {"model": "/home/me/model", "labels": ["a"]})
    )
    assert plain.workspace_hash == screened.workspace_hash == BuildConfig().workspace_hash
    assert published_config(plain) == published_config(screened)
