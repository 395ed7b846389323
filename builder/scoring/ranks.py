"""At which place a text finds its own picture among the pictures of all groups."""

# T texts, I images, C candidate images, D embedding

import numpy as np

from builder.scoring.prototypes import Floats, Numbers

#: Groups beyond this many are drawn from: a place among so many says enough.
MAX_CANDIDATES = 10_000
_ROWS_AT_ONCE = 4_096


def picture_ranks(
    text_TD: Floats, image_T: Numbers, image_ID: Floats, image_group_I: Numbers
) -> tuple[Numbers, int]:
    """Places of texts' own pictures by cosine, shape (T,), 1 the first, and among how many.

    The candidates are a picture of each group; of the text's own group the picture that it stands
    beside. A tie counts against the text.

    Args:
        text_TD: Unit vectors of the texts, one a row of data.
        image_T: Number of each text's picture.
        image_ID: Unit vectors of the pictures.
        image_group_I: Number of each picture's group.
    """
    groups, first = np.unique(image_group_I, return_index=True)
    if len(groups) > MAX_CANDIDATES:
        drawn = np.random.default_rng(0).permutation(len(groups))[:MAX_CANDIDATES]
        groups, first = groups[drawn], first[drawn]
    candidate_CD = image_ID[first]
    rank_T = np.empty(len(text_TD), np.int64)
    for start in range(0, len(text_TD), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        own_image_R = image_T[rows]
        own_R1 = np.einsum("rd,rd->r", text_TD[rows], image_ID[own_image_R])[:, None]
        is_before_RC = text_TD[rows] @ candidate_CD.T >= own_R1
        is_before_RC &= groups != image_group_I[own_image_R][:, None]
        rank_T[rows] = 1 + is_before_RC.sum(axis=1)
    return rank_T, len(groups)
