"""Puts the rows and images of a published version into a workspace's ledger and image store.

Rows come with the texts they had before reviewers edited them, so that review
events still apply to them. Rows that the workspace knows are left alone.
"""

# pyright: standard, reportMissingTypeStubs=false
# pyarrow ships no types

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from builder.config import ImagesConfig
from builder.images.store import ImageStore
from builder.ledger.ledger import Ledger
from builder.ledger.tables import HAS_EXTRA
from builder.progress import Progress
from builder.workspace import Workspace
from schemas.features import SAMPLE_SCHEMA, image_columns_of
from schemas.manifest import ReleaseManifest, ShardEntry
from schemas.review import ReviewEvent
from schemas.sample import CONTENT_FIELDS, Provenance, Sample, content_hash
from schemas.shards import parse_record, read_records
from schemas.vocabulary import CONFIG_OF_TASK

_BATCH_ROWS = 500
#: Comes before every round of a workspace's own.
_PULLED_ROUND = -1


def sample_shards(manifest: ReleaseManifest) -> list[ShardEntry]:
    """The shards that hold rows."""
    configs = set(CONFIG_OF_TASK.values())
    return [entry for entry in manifest.shards if entry.config in configs]


def known_ids(workspace: Workspace) -> tuple[set[str], set[str]]:
    """Ids of the rows that the workspace has, and of those of them that are kept."""
    with Ledger(workspace.ledger_path) as ledger:
        rows = ledger.db.execute(
            "SELECT sample_id, reason IS NULL FROM outcome "
            "WHERE sample_id IS NOT NULL AND sample IS NOT NULL"
        ).fetchall()
    return {row_id for row_id, _ in rows}, {row_id for row_id, is_kept in rows if is_kept}


def add_images(
    directory: Path,
    manifest: ReleaseManifest,
    workspace: Workspace,
    limits: ImagesConfig,
    progress: Progress,
    known: Collection[str] = (),
) -> None:
    """Stores every image of the rows that the workspace lacks.

    Args:
        directory: The version.
        manifest: Its manifest.
        workspace: Where the images go.
        limits: What they passed when they were published.
        progress: Called as rows are read.
        known: Ids of rows that the workspace has.
    """
    facts: dict[str, tuple[str, str, str]] = {}
    for row in _provenance(directory, manifest, known):
        for image in row["images"]:
            facts[image["sha256"]] = (image["group"], image["licence"], image["source"])
    done = 0
    with ImageStore(workspace.images_dir, limits) as store:
        for sha256 in [sha256 for sha256 in facts if sha256 in store]:
            del facts[sha256]
        for entry in _shards_with_news(directory, manifest, known):
            if not facts:
                break
            with store.batch():
                for record in read_records(directory / entry.path, image_columns_of(SAMPLE_SCHEMA)):
                    _store_images(store, record, facts)
                    done += 1
                    if done % _BATCH_ROWS == 0:
                        progress("images", done, manifest.num_samples)


def add_rows(
    directory: Path,
    manifest: ReleaseManifest,
    workspace: Workspace,
    events: Iterable[ReviewEvent],
    progress: Progress,
    known: Collection[str] = (),
    dropped: Collection[str] = (),
    restored: Collection[str] = (),
) -> int:
    """Adds the rows that the workspace lacks, drops and restores others, in one transaction.

    Args:
        directory: The version.
        manifest: Its manifest.
        workspace: Where the rows go.
        events: Review events; they tell what text an edited row had before.
        progress: Called as rows are written.
        known: Ids of rows that the workspace has.
        dropped: Ids of kept rows to drop.
        restored: Ids of dropped rows to keep again.

    Returns:
        How many rows were added.
    """
    hashes: dict[str, set[str]] = {}
    for event in events:
        if event.edits is not None:
            hashes.setdefault(event.sample_id, set()).add(event.content_hash)
    with Ledger(workspace.ledger_path, create=True) as ledger, ledger.transaction():
        (first,) = ledger.db.execute(
            "SELECT coalesce(max(idx) + 1, 0) FROM outcome WHERE round = ?", (_PULLED_ROUND,)
        ).fetchone()
        num_added = 0
        for entry in _shards_with_news(directory, manifest, known):
            for position, record in enumerate(read_records(directory / entry.path)):
                if record["id"] in known:
                    continue
                sample, _ = parse_record(record, shard=entry.path, row_index=position)
                _insert(ledger, sample, first + num_added)
                num_added += 1
            progress("rows", num_added, manifest.num_samples)
        for number, row in enumerate(_provenance(directory, manifest, known), 1):
            _add_provenance(ledger, row, hashes)
            if number % _BATCH_ROWS == 0:
                progress("provenance", number, manifest.num_samples)
        ledger.db.executemany(
            "UPDATE outcome SET reason = 'removed_by_rebase' "
            "WHERE sample_id = ? AND reason IS NULL",
            [(sample_id,) for sample_id in sorted(dropped)],
        )
        ledger.db.executemany(
            "UPDATE outcome SET reason = NULL WHERE sample_id = ? AND sample IS NOT NULL",
            [(sample_id,) for sample_id in sorted(restored)],
        )
    return num_added


def row_ids(directory: Path, entry: ShardEntry) -> Iterator[str]:
    """Ids of a shard's rows."""
    for record in read_records(directory / entry.path, ["id"]):
        yield record["id"]


def _shards_with_news(
    directory: Path, manifest: ReleaseManifest, known: Collection[str]
) -> Iterator[ShardEntry]:
    """Shards with a row that the workspace lacks."""
    for entry in sample_shards(manifest):
        if not known or any(row_id not in known for row_id in row_ids(directory, entry)):
            yield entry


def _provenance(
    directory: Path, manifest: ReleaseManifest, known: Collection[str]
) -> Iterator[dict[str, Any]]:
    for entry in manifest.shards:
        if entry.config == "provenance":
            for row in read_records(directory / entry.path):
                if row["id"] not in known:
                    yield row


def _store_images(
    store: ImageStore, record: dict[str, Any], facts: dict[str, tuple[str, str, str]]
) -> None:
    for image in (record["query_image"], record["positive_image"], *record["negative_images"]):
        if image is None:
            continue
        known = facts.pop(Path(image["path"]).stem, None)
        if known is not None:
            group, licence, source = known
            store.restore(image["bytes"], group=group, licence=licence, source=source)


def _insert(ledger: Ledger, sample: Sample, index: int) -> None:
    ledger.db.execute(
        "INSERT INTO outcome (job_id, round, idx, task_type, modality, language, "
        "sample_id, sample) VALUES (?,?,?,?,?,?,?,?)",
        (
            *(_job_id(sample.id), _PULLED_ROUND, index),
            *(sample.task_type, sample.modality, sample.language, sample.id),
            orjson.dumps(sample.model_dump(mode="json")),
        ),
    )


def _job_id(sample_id: str) -> str:
    return f"pulled-{sample_id}"


def _add_provenance(ledger: Ledger, row: dict[str, Any], hashes: dict[str, set[str]]) -> None:
    provenance = Provenance.model_validate(row)
    if provenance.extra is not None:
        ledger.set_meta(HAS_EXTRA, "yes")
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
