"""The types of vision-language models there are ways for, and what differs between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from trainer.portable.image_tokens import (
    ImageBlock,
    gemma3_block,
    gemma4_block,
    idefics_block,
    internvl_block,
    lfm2_block,
    mllama_block,
    paligemma_block,
    qwen_block,
)


class UnknownFamilyError(ValueError):
    """A model type that there is no way for.

    Args:
        model_type: As its config.json names it.
    """

    def __init__(self, model_type: str) -> None:
        self.model_type = model_type
        super().__init__(
            f'models of type "{model_type}" are not supported. '
            f"Take one of {', '.join(sorted(FAMILIES))}."
        )


@dataclass(frozen=True, slots=True)
class Family:
    """One type of model: where its parts are and how it wants an image.

    Args:
        language_model: Attribute of the language model.
        vision: Attributes of the vision tower and of what connects it.
        block: Token ids of a picture.
        tower_inputs: What the vision tower reads, as the image processor names it.
        placeholder: The token that stands for the whole block in a chat template;
            None is the image token itself.
        around: Tokens that the text has around the block.
        image_kind: Value of image tokens in the input that tells image from text.
        kind_input: Name of that input.
        position_inputs: Inputs of the vision tower that the language model reads too.
        features: How the model takes image features: one list entry per image, one
            tensor, or states for cross attention.
        is_tiled: Whether the image processor gives tiles in the second dimension.
        image_before_bos: Whether the block stands before the token that begins a text.
        processor_options: Settings of the image processor that the family's processor makes.
    """

    language_model: str
    vision: tuple[str, ...]
    block: ImageBlock
    tower_inputs: tuple[str, ...] = ("pixel_values",)
    placeholder: str | None = None
    around: tuple[str, str] | None = None
    kind_input: str | None = None
    image_kind: int = 1
    position_inputs: tuple[str, ...] = ()
    features: Literal["list", "tensor", "cross"] = "list"
    is_tiled: bool = False
    image_before_bos: bool = False
    processor_options: Mapping[str, Any] = field(default_factory=dict)


_QWEN = Family(
    "language_model",
    ("visual",),
    qwen_block,
    tower_inputs=("pixel_values", "image_grid_thw"),
    around=("<|vision_start|>", "<|vision_end|>"),
    kind_input="mm_token_type_ids",
    position_inputs=("image_grid_thw",),
)
_IDEFICS = Family(
    "text_model",
    ("vision_model", "connector"),
    idefics_block,
    tower_inputs=("pixel_values", "pixel_attention_mask"),
    is_tiled=True,
    processor_options={"return_row_col_info": True},
)
_GEMMA4 = Family(
    "language_model",
    ("vision_tower", "embed_vision"),
    gemma4_block,
    tower_inputs=("pixel_values", "image_position_ids"),
)
_TOWER = ("vision_tower", "multi_modal_projector")

FAMILIES: Mapping[str, Family] = {
    "qwen2_vl": _QWEN,
    "qwen2_5_vl": _QWEN,
    "qwen3_vl": _QWEN,
    "qwen3_5": _QWEN,
    "smolvlm": _IDEFICS,
    "idefics3": _IDEFICS,
    "modernvbert": _IDEFICS,
    "mllama": Family(
        "language_model",
        ("vision_model", "multi_modal_projector"),
        mllama_block,
        tower_inputs=("pixel_values", "aspect_ratio_ids", "aspect_ratio_mask"),
        features="cross",
        image_before_bos=True,
    ),
    "gemma3": Family(
        "language_model",
        _TOWER,
        gemma3_block,
        placeholder="<start_of_image>",
        kind_input="token_type_ids",
        features="tensor",
    ),
    "gemma4": replace(_GEMMA4, kind_input="mm_token_type_ids"),
    "embedding_gemma2": _GEMMA4,
    "internvl": Family(
        "language_model",
        _TOWER,
        internvl_block,
        features="tensor",
        processor_options={"crop_to_patches": True},
    ),
    "lfm2_vl": Family(
        "language_model",
        _TOWER,
        lfm2_block,
        tower_inputs=("pixel_values", "spatial_shapes", "pixel_attention_mask"),
    ),
    "paligemma": Family(
        "language_model",
        _TOWER,
        paligemma_block,
        kind_input="token_type_ids",
        image_kind=0,  # it was trained with two-way attention over image and prompt
        features="tensor",
        image_before_bos=True,
    ),
}


def family_of(model_type: str) -> Family:
    """How models of this type are handled.

    Raises:
        UnknownFamilyError: There is no way for them.
    """
    try:
        return FAMILIES[model_type]
    except KeyError:
        raise UnknownFamilyError(model_type) from None
