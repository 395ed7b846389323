"""Rebuilds a workspace from a published version, to continue there on another machine.

The version itself is kept as a release, so that the next one reuses its
unchanged shards. Its images go into the image store, its rows into the ledger
with the texts they had before reviewers edited them, its review events beside
the ledger. Requests and replies were never published and are not restored; nor
are images that no row used, or dropped rows, of which only the counts are kept.
"""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from builder.config import BuildConfig, save_config
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.progress import Progress, no_progress
from builder.publish.errors import PublishError
from builder.publish.fetch import fetch_version
from builder.publish.pulled_config import pulled_config
from builder.publish.repo import DatasetRepo
from builder.release.inputs import ORIGIN_NAME
from builder.release.versions import Version
from builder.workspace import Workspace, open_workspace
from schemas.features import SAMPLE_SCHEMA, image_columns_of
from schemas.manifest import ReleaseManifest, ShardEntry
from schemas.review import ReviewEvent, write_events
from schemas.review_rows import review_event
from schemas.sample import CONTENT_FIELDS, Provenance, Sample, content_hash
from schemas.shards import parse_record, read_records
from schemas.vocabulary import CONFIG_OF_TASK

_BATCH_ROWS = 500
#: Comes before every round of this workspace's own.
_PULLED_ROUND = -1


@dataclass(frozen=True, slots=True)
class Pulled:
    """The workspace, and the fields of the published configuration that were reset."""

    workspace: Workspace
    reset: list[str]


def pull(
    repo: DatasetRepo,
    version: Version,
    root: Path,
    progress: Progress = no_progress,
) -> Pulled:
    """Rebuilds a workspace from a published version.

    After an interruption, the next call starts again and keeps what was downloaded.

    Args:
        repo: The repository.
        version: The version to pull.
        root: Directory of the workspace; new, or one where a pull was interrupted.
        progress: Called as bytes and rows are read.

    Raises:
        PublishError: There is no such version, or the workspace has a build already.
    """
    commit = repo.commit_of(version)
    repo.version_manifest(version, commit)
    workspace = open_workspace(root, create=True)
    with workspace.locked():
        _refuse_used(workspace)
        directory, manifest = fetch_version(repo, version, commit, workspace.releases_dir, progress)
        config, reset = pulled_config(directory / "config.yaml")
        events = list(_events(directory, manifest))
        provenance_of = _add_images(directory, manifest, workspace, config, progress)
        _add_rows(directory, manifest, workspace, events, provenance_of, progress)
        if events:
            write_events(workspace.reviews_path, events)
        _save_origin(directory, workspace, repo, version)
        # Last, since a workspace with a configuration counts as complete.
        save_config(config, workspace.config_path)
    return Pulled(workspace, reset)


def _refuse_used(workspace: Workspace) -> None:
    if workspace.config_path.exists():
        raise PublishError(
            f"{workspace.root}: this workspace already has a build. Pull into a new directory."
        )
    for path in (workspace.ledger_path, *workspace.root.glob("ledger.sqlite-*")):
        path.unlink(missing_ok=True)


def _events(directory: Path, manifest: ReleaseManifest) -> Iterator[ReviewEvent]:
    for entry in manifest.shards:
        if entry.config == "reviews":
            for record in read_records(directory / entry.path):
                yield review_event(record)


def _sample_shards(manifest: ReleaseManifest) -> list[ShardEntry]:
    configs = set(CONFIG_OF_TASK.values())
    return [entry for entry in manifest.shards if entry.config in configs]


def _add_images(
    directory: Path,
    manifest: ReleaseManifest,
    workspace: Workspace,
    config: BuildConfig,
    progress: Progress,
) -> Callable[[], Iterator[dict[str, Any]]]:
    """Stores every image once; returns a way to read the provenance rows."""

    def provenance() -> Iterator[dict[str, Any]]:
        for entry in manifest.shards:
            if entry.config == "provenance":
                yield from read_records(directory / entry.path)

    facts: dict[str, tuple[str, str, str]] = {}
    for row in provenance():
        for image in row["images"]:
            facts[image["sha256"]] = (image["group"], image["licence"], image["source"])
    done = 0
    with ImageStore(workspace.images_dir, config.images) as store:
        for entry in _sample_shards(manifest):
            with store.batch():
                for record in read_records(directory / entry.path, image_columns_of(SAMPLE_SCHEMA)):
                    _store_images(store, record, facts)
                    done += 1
                    if done % _BATCH_ROWS == 0:
                        progress("images", done, manifest.num_samples)
    return provenance


