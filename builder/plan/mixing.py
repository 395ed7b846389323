"""Seeded mixing of integers: the plan's only randomness, the same on every machine."""

# J jobs

import hashlib

import numpy as np
from numpy.typing import NDArray

_SEED_BITS = 48
_INDEX_BITS = 32


def key_of(*parts: object) -> int:
    """A 64-bit key of anything printable."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def mix(values_J: NDArray[np.uint64], key: int) -> NDArray[np.uint64]:
    """Numbers that look random, one for each value; shape (J,), all 64 bits.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    """
    mixed_J = values_J + np.uint64(key)
    mixed_J = (mixed_J ^ (mixed_J >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed_J = (mixed_J ^ (mixed_J >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed_J ^ (mixed_J >> np.uint64(31))


def below(limit: int | NDArray[np.int64], mixed_J: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Maps each number into 0 … limit - 1."""
    return (mixed_J >> np.uint64(1)).astype(np.int64) % limit


def shuffled(count: int, key: int) -> NDArray[np.int64]:
    """The numbers 0 … count - 1 in an order decided by the key."""
    return np.argsort(mix(np.arange(count, dtype=np.uint64), key), kind="stable")


def unique_seeds(round_number: int, num_jobs: int, key: int) -> NDArray[np.int64]:
    """A 48-bit seed for every job of a round, shape (J,); no seed is repeated in any round.

    Round and index are joined into 48 bits and go through invertible steps, so
    different jobs cannot get the same seed.
    """
    mask = np.uint64(2**_SEED_BITS - 1)
    seeds_J = np.arange(num_jobs, dtype=np.uint64) + np.uint64(round_number << _INDEX_BITS)
    for step in range(3):
        odd = np.uint64(key_of(key, step) | 1)
        seeds_J = (seeds_J * odd + np.uint64(key >> 17)) & mask
        seeds_J ^= seeds_J >> np.uint64(_SEED_BITS // 2)
    return seeds_J.astype(np.int64)
