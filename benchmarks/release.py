"""Releases of 560,000 rows and of 100 KB images, diffs, and a cold load, against their targets.

    python -m benchmarks.release --directory release-benchmark

Makes its inputs there once (about 4 GB) and keeps them for the next run.
"""

import argparse
import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from builder.config import BuildConfig, save_config
from builder.generate.ledger import Ledger
from builder.images.pictograms import load_pictograms
from builder.images.store import ImageStore
from builder.plan.shares import targets_of
from builder.workspace import Workspace, open_workspace
from schemas.manifest import read_manifest
from schemas.sample import CONTENT_FIELDS, content_hash
from schemas.vocabulary import CELLS, Cell

_ENGLISH = (
    *("the", "photo", "shows", "a", "small", "red", "boat", "that", "lies", "near", "an", "old"),
    *("harbour", "with", "its", "nets", "on", "deck", "and", "two", "people", "who", "talk"),
)
_BATCH_ROWS = 5_000
_CELL_OF = {(cell.task_type, cell.modality): cell for cell in CELLS}

#: Runs one release in a process of its own, so that its memory is its own.
_RELEASE = """
import sys, time
from pathlib import Path
from benchmarks.machine import peak_memory_mib
from builder.release import Version, open_inputs, release
from builder.workspace import open_workspace
workspace = open_workspace(Path(sys.argv[1]))
start = time.perf_counter()
with open_inputs(workspace, None) as inputs:
    made = release(inputs, Version.parse(sys.argv[2]), workspace.releases_dir)
print(time.perf_counter() - start, peak_memory_mib(), made.num_reused_shards)
"""
_COMPARE = """
import sys, time
from pathlib import Path
from benchmarks.machine import peak_memory_mib
from builder.publish.sides import find_side
from builder.release.compare import compare
start = time.perf_counter()
sides = [find_side(version, Path(sys.argv[1])) for version in sys.argv[2:4]]
difference = compare(*sides)
print(time.perf_counter() - start, peak_memory_mib(), difference.num_shards_read)
print(difference.summary(), file=sys.stderr)
"""
_LOAD = """
import sys
from benchmarks.machine import peak_memory_mib
from datasets import load_dataset
before = peak_memory_mib()
loaded = load_dataset(sys.argv[1], "Retrieval", revision="v0.1.0")
print(sum(loaded.num_rows.values()), peak_memory_mib() - before)
"""


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("release-benchmark"))
    parser.add_argument("--rows", type=int, default=560_000)
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--image-bytes", type=int, default=100_000)
    parser.add_argument("--part", choices=("rows", "images", "load"), action="append")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    table = Table("what", "measured", "target", title=describe_machine())
    parts = arguments.part or ["rows", "images", "load"]
    if "rows" in parts:
        measure_rows(table, arguments.directory / f"rows-{arguments.rows}", arguments.rows)
    if "images" in parts:
        name = f"images-{arguments.images}-{arguments.image_bytes}"
        measure_images(table, arguments.directory / name, arguments.images, arguments.image_bytes)
    if "load" in parts:
        measure_load(table, arguments.directory / "load")
    Console(width=110).print(table)


def measure_rows(table: Table, root: Path, num_rows: int) -> None:
    """A whole release, one edited row, and the comparison of the two and of a wide one."""
    workspace = rows_workspace(root, num_rows)
    shutil.rmtree(workspace.releases_dir, ignore_errors=True)
    workspace.reviews_path.unlink(missing_ok=True)
    seconds, memory, _ = _run(_RELEASE, root, "0.1.0")
    table.add_row(f"release of {num_rows:,} rows", f"{seconds:.1f} s", "90 s")
    table.add_row("  peak memory", f"{memory:,.0f} MiB", "2,048 MiB")
    _edit(workspace, 1)
    seconds, _, reused = _run(_RELEASE, root, "0.2.0")
    table.add_row("release with one edited row", f"{seconds:.1f} s", "")
    _all_edited(workspace, "0.2.0", 1)
    changed = _changed_files(workspace, "0.1.0", "0.2.0")
    data = [name for name in changed if name.startswith("data/") and "/reviews/" not in name]
    table.add_row("  data shards changed", str(len(data)), "1")
    table.add_row("  other files changed", ", ".join(sorted(set(changed) - set(data))), "")
    table.add_row("  shards taken over", f"{reused:.0f}", "")
    seconds, memory, num_read = _run(_COMPARE, workspace.releases_dir, "0.1.0", "0.2.0")
    table.add_row(f"diff, one row edited ({num_read:.0f} shards read)", f"{seconds:.2f} s", "5 s")
    _edit(workspace, min(2_000, num_rows))
    _run(_RELEASE, root, "0.3.0")
    _all_edited(workspace, "0.3.0", 2_000)
    seconds, memory, num_read = _run(_COMPARE, workspace.releases_dir, "0.2.0", "0.3.0")
    name = f"diff, 2,000 rows edited ({num_read:.0f} shards read)"
    table.add_row(name, f"{seconds:.2f} s, {memory:,.0f} MiB", "5 s")


