"""How one picture is written into the token ids of each family of models.

The blocks are those of the families' own processors, which cannot be used:
most need torchvision, if only for videos.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: Token ids of one picture, from the vocabulary and what the image processor gave.
ImageBlock = Callable[["Vocabulary", Mapping[str, Any]], list[int]]


@dataclass(frozen=True)
class Vocabulary:
    """Ids of special tokens and of short texts.

    Args:
        config: The model's configuration.
        id_of: Id of a special token, or None where the vocabulary lacks it.
        encode: Token ids of a text, without special tokens around it.
    """

    config: Any
    id_of: Callable[[str], int | None]
    encode: Callable[[str], list[int]]

    @property
    def image_id(self) -> int:
        """The token that image features take the place of."""
        image_id = getattr(self.config, "image_token_id", None)
        return self.config.image_token_index if image_id is None else image_id

    def special(self, token: str, *config_names: str) -> int:
        """Id of a special token: as the configuration has it, else as it is spelled.

        Raises:
            ValueError: Neither knows it.
        """
        for name in config_names:
            token_id = getattr(self.config, name, None)
            if token_id is not None:
                return token_id
        token_id = self.id_of(token)
        if token_id is None:
            raise ValueError(
                f"the tokenizer has no token {token}, which marks images for this type of model"
            )
        return token_id

    def tokens_per_tile(self, shrink: float) -> int:
        """Tokens of one square tile whose patches are merged `shrink` x `shrink` to one."""
        vision = self.config.vision_config
        return int((_side(vision.image_size) // _side(vision.patch_size)) ** 2 / shrink**2)


def qwen_block(vocabulary: Vocabulary, image: Mapping[str, Any]) -> list[int]:
    """As many tokens as merged patches; start and end are of the text around."""
    merged = vocabulary.config.vision_config.spatial_merge_size**2
    return [vocabulary.image_id] * (int(image["image_grid_thw"][0].prod()) // merged)


def idefics_block(vocabulary: Vocabulary, image: Mapping[str, Any]) -> list[int]:
    """Tiles row by row, each with its place, and the whole picture last."""
    config = vocabulary.config
    shrink = getattr(config, "scale_factor", None) or config.pixel_shuffle_factor
    tile = [vocabulary.image_id] * vocabulary.tokens_per_tile(shrink)
    edge = vocabulary.special("<fake_token_around_image>")
    rows, columns = image["rows"][0][0], image["cols"][0][0]
    ids: list[int] = []
    for row in range(rows):
        for column in range(columns):
            place = f"<row_{row + 1}_col_{column + 1}>"
            ids += [edge, *_spelled(vocabulary, place), *tile]
        ids += vocabulary.encode("\n" if row + 1 < rows else "\n\n")
    return [*ids, edge, *_spelled(vocabulary, "<global-img>"), *tile, edge]


def mllama_block(vocabulary: Vocabulary, image: Mapping[str, Any]) -> list[int]:
    """One token: the picture itself is seen through cross attention."""
    return [vocabulary.image_id]


def gemma3_block(vocabulary: Vocabulary, image: Mapping[str, Any]) -> list[int]:
    blank = vocabulary.encode("\n\n")
    start = vocabulary.special("<start_of_image>", "boi_token_index", "boi_token_id")
    end = vocabulary.special("<end_of_image>", "eoi_token_index", "eoi_token_id")
    tokens = [vocabulary.image_id] * vocabulary.config.mm_tokens_per_image
    return [*blank, start, *tokens, end, *blank]


def gemma4_block(vocabulary: Vocabulary, image: Mapping[str, Any]) -> list[int]:
    """As many tokens as the picture's own shape asks for, between start and end."""
    start = vocabulary.special("<|image>", "boi_token_id", "boi_token_index")
    end = vocabulary.special("<image|>", "eoi_token_id", "eoi_token_index")
    return [start, *[vocabulary.image_id] * int(image["num_soft_tokens_per_image"][0]), end]


def internvl_block(vocabulary: Vocabulary, image: Mapping[str, Any]) -> list[int]:
    tokens = vocabulary.tokens_per_tile(1 / vocabulary.config.downsample_ratio)
    num_tiles = int(image["num_patches"][0])
    return [
        vocabulary.special("<img>"),
        *[vocabulary.image_id] * (tokens * num_tiles),
        vocabulary.special("</img>"),
    ]


def paligemma_block(vocabulary: Vocabulary, image: Mapping[str, Any]) -> list[int]:
    return [vocabulary.image_id] * vocabulary.tokens_per_tile(1)


def lfm2_block(vocabulary: Vocabulary, image: Mapping[str, Any]) -> list[int]:
    """Tiles row by row, each with its place, then the thumbnail; one tile has no place."""
    ids = [vocabulary.special("<|image_start|>")]
    rows, columns = image["image_rows"][0], image["image_cols"][0]
    counts = [int(count) for count in image["tokens_per_tile"]]
    places = [f"<|img_row_{row + 1}_col_{column + 1}|>"
              for row in range(rows) for column in range(columns)]  # fmt: skip
    if rows * columns == 1:
        ids += [vocabulary.image_id] * counts[0]
    else:
        for place, count in zip([*places, "<|img_thumbnail|>"], counts, strict=False):
            ids += [*_spelled(vocabulary, place), *[vocabulary.image_id] * count]
    return [*ids, vocabulary.special("<|image_end|>")]


def _spelled(vocabulary: Vocabulary, token: str) -> list[int]:
    """A token's id, or the ids it is split into where the vocabulary has no such token."""
    token_id = vocabulary.id_of(token)
    return vocabulary.encode(token) if token_id is None else [token_id]


def _side(size: Any) -> int:
    return size[0] if isinstance(size, list | tuple) else size
