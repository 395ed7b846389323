"""Any text tower beside any image tower: heads above frozen features, or towers trained too."""

import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from trainer.config import LoraSettings, ModelConfig, TrainingDefaults, Tune
from trainer.data.items import Item, ItemModality
from trainer.encoders.encoder import Encoder, Pictures
from trainer.encoders.feature_cache import FeatureCache, default_cache_dir
from trainer.encoders.frozen_features import FrozenFeatures, text_key
from trainer.encoders.lora import LoraError, add_lora, merged_weights, save_adapter
from trainer.encoders.portable_files import copy_portable
from trainer.errors import ModelError
from trainer.portable.clip import ClipImageTower, ClipTextTower
from trainer.portable.dual import CONFIG_NAME, DualModel, in_order
from trainer.portable.heads import Head
from trainer.portable.tower import Tower

_LOG = logging.getLogger(__name__)

# B items, F tower features, D embedding

#: Heads over frozen features: steps cost milliseconds, and batches by concept teach most. Hard
#: negatives brought nothing among hundreds of concepts (recall@10 of concepts left out of the
#: demo's training split, four folds: 0.363 with, 0.368 without), and triple the time.
_HEADS_DEFAULTS = TrainingDefaults(
    num_steps=200,
    num_epochs=None,
    batch_size=1024,
    learning_rate=3e-3,
    weight_decay=0.05,
    temperature=0.1,
    reverse_weight=0.5,
    batching="concept",
    hard_negatives=False,
)
#: With the text tower trained too.
_TOWER_DEFAULTS = _HEADS_DEFAULTS.model_copy(update={"batch_size": 256, "learning_rate": 1e-3})

#: Both in the space that a CLIP-like model was trained for: small steps, once over the data.
_OWN_SPACE_DEFAULTS = _HEADS_DEFAULTS.model_copy(
    update={
        "num_steps": None,
        "num_epochs": 1.0,
        "batch_size": 256,
        "learning_rate": 1e-4,
        "hard_negatives": True,
    }
)
#: Where every weight of a tower is trained, larger steps undo what it knows.
_MAX_FULL_LEARNING_RATE = 2e-5
#: Temperatures that models were trained with are kept within these.
_TEMPERATURES = (0.01, 0.1)

#: Items whose features set a head's scale where a trained tower gives no others.
_NUM_SCALE_ITEMS = 2_048
_SCALE_WINDOW = 256


@dataclass(frozen=True, slots=True)
class DualItem:
    """A text or an image: a row of computed features, or what its tower takes.

    Args:
        num_tokens: What it costs in a batch; 1 for a row.
        is_text: Which tower it belongs to.
        row: Row of the tower's features, None where they were not computed.
        prepared: What the tower takes then.
        image: sha256 of the picture.
    """

    num_tokens: int
    is_text: bool
    row: int | None = None
    prepared: Any = None
    image: str | None = None


