"""Hypothesis strategies for rows of every cell, in many writing systems."""

import hashlib

from hypothesis import strategies as st

from schemas.sample import Sample, sample_id
from schemas.vocabulary import CELLS, LANGUAGES, Cell

#: Blocks of many scripts, and what hurts: bidi controls, joiners, quotes, NUL's neighbours, emoji.
_ALPHABETS = [
    st.characters(codec="utf-8", exclude_categories=["Cs"]),
    *(
        st.characters(min_codepoint=low, max_codepoint=high, exclude_categories=["Cn", "Cs"])
        for low, high in [
            (0x0400, 0x04FF),
            (0x0590, 0x05FF),
            (0x0600, 0x06FF),
            (0x0900, 0x097F),
            (0x0E00, 0x0E7F),
            (0x1000, 0x109F),
            (0x1200, 0x137F),
            (0x200B, 0x2069),
            (0x3040, 0x30FF),
            (0x4E00, 0x4FFF),
            (0xAC00, 0xAFFF),
            (0x1F300, 0x1F6FF),
        ]
    ),
]
texts = st.one_of(*(st.text(alphabet, min_size=1, max_size=60) for alphabet in _ALPHABETS))


def fake_sha256(seed: object) -> str:
    return hashlib.sha256(repr(seed).encode()).hexdigest()


@st.composite
def samples(draw: st.DrawFn, cell: Cell | None = None) -> Sample:
    """A valid row; its images are named, their bytes are `image_bytes` of the name."""
    cell = cell or draw(st.sampled_from(CELLS))
    num_negatives = draw(st.integers(1, 3))
    token = draw(st.integers(0, 2**32))

    def text(wanted: bool, prefix: str) -> str | None:
        return prefix + draw(texts) if wanted else None

    def image(wanted: bool, role: object) -> str | None:
        return fake_sha256((token, role)) if wanted else None

    fields: dict[str, object] = {
        "language": draw(st.sampled_from(sorted(LANGUAGES))),
        "task_type": cell.task_type,
        "modality": cell.modality,
        "instruction": draw(texts),
        "query_text": text(cell.query_has_text, "q"),
        "query_image": image(cell.query_has_image, "query"),
        "positive_text": text(cell.document_has_text, "p"),
        "positive_image": image(cell.document_has_image, "positive"),
        "negative_texts": tuple(
            text(cell.document_has_text, f"n{i}") for i in range(num_negatives)
        ),
        "negative_images": tuple(image(cell.document_has_image, i) for i in range(num_negatives)),
    }
    score = st.integers(1, 5)
    return Sample.model_validate(
        {
            "id": sample_id(fields),
            **fields,
            "relevance": draw(score),
            "plausibility": draw(score),
            "clarity": draw(score),
            "diversity": draw(score),
            "alignment": draw(st.none() | st.floats(-1, 1)),
        }
    )
