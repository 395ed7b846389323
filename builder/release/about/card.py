"""The dataset card: what a version holds, how it was made, how good it is, how to load it."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from builder.card_config import CardConfig
from builder.images.record import printable
from builder.release.about.answers import card_answers
from builder.release.about.audits import audit_rows
from builder.release.about.card_head import card_head
from builder.release.about.counts import SCORES, ReleaseCounts
from builder.release.about.licences import Terms, is_lexicon, licence_label
from builder.release.about.markdown import code_block, code_span, table_text
from schemas.audit import AuditReport
from schemas.criteria import (
    CRITERIA,
    CRITERION_TITLES,
    figures_of,
    funnel_of,
    reasons_not_measured,
    score_changes,
    scores_by_language,
)
from schemas.manifest import ReleaseManifest
from schemas.vocabulary import CELLS, CONFIG_OF_TASK, SPLITS

CITATION = """@inproceedings{chen2025mme5,
  title     = {mmE5: Improving Multimodal Multilingual Embeddings via High-quality Synthetic Data},
  author    = {Chen, Haonan and Wang, Liang and Yang, Nan and Zhu, Yutao and Zhao, Ziliang and
               Wei, Furu and Dou, Zhicheng},
  booktitle = {Findings of the Association for Computational Linguistics: ACL 2025},
  year      = {2025},
  url       = {https://arxiv.org/abs/2502.08468}
}"""

_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_MAX_LISTED = 20
_MAX_PROMPTS = 30
_MAX_EXAMPLE_CHARS = 300


def card(
    *,
    title: str,
    repo_id: str,
    manifest: ReleaseManifest,
    counts: ReleaseCounts,
    quality: Mapping[str, Any],
    terms: Sequence[Terms],
    cell_rows: Mapping[tuple[str, str, str], int],
    origin: str | None,
    audits: Sequence[AuditReport] = (),
    answers: CardConfig,
    samples: Sequence[str],
) -> str:
    """README.md of a release.

    Args:
        title: Heading.
        repo_id: OWNER/NAME for the example that loads it.
        manifest: The release's, before its files are listed.
        counts: Counts of the release.
        quality: `quality.json`.
        terms: Licences by source.
        cell_rows: Rows by (task type, modality, split).
        origin: The published version this one continues, if any.
        audits: Closed audits of this dataset's versions.
        answers: What only a person can say, from the configuration.
        samples: HTML of sample rows.
    """
    head = card_head(
        title=title,
        version=manifest.version,
        languages=list(manifest.languages),
        terms=terms,
        num_samples=manifest.num_samples,
        shards=manifest.shards,
        has_extra="has_extra" in manifest.policy,
    )
    environment = Environment(
        loader=PackageLoader("builder.release.about"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    lexicon_models = [name for name in manifest.teacher_models if is_lexicon(name)]
    configs = [
        {"name": name, "rows": [f"{rows.get(split, 0):,}" for split in SPLITS]}
        for name, rows in manifest.num_by_config.items()
    ]
    has_retrieval = "Retrieval" in manifest.num_by_config
    default_config = "Retrieval" if has_retrieval else next(iter(manifest.num_by_config))
    prompts = _prompts(counts)
    body = environment.get_template("card.md.jinja").render(
        title=table_text(title),
        repo_id=f'"{repo_id if _REPO_ID.fullmatch(repo_id) else "OWNER/NAME"}"',
        default_config=default_config,
        version=manifest.version,
        num_samples=manifest.num_samples,
        languages=manifest.languages,
        modalities=manifest.modalities,
        is_lexicon=bool(lexicon_models),
        lexicon_models=", ".join(map(code_span, lexicon_models)),
        configs=configs,
        splits=SPLITS,
        example=_example(counts.example),
        prompts=prompts[:_MAX_PROMPTS],
        num_more_prompts=max(0, len(prompts) - _MAX_PROMPTS),
        tokens=_tokens(counts),
        origin=table_text(origin) if origin else None,
        cells=_cells(cell_rows),
        figures=_figures(counts, quality),
        criteria=_criteria(quality),
        drops=_drops(quality),
        audits=audit_rows(audits),
        terms=[
            (entry.kind, table_text(entry.source), licence_label(entry), entry.num)
            for entry in terms[:_MAX_LISTED]
        ],
        num_more_terms=max(0, len(terms) - _MAX_LISTED),
        num_reviewed=manifest.reviews.num_events,
        changelog=manifest.changelog,
        citation=code_block(CITATION, "bibtex"),
        answers=card_answers(answers),
        samples=samples,
        one_language=_one_language(counts, default_config),
    )
    return f"---\n{head}---\n\n{body}"


def _one_language(counts: ReleaseCounts, config: str) -> str:
    """The language of the example that loads one: Arabic, else any but English, else English."""
    tasks = {task for task, name in CONFIG_OF_TASK.items() if name == config}
    languages = {code for task, _, code in counts.slots if task in tasks}
    return min(languages, key=lambda code: (code != "ar", code == "en", code))


def _prompts(counts: ReleaseCounts) -> list[dict[str, Any]]:
    """By model, cell and prompt, prompts shortened, in order of cell."""
    order = {(cell.task_type, cell.modality): number for number, cell in enumerate(CELLS)}
    ordered = sorted(
        (model, order[task, modality], prompt, num)
        for (model, prompt, task, modality), num in counts.prompts.items()
    )
    return [
        {
            "model": code_span(model),
            "task": CONFIG_OF_TASK[CELLS[cell].task_type],
            "modality": CELLS[cell].modality,
            "prompt": prompt[:12],
            "num": num,
        }
        for model, cell, prompt, num in ordered
    ]


def _example(sample: bytes | None) -> str:
    """A row as the card shows it: without images, with long texts shortened."""
    row: dict[str, Any] = json.loads(sample or b"{}")

    def shown(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [shown(name, entry) for entry in value]
        if value is not None and name.endswith(("_image", "_images")):
            return "an image"
        if isinstance(value, str):
            text = printable(value)
            is_long = len(text) > _MAX_EXAMPLE_CHARS
            return text[:_MAX_EXAMPLE_CHARS] + "…" if is_long else text
        return value

    visible = {name: shown(name, value) for name, value in row.items()}
    return code_block(json.dumps(visible, ensure_ascii=False, indent=1), "json")


def _tokens(counts: ReleaseCounts) -> str | None:
    total = counts.prompt_tokens + counts.completion_tokens
    if not total:
        return None
    text = f"{counts.prompt_tokens:,} prompt and {counts.completion_tokens:,} completion tokens"
    if counts.cost_micro_usd:
        text += f" were paid with {counts.cost_micro_usd / 1e6:,.2f} US dollars"
    else:
        text += " were used"
    return text


def _cells(rows: Mapping[tuple[str, str, str], int]) -> list[dict[str, Any]]:
    return [
        {
            "task": CONFIG_OF_TASK[cell.task_type],
            "modality": cell.modality,
            **{split: rows.get((cell.task_type, cell.modality, split), 0) for split in SPLITS},
        }
        for cell in CELLS
        if any(rows.get((cell.task_type, cell.modality, split)) for split in SPLITS)
    ]


def _figures(counts: ReleaseCounts, quality: Mapping[str, Any]) -> list[tuple[str, str]]:
    figures = [
        ("samples", f"{counts.num_samples:,}"),
        ("distinct images", f"{len(counts.images):,}"),
        ("unique instructions", f"{quality['instructions']['unique_ratio']:.1%}"),
        ("repeated queries", f"{quality['num_repeated_queries']:,}"),
        ("similar images picked by", code_span(quality["embedder"])),
    ]
    for name in SCORES:
        mean = counts.mean_score(name)
        if mean is not None:
            figures.append((f"mean {name}", f"{mean:.2f}"))
    reviews = quality["reviews"]
    if reviews["num_events"]:
        figures.append(("review events", f"{reviews['num_events']:,}"))
        figures += [(f"of them {kind}", f"{num:,}") for kind, num in reviews["num_by_kind"].items()]
        for name in ("accepted", "edited", "rejected"):
            figures.append((f"{name} in review", f"{reviews[f'num_{name}']:,}"))
    return figures


def _criteria(quality: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The three criteria: their figures, why some are missing, and their plots."""
    plots = {
        "alignment": [("Alignment by language", "alignment")],
        "fidelity": [
            ("Samples left after each stage", "funnel"),
            ("Scores before and after revision", "score_changes"),
        ],
    }
    is_drawn = {
        "alignment": bool(scores_by_language(quality, "scores")),
        "funnel": bool(funnel_of(quality)),
        "score_changes": all(after is not None for _, after in score_changes(quality).values()),
    }
    return [
        {
            "title": CRITERION_TITLES[criterion],
            "figures": [
                (figure.name, figure.shown, figure.meaning)
                for figure in figures_of(quality)
                if figure.criterion == criterion and figure.value is not None
            ],
            "missing": [table_text(r) for r in reasons_not_measured(quality, criterion)],
            "plots": [plot for plot in plots.get(criterion, ()) if is_drawn[plot[1]]],
        }
        for criterion in CRITERIA
    ]


def _drops(quality: Mapping[str, Any]) -> Sequence[tuple[str, int]]:
    drops: Counter[str] = Counter()
    for stage in ("generation", "release"):
        drops.update(quality["drops"][stage])
    return sorted(drops.items(), key=lambda item: (-item[1], item[0])) or [("nothing", 0)]
