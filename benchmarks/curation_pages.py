"""Opens, indexes and searches a synthetic version of 1,000,000 rows; prints what a page waits for.

    python -m benchmarks.curation_pages [--num-rows 1000000] [--repeats 7] [--keep DIR]

The rows are drawn: words in six scripts, 93 languages, the ten cells, a byte for each image. The
version is opened and indexed as the app does it; then every query behind the search, coverage and
compare pages is timed. CPU time is of all cores and without the SQL console's own process; where
other work runs beside, it says more than the clock. The browser's part is not in these figures.
"""

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine, peak_memory_mib
from curation_app.data.differences import compare_versions
from curation_app.data.query import RowFilter, Sort, VersionQuery
from curation_app.data.sandbox import SqlConsole
from curation_app.data.version import VersionDataset, open_dataset
from schemas.features import CONFIG_SCHEMAS
from schemas.manifest import ReleaseManifest, ShardEntry
from schemas.shards import open_shard
from schemas.vocabulary import CELLS, CONFIG_OF_TASK, LANGUAGES

_SCRIPTS = (
    "red balloon sky roof kite string cat clock river bridge",
    "بالون أحمر سماء سطح طائرة خيط قطة ساعة نهر جسر",
    "赤い 風船 空 屋根 凧 糸 猫 時計 川 橋",
    "लाल गुब्बारा आसमान छत पतंग डोर बिल्ली घड़ी नदी पुल",
    "красный шар небо крыша змей нить кошка часы река мост",
    "κόκκινο μπαλόνι ουρανός στέγη χαρταετός νήμα γάτα ρολόι ποτάμι γέφυρα",
)
_WORDS = [word for script in _SCRIPTS for word in script.split()]
_SHARD_ROWS = 100_000
_GROUP_ROWS = 1_000
_TEXT_WORDS = (3, 12)


