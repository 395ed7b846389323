"""Makes a release: rows to shards, then the files that describe them, then one rename."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import yaml

from builder.config import BuildConfig
from builder.disk import seal, sync
from builder.ledger.suspects import row_scores
from builder.progress import Progress, no_progress
from builder.release.about.card import CITATION, card
from builder.release.about.changelog import (
    Baseline,
    baseline_on_disk,
    changelog_lines,
    changelog_text,
)
from builder.release.about.counts import ReleaseCounts
from builder.release.about.croissant import croissant
from builder.release.about.licences import LICENCE_FILE, licence_file, licence_names, terms_of
from builder.release.about.plots import draw_plots
from builder.release.about.quality import quality_report
from builder.release.about.rai import rai_fields
from builder.release.about.samples import write_samples
from builder.release.inputs import ReleaseInputs
from builder.release.judging import Reviews
from builder.release.layout import Layout, plan_layout
from builder.release.lineage import Predecessor, find_by_sha256, find_predecessor
from builder.release.rows import ReleaseError, RowSource
from builder.release.shards import SHARD_FORMAT, Previous, ShardSet, file_sha256
from builder.release.versions import Version
from schemas.manifest import MANIFEST_NAME, FileEntry, ReleaseManifest, ShardEntry, read_manifest
from schemas.review_rows import review_record
from schemas.row_scores import read_row_scores, write_row_scores
from schemas.vocabulary import CONFIG_OF_TASK, SPLITS

_STAGING_PREFIX = ".building-"


@dataclass(frozen=True, slots=True)
class Release:
    """A finished release, and whether this call made it or it existed before.

    `notes` are for the user, such as about a damaged earlier release.
    """

    directory: Path
    manifest: ReleaseManifest
    is_new: bool
    num_reused_shards: int
    notes: list[str] = field(default_factory=list[str])


def release(
    inputs: ReleaseInputs,
    version: Version,
    releases_dir: Path,
    progress: Progress = no_progress,
    published: Baseline | None = None,
) -> Release:
    """Makes the immutable directory of a version.

    The same inputs give the same bytes: neither the clock nor the machine
    matters. The directory appears complete, by a rename, or not at all.

    Args:
        inputs: Rows, images, reviews and configuration.
        version: Its version; the next lower one in `releases_dir` is its predecessor.
        releases_dir: Directory of the releases, with one subdirectory per version.
        progress: Called as rows are written.
        published: The version that was published last, for the changelog to compare with;
            the predecessor when None.

    Raises:
        ReleaseError: The version exists with other content, no row is left, or the
            disk is full; nothing was made.
    """
    target = releases_dir / str(version)
    before, notes = find_predecessor(releases_dir, version)
    existing = _previous(target)
    baseline = _baseline(releases_dir, target, before, published)
    reusable = existing or (_previous(before.directory) if before else None)
    with _staging(releases_dir, version) as staging:
        manifest, num_reused = _fill(
            staging, inputs, version, before, baseline, reusable, progress, notes
        )
        if target.exists():
            if (target / MANIFEST_NAME).read_bytes() != (staging / MANIFEST_NAME).read_bytes():
                raise ReleaseError(
                    f"{target}: version {version} exists with other content, and a version "
                    "never changes. Choose another version, for example with --bump minor."
                )
            return Release(target, manifest, False, num_reused, notes)
        progress("writing to disk", 0, 0)
        seal(staging)
        staging.rename(target)
        sync(releases_dir)
    return Release(target, manifest, True, num_reused, notes)


def _baseline(
    releases_dir: Path, target: Path, before: Predecessor | None, published: Baseline | None
) -> Baseline | None:
    """What the changelog compares with; for a version that exists, the same as before."""
    if target.exists():
        recorded = read_manifest(target).compared_with
        if published is not None and recorded == published.compared_with():
            return published
        found = find_by_sha256(releases_dir, recorded.manifest_sha256) if recorded else None
        if recorded is not None and found is not None:
            return baseline_on_disk(found, recorded.published_in)
    elif published is not None:
        return published
    return baseline_on_disk(before.directory) if before else None


def published_config(config: BuildConfig) -> dict[str, Any]:
    """The configuration without addresses and prices of endpoints, as releases write it."""
    hidden = {"pace", "card", "gates", "prompts"}
    shown = config.model_dump(mode="json", exclude=hidden, by_alias=True)
    if config.prompts is not None:  # their texts are the builder's own
        shown["prompts"] = {"sha256": config.prompts.defining}
    shown["checks"] = config.checks.as_published()
    shown["images"] = config.images.as_published()
    for section in ("card", "gates"):
        answers = getattr(config, section).model_dump(mode="json", exclude_defaults=True)
        if answers:
            shown[section] = answers
    for model in (shown["teacher"], shown["judge"] or {}, *shown["teachers"]):
        for name in ("base_url", "api_key_env", "prices", "extra_body", "replicas"):
            model.pop(name, None)
    del shown["teacher" if config.teachers else "teachers"]
    return shown


@contextmanager
def _staging(releases_dir: Path, version: Version) -> Iterator[Path]:
    """A temporary directory to build in; removes it, and those that killed runs left.

    The workspace's lock excludes a second release, so any that is found is abandoned.
    """
    staging = releases_dir / f"{_STAGING_PREFIX}{version}"
    try:
        releases_dir.mkdir(parents=True, exist_ok=True)
        for leftover in releases_dir.glob(f"{_STAGING_PREFIX}*"):
            shutil.rmtree(leftover)
        staging.mkdir()
        yield staging
    except OSError as exc:
        raise ReleaseError(
            f"{releases_dir}: version {version} could not be written: "
            f"{exc.strerror or exc}. Free some space, then run the same command again; "
            "no version was made."
        ) from exc
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _previous(directory: Path) -> Previous | None:
    if not (directory / MANIFEST_NAME).exists():
        return None
    manifest = read_manifest(directory)
    return Previous(directory, {entry.path: entry for entry in manifest.shards})


def _fill(
    directory: Path,
    inputs: ReleaseInputs,
    version: Version,
    before: Predecessor | None,
    baseline: Baseline | None,
    reusable: Previous | None,
    progress: Progress,
    notes: list[str],
) -> tuple[ReleaseManifest, int]:
    config = inputs.config
    share = config.images.validation_share
    layout = plan_layout(inputs.counts, config.release, share, inputs.mean_image_bytes)
    reviews = Reviews(
        inputs.events,
        config.checks,
        config.release.min_reviews_to_reject,
        config.release.flagged == "hold_back",
        former_names=inputs.former_names,
    )
    targets = inputs.wanted if config.release.trim_surplus else None
    rows = RowSource(inputs.kept(), reviews, share, targets, inputs.has_extra)
    counts = ReleaseCounts()
    shards = _write_shards(directory, inputs, rows, counts, layout, reusable, progress)
    _write_scores(directory, inputs, shards)
    if not counts.num_samples:
        raise ReleaseError(
            f"version {version}: no row is left to publish "
            f"({', '.join(f'{reason} {num}' for reason, num in rows.dropped.items())}). "
            "Build more rows first."
        )
    progress("card", 0, 0)
    quality = quality_report(inputs, rows, reviews, counts, read_row_scores(directory))
    manifest = ReleaseManifest(
        name=config.name,
        version=str(version),
        previous_version=str(Version.parse(before.directory.name)) if before else None,
        ancestors=before.lineage if before else [],
        compared_with=baseline.compared_with() if baseline else None,
        num_samples=counts.num_samples,
        num_by_config=_num_by_config(shards),
        languages=counts.languages(),
        modalities=counts.modalities(),
        teacher_models=sorted({model for model, _ in counts.teachers}),
        prompt_hashes=sorted({prompt for _, prompt in counts.teachers}),
        licences=counts.licences(),
        config_hash=config.plan_hash,
        policy={
            **config.release.model_dump(mode="json", by_alias=True),
            "validation_share": share,
            "shard_format": SHARD_FORMAT,
            **({"has_extra": True} if inputs.has_extra else {}),
        },
        reviews=reviews.inputs(),
        shards=shards,
    )
    manifest.changelog = changelog_lines(manifest, directory, baseline, rows.dropped, notes)
    _describe(directory, inputs, manifest, counts, quality, baseline)
    manifest.files = _file_entries(directory, shards)
    (directory / MANIFEST_NAME).write_bytes(_json(manifest.model_dump(mode="json")))
    reused = reusable.shards if reusable else {}
    num_reused = sum(reused.get(entry.path) == entry for entry in shards)
    return manifest, num_reused


def _write_shards(
    directory: Path,
    inputs: ReleaseInputs,
    rows: RowSource,
    counts: ReleaseCounts,
    layout: Layout,
    reusable: Previous | None,
    progress: Progress,
) -> list[ShardEntry]:
    total = sum(inputs.counts.values())
    done = 0

    def advance(num_rows: int) -> None:
        nonlocal done
        done += num_rows
        progress("rows", done, total)

    with ShardSet(directory, layout, inputs.images, reusable) as shards:
        for chunk in rows.chunks(advance):
            counts.add(chunk)
            shards.add(chunk)
        records = [review_record(event) for event in rows.reviews.events]
        shards.add_reviews(records, rows.reviews.inputs().events_hash)
        progress("last shards", 0, 0)
        return shards.finish()


def _write_scores(directory: Path, inputs: ReleaseInputs, shards: list[ShardEntry]) -> None:
    """Writes what a model said of the version's rows, where the workspace was scored."""
    if not inputs.scores:
        return
    ids: set[str] = set()
    for entry in shards:
        if entry.config == "provenance":
            ids.update(pq.read_table(directory / entry.path, columns=["id"])["id"].to_pylist())
    write_row_scores(directory, row_scores([one for one in inputs.scores if one.sample_id in ids]))


