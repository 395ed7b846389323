"""What an evaluation set holds, in a form that samples can be compared with quickly."""

# N texts or images, E images of the evaluation set, G n-grams

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from builder.decontaminate.evaluation_set import EvaluationSetError, Part, Text, Unreadable
from builder.images.fingerprint import LOOK_BYTES, look_hash
from builder.images.near_duplicates import near_pairs
from schemas.pictures import PictureError, read_picture
from schemas.text_rules.normal_form import normalise

#: Bits of 256 in which copies may differ: closer than where images of a corpus are grouped, as
#: here every false match costs a sample. Resized and recompressed copies lie within 20.
MAX_DISTANCE = 40
#: Words that a text and one of the evaluation set must share in a row.
NUM_WORDS = 8
#: Of a shorter text all words must be shared; of fewer than these nothing follows.
_MIN_WORDS = 5
#: Texts without spaces between words are compared by characters, so many for each word.
_CHARS_PER_WORD = 2
_GRAMS_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class EvaluationIndex:
    """Hashes of an evaluation set's pictures and n-grams.

    Args:
        look_EB: Look hashes of its pictures, shape (E, 32).
        where_E: Where each picture is.
        grams_G: Hashes of its n-grams, sorted.
        num_words: Words of an n-gram.
        num_texts: Its texts.
        unreadable: What could not be read, so that nothing was compared with it.
    """

    look_EB: NDArray[np.uint8]
    where_E: list[str]
    grams_G: NDArray[np.int64]
    num_words: int
    num_texts: int
    unreadable: list[Unreadable]

    def holds_text(self, text: str) -> bool:
        """Whether the evaluation set has one of the text's n-grams."""
        grams = np.fromiter(ngrams(text, self.num_words), np.int64)
        if not len(grams) or not len(self.grams_G):
            return False
        places = np.searchsorted(self.grams_G, grams)
        places[places == len(self.grams_G)] = 0
        return bool((self.grams_G[places] == grams).any())

    def matching_images(
        self, look_NB: NDArray[np.uint8], max_distance: int
    ) -> dict[int, tuple[str, int]]:
        """The nearest picture of the set, and its distance, of each image that has a near one."""
        found: dict[int, tuple[str, int]] = {}
        for image, other, distance in near_pairs(look_NB, self.look_EB, max_distance):
            if image not in found or distance < found[image][1]:
                found[image] = (self.where_E[other], distance)
        return found


def index_evaluation_set(
    content: Iterable[Part],
    num_words: int = NUM_WORDS,
    advance: Callable[[int], None] = lambda _: None,
) -> EvaluationIndex:
    """Hashes all pictures and texts of an evaluation set.

    Raises:
        EvaluationSetError: It holds neither.
    """
    looks: list[NDArray[np.uint8]] = []
    where: list[str] = []
    seen: set[bytes] = set()
    parts: list[NDArray[np.int64]] = []
    block: list[int] = []
    unreadable: list[Unreadable] = []
    num_texts = 0
    for each in content:
        advance(1)
        if isinstance(each, Unreadable):
            unreadable.append(each)
            continue
        if isinstance(each, Text):
            num_texts += 1
            block.extend(ngrams(each.text, num_words))
            if len(block) >= _GRAMS_AT_ONCE:
                parts.append(np.unique(np.array(block, np.int64)))
                block = []
            continue
        try:
            look = look_hash(read_picture(each.data))
        except PictureError as exc:
            unreadable.append(Unreadable(each.where, str(exc)))
            continue
        if look.tobytes() not in seen:
            seen.add(look.tobytes())
            looks.append(look)
            where.append(each.where)
    parts.append(np.array(block, np.int64))
    if not looks and not num_texts:
        raise EvaluationSetError(
            "the evaluation set holds no picture and no text that can be read. Name the folder "
            "with its Parquet, JSON Lines, CSV or text files and its pictures."
        )
    look_EB = np.stack(looks) if looks else np.empty((0, LOOK_BYTES), np.uint8)
    grams_G = np.unique(np.concatenate(parts))
    return EvaluationIndex(look_EB, where, grams_G, num_words, num_texts, unreadable)


def ngrams(text: str, num_words: int) -> Iterator[int]:
    """Hashes of a text's runs of so many words, or of the whole text where it has fewer.

    They compare within one process only. Text without spaces is taken by its characters.
    """
    normal = normalise(text)
    is_unspaced = _is_unspaced(normal)
    words = list(normal.replace(" ", "")) if is_unspaced else normal.split()
    factor = _CHARS_PER_WORD if is_unspaced else 1
    if len(words) < _MIN_WORDS * factor:
        return
    size = num_words * factor
    for start in range(max(1, len(words) - size + 1)):
        yield hash(" ".join(words[start : start + size]))


def _is_unspaced(normal: str) -> bool:
    """Whether a text is mostly in a script that writes no spaces: Han, Kana, Thai, Lao and such."""
    letters = [char for char in normal if char.isalpha()]
    dense = sum(
        "\u0e00" <= char <= "\u0eff" or "\u1000" <= char <= "\u109f" or "\u1780" <= char <= "\u17ff"
        or "\u3040" <= char <= "\u30ff" or "\u3400" <= char <= "\u9fff"
        for char in letters
    )  # fmt: skip
    return 2 * dense > len(letters)