class DualEncoder(Encoder):
    """Two towers and their heads in one space; the instruction is left out.

    Both towers are frozen where only the heads are trained. Otherwise the text
    tower is not; nor is an image tower that may be trained, with "full" or
    `lora.vision`. What a frozen tower gives is computed by `precompute` and
    kept on disk, so that it runs once for each item.

    Args:
        model: Towers and heads.
        note: What it is, one sentence.
        tune: "heads"; "lora" and "full" train towers too.
        lora: Rank and the like for "lora".
        seed: Of LoRA's weights.
        base_name: What a LoRA of the text tower belongs on.
        image_base_name: The same of the image tower.
        cache: Where features are kept; None keeps none.
        dtype: "bfloat16" trains towers in mixed precision; "auto" does so on a GPU.
        is_seeded: Whether `seeded_model` made the heads, so that `restart` can do it again.

    Raises:
        LoraError: LoRA matches nothing, or this image tower cannot be trained.
    """

    takes: ClassVar[Collection[ItemModality]] = frozenset({"T", "I"})
    defaults = _HEADS_DEFAULTS

    def __init__(
        self,
        model: DualModel,
        *,
        note: str,
        tune: Tune = "heads",
        lora: LoraSettings | None = None,
        seed: int = 0,
        base_name: str = "text tower",
        image_base_name: str = "image tower",
        cache: FeatureCache | None = None,
        dtype: Literal["auto", "float32", "bfloat16"] = "auto",
        is_seeded: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self._can_restart = is_seeded and tune == "heads"
        self.note = note
        self.embedding_dim = model.embedding_dim
        self.tune: Tune = tune
        self.defaults = _defaults(model, tune)
        self._base_names = {"text": base_name, "image": image_base_name}
        self._dtype = dtype
        lora = lora or LoraSettings()
        if tune == "lora" and lora.vision and not model.image_tower.is_trainable:
            raise LoraError(
                image_base_name, "it can only be frozen", "Leave lora.vision (--lora-vision) out."
            )
        has_image_lora = tune == "lora" and lora.vision
        trains_images = has_image_lora or (tune == "full" and model.image_tower.is_trainable)
        model.text_tower.requires_grad_(tune == "full")
        model.image_tower.requires_grad_(tune == "full" and trains_images)
        self._with_lora = [model.text_tower] if tune == "lora" else []
        self._with_lora += [model.image_tower] if has_image_lora else []
        for tower in self._with_lora:
            self._add_lora(tower, lora, seed)
        self._texts = None if tune != "heads" else FrozenFeatures(model.text_tower, cache)
        self._images = None if trains_images else FrozenFeatures(model.image_tower, cache)
        self.train()

    def train(self, mode: bool = True) -> "DualEncoder":
        """Training mode, but for frozen towers."""
        super().train(mode)
        if self._images is not None:
            self.model.image_tower.eval()
        if self._texts is not None:
            self.model.text_tower.eval()
        return self

    def prepare(self, item: Item, pictures: Pictures) -> DualItem:
        if item.modality == "IT":
            raise ValueError(
                "an item with text and image: this model embeds a text or an image, "
                "not both as one."
            )
        if item.image is not None:
            row = None if self._images is None else self._images.row(item.image)
            if row is not None:
                return DualItem(1, False, row, None, item.image)
            prepared = self.model.image_tower.prepare(pictures.picture(item.image))
            tokens = self.model.image_tower.num_tokens(prepared)
            return DualItem(tokens, False, None, prepared, item.image)
        assert item.text is not None
        row = None if self._texts is None else self._texts.row(text_key(item.text))
        if row is not None:
            return DualItem(1, True, row)
        prepared = self.model.text_tower.prepare(item.text)
        return DualItem(self.model.text_tower.num_tokens(prepared), True, None, prepared)

    def forward(self, batch: Sequence[DualItem]) -> Tensor:
        model = self.model
        parts: list[Tensor] = []
        places: list[int] = []
        for is_text, tower, frozen, embed in (
            (True, model.text_tower, self._texts, model.embed_texts),
            (False, model.image_tower, self._images, model.embed_images),
        ):
            own = [place for place, item in enumerate(batch) if item.is_text == is_text]
            if own:
                with self._autocast():
                    features_BF = _features([batch[place] for place in own], tower, frozen)
                parts.append(embed(features_BF))
                places += own
        return in_order(parts, places)

    def precompute(self, items: Collection[Item], pictures: Pictures) -> None:
        """Features of these items from the frozen towers.

        In training mode the first call also sets the scale of the heads from
        them: call it with all training items.
        """
        texts = {
            text_key(item.text): item.text
            for item in items
            if item.image is None and item.text is not None
        }
        images = [item.image for item in items if item.image is not None and item.text is None]
        model = self.model
        for tower, frozen, head, keys, read in (
            (model.image_tower, self._images, model.image_head, images, pictures.picture),
            (model.text_tower, self._texts, model.text_head, texts, texts.__getitem__),
        ):
            if frozen is not None:
                frozen.add(keys, read)
            if self.training and keys and isinstance(head, Head) and not head.is_fitted:
                head.fit_scale(_scale_features(tower, frozen, keys, read))

    def settings(self) -> dict[str, Any]:
        towers = (self.model.text_tower, self.model.image_tower)
        return {tower.modality: [type(tower).__name__, tower.settings()] for tower in towers}

    def restart(self, seed: int) -> bool:
        if self._can_restart:
            old = self.model
            config = ModelConfig(embedding_dim=old.embedding_dim, head_dropout=old.heads[0].dropout)
            self.model = seeded_model(old.text_tower, old.image_tower, config, seed)
            self.train()
        return self._can_restart

    def _autocast(self) -> torch.autocast:
        """Half precision in the passes that train a tower; embeddings to keep are exact."""
        kind = self.model.device.type
        wanted = kind == "cuda" if self._dtype == "auto" else self._dtype == "bfloat16"
        is_on = wanted and self.training and self.tune != "heads"
        return torch.autocast(kind, torch.bfloat16, enabled=is_on)

    def _add_lora(self, tower: Tower, settings: LoraSettings, seed: int) -> None:
        network, place = tower.language_model()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            name = self._base_names[tower.modality]
            add_lora(network, settings, language_model=place, vision=(), name=name)

    def save(self, directory: Path) -> None:
        """Writes the model, with LoRA merged in and once more alone in `adapter/`.

        The LoRA of an image tower goes to `image/adapter/`.
        `SentenceTransformer(directory, trust_remote_code=True)` loads it; without
        heads it is a plain CLIP-like model, and no code needs to be trusted.
        """
        weights = merged_weights(self.model) if self._with_lora else None
        self.model.save(directory, weights=weights)
        for tower in self._with_lora:
            network, _ = tower.language_model()
            folder = directory if tower.modality == "text" else directory / tower.modality
            save_adapter(network, folder, self._base_names[tower.modality])
        settings = {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine"}
        _write_json(directory / "config_sentence_transformers.json", settings)
        if self.model.heads:
            modules = [{"idx": 0, "name": "0", "path": "", "type": f"dual.{DualModel.__name__}"}]
            _write_json(directory / "modules.json", modules)
            copy_portable("trainer.portable.dual", directory)

    @classmethod
    def load(
        cls, directory: Path, config: ModelConfig | None = None, seed: int = 0
    ) -> "DualEncoder":
        """The encoder that `save` wrote, in evaluation mode.

        Args:
            directory: Holds it.
            config: For training it on, its heads where that says nothing, or LoRA where it
                has none; None trains nothing but heads.
            seed: Of LoRA's weights.

        Raises:
            ModelError: The directory has no such model, or it is damaged.
        """
        if not (directory / CONFIG_NAME).is_file():
            raise ModelError(directory, f"no {CONFIG_NAME}")
        try:
            model = DualModel.load(str(directory))
        except Exception as exc:  # each part of it has errors of its own
            raise ModelError(directory, f"damaged ({type(exc).__name__}: {exc})") from exc
        tune: Tune = "heads"
        if config is not None:
            tune = config.tune or ("heads" if model.heads else "lora")
            if tune == "heads" and not model.heads:
                model = seeded_model(model.text_tower, model.image_tower, config, seed)
        config = config or ModelConfig()
        for head in model.heads:
            head.dropout = config.head_dropout
        return cls(
            model,
            note=f"A dual encoder read from {directory.name}.",
            tune=tune,
            lora=config.lora,
            seed=seed,
            base_name=directory.name,
            image_base_name=directory.name,
            cache=default_cache(),
            dtype=config.dtype,
        ).eval()


def default_cache() -> FeatureCache:
    """The cache that all runs of a user share."""
    return FeatureCache(default_cache_dir())


def seeded_model(text: Tower, image: Tower, config: ModelConfig, seed: int) -> DualModel:
    """Towers with fresh heads, whose weights depend on the seed alone.

    The sides of one CLIP-like model start with equal heads, for its space is one already.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DualModel(
            text, image, embedding_dim=config.embedding_dim, dropout=config.head_dropout
        )
    is_clip = isinstance(text, ClipTextTower) and isinstance(image, ClipImageTower)
    if is_clip and text.settings()["config"] == image.settings()["config"]:
        model.image_head.load_state_dict(model.text_head.state_dict())
    return model


def _defaults(model: DualModel, tune: Tune) -> TrainingDefaults:
    """What suits these towers, where the user has not decided."""
    defaults = _HEADS_DEFAULTS if tune == "heads" else _TOWER_DEFAULTS
    if not model.heads:
        assert isinstance(model.text_tower, ClipTextTower)
        lowest, highest = _TEMPERATURES
        temperature = min(max(model.text_tower.temperature, lowest), highest)
        defaults = _OWN_SPACE_DEFAULTS.model_copy(update={"temperature": temperature})
    if tune == "full":
        rate = min(defaults.learning_rate, _MAX_FULL_LEARNING_RATE)
        defaults = defaults.model_copy(update={"learning_rate": rate})
    return defaults


def _scale_features(
    tower: Tower,
    frozen: FrozenFeatures | None,
    keys: Collection[str],
    read: Callable[[str], Any],
) -> Tensor:
    """Features that a head takes its scale from, shape (B, F)."""
    if frozen is not None:
        rows = [frozen.row(key) for key in dict.fromkeys(keys)]
        return frozen.gather([row for row in rows if row is not None])
    chosen = sorted(set(keys))[:_NUM_SCALE_ITEMS]
    was_training = tower.training
    tower.eval()
    with torch.no_grad():
        parts = [
            tower([tower.prepare(read(key)) for key in chosen[start : start + _SCALE_WINDOW]]).cpu()
            for start in range(0, len(chosen), _SCALE_WINDOW)
        ]
    tower.train(was_training)
    return torch.cat(parts)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _features(items: Sequence[DualItem], tower: Tower, frozen: FrozenFeatures | None) -> Tensor:
    """Features of items of one tower, shape (B, F): gathered, computed, or both."""
    rows = [item.row for item in items if item.row is not None]
    if frozen is not None and len(rows) == len(items):
        return frozen.gather(rows)
    rest = [item.prepared for item in items if item.row is None]
    if not rows or frozen is None:
        return tower(rest)
    gathered_BF = frozen.gather(rows)
    places = [place for place, item in enumerate(items) if item.row is not None]
    others = [place for place, item in enumerate(items) if item.row is None]
    computed_BF = tower(rest)
    return in_order([gathered_BF.to(computed_BF.device), computed_BF], [*places, *others])
