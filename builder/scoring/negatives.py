"""Hard negatives that may be right as well: their text says what others say of the same picture.

A hard negative's text is compared with all texts that other samples pair with a picture: the best
match among those of its own sample's group of pictures, less the best among those of any other
group. The vectors are those of texts alone, as a text model has them before it is trained beside
pictures: on the demo trained ones find less.

The order is far from sure (AUC about .70 on the demo's swapped negatives,
`python -m benchmarks.scoring`), so it says what to look at first and never drops a sample; the
judge's forced choice (`builder.generate.choosing`) is the gate.
"""

# N negatives, T texts, F features

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

#: More texts than this are thinned out evenly before they stand for "any other group".
_MAX_OTHERS = 50_000
_ROWS_AT_ONCE = 1_024


def negative_matches(
    negative_NF: Floats, own_N: Numbers, text_TF: Floats, text_group_T: Numbers
) -> Floats:
    """How much better a negative fits its own group than any other, shape (N,), from -2 to 2.

    The higher, the likelier it is right as well.

    Args:
        negative_NF: Unit vectors of the negatives' texts.
        own_N: Number of the text that each one's own sample pairs with the picture. It says which
            group is meant, and is left out: a hard negative resembles its own positive.
        text_TF: Unit vectors of the different texts of each group.
        text_group_T: Number of each text's group.
    """
    order = np.argsort(text_group_T, kind="stable")
    own_N = np.argsort(order, kind="stable")[own_N]
    text_TF, text_group_T = text_TF[order], text_group_T[order]
    negative_group_N = text_group_T[own_N]
    step = -(-len(text_TF) // _MAX_OTHERS)
    other_TF, other_group_T = text_TF[::step], text_group_T[::step]
    found_N = np.empty(len(negative_NF), np.float32)
    for start in range(0, len(negative_NF), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        group_R = negative_group_N[rows]
        cosine_RT = negative_NF[rows] @ other_TF.T
        cosine_RT[group_R[:, None] == other_group_T[None, :]] = -1.0
        found_N[rows] = -cosine_RT.max(axis=1, initial=-1.0)
    by_group_N = np.argsort(negative_group_N, kind="stable")
    groups, starts = np.unique(negative_group_N[by_group_N], return_index=True)
    for group, rows_R in zip(groups, np.split(by_group_N, starts[1:]), strict=True):
        first, last = np.searchsorted(text_group_T, [group, group + 1])
        cosine_RT = negative_NF[rows_R] @ text_TF[first:last].T
        cosine_RT[np.arange(len(rows_R)), own_N[rows_R] - first] = -1.0
        found_N[rows_R] += cosine_RT.max(axis=1)
    return found_N
