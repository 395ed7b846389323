"""LoRA by position, on tiny vision-language models and on models built for the case."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from trainer.config import LoraSettings, ModelConfig
from trainer.data.items import Item
from trainer.encoders.lora import (
    LoraError,
    add_lora,
    check_lora,
    linear_layers,
    lora_layers,
    merged_weights,
)
from trainer.encoders.vision_language import VisionLanguageEncoder

ITEM = Item("Find it.", "a red bicycle")


class NoPictures:
    """Of texts alone."""

    def picture(self, sha256: str) -> Image.Image:
        raise KeyError(sha256)


class Joined(nn.Module):
    """A vision tower with attention of its own, and a language model."""

    def __init__(self, language_model: nn.Module | None = None) -> None:
        super().__init__()
        self.vision = nn.Sequential(nn.Linear(4, 4), nn.MultiheadAttention(4, 2))
        self.language = language_model or nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))


@pytest.fixture
def directory(bases: Path) -> Path:
    return bases / "smolvlm"


def make(directory: Path, seed: int = 0, **lora: object) -> VisionLanguageEncoder:
    settings = LoraSettings.model_validate(lora)
    return VisionLanguageEncoder.from_pretrained(
        ModelConfig(name=str(directory), lora=settings), seed
    )


def move(encoder: VisionLanguageEncoder) -> VisionLanguageEncoder:
    torch.manual_seed(1)
    for name, parameter in encoder.named_parameters():
        if "lora_B" in name or "lora_magnitude" in name:
            parameter.data += 0.05 * torch.randn_like(parameter)
    return encoder.eval()


def embed(encoder: VisionLanguageEncoder) -> Tensor:
    with torch.no_grad():
        return encoder([encoder.prepare(ITEM, NoPictures())])


def trainable(encoder: VisionLanguageEncoder) -> Mapping[str, Tensor]:
    return {name: item for name, item in encoder.named_parameters() if item.requires_grad}


def test_linear_layers_are_found_by_position_but_not_inside_multi_head_attention() -> None:
    assert linear_layers(Joined(), "language") == ["language.0", "language.2"]
    assert linear_layers(Joined(), "vision") == ["vision.0"]
    assert linear_layers(Joined(nn.Linear(4, 4)), "language") == ["language"]


def test_layers_outside_of_the_language_model_with_the_same_last_name_get_no_lora() -> None:
    model = Joined()
    add_lora(model, LoraSettings(), language_model="language", vision=("vision",), name="joined")
    assert lora_layers(model) == ["language.0", "language.2"]
    assert not any(item.requires_grad for item in model.vision.parameters())


def test_a_language_model_without_a_linear_layer_stops_the_run() -> None:
    model = Joined(nn.Sequential(nn.Embedding(3, 4)))
    with pytest.raises(
        LoraError, match=r'joined: LoRA matches nothing, for language .*tune "full"'
    ):
        add_lora(model, LoraSettings(), language_model="language", vision=(), name="joined")


def test_lora_in_the_vision_tower_unasked_stops_the_run(directory: Path) -> None:
    encoder = make(directory, vision=True)
    with pytest.raises(LoraError, match=r"LoRA is on 13 layers of the vision tower.*lora\.vision"):
        check_lora(
            encoder.model.model,
            lora_layers(encoder.model.model),
            vision=encoder.model.family.vision,
            name="base",
        )


def test_lora_that_is_not_where_it_was_asked_for_stops_the_run(directory: Path) -> None:
    network = make(directory).model.model
    found = lora_layers(network)
    with pytest.raises(LoraError, match=r"LoRA is not on text_model\.other"):
        check_lora(network, [*found, "text_model.other"], vision=(), name="base")
    with pytest.raises(LoraError, match=f"LoRA is on {found[0]} unasked"):
        check_lora(network, found[1:], vision=(), name="base")


def test_lora_in_the_vision_tower_is_trained_where_it_is_asked_for(directory: Path) -> None:
    encoder = make(directory, vision=True)
    places = {name.split(".")[0] for name in lora_layers(encoder.model.model)}
    assert places == {"vision_model", "connector", "text_model"}
    assert encoder.trains_vision
    assert encoder.train().model.vision_parts[0].training


def test_lora_starts_from_the_bases_vectors_and_from_its_seed(directory: Path) -> None:
    base = VisionLanguageEncoder.load(directory)
    torch.testing.assert_close(embed(make(directory).eval()), embed(base), rtol=0, atol=1e-6)
    first, same, other = (trainable(make(directory, seed)) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_making_an_encoder_leaves_the_random_state_alone(directory: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    make(directory)
    assert torch.equal(torch.rand(1), expected)


def test_loras_own_weights_are_float32_on_a_base_in_half_precision(directory: Path) -> None:
    encoder = VisionLanguageEncoder.from_pretrained(
        ModelConfig(name=str(directory), dtype="bfloat16")
    )
    dtypes = {name: parameter.dtype for name, parameter in encoder.model.model.named_parameters()}
    assert {dtypes[name] for name in dtypes if ".lora_" in name} == {torch.float32}
    assert {dtypes[name] for name in dtypes if ".lora_" not in name} == {torch.bfloat16}
    vector_BD = embed(encoder.eval())
    assert vector_BD.dtype == torch.float32
    torch.testing.assert_close(vector_BD.norm(dim=1), torch.ones(1))
    reference_BD = embed(VisionLanguageEncoder.load(directory))
    assert (vector_BD * reference_BD).sum() > 0.999


@pytest.mark.parametrize("dora", [False, True])
def test_merged_weights_give_the_same_vectors_and_leave_the_model_as_it_is(
    directory: Path, dora: bool
) -> None:
    encoder = move(make(directory, dora=dora))
    before = {name: item.clone() for name, item in encoder.state_dict().items()}
    trained_BD = embed(encoder)
    weights = merged_weights(encoder.model.model)
    assert all(torch.equal(item, before[name]) for name, item in encoder.state_dict().items())
    base = VisionLanguageEncoder.load(directory)
    assert weights.keys() == base.model.model.state_dict().keys()
    assert (embed(base) - trained_BD).norm() > 0.01
    base.model.model.load_state_dict(weights)
    torch.testing.assert_close(embed(base), trained_BD, rtol=0, atol=2e-6)


# peft asks transformers for a name that transformers has replaced.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("dora", [False, True])
def test_the_exported_adapter_loads_through_peft_onto_the_base(
    directory: Path, tmp_path: Path, dora: bool
) -> None:
    from peft import PeftModel

    encoder = move(make(directory, dora=dora))
    encoder.save(tmp_path)
    assert {path.name for path in (tmp_path / "adapter").iterdir()} >= {
        "adapter_config.json", "adapter_model.safetensors"
    }  # fmt: skip
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == directory.name  # no path of this machine
    base = VisionLanguageEncoder.load(directory)
    base_BD = embed(base)
    PeftModel.from_pretrained(base.model.model, str(tmp_path / "adapter"))
    torch.testing.assert_close(embed(base), embed(encoder), rtol=0, atol=1e-6)
    assert (embed(base) - base_BD).norm() > 0.01
