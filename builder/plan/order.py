"""The order in which jobs are sent: in stripes, each with the plan's proportions."""

# J jobs

import numpy as np
from numpy.typing import NDArray

from builder.plan.mixing import key_of

#: Increased whenever the same configuration and images give other jobs or another order.
PLAN_VERSION = 3
#: A stripe of a large plan holds about this many jobs; a small plan has about ten stripes.
_STRIPE_JOBS = 2_000
_MIN_STRIPE_JOBS = 50
_STRIPES_IN_SMALL_PLAN = 10
_OFFSET_BITS = 16
_ONE = 1 << _OFFSET_BITS
#: Steps whose multiples fall evenly between 0 and `_ONE`, however many there are: the golden
#: ratio's and the plastic number's. Source: Roberts 2018, "The unreasonable effectiveness of
#: quasirandom sequences".
_SLOT_STEP, _CELL_STEP = 40_503, 49_472


def num_stripes(num_jobs: int) -> int:
    """How many stripes a plan of this size has."""
    stripe_jobs = max(_MIN_STRIPE_JOBS, num_jobs // _STRIPES_IN_SMALL_PLAN)
    return -(-num_jobs // min(_STRIPE_JOBS, stripe_jobs))


def stripe_of(
    cell_J: NDArray[np.int8],
    language_J: NDArray[np.int16],
    anchor_J: NDArray[np.int32],
    key: int,
) -> NDArray[np.int64]:
    """Number of each job's stripe, shape (J,).

    Every cell and language is spread evenly over the stripes, so that a run
    stopped early has requested all of them in proportion. Inside a cell and
    language, jobs are distributed by their first image: where images are used
    often, the uses of one fall into few stripes.

    Args:
        cell_J: Number of each job's cell.
        language_J: Number of each job's language.
        anchor_J: Number of each job's first image.
        key: Decides which stripes have jobs of a slot with fewer jobs than there are stripes.
    """
    slot_J = cell_J.astype(np.int64) << 16 | language_J
    order_J = np.lexsort((anchor_J, slot_J))
    slots, first, counts = np.unique(slot_J[order_J], return_index=True, return_counts=True)
    rank_J = np.arange(len(order_J)) - np.repeat(first, counts)
    offset_J = np.repeat(_offsets(slots >> 16, counts, key), counts)
    num_J = np.repeat(counts, counts)
    stripe_J = np.empty(len(order_J), dtype=np.int64)
    stripe_J[order_J] = (
        ((rank_J << _OFFSET_BITS) + offset_J) * num_stripes(len(order_J)) // (num_J << _OFFSET_BITS)
    )
    return stripe_J


def _offsets(cells: NDArray[np.int64], counts: NDArray[np.int64], key: int) -> NDArray[np.int64]:
    """Offset of each slot's first job, in 65,536ths of the distance to its second.

    Slots of a cell with equally many jobs get evenly spaced offsets, so that small slots are
    spread evenly over the stripes.
    """
    offsets = np.empty(len(cells), dtype=np.int64)
    steps = np.arange(len(cells)) * _SLOT_STEP + cells * _CELL_STEP + key_of(key, "stripe") % _ONE
    offsets[np.lexsort((counts, cells))] = steps % _ONE
    return offsets


def sending_order(
    cell_J: NDArray[np.int8],
    language_J: NDArray[np.int16],
    anchor_J: NDArray[np.int32],
    key: int,
) -> NDArray[np.int64]:
    """Jobs by stripe; inside one by cell and image, so that prompt prefixes and images repeat."""
    stripe_J = stripe_of(cell_J, language_J, anchor_J, key)
    return np.lexsort((language_J, anchor_J, cell_J, stripe_J))
