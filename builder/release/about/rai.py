"""The responsible-AI part of `croissant.json`: how rows were made, judged, and what to beware of.

Only what is known is stated: from the release itself, and from `card:` in the configuration.

Source: Croissant RAI 1.0, https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html.
"""

from collections.abc import Sequence
from typing import Any

from builder.card_config import CardConfig
from builder.release.about.audits import audit_rows
from builder.release.about.counts import ReleaseCounts
from builder.release.about.licences import is_lexicon
from schemas.audit import AuditReport
from schemas.manifest import ReleaseManifest

RAI_VERSION = "http://mlcommons.org/croissant/RAI/1.0"

_NOT_SEARCHED = "Images and texts were not searched for personal information by the build."


def rai_fields(
    manifest: ReleaseManifest,
    counts: ReleaseCounts,
    audits: Sequence[AuditReport],
    answers: CardConfig,
) -> dict[str, Any]:
    """Fields of the RAI vocabulary, absent ones left out.

    Args:
        manifest: The release's.
        counts: Counts of the release.
        audits: Closed audits of this dataset's versions.
        answers: What a person said in the configuration.
    """
    lexicon = [name for name in manifest.teacher_models if is_lexicon(name)]
    models = ", ".join(manifest.teacher_models)
    fields = {
        "dataCollection": _collection(models, lexicon),
        "dataCollectionType": ["Others"],
        "dataCollectionRawData": _sources(counts, answers),
        "dataImputationProtocol": "None: what a side of a row lacks is null.",
        "dataPreprocessingProtocol": [
            "Similar images form a group; a group is in one split only.",
            "Rows that break the schema or fail a check are dropped; quality.json counts why.",
        ],
        "dataAnnotationProtocol": _annotation(manifest, answers),
        "dataAnnotationAnalysis": _analysis(audits),
        "annotationsPerItem": "One evaluation by the teacher, four scores from 1 to 5.",
        "machineAnnotationTools": manifest.teacher_models,
        "dataUseCases": [
            "Training of multilingual multimodal embedding models.",
            *_texts(answers.direct_use),
        ],
        "dataBiases": [_bias(lexicon), *_texts(answers.biases)],
        "dataLimitations": [
            "The scores are the teacher's opinion of its own work.",
            "A hard negative is meant to be wrong; not each one was checked by a person.",
            "Not a benchmark: it would measure agreement with the teacher.",
            *_texts(answers.limits),
            *_texts(answers.out_of_scope_use),
        ],
        "dataSocialImpact": "\n\n".join(_texts(answers.social_impact)),
        "personalSensitiveInformation": _texts(answers.personal_information) or [_NOT_SEARCHED],
        "dataReleaseMaintenancePlan": "\n\n".join(
            [
                "A version never changes; corrections come in a higher one, and CHANGELOG.md "
                "lists what changed.",
                *_texts(answers.maintenance),
            ]
        ),
    }
    return {f"rai:{name}": value for name, value in fields.items() if value}


def _texts(answer: str | list[str] | None) -> list[str]:
    texts = [answer] if isinstance(answer, str) else answer or []
    return [text.strip() for text in texts if text.strip()]


def _collection(models: str, lexicon: Sequence[str]) -> str:
    if lexicon:
        return (
            f"Synthetic. A program ({models}) composed the texts from the names and keywords of "
            "the Unicode CLDR for pictograms; no language model wrote them."
        )
    return (
        f"Synthetic. For each row one call to a multimodal language model ({models}) interpreted "
        "the images, drafted instruction, query, positive and hard negative, evaluated its draft "
        "and revised it; the revision is published. The recipe is mmE5's, arXiv:2502.08468."
    )


def _sources(counts: ReleaseCounts, answers: CardConfig) -> str:
    sources = counts.licences_by_source()
    named = ", ".join(f"{source} ({num:,})" for source, _, num in sources[:20])
    more = f" and {len(sources) - 20:,} more" if len(sources) > 20 else ""
    text = f"{len(counts.images):,} images from {named}{more}." if sources else ""
    return "\n\n".join(filter(None, [text, *_texts(answers.source_producers)]))


def _annotation(manifest: ReleaseManifest, answers: CardConfig) -> list[str]:
    lines = [
        "The teacher scored relevance, plausibility, clarity and diversity of its own draft "
        "from 1 to 5, in the call that wrote it."
    ]
    reviews = manifest.reviews
    if reviews.num_events:
        lines.append(
            f"People reviewed rows: {reviews.num_events:,} events went in, by which "
            f"{reviews.num_accepted:,} rows were accepted, {reviews.num_edited:,} edited and "
            f"{reviews.num_rejected:,} rejected. Rejected rows are left out."
        )
    return [*lines, *_texts(answers.annotations)]


def _analysis(audits: Sequence[AuditReport]) -> list[str]:
    return [
        f"Audit of version {row['version']}: {row['num_decided']} rows drawn at random, "
        f"{row['num_reviewers']} reviewers, defects {row['rate']}, agreement {row['agreement']}, "
        f"planted defects found {row['seeds']}."
        for row in audit_rows(audits)
    ]


def _bias(lexicon: Sequence[str]) -> str:
    if lexicon:
        return "A name in CLDR is one community's choice of word; regional differences are lost."
    return (
        "Texts were written and judged by one model, with the biases it has; languages with "
        "little text on the web are weaker."
    )
