"""An encoder without pretrained weights, for tests and for machines without the wheels."""

from trainer.config import ModelConfig
from trainer.encoders.dual import DualEncoder, seeded_model
from trainer.errors import SettingError
from trainer.portable.ngram import DescriptorImageTower, NgramTextTower


def make_ngram_encoder(config: ModelConfig, seed: int = 0) -> DualEncoder:
    """Heads above hashed character n-grams and a plain image descriptor.

    Raises:
        SettingError: Anything but heads is to be trained: there is nothing else.
    """
    if config.tune not in (None, "heads"):
        raise SettingError(
            "tune", config.tune, "the n-gram encoder has only heads. Leave it out, or take a model."
        )
    return DualEncoder(
        seeded_model(NgramTextTower(), DescriptorImageTower(), config, seed),
        note="Hashed character n-grams and a plain image descriptor: nothing here is pretrained.",
        is_seeded=True,
    )
