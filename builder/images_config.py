"""The `images:` block of the configuration: which images are taken, and how they are used."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from schemas.pictures import MAX_PICTURE_PIXELS

_LATER_IMAGE_FIELDS = {"max_samples_per_image"}


class SafetyConfig(BaseModel):
    """A model that new images are shown to, and which of its labels keep an image out.

    Args:
        model: An image classification model of `transformers`: its name on the Hub, or a
            directory.
        labels: Labels of the model that stand for unsafe.
        threshold: An image whose labels are at least so probable is refused.
    """

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str, Field(min_length=1)]
    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5


class ImagesConfig(BaseModel):
    """Vetting of incoming images and the picking of positives and hard negatives.

    `embedder` is "auto", "efficientnet-lite0" (packaged, extra `embed`), "descriptor"
    (colours and edges, no weights: for pictograms and tests), or the name or
    directory of a Hugging Face vision model. Auto is the descriptor for a corpus of
    nothing but the bundled pictograms, else EfficientNet where it is installed;
    a corpus keeps what it was first planned with. `window` bounds the cosine
    similarity of a positive or hard negative to its query image: near enough to
    be related, not a copy. Null calibrates it on the corpus; the descriptor has
    one of its own. `max_samples_per_image` bounds how many kept samples may have the
    same query image; null is no bound. `safety` names a model that `images add` shows
    new images to, and refuses those it takes for unsafe.
    """

    model_config = ConfigDict(extra="forbid")

    embedder: str = "auto"
    window: tuple[float, float] | None = None
    num_neighbours: Annotated[int, Field(gt=1)] = 24
    max_side_px: Annotated[int, Field(ge=32)] = 1_024
    min_side_px: Annotated[int, Field(ge=1)] = 32
    max_image_pixels: Annotated[int, Field(gt=0, le=MAX_PICTURE_PIXELS)] = MAX_PICTURE_PIXELS
    max_image_bytes: Annotated[int, Field(gt=0)] = 50_000_000
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    max_samples_per_image: Annotated[int, Field(gt=0)] | None = None
    safety: SafetyConfig | None = None

    def as_published(self) -> dict[str, Any]:
        """As releases write it: what later versions of this program added only where it is set.

        So releases made before keep their bytes. Which model looked at new images is left out.
        """
        later = self.model_dump(mode="json", include=_LATER_IMAGE_FIELDS, exclude_defaults=True)
        return self.model_dump(mode="json", exclude={*_LATER_IMAGE_FIELDS, "safety"}) | later