def measure_images(table: Table, root: Path, num_images: int, image_bytes: int) -> None:
    """A release whose bytes are nearly all images, beside the disk's own speed."""
    workspace = images_workspace(root, num_images, image_bytes)
    shutil.rmtree(workspace.releases_dir, ignore_errors=True)
    seconds, memory, _ = _run(_RELEASE, root, "0.1.0")
    manifest = read_manifest(workspace.releases_dir / "0.1.0")
    size = sum(entry.num_bytes for entry in manifest.shards)
    disk = _disk_speed(root / "plain", size)
    speed = size / seconds
    title = f"release of {num_images:,} images of {image_bytes / 1e3:.0f} KB"
    table.add_row(title, f"{speed / 1e6:.0f} MB/s ({seconds:.1f} s)", "")
    table.add_row("  the disk's own speed, same run", f"{disk / 1e6:.0f} MB/s", "")
    table.add_row("  share of it", f"{speed / disk:.0%}", "60 %")
    table.add_row("  peak memory", f"{memory:,.0f} MiB", "")


def measure_load(table: Table, root: Path) -> None:
    """A cold `load_dataset` of a set the size of the demo's, from the embedded Hub."""
    from builder.publish import DatasetRepo, publish
    from tests.hub_server import WRITE_TOKEN, client_environment, running_hub

    shutil.rmtree(root, ignore_errors=True)
    workspace = rows_workspace(root / "workspace", 4_000, image_bytes=20_000)
    _run(_RELEASE, workspace.root, "0.1.0")
    manifest = read_manifest(workspace.releases_dir / "0.1.0")
    with running_hub(root / "hub") as hub:
        repo = DatasetRepo("demo/load", hub.url, WRITE_TOKEN, root / "cache")
        publish(workspace.releases_dir / "0.1.0", repo)
        before = len(hub.requests)
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, repo.repo_id],
            env=client_environment(hub.url, root / "home"),
            capture_output=True,
            text=True,
            check=True,
        )
        num_requests = len(hub.requests) - before
    num_rows, memory = done.stdout.split()
    shards = [entry for entry in manifest.shards if entry.config == "Retrieval"]
    largest = max(entry.num_bytes for entry in shards) / 2**20
    table.add_row(f"cold load_dataset, {num_rows} rows", f"{num_requests} requests", "12")
    table.add_row(
        "  memory above the imports", f"{float(memory):.0f} MiB", f"2 x {largest:.0f} MiB"
    )


def _run(script: str, *arguments: object) -> tuple[float, float, float]:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, check=True
    )
    first, second, third = map(float, done.stdout.split())
    return first, second, third


def _disk_speed(path: Path, num_bytes: int) -> float:
    """Bytes a second of plain writing, with the fsync a release does too."""
    piece = os.urandom(2**24)
    start = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(0, num_bytes, len(piece)):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - start
    path.unlink()
    return num_bytes / seconds


def _changed_files(workspace: Workspace, old: str, new: str) -> list[str]:
    before, after = (read_manifest(workspace.releases_dir / version) for version in (old, new))
    known = {entry.path: entry.sha256 for entry in (*before.shards, *before.files)}
    entries = (*after.shards, *after.files)
    return [e.path for e in entries if known.get(e.path) != e.sha256] + ["manifest.json"]