def _store_images(
    store: ImageStore, record: dict[str, Any], facts: dict[str, tuple[str, str, str]]
) -> None:
    for image in (record["query_image"], record["positive_image"], *record["negative_images"]):
        if image is None:
            continue
        known = facts.pop(Path(image["path"]).stem, None)
        if known is not None:
            group, licence, source = known
            store.add(image["bytes"], group=group, licence=licence, source=source)


def _add_rows(
    directory: Path,
    manifest: ReleaseManifest,
    workspace: Workspace,
    events: list[ReviewEvent],
    provenance: Callable[[], Iterator[dict[str, Any]]],
    progress: Progress,
) -> None:
    hashes: dict[str, set[str]] = {}
    for event in events:
        if event.edits is not None:
            hashes.setdefault(event.sample_id, set()).add(event.content_hash)
    with Ledger(workspace.ledger_path, create=True) as ledger:
        index = 0
        for entry in _sample_shards(manifest):
            with ledger.transaction():
                for position, record in enumerate(read_records(directory / entry.path)):
                    sample, _ = parse_record(record, shard=entry.path, row_index=position)
                    ledger.db.execute(
                        "INSERT INTO outcome (job_id, round, idx, task_type, modality, language, "
                        "sample_id, sample) VALUES (?,?,?,?,?,?,?,?)",
                        (
                            *(_job_id(sample.id), _PULLED_ROUND, index),
                            *(sample.task_type, sample.modality, sample.language, sample.id),
                            orjson.dumps(sample.model_dump(mode="json")),
                        ),
                    )
                    index += 1
            progress("rows", index, manifest.num_samples)
        done = 0
        for batch in _batches(provenance()):
            with ledger.transaction():
                for row in batch:
                    _add_provenance(ledger, row, hashes)
            done += len(batch)
            progress("provenance", done, manifest.num_samples)


def _job_id(sample_id: str) -> str:
    return f"pulled-{sample_id}"


def _add_provenance(ledger: Ledger, row: dict[str, Any], hashes: dict[str, set[str]]) -> None:
    provenance = Provenance.model_validate(row)
    job_id = _job_id(provenance.id)
    ledger.db.execute(
        "UPDATE outcome SET provenance = ?, request_hash = ? WHERE job_id = ?",
        (
            orjson.dumps(provenance.model_dump(mode="json")),
            provenance.request_hash,
            job_id,
        ),
    )
    if provenance.id in hashes:
        found = ledger.db.execute("SELECT sample FROM outcome WHERE job_id = ?", (job_id,))
        original = before_edits(found.fetchone()[0], provenance, hashes[provenance.id])
        if original is not None:
            ledger.db.execute("UPDATE outcome SET sample = ? WHERE job_id = ?", (original, job_id))


def before_edits(sample: bytes, provenance: Provenance, hashes: set[str]) -> bytes | None:
    """The row as the teacher wrote it, if that is what the reviewer edited.

    The teacher's last texts are its provenance's `revision`; their content
    hash proves that nothing else was changed.
    """
    row: dict[str, Any] = orjson.loads(sample)
    revision = provenance.revision
    row |= {
        "instruction": revision.instruction,
        "query_text": revision.query_text,
        "positive_text": revision.positive_text,
    }
    if len(row["negative_texts"]) == 1:
        row["negative_texts"] = [revision.negative_text]
    if content_hash({name: row[name] for name in CONTENT_FIELDS}) not in hashes:
        return None
    return orjson.dumps(Sample.model_validate(row).model_dump(mode="json"))


def _save_origin(
    directory: Path, workspace: Workspace, repo: DatasetRepo, version: Version
) -> None:
    quality = orjson.loads((directory / "quality.json").read_bytes())
    origin = {
        "version": str(version),
        "where": f"{repo.repo_id} version {version}",
        "drops": quality["drops"]["generation"],
    }
    path = workspace.root / ORIGIN_NAME
    path.write_bytes(orjson.dumps(origin, option=orjson.OPT_INDENT_2) + b"\n")


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch
