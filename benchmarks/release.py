"""Releases of 560,000 rows and of 100 KB images, diffs, and a cold load, against their targets.

    python -m benchmarks.release --directory release-benchmark

Makes its inputs there once (about 4 GB) and keeps them for the next run.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine
from benchmarks.release_workspaces import images_workspace, rows_workspace
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from schemas.sample import CONTENT_FIELDS, content_hash

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
from builder.publish.compared_version import find_version
from builder.release.compare import compare
start = time.perf_counter()
versions = [find_version(version, Path(sys.argv[1])) for version in sys.argv[2:4]]
difference = compare(*versions)
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


if __name__ == "__main__":
    main()