def _all_edited(workspace: Workspace, version: str, num_edits: int) -> None:
    """Makes sure that no edit was refused, or the comparison would be of dropped rows."""
    reviews = read_manifest(workspace.releases_dir / version).reviews
    assert reviews.num_edited == num_edits, f"{reviews.num_edited} of {num_edits} edits taken"


def _edit(workspace: Workspace, num_edits: int) -> None:
    """Review events that edit rows spread over all shards."""
    events: list[bytes] = []
    with Ledger(workspace.ledger_path) as ledger:
        found = ledger.db.execute(
            "SELECT sample FROM outcome WHERE reason IS NULL ORDER BY job_id LIMIT ?", (num_edits,)
        )
        for seq, (blob,) in enumerate(found):
            row = orjson.loads(blob)
            event = {
                "event_id": f"event-{seq:08d}",
                "seq": seq,
                "ts": "2026-01-01T00:00:00Z",
                "reviewer": "benchmark",
                "dataset_version": "0.1.0",
                "sample_id": row["id"],
                "content_hash": content_hash({name: row[name] for name in CONTENT_FIELDS}),
                "kind": "edit",
                "edits": {"instruction": f"{row['instruction']} (mended)"},
            }
            events.append(orjson.dumps(event))
    workspace.reviews_path.write_bytes(b"\n".join(events) + b"\n")


def rows_workspace(root: Path, num_rows: int, image_bytes: int = 0) -> Workspace:
    """A workspace with the paper's plan fulfilled and a handful of small images."""
    if (root / "config.yaml").exists():
        return open_workspace(root)
    shutil.rmtree(root, ignore_errors=True)
    workspace = open_workspace(root, create=True)
    hashes = _add_images(workspace, 256, image_bytes)
    config = BuildConfig(name="benchmark", num_samples=num_rows)
    _fill(workspace, _made_rows(config, hashes), num_rows)
    save_config(config, workspace.config_path)
    return workspace


def images_workspace(root: Path, num_images: int, image_bytes: int) -> Workspace:
    """A workspace where every image stands in one row."""
    if (root / "config.yaml").exists():
        return open_workspace(root)
    shutil.rmtree(root, ignore_errors=True)
    workspace = open_workspace(root, create=True)
    hashes = _add_images(workspace, num_images, image_bytes)
    config = BuildConfig(name="benchmark", num_samples=num_images)
    cell = Cell("vqa", "IT->T")
    rows = (_row(cell, "en", [sha], n, random.Random(n)) for n, sha in enumerate(hashes))
    _fill(workspace, rows, num_images)
    save_config(config, workspace.config_path)
    return workspace


