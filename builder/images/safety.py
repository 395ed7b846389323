"""Refuses images that a named classification model takes for unsafe."""

# B images, C labels of the model

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builder.config import SafetyConfig
from command_line.extras import install_extra
from schemas.errors import PolysceneError
from schemas.pictures import read_picture

_BATCH = 16
#: Longest side of what the model is shown; such models look at a few hundred pixels.
_SHOWN_SIDE_PX = 512


class SafetyModelError(PolysceneError):
    """A model of image safety cannot be loaded, lacks a label, or gives no numbers."""


class SafetyModel:
    """An image classification model of `transformers`, and which of its labels are unsafe.

    Args:
        config: The model, the labels and the threshold.

    Raises:
        SafetyModelError: `transformers` is not installed, or the model cannot be loaded or has no
            such label.
    """

    def __init__(self, config: SafetyConfig) -> None:
        try:
            import torch
            from transformers import AutoImageProcessor, AutoModelForImageClassification
        except ImportError as exc:
            raise SafetyModelError(
                f"images.safety needs torch and transformers ({exc}). {install_extra('embed')}."
            ) from exc
        self._config = config
        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._processor: Any = AutoImageProcessor.from_pretrained(config.model)
            model: Any = AutoModelForImageClassification.from_pretrained(config.model)
        except Exception as exc:  # missing files, no network, another kind of model, …
            problem = " ".join(str(exc).split())[:300]
            raise SafetyModelError(
                f"images.safety.model {config.model!r} cannot be loaded ({type(exc).__name__}: "
                f"{problem}). Name an image classification model on the Hub or a directory."
            ) from exc
        self._model = model.eval().to(self._device)
        names = {str(name).lower(): number for number, name in model.config.id2label.items()}
        unknown = [label for label in config.labels if label.lower() not in names]
        if unknown:
            raise SafetyModelError(
                f"images.safety.labels: {config.model} has no label {', '.join(unknown)}. It has "
                f"{', '.join(map(str, model.config.id2label.values()))}."
            )
        self._numbers = [int(names[label.lower()]) for label in config.labels]
        self._is_multi_label = model.config.problem_type == "multi_label_classification"

    def unsafe_words(self, images: Sequence[bytes]) -> list[str | None]:
        """Why each image is refused, for people; None where it is not.

        Args:
            images: Encoded, in the normal form.

        Raises:
            SafetyModelError: The model gives something that is no number.
        """
        words: list[str | None] = []
        for start in range(0, len(images), _BATCH):
            for score_C in self._scores(images[start : start + _BATCH]):
                words.append(self._words(score_C))
        return words

    def _words(self, score_C: NDArray[np.float64]) -> str | None:
        # Labels of one choice share a probability of 1; others stand each for itself.
        mine = score_C[self._numbers]
        score = float(mine.max() if self._is_multi_label else mine.sum())
        if score < self._config.threshold:
            return None
        labels = " or ".join(self._config.labels)
        return f"{labels} with probability {score:.2f}, the limit is {self._config.threshold:g}"

    def _scores(self, images: Sequence[bytes]) -> NDArray[np.float64]:
        pictures = [read_picture(data, max_side_px=_SHOWN_SIDE_PX) for data in images]
        pixels = self._processor(images=pictures, return_tensors="pt").to(self._device)
        with self._torch.inference_mode():
            logit_BC = self._model(**pixels).logits.double()
            score_BC = logit_BC.sigmoid() if self._is_multi_label else logit_BC.softmax(dim=-1)
        found: NDArray[np.float64] = score_BC.cpu().numpy()
        if not np.isfinite(found).all():
            raise SafetyModelError(
                f"images.safety.model {self._config.model!r} gives NaN for an image, so it "
                "cannot be judged. Its weights are damaged or need another precision; "
                "name another model."
            )
        return found
