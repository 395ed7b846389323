"""Hypothesis strategies for all that is published, in many writing systems."""

import hashlib
from datetime import UTC
from typing import get_args

from hypothesis import strategies as st

from schemas.manifest import SCHEMA_VERSION, FileEntry, ReleaseManifest, ReviewInputs, ShardEntry
from schemas.reasons import REASON_BY_CODE
from schemas.review import Edits, EventKind, Facet, Phase, ReviewEvent, Verdict
from schemas.sample import (
    CheckResult,
    Criterion,
    Draft,
    Evaluation,
    ImageSource,
    Interpretation,
    LanguageVote,
    Provenance,
    Sample,
    sample_id,
)
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


maybe_texts = st.none() | texts
any_texts = st.just("") | texts
verdicts: st.SearchStrategy[Verdict] = st.sampled_from(get_args(Verdict))
facets: st.SearchStrategy[Facet] = st.sampled_from(get_args(Facet))
int32 = st.integers(0, 2**31 - 1)
int64 = st.integers(0, 2**63 - 1)


@st.composite
def review_events(draw: st.DrawFn) -> ReviewEvent:
    """An event of any kind; an edit has edits, be they none, and a lead's verdict may."""
    kind: EventKind = draw(st.sampled_from(get_args(EventKind)))
    edits = st.builds(
        Edits,
        instruction=maybe_texts,
        query_text=maybe_texts,
        positive_text=maybe_texts,
        negative_texts=st.none() | st.lists(maybe_texts, max_size=3).map(tuple),
    )
    reasons = st.lists(st.sampled_from(list(REASON_BY_CODE)), max_size=3, unique=True)
    return ReviewEvent(
        event_id=draw(st.uuids()).hex,
        seq=draw(int64),
        ts=draw(st.datetimes(timezones=st.just(UTC))).isoformat(),
        reviewer=draw(texts),
        dataset_version="0.1.0",
        sample_id="0" * 24,
        content_hash="c" * 64,
        kind=kind,
        verdict=draw(st.none() | verdicts),
        facets=draw(st.dictionaries(facets, verdicts)),
        reasons=tuple(draw(reasons)),
        edits=draw(edits if kind == "edit" else st.none() | edits)
        if kind in ("edit", "adjudicate")
        else None,
        undoes=draw(st.none() | st.uuids().map(lambda uuid: uuid.hex)),
        note=draw(any_texts),
        queue_id=draw(any_texts),
        inclusion_prob=draw(st.none() | st.floats(0, 1)),
        ms_active=draw(st.none() | int64),
        ui_version=draw(any_texts),
        seen_edit=draw(st.none() | st.uuids().map(lambda uuid: uuid.hex)),
        guideline_version=draw(st.none() | int32),
        phase=draw(st.sampled_from(get_args(Phase))),
    )


@st.composite
def provenances(draw: st.DrawFn) -> Provenance:
    """Provenance of a sample of any cell, with and without a judge."""
    cell = draw(st.sampled_from(CELLS))
    criteria = st.builds(Criterion, score=st.integers(1, 5), reason=any_texts)
    evaluations = st.builds(
        Evaluation,
        relevance=criteria,
        plausibility=criteria,
        clarity=criteria,
        diversity=criteria,
        improvements=any_texts,
    )
    drafts = st.builds(
        Draft,
        instruction=any_texts,
        query_text=maybe_texts,
        positive_text=maybe_texts,
        negative_text=maybe_texts,
    )
    roles = st.sampled_from(cell.image_roles)
    interpretations = st.builds(
        Interpretation,
        image=roles,
        general=any_texts,
        objects=any_texts,
        context=any_texts,
        task_ideas=any_texts,
    )
    votes = st.builds(
        LanguageVote, field=any_texts, identifier=any_texts, detected=st.none() | texts
    )
    sources = st.builds(
        ImageSource,
        role=roles,
        sha256=st.integers(0, 9).map(fake_sha256),
        group=texts,
        source=texts,
        licence=texts,
    )
    results = st.sampled_from(["kept", "abstained"])
    checks = st.builds(CheckResult, check=texts, result=results)
    return Provenance(
        id="0" * 24,
        language=draw(st.sampled_from(sorted(LANGUAGES))),
        task_type=cell.task_type,
        modality=cell.modality,
        teacher_model=draw(texts),
        prompt_hash=draw(texts),
        request_hash=draw(texts),
        seed=draw(int64),
        round=draw(int32),
        length=draw(any_texts),
        difficulty=draw(any_texts),
        text_register=draw(any_texts),
        task_idea=draw(any_texts),
        interpretations=draw(st.lists(interpretations, max_size=3).map(tuple)),
        draft=draw(drafts),
        evaluation=draw(evaluations),
        revision=draw(drafts),
        judge=draw(st.none() | evaluations),
        judge_model=draw(st.none() | texts),
        prompt_tokens=draw(int32),
        completion_tokens=draw(int32),
        cost_usd=draw(st.none() | st.floats(0, 1e6)),
        checks=draw(st.lists(checks, max_size=3).map(tuple)),
        language_votes=draw(st.lists(votes, max_size=3).map(tuple)),
        images=draw(st.lists(sources, max_size=3).map(tuple)),
    )


def manifests() -> st.SearchStrategy[ReleaseManifest]:
    """A manifest of any content."""
    counts = st.dictionaries(texts, int64, max_size=3)
    plain = st.none() | st.booleans() | int64 | st.floats(allow_nan=False, allow_infinity=False)
    shards = st.builds(
        ShardEntry,
        path=texts,
        config=texts,
        split=texts,
        key=any_texts,
        num_rows=int64,
        num_bytes=int64,
        sha256=texts,
        rows_hash=any_texts,
    )
    return st.builds(
        ReleaseManifest,
        schema_version=st.just(SCHEMA_VERSION),
        name=texts,
        version=texts,
        previous_version=maybe_texts,
        restored_from=maybe_texts,
        num_samples=int64,
        num_by_config=st.dictionaries(texts, counts, max_size=3),
        languages=counts,
        modalities=counts,
        teacher_models=st.lists(texts, max_size=3),
        prompt_hashes=st.lists(texts, max_size=3),
        licences=counts,
        config_hash=any_texts,
        policy=st.dictionaries(
            texts,
            st.recursive(
                plain | texts,
                lambda inner: (
                    st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
                ),
                max_leaves=5,
            ),
            max_size=3,
        ),
        reviews=st.builds(ReviewInputs, num_events=int64, last_seq=int64, events_hash=any_texts),
        shards=st.lists(shards, max_size=3),
        files=st.lists(st.builds(FileEntry, path=texts, num_bytes=int64, sha256=texts), max_size=3),
        changelog=st.lists(texts, max_size=3),
    )