def _add_images(workspace: Workspace, num_images: int, image_bytes: int) -> list[str]:
    """Small pictures, filled up behind their end with noise; decoders stop before it."""
    hashes: list[str] = []
    with ImageStore(workspace.images_dir) as store:
        for start in range(0, num_images, 500):
            with store.batch():
                for number in range(start, min(num_images, start + 500)):
                    buffer = io.BytesIO()
                    colour = (number % 256, number // 256 % 256, 90)
                    Image.new("RGB", (32, 32), colour).save(buffer, format="JPEG")
                    filler = random.Random(number).randbytes(max(8, image_bytes - buffer.tell()))
                    data = buffer.getvalue() + filler
                    record = store.add(data, group=f"g{number}", licence="MIT", source="made/x")
                    hashes.append(record.sha256)
    return hashes


def _made_rows(config: BuildConfig, hashes: list[str]) -> Iterator[tuple[bytes, bytes]]:
    number = 0
    for (task, modality, language), wanted in targets_of(config).by_slot.items():
        cell = _CELL_OF[task, modality]
        for _ in range(wanted):
            rng = random.Random(number)
            # The images of a row are a pair of one group, which stands on one side of the split.
            pair = 2 * rng.randrange(len(hashes) // 2)
            yield _row(cell, language, hashes[pair : pair + 2], number, rng)
            number += 1


def _row(
    cell: Cell, language: str, images: list[str], number: int, rng: random.Random
) -> tuple[bytes, bytes]:
    """JSON of a sample and its provenance, about 1 KB and 4 KB, as a build keeps them."""

    def text(num_words: int) -> str:
        return " ".join(rng.choices(_ENGLISH, k=num_words)) + f" {number}"

    def text_in_language(num_words: int) -> str:
        return " ".join(rng.choices(_words_of(language), k=num_words)) + f" {number}"

    document = text_in_language(14) if cell.document_has_text else None
    negative = text_in_language(14) if cell.document_has_text else None
    image = images[0] if cell.document_has_image else None
    other = images[-1] if cell.document_has_image else None
    sample: dict[str, Any] = {
        "id": hashlib.sha256(f"{number}".encode()).hexdigest()[:24],
        "language": language,
        "task_type": cell.task_type,
        "modality": cell.modality,
        "instruction": text(12),
        "query_text": text_in_language(9) if cell.query_has_text else None,
        "query_image": images[0] if cell.query_has_image else None,
        "positive_text": document,
        "positive_image": image,
        "negative_texts": [negative],
        "negative_images": [other],
        **{name: 3 + rng.randrange(3) for name in ("relevance", "plausibility")},
        **{name: 3 + rng.randrange(3) for name in ("clarity", "diversity")},
        "alignment": None,
    }
    draft = {
        "instruction": sample["instruction"],
        "query_text": sample["query_text"],
        "positive_text": document,
        "negative_text": negative,
    }
    reason = {"score": 4, "reason": text(12)}
    provenance = {
        **{name: sample[name] for name in ("id", "language", "task_type", "modality")},
        "teacher_model": "benchmark",
        "prompt_hash": hashlib.sha256(cell.name.encode()).hexdigest(),
        "request_hash": hashlib.sha256(f"request {number}".encode()).hexdigest(),
        "seed": number,
        "round": 0,
        "length": "short",
        "difficulty": "hard",
        "text_register": "plain",
        "task_idea": text(6),
        "interpretations": [
            {
                "image": role,
                **{name: text(25) for name in ("general", "objects", "context", "task_ideas")},
            }
            for role in cell.image_roles
        ],
        "draft": draft,
        "evaluation": {
            **dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), reason),
            "improvements": text(15),
        },
        "revision": draft,
        "judge": None,
        "judge_model": None,
        "prompt_tokens": 1_900,
        "completion_tokens": 1_100,
        "cost_usd": 0.0123,
        "checks": [{"check": f"check_{n}", "result": "kept"} for n in range(8)],
        "language_votes": [
            {"field": "query_text", "identifier": name, "detected": language}
            for name in ("pycld2", "py3langid")
        ],
        "images": [
            {
                "role": role,
                "sha256": images[0],
                "group": images[0][:12],
                "source": "made/x",
                "licence": "MIT",
            }
            for role in cell.image_roles
        ],
    }
    return orjson.dumps(sample), orjson.dumps(provenance)


@cache
def _words_of(language: str) -> tuple[str, ...]:
    """Words of a language, from the bundled pictograms' names: edited rows are checked again."""
    found = (p.texts[language].name for p in _pictograms() if language in p.texts)
    return tuple(found) or ("navis", "rubra", "prope", "portum", "parva", "stat", "et", "homines")


_pictograms = cache(load_pictograms)


def _fill(workspace: Workspace, rows: Iterator[tuple[bytes, bytes]], num_rows: int) -> None:
    from rich.progress import track

    with Ledger(workspace.ledger_path, create=True) as ledger:
        ledger.db.execute("PRAGMA synchronous=OFF")
        ledger.db.execute("BEGIN")
        shown = track(enumerate(rows), "making rows", total=num_rows, console=Console(stderr=True))
        for index, (sample, provenance) in shown:
            row = orjson.loads(sample)
            ledger.db.execute(
                "INSERT INTO outcome (job_id, round, idx, task_type, modality, language, "
                "sample_id, sample, provenance) VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    *(hashlib.sha256(f"job {index}".encode()).hexdigest()[:24], 0, index),
                    *(row["task_type"], row["modality"], row["language"], row["id"]),
                    *(sample, provenance),
                ),
            )
            if index % _BATCH_ROWS == 0:
                ledger.db.execute("COMMIT")
                ledger.db.execute("BEGIN")
        ledger.db.execute("COMMIT")
        ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


if __name__ == "__main__":
    main()
