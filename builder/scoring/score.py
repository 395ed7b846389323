"""Scores what a workspace keeps: reads the pairs, embeds them once, writes the scores."""

# T texts, I images, D embedding

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.ledger.scores import Score, rows_to_score, write_scores
from builder.progress import Progress
from builder.scoring.models import Scorer, ScorerError, TextVectors
from builder.scoring.negatives import negative_matches
from builder.scoring.pairs import Pair, read_pairs
from builder.scoring.prototypes import MIN_TEXTS_PER_GROUP, joint_margins
from builder.scoring.ranks import picture_ranks
from schemas.pictures import read_picture

_ITEMS_AT_ONCE = 512
#: Longest side that pictures are decoded to; models look at less.
_SIDE_PX = 512

Floats = NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scored:
    """What was scored, and how.

    Args:
        pairs: Of all rows with a text and a picture.
        scores: In the same order.
        num_rows: Of kept rows and those that a low score dropped, with those that make no pair.
        num_groups: Groups of pictures.
        is_joint: Whether the joint prototype margin was used, or the plain cosine.
        scorer: Name of the model.
    """

    pairs: Sequence[Pair]
    scores: Sequence[Score]
    num_rows: int
    num_groups: int
    is_joint: bool
    scorer: str

    @property
    def rule(self) -> str:
        return "joint prototype margin" if self.is_joint else "cosine of text and picture"

    @property
    def texts_per_group(self) -> float:
        return len(self.pairs) / max(1, self.num_groups)


def score_samples(ledger: Ledger, store: ImageStore, scorer: Scorer, progress: Progress) -> Scored:
    """Scores every sample with a text and a picture, and writes the scores down.

    They are the kept ones, and those that a low score dropped before.

    Each text and picture is embedded once. Where groups of pictures have several texts,
    the score is the joint prototype margin, else the cosine.

    Raises:
        ScorerError: No sample has both, or the model gives no numbers.
        LedgerError: The ledger is damaged.
    """
    group_of = _Groups(store)
    rows = list(rows_to_score(ledger))
    pairs = list(read_pairs(rows, group_of))
    if not pairs:
        raise ScorerError(
            f"{ledger.path}: no kept sample has a text and a picture, so there is nothing to score."
        )
    texts, text_T = _texts(pairs, scorer, progress)
    text_TD = texts.joint_BD
    image_ID, image_T = _images(pairs, store, scorer, progress)
    groups = {group: number for number, group in enumerate(dict.fromkeys(map(_group, pairs)))}
    group_T = np.array([groups[pair.group] for pair in pairs])
    image_group_I = np.empty(len(image_ID), np.int64)
    image_group_I[image_T] = group_T
    paired_TD = text_TD[text_T[0]]
    cosine_T = np.einsum("td,td->t", paired_TD, image_ID[image_T])
    margin_T = _margins(cosine_T, text_TD, text_T[1], image_ID[image_T])
    is_joint = len(pairs) >= MIN_TEXTS_PER_GROUP * len(groups) and len(groups) > 1
    score_T = joint_margins(paired_TD, group_T, image_ID, image_group_I) if is_joint else cosine_T
    match_T = _negative_matches(texts.plain_BF, text_T, group_T, len(groups))
    rank_T, num_ranked = picture_ranks(paired_TD, image_T, image_ID, image_group_I)
    scores = [
        Score(
            *(pair.sample_id, pair.language, float(score), float(cosine), margin, match),
            *(int(rank), num_ranked),
        )
        for pair, score, cosine, margin, match, rank in zip(
            *(pairs, score_T, cosine_T, margin_T, match_T, rank_T), strict=True
        )
    ]
    scored = Scored(pairs, scores, len(rows), len(groups), is_joint, scorer.name)
    write_scores(ledger, scores, f"{scorer.name}, {scored.rule}")
    return scored


class _Groups:
    """Group of a picture, each looked up once."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._known: dict[str, str] = {}

    def __call__(self, sha256: str) -> str:
        if sha256 not in self._known:
            self._known[sha256] = self._store.record(sha256).group
        return self._known[sha256]


def _group(pair: Pair) -> str:
    return pair.group


def _texts(
    pairs: Sequence[Pair], scorer: Scorer, progress: Progress
) -> tuple[TextVectors, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Vectors of the different texts, and of each pair its text's and its negative's number.

    A pair without a negative has -1.
    """
    numbers: dict[str, int] = {}
    for pair in pairs:
        numbers.setdefault(pair.text, len(numbers))
        if pair.negative is not None:
            numbers.setdefault(pair.negative, len(numbers))
    parts = list(_embed(list(numbers), scorer.embed_texts, "texts", progress))
    vectors = TextVectors(
        np.concatenate([part.joint_BD for part in parts]),
        np.concatenate([part.plain_BF for part in parts]),
    )
    text_T = np.array([numbers[pair.text] for pair in pairs])
    negative_T = np.array([-1 if c.negative is None else numbers[c.negative] for c in pairs])
    return vectors, (text_T, negative_T)


def _images(
    pairs: Sequence[Pair], store: ImageStore, scorer: Scorer, progress: Progress
) -> tuple[Floats, NDArray[np.int64]]:
    """Vectors of the different pictures, and the number of each pair's."""
    numbers: dict[str, int] = {}
    for pair in pairs:
        numbers.setdefault(pair.image, len(numbers))

    def embed(names: Sequence[str]) -> Floats:
        return scorer.embed_images([_picture(store, name) for name in names])

    vectors = np.concatenate(list(_embed(list(numbers), embed, "pictures", progress)))
    return vectors, np.array([numbers[pair.image] for pair in pairs])


def _picture(store: ImageStore, sha256: str) -> Image.Image:
    return read_picture(store.read(sha256).data, max_side_px=_SIDE_PX)


def _embed(
    items: Sequence[str], embed: Callable[[Sequence[str]], T], what: str, progress: Progress
) -> Iterator[T]:
    done = 0
    progress(what, 0, len(items))
    for names in _in_tuples(items):
        yield embed(names)
        done += len(names)
        progress(what, done, len(items))


def _in_tuples(items: Sequence[str]) -> Iterable[Sequence[str]]:
    return (items[i : i + _ITEMS_AT_ONCE] for i in range(0, len(items), _ITEMS_AT_ONCE))


def _margins(
    cosine_T: Floats, text_ND: Floats, negative_T: NDArray[np.int64], image_TD: Floats
) -> list[float | None]:
    """Cosine of the positive less that of the hard negative, with the same picture."""
    has_negative_T = negative_T >= 0
    negative_cosine_T = np.einsum("td,td->t", text_ND[negative_T], image_TD)
    return [
        float(cosine - negative) if has else None
        for cosine, negative, has in zip(cosine_T, negative_cosine_T, has_negative_T, strict=True)
    ]


def _negative_matches(
    plain_NF: Floats,
    text_T: tuple[NDArray[np.int64], NDArray[np.int64]],
    group_T: NDArray[np.int64],
    num_groups: int,
) -> list[float | None]:
    """How well each hard negative's text fits its sample's own group; None where there is none."""
    own_T, negative_T = text_T
    rows = np.flatnonzero(negative_T >= 0)
    found: list[float | None] = [None] * len(own_T)
    if num_groups < 2 or not len(rows):
        return found
    claims, claim_T = np.unique(np.stack([group_T, own_T], axis=1), axis=0, return_inverse=True)
    matches = negative_matches(
        plain_NF[negative_T[rows]], claim_T[rows], plain_NF[claims[:, 1]], claims[:, 0]
    )
    for row, match in zip(rows, matches, strict=True):
        found[row] = float(match)
    return found
