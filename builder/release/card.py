"""The dataset card: what a version holds, how it was made, how good it is, how to load it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from builder.release.licence_file import said
from builder.release.licences import Terms, is_lexicon
from builder.release.markdown import code_span, table_text
from builder.release.metadata import card_head
from builder.release.tally import SCORES, Tally
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

_MAX_LISTED = 20
_MAX_TEACHERS = 12


def card(
    *,
    title: str,
    repo_id: str,
    manifest: ReleaseManifest,
    tally: Tally,
    quality: Mapping[str, Any],
    terms: Sequence[Terms],
    cell_rows: Mapping[tuple[str, str, str], int],
    origin: str | None,
) -> str:
    """README.md of a release.

    Args:
        title: Heading.
        repo_id: For the lines on loading.
        manifest: The release's, before its files are listed.
        tally: What was counted.
        quality: `quality.json`.
        terms: Licences by source.
        cell_rows: Rows by (task type, modality, split).
        origin: The published version this one goes on from, if any.
    """
    head = card_head(
        title=title,
        version=manifest.version,
        languages=list(manifest.languages),
        terms=terms,
        num_samples=manifest.num_samples,
        shards=manifest.shards,
    )
    environment = Environment(
        loader=PackageLoader("builder.release"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    lexicon_models = [name for name in manifest.teacher_models if is_lexicon(name)]
    configs = [
        {"name": name, "rows": [f"{rows.get(split, 0):,}" for split in SPLITS]}
        for name, rows in manifest.num_by_config.items()
    ]
    teachers = _teachers(tally)
    body = environment.get_template("card.md.jinja").render(
        title=table_text(title),
        repo_id=json.dumps(repo_id),
        default_config="Retrieval" if "Retrieval" in manifest.num_by_config else configs[0]["name"],
        version=manifest.version,
        num_samples=manifest.num_samples,
        languages=manifest.languages,
        modalities=manifest.modalities,
        is_lexicon=bool(lexicon_models),
        lexicon_models=", ".join(map(code_span, lexicon_models)),
        configs=configs,
        splits=SPLITS,
        teachers=teachers[:_MAX_TEACHERS],
        num_more_teachers=max(0, len(teachers) - _MAX_TEACHERS),
        tokens=_tokens(tally),
        origin=origin,
        cells=_cells(cell_rows),
        figures=_figures(tally, quality),
        drops=_drops(quality),
        terms=[
            (entry.kind, table_text(entry.source), said(entry), entry.num)
            for entry in terms[:_MAX_LISTED]
        ],
        num_more_terms=max(0, len(terms) - _MAX_LISTED),
        num_reviewed=manifest.reviews.num_events,
        changelog=manifest.changelog,
        citation=CITATION,
    )
    return f"---\n{head}---\n\n{body}"


def _teachers(tally: Tally) -> list[dict[str, Any]]:
    """By model and prompt, prompts shortened, the commonest first."""
    ordered = sorted(tally.teachers.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"model": code_span(model), "prompt": prompt[:12], "num": num}
        for (model, prompt), num in ordered
    ]


def _tokens(tally: Tally) -> str | None:
    total = tally.prompt_tokens + tally.completion_tokens
    if not total:
        return None
    text = f"{tally.prompt_tokens:,} prompt and {tally.completion_tokens:,} completion tokens"
    if tally.cost_micro_usd:
        text += f" were paid with {tally.cost_micro_usd / 1e6:,.2f} US dollars"
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


def _figures(tally: Tally, quality: Mapping[str, Any]) -> list[tuple[str, str]]:
    figures = [
        ("samples", f"{tally.num_samples:,}"),
        ("distinct images", f"{len(tally.images):,}"),
        ("unique instructions", f"{quality['instructions']['unique_ratio']:.1%}"),
        ("repeated queries", f"{quality['num_repeated_queries']:,}"),
    ]
    for name in SCORES:
        mean = tally.mean_score(name)
        if mean is not None:
            figures.append((f"mean {name}", f"{mean:.2f}"))
    reviews = quality["reviews"]
    if reviews["num_events"]:
        for name in ("accepted", "edited", "rejected"):
            figures.append((f"{name} in review", f"{reviews[f'num_{name}']:,}"))
    return figures


def _drops(quality: Mapping[str, Any]) -> Sequence[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for stage in ("generation", "release"):
        counts.update(quality["drops"][stage])
    return sorted(counts.items(), key=lambda item: (-item[1], item[0])) or [("nothing", 0)]