def main() -> None:
    """Reads the options, runs every step, prints one table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--num-rows", type=int, default=1_000_000)
    options.add_argument("--repeats", type=int, default=7)
    options.add_argument("--keep", type=Path, help="Folder to keep the versions in.")
    asked = options.parse_args()
    table = Table(title=f"{asked.num_rows:,} rows; {describe_machine()}", title_justify="left")
    for name in ("step", "ms, median", "slowest", "CPU ms", "rows", "peak MiB"):
        table.add_column(name, justify="left" if name == "step" else "right")
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        _measure(folder, asked.num_rows, asked.repeats, table)
    Console().print(table)


def _measure(folder: Path, num_rows: int, repeats: int, table: Table) -> None:
    releases = [folder / "0.1.0", folder / "0.2.0"]
    for seed, release in enumerate(releases):
        if not (release / "manifest.json").exists():
            write_version(release, num_rows, version=release.name, changed_seed=seed)

    def once(step: str, action: Callable[[], Any]) -> Any:
        return _timed(table, step, action, 1)

    dataset: VersionDataset = once("open the version", lambda: open_dataset(str(releases[1])))
    query = VersionQuery(dataset, folder / "cache")
    once("build the index", query.prepare)
    again = VersionQuery(dataset, folder / "cache")
    once("open the index again", again.prepare)
    marks = _marks(len(dataset))
    text, rare = RowFilter(text="風船"), RowFilter(text="κόκκινο μπαλόνι ουρανός")
    cell = RowFilter(languages=("ar",), task_types=("retrieval",), modalities=("T->I",))
    lowest, newest = Sort("lowest_score"), Sort("text_length", is_descending=True)
    deep = query.page(RowFilter(), sort=lowest, limit=50).next
    for step, action in (
        ("first page, no filter", lambda: query.page(RowFilter())),
        ("first page, text", lambda: query.page(text)),
        ("first page, rare text", lambda: query.page(rare)),
        ("first page, a cell", lambda: query.page(cell)),
        ("first page, by lowest score", lambda: query.page(RowFilter(), sort=lowest)),
        ("next page, by lowest score", lambda: query.page(RowFilter(), sort=lowest, after=deep)),
        ("first page, longest texts", lambda: query.page(RowFilter(), sort=newest)),
        ("first page, rejected", lambda: query.page(RowFilter(marks=("rejected",)), marks=marks)),
        (
            "first page, unreviewed and text",
            lambda: query.page(RowFilter(text="風船", marks=("unreviewed",)), marks=marks),
        ),
        ("count, text", lambda: VersionQuery(dataset, folder / "cache").count(text)),
        ("coverage table", lambda: query.counts_by("language", "task_type", "modality")),
    ):
        _timed(table, step, action, repeats)
    console = SqlConsole(query.index_path)
    grouped = "SELECT language, avg(lowest_score) FROM rows GROUP BY 1 ORDER BY 2"
    _timed(table, "SQL console, group by language", lambda: console.run(grouped), repeats)
    older = VersionQuery(open_dataset(str(releases[0])), folder / "cache")
    once("build the other version's index", older.prepare)
    once("compare two versions", lambda: compare_versions(older, query))


def _timed(table: Table, step: str, action: Callable[[], Any], repeats: int) -> Any:
    seconds, cpu_seconds, result = [], [], None
    for _ in range(repeats):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        result = action()
        seconds.append(time.perf_counter() - begin)
        cpu_seconds.append(time.process_time() - cpu_begin)
    found = getattr(result, "rows", None)
    shown = f"{len(found):,}" if isinstance(found, list) else ""
    figures = (statistics.median(seconds), max(seconds), statistics.median(cpu_seconds))
    times = [f"{1_000 * figure:,.0f}" for figure in figures]
    table.add_row(step, *times, shown, f"{peak_memory_mib():,.0f}")
    return result


def _marks(num_rows: int) -> dict[str, np.ndarray]:
    """2 % of the rows reviewed, a tenth of them rejected."""
    drawn = np.random.default_rng(3).random(num_rows)
    return {"rejected": drawn < 0.002, "accepted": (drawn >= 0.002) & (drawn < 0.02)} | {
        "unreviewed": drawn >= 0.02
    }


def write_version(directory: Path, num_rows: int, *, version: str, changed_seed: int) -> None:
    """Writes a synthetic release; versions of other seeds differ in a hundredth of the texts."""
    entries: list[ShardEntry] = []
    rng = np.random.default_rng(1)
    for start in range(0, num_rows, _SHARD_ROWS):
        size = min(_SHARD_ROWS, num_rows - start)
        columns = _columns(rng, size, changed_seed)
        task = columns["task_type"]
        for name, config in CONFIG_OF_TASK.items():
            chosen = np.flatnonzero(task == name)
            path = directory / "data" / config / f"train-{start // _SHARD_ROWS:03d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            arrays = [pa.array(columns[f][chosen].tolist(), t.type) for f, t in _fields(config)]
            table = pa.Table.from_arrays(arrays, schema=CONFIG_SCHEMAS[config])
            with open_shard(path, config) as writer:
                writer.write_table(table.cast(writer.schema), row_group_size=_GROUP_ROWS)
            entries.append(_entry(directory, path, config, len(chosen)))
    manifest = ReleaseManifest(
        name="synthetic",
        version=version,
        num_samples=num_rows,
        num_by_config={},
        languages={},
        modalities={},
        teacher_models=["drawn"],
        prompt_hashes=[],
        licences={},
        config_hash="",
        policy={},
        shards=entries,
    )
    (directory / "manifest.json").write_bytes(orjson.dumps(manifest.model_dump(mode="json")))


def _fields(config: str) -> list[tuple[str, pa.Field]]:
    return [(field.name, field) for field in CONFIG_SCHEMAS[config]]


def _columns(rng: np.random.Generator, size: int, changed_seed: int) -> dict[str, np.ndarray]:
    """Columns of rows that fit their cells; ids ascend within a shard."""
    codes, words = np.array(list(LANGUAGES)), np.array(_WORDS)
    drawn = rng.bytes(12 * size)
    ids = np.sort(np.array([drawn[12 * n : 12 * n + 12].hex() for n in range(size)]))
    cells = [CELLS[n] for n in rng.integers(0, len(CELLS), size)]
    texts = [_sentences(rng, words, size) for _ in range(3)]
    changes = np.random.default_rng(changed_seed).random(size) < 0.01 * changed_seed
    texts[1] = np.where(changes, texts[1] + " ", texts[1]).astype(object)
    shas = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(2_000)]
    images = np.empty(len(shas), dtype=object)
    images[:] = [{"bytes": b"x", "path": f"{sha}.png"} for sha in shas]
    pictures = [images[rng.integers(0, len(images), size)] for _ in range(3)]

    def where(values: np.ndarray, needed: list[bool]) -> np.ndarray:
        made = values.copy()
        made[~np.array(needed)] = None
        return made

    def listed(values: np.ndarray) -> np.ndarray:
        made = np.empty(size, dtype=object)
        made[:] = [[value] for value in values]
        return made

    document_text = [cell.document_has_text for cell in cells]
    document_image = [cell.document_has_image for cell in cells]
    scores = rng.integers(3, 6, (4, size))
    return {
        "id": ids,
        "language": codes[rng.integers(0, len(codes), size)],
        "task_type": np.array([cell.task_type for cell in cells]),
        "modality": np.array([cell.modality for cell in cells]),
        "instruction": _sentences(rng, words[:10], size),
        "query_text": where(texts[0], [cell.query_has_text for cell in cells]),
        "query_image": where(pictures[0], [cell.query_has_image for cell in cells]),
        "positive_text": where(texts[1], document_text),
        "positive_image": where(pictures[1], document_image),
        "negative_texts": listed(where(texts[2], document_text)),
        "negative_images": listed(where(pictures[2], document_image)),
        **dict(zip(("relevance", "plausibility", "clarity", "diversity"), scores, strict=True)),
        "alignment": rng.random(size),
    }


def _sentences(rng: np.random.Generator, words: np.ndarray, size: int) -> np.ndarray:
    lengths = rng.integers(*_TEXT_WORDS, size)
    drawn = words[rng.integers(0, len(words), int(lengths.sum()))].tolist()
    ends = np.cumsum(lengths).tolist()
    starts = [0, *ends[:-1]]
    made = np.empty(size, dtype=object)
    made[:] = [" ".join(drawn[a:b]) for a, b in zip(starts, ends, strict=True)]
    return made


def _entry(directory: Path, path: Path, config: str, num_rows: int) -> ShardEntry:
    return ShardEntry(
        path=str(path.relative_to(directory)),
        config=config,
        split="train",
        key=path.stem,
        num_rows=num_rows,
        num_bytes=path.stat().st_size,
        sha256="",
        rows_hash="",
    )


if __name__ == "__main__":
    main()
