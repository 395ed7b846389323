"""Scores what a workspace keeps: reads the claims, embeds them once, writes the scores."""

# T texts, I images, D embedding

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.ledger.scores import Score, write_scores
from builder.scoring.claims import Claim, read_claims
from builder.scoring.models import Scorer, ScorerError
from builder.scoring.prototypes import MIN_TEXTS_PER_GROUP, joint_margins
from schemas.pictures import read_picture

_ITEMS_AT_ONCE = 512
#: Longest side that pictures are decoded to; models look at less.
_SIDE_PX = 512

Floats = NDArray[np.float32]
#: Called with what is embedded, how many are done and how many there are.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Scored:
    """What was scored, and how.

    Args:
        claims: Of all rows with a text and a picture.
        scores: In the same order.
        num_rows: Kept rows, with those that make no claim.
        num_groups: Groups of pictures.
        is_joint: Whether the joint prototype margin was used, or the plain cosine.
        scorer: Name of the model.
    """

    claims: Sequence[Claim]
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
        return len(self.claims) / max(1, self.num_groups)


def score_kept(ledger: Ledger, store: ImageStore, scorer: Scorer, progress: Progress) -> Scored:
    """Scores every kept sample with a text and a picture, and writes the scores down.

    Each text and picture is embedded once. Where groups of pictures have several texts,
    the score is the joint prototype margin, else the cosine.

    Raises:
        ScorerError: No sample has both, or the model gives no numbers.
        LedgerError: The ledger is damaged.
    """
    group_of = _Groups(store)
    num_rows = sum(ledger.accepted_counts().values())
    claims = list(read_claims(ledger.kept(), group_of))
    if not claims:
        raise ScorerError(
            f"{ledger.path}: no kept sample has a text and a picture, so there is nothing to score."
        )
    text_TD, text_T = _texts(claims, scorer, progress)
    image_ID, image_T = _images(claims, store, scorer, progress)
    groups = {group: number for number, group in enumerate(dict.fromkeys(map(_group, claims)))}
    group_T = np.array([groups[claim.group] for claim in claims])
    image_group_I = np.empty(len(image_ID), np.int64)
    image_group_I[image_T] = group_T
    claimed_TD = text_TD[text_T[0]]
    cosine_T = np.einsum("td,td->t", claimed_TD, image_ID[image_T])
    margin_T = _margins(cosine_T, text_TD, text_T[1], image_ID[image_T])
    is_joint = len(claims) >= MIN_TEXTS_PER_GROUP * len(groups) and len(groups) > 1
    score_T = joint_margins(claimed_TD, group_T, image_ID, image_group_I) if is_joint else cosine_T
    scores = [
        Score(claim.sample_id, claim.language, float(score), float(cosine), margin)
        for claim, score, cosine, margin in zip(claims, score_T, cosine_T, margin_T, strict=True)
    ]
    scored = Scored(claims, scores, num_rows, len(groups), is_joint, scorer.name)
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


def _group(claim: Claim) -> str:
    return claim.group


def _texts(
    claims: Sequence[Claim], scorer: Scorer, progress: Progress
) -> tuple[Floats, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Vectors of the different texts, and of each claim its text's and its negative's number.

    A claim without a negative has -1.
    """
    numbers: dict[str, int] = {}
    for claim in claims:
        numbers.setdefault(claim.text, len(numbers))
        if claim.negative is not None:
            numbers.setdefault(claim.negative, len(numbers))
    vectors = _embed(list(numbers), scorer.embed_texts, "texts", progress)
    text_T = np.array([numbers[claim.text] for claim in claims])
    negative_T = np.array([-1 if c.negative is None else numbers[c.negative] for c in claims])
    return vectors, (text_T, negative_T)


def _images(
    claims: Sequence[Claim], store: ImageStore, scorer: Scorer, progress: Progress
) -> tuple[Floats, NDArray[np.int64]]:
    """Vectors of the different pictures, and the number of each claim's."""
    numbers: dict[str, int] = {}
    for claim in claims:
        numbers.setdefault(claim.image, len(numbers))

    def embed(names: Sequence[str]) -> Floats:
        return scorer.embed_images([_picture(store, name) for name in names])

    vectors = _embed(list(numbers), embed, "pictures", progress)
    return vectors, np.array([numbers[claim.image] for claim in claims])


def _picture(store: ImageStore, sha256: str) -> Image.Image:
    return read_picture(store.read(sha256).data, max_side_px=_SIDE_PX)


def _embed(
    items: Sequence[str], embed: Callable[[Sequence[str]], Floats], what: str, progress: Progress
) -> Floats:
    parts: list[Floats] = []
    done = 0
    progress(what, 0, len(items))
    for names in _in_tuples(items):
        parts.append(embed(names))
        done += len(names)
        progress(what, done, len(items))
    return np.concatenate(parts)


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
