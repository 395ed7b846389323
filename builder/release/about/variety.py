"""Figures of variety: entropy of counts, self-BLEU and the Vendi score of a sample of texts."""

# N texts, D hashed features

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from math import exp, log, log2

import numpy as np

_MAX_ORDER = 4
_NUM_FEATURES = 512
_SHINGLE_CHARS = 3


def entropy_bits(counts: Iterable[int]) -> float:
    """Shannon entropy of counts, in bits; 0.0 where all is in one place."""
    present = [count for count in counts if count]
    total = sum(present)
    return sum(count / total * log2(total / count) for count in present)


def self_bleu(texts: Sequence[Sequence[str]]) -> float | None:
    """Mean BLEU-4 of each text against all others: 0 is varied, 1 says one thing again and again.

    An order without a match counts as half a match, so that short texts do not all come to 0.

    Args:
        texts: Tokens of each text.

    Returns:
        None for fewer than two texts of a token.

    Source: Zhu et al. 2018, arXiv:1802.01886; smoothing: Chen and Cherry 2014, method 1.
    """
    texts = [text for text in texts if text]
    if len(texts) < 2:
        return None
    log_precisions = np.zeros(len(texts))
    for order in range(1, _MAX_ORDER + 1):
        grams = [Counter(zip(*(text[i:] for i in range(order)), strict=False)) for text in texts]
        most, second = _two_largest(grams)
        for place, own in enumerate(grams):
            total = own.total()
            if not total:
                continue
            matched = 0
            for gram, count in own.items():
                # The most that any *other* text has of it.
                other = second[gram] if count == most[gram] else most[gram]
                matched += min(count, other)
            log_precisions[place] += log(max(matched, 0.5) / total)
    orders = np.array([min(len(text), _MAX_ORDER) for text in texts])
    return float(np.exp(log_precisions / orders).mean())


def _two_largest(
    grams: Sequence[Counter[tuple[str, ...]]],
) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]]]:
    """The largest and the second largest count of each n-gram in any text."""
    most: Counter[tuple[str, ...]] = Counter()
    second: Counter[tuple[str, ...]] = Counter()
    for counts in grams:
        for gram, count in counts.items():
            if count >= most[gram]:
                second[gram], most[gram] = most[gram], count
            elif count > second[gram]:
                second[gram] = count
    return most, second


def vendi_score(texts: Sequence[str]) -> float:
    """How many entirely different texts would be as varied: 1 to the number of texts.

    The kernel is the cosine of hashed counts of character 3-grams.

    Source: Friedman and Dieng 2023, arXiv:2210.02410.
    """
    vectors_ND = np.zeros((len(texts), _NUM_FEATURES))
    for place, text in enumerate(texts):
        padded = f" {text} "
        for start in range(max(1, len(padded) - _SHINGLE_CHARS + 1)):
            shingle = padded[start : start + _SHINGLE_CHARS].encode("utf-8", "surrogatepass")
            vectors_ND[place, zlib.crc32(shingle) % _NUM_FEATURES] += 1
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh(vectors_ND.T @ vectors_ND / len(texts))
    eigenvalues = eigenvalues[eigenvalues > 1e-9]
    return exp(-float((eigenvalues * np.log(eigenvalues)).sum()))