def _num_by_config(shards: list[ShardEntry]) -> dict[str, dict[str, int]]:
    num_rows: dict[str, dict[str, int]] = {}
    for config in [*CONFIG_OF_TASK.values(), "provenance", "reviews"]:
        for split in SPLITS:
            sizes = [e.num_rows for e in shards if e.config == config and e.split == split]
            if sizes:
                num_rows.setdefault(config, {})[split] = sum(sizes)
    return num_rows


def _describe(
    directory: Path,
    inputs: ReleaseInputs,
    manifest: ReleaseManifest,
    counts: ReleaseCounts,
    quality: dict[str, Any],
    baseline: Baseline | None,
) -> None:
    """Writes card, report, plots, Croissant, changelog and the configuration."""
    config = inputs.config
    title = config.release.title or config.name
    terms = terms_of(counts, config.release.licence)
    draw_plots(directory / "plots", counts, quality)
    (directory / "quality.json").write_bytes(_json({"version": manifest.version, **quality}))
    text = card(
        title=title,
        repo_id=config.release.repo_id or "OWNER/NAME",
        manifest=manifest,
        counts=counts,
        quality=quality,
        terms=terms,
        cell_rows=counts.cells_by_split,
        origin=inputs.origin.where if inputs.origin else None,
        audits=inputs.audits,
        answers=config.card,
        samples=write_samples(directory, counts.samples.chosen(), inputs.images),
    )
    (directory / "README.md").write_text(text, encoding="utf-8", newline="\n")
    licences = licence_file(title, terms)
    (directory / LICENCE_FILE).write_text(licences, encoding="utf-8", newline="\n")
    metadata = croissant(
        name=config.name,
        description=f"{title}: multilingual multimodal training samples for embedding models.",
        version=manifest.version,
        licences=licence_names(terms),
        citation=config.card.citation or CITATION,
        languages=list(manifest.languages),
        creator=config.card.curated_by,
        shards=[entry for entry in manifest.shards if entry.config != "reviews"],
        rai=rai_fields(manifest, counts, inputs.audits, config.card),
        has_extra=inputs.has_extra,
    )
    (directory / "croissant.json").write_bytes(_json(metadata))
    changelog = changelog_text(manifest, baseline)
    (directory / "CHANGELOG.md").write_text(changelog, encoding="utf-8", newline="\n")
    shown = yaml.safe_dump(published_config(config), sort_keys=False, allow_unicode=True)
    (directory / "config.yaml").write_text(shown, encoding="utf-8", newline="\n")


def _file_entries(directory: Path, shards: list[ShardEntry]) -> list[FileEntry]:
    known = {entry.path for entry in shards}
    names = sorted(
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    )
    return [
        FileEntry(
            path=name,
            num_bytes=(directory / name).stat().st_size,
            sha256=file_sha256(directory / name),
        )
        for name in names
        if name not in known
    ]


def _json(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"
