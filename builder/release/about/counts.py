"""Counts a release while its rows are written: coverage, scores, repeats, sources, cost."""

# pyright: standard, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyarrow ships no types, and makes its compute functions at import

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from builder.plan.shares import Slot
from builder.release.about.criteria_rows import CriteriaRows
from builder.release.about.samples import SampleChoice
from builder.release.rows import Chunk
from schemas.sample import SCORES
from schemas.vocabulary import SPLITS

#: The variety of a language is measured on its first texts by id, which is a random sample.
MAX_TEXTS_PER_LANGUAGE = 500
MAX_INSTRUCTIONS = 20_000
_ALIGNMENT_BIN = 0.05
_PACKAGE = re.compile(r"[a-z][a-z0-9+.-]+:[^/]")


@dataclass(slots=True)
class ReleaseCounts:
    """Counts of a release's rows; the order of rows does not matter.

    Args:
        slots: Rows by (task type, modality, language).
        cells_by_split: Rows by (task type, modality, split).
        scores: Rows by (criterion, score).
        alignment: Rows by lower edge of a bin 0.05 wide.
        prompts: Rows by (teacher model, prompt hash, task type, modality).
        images: Licence and source of every image, by the first 16 digits of its hash.
        some_instructions: A sample of instructions, to measure their variety.
        some_texts: The same of positive texts, by language.
        example: JSON of a row for the card: the first with a query and a positive
            text, in English if there is one.
        samples: Rows that the card shows with their pictures.
        criteria: What scope, alignment and fidelity are measured from.
    """

    slots: Counter[Slot] = field(default_factory=Counter)
    cells_by_split: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    scores: Counter[tuple[str, int]] = field(default_factory=Counter)
    alignment: Counter[float] = field(default_factory=Counter)
    prompts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    images: dict[int, tuple[str, str]] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_micro_usd: int = 0
    num_repeated_queries: int = 0
    some_instructions: list[str] = field(default_factory=list)
    some_texts: dict[str, list[str]] = field(default_factory=dict)
    example: bytes | None = None
    samples: SampleChoice = field(default_factory=SampleChoice)
    criteria: CriteriaRows = field(default_factory=CriteriaRows)
    _example_rank: int = 3
    _instructions: set[int] = field(default_factory=set)
    _queries: set[int] = field(default_factory=set)
    _licences: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    @property
    def num_samples(self) -> int:
        return sum(self.slots.values())

    @property
    def teachers(self) -> Counter[tuple[str, str]]:
        """Rows by (teacher model, prompt hash)."""
        counts: Counter[tuple[str, str]] = Counter()
        for (model, prompt, _, _), num in self.prompts.items():
            counts[model, prompt] += num
        return counts

    @property
    def num_unique_instructions(self) -> int:
        return len(self._instructions)

    def add(self, chunk: Chunk) -> None:
        """Counts a chunk of the release."""
        samples, provenance = chunk.samples, chunk.provenance
        slot_rows = samples.select(["task_type", "modality", "language"])
        for (task, modality, language), num in _counted(slot_rows):
            self.slots[task, modality, language] += num
        split_rows = slot_rows.drop_columns(["language"]).append_column("split", [chunk.splits])
        for (task, modality, split), num in _counted(split_rows):
            self.cells_by_split[task, modality, SPLITS[split]] += num
        for name in SCORES:
            for (score,), num in _counted(samples.select([name])):
                self.scores[name, score] += num
        bins = pc.floor(pc.divide(samples["alignment"].drop_null(), _ALIGNMENT_BIN))
        for (edge,), num in _counted(pa.table({"edge": bins})):
            self.alignment[round(edge * _ALIGNMENT_BIN, 2)] += num
        self._instructions.update(map(hash, pc.unique(samples["instruction"]).to_pylist()))
        queries = zip(
            samples["language"].to_pylist(),
            samples["instruction"].to_pylist(),
            samples["query_text"].to_pylist(),
            samples["query_image"].to_pylist(),
            strict=True,
        )
        before = len(self._queries)
        self._queries.update(map(hash, queries))
        self.num_repeated_queries += samples.num_rows - (len(self._queries) - before)
        self._sample_texts(samples)
        self._choose_example(chunk)
        self.samples.add(chunk)
        self.criteria.add(chunk)
        sources = provenance.select(["teacher_model", "prompt_hash", "task_type", "modality"])
        for (model, prompt, task, modality), num in _counted(sources):
            self.prompts[model, prompt, task, modality] += num
        self.prompt_tokens += pc.sum(provenance["prompt_tokens"]).as_py() or 0
        self.completion_tokens += pc.sum(provenance["completion_tokens"]).as_py() or 0
        micro = pc.cast(pc.round(pc.multiply(provenance["cost_usd"], 1e6)), pa.int64())
        self.cost_micro_usd += pc.sum(micro).as_py() or 0
        self._add_images(provenance)

    def _sample_texts(self, samples: pa.Table) -> None:
        num_missing = MAX_INSTRUCTIONS - len(self.some_instructions)
        if num_missing > 0:
            self.some_instructions += samples["instruction"].slice(0, num_missing).to_pylist()
        texts = samples.select(["language", "positive_text"]).drop_null()
        languages = pc.unique(texts["language"]).to_pylist()
        short = [x for x in languages if len(self.some_texts.get(x, ())) < MAX_TEXTS_PER_LANGUAGE]
        if not short:
            return
        texts = texts.filter(pc.is_in(texts["language"], pa.array(short)))
        for language, text in zip(*(c.to_pylist() for c in texts.columns), strict=True):
            taken = self.some_texts.setdefault(language, [])
            if len(taken) < MAX_TEXTS_PER_LANGUAGE:
                taken.append(text)

    def _choose_example(self, chunk: Chunk) -> None:
        if self._example_rank == 0:
            return
        samples = chunk.samples
        has_texts = pc.and_(samples["query_text"].is_valid(), samples["positive_text"].is_valid())
        is_english = pc.equal(samples["language"], "en")
        for rank, fits in enumerate((pc.and_(has_texts, is_english), has_texts, is_english)):
            index = pc.index(fits, True).as_py()
            if rank < self._example_rank and index >= 0:
                self._example_rank, self.example = rank, chunk.raw_samples[index]
        if self.example is None:
            self.example = chunk.raw_samples[0]

    def _add_images(self, provenance: pa.Table) -> None:
        images = pc.list_flatten(provenance["images"]).combine_chunks()
        columns = (
            pc.struct_field(images, name).to_pylist() for name in ("sha256", "licence", "source")
        )
        for sha256, licence, source in zip(*columns, strict=True):
            number = int(sha256[:16], 16)
            if number not in self.images:
                facts = (licence, _origin(source))
                self.images[number] = self._licences.setdefault(facts, facts)

    def licences(self) -> dict[str, int]:
        """Number of distinct images under each licence, the most common first."""
        return _ordered(Counter(licence for licence, _ in self.images.values()))

    def licences_by_source(self) -> list[tuple[str, str, int]]:
        """(source, licence, distinct images), in order of source."""
        counts = Counter(self.images.values())
        return sorted((source, licence, num) for (licence, source), num in counts.items())

    def languages(self) -> dict[str, int]:
        return self._by(2)

    def modalities(self) -> dict[str, int]:
        return self._by(1)

    def cells(self) -> dict[str, int]:
        """Rows by task type and modality, as `retrieval IT->I`."""
        counts: Counter[str] = Counter()
        for (task, modality, _), num in self.slots.items():
            counts[f"{task} {modality}"] += num
        return dict(sorted(counts.items()))

    def _by(self, position: int) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for slot, num in self.slots.items():
            counts[slot[position]] += num
        return dict(sorted(counts.items()))

    def score_table(self) -> dict[str, dict[str, int]]:
        """Rows by criterion and score, every score from 1 to 5."""
        return {
            name: {str(score): self.scores[name, score] for score in range(1, 6)} for name in SCORES
        }

    def mean_score(self, name: str) -> float | None:
        num = sum(self.scores[name, score] for score in range(1, 6))
        total = sum(score * self.scores[name, score] for score in range(1, 6))
        return round(total / num, 3) if num else None


def _counted(table: pa.Table) -> list[tuple[tuple[Any, ...], int]]:
    grouped = table.group_by(table.column_names, use_threads=False).aggregate([([], "count_all")])
    columns = [column.to_pylist() for column in grouped.columns]
    names = grouped.column_names
    counts = columns.pop(names.index("count_all"))
    return list(zip(zip(*columns, strict=True), counts, strict=True))


def _origin(source: str) -> str:
    """Whom to credit for an image: its source without the image's own name.

    Host of a URL; package and version, as `npm:@iconify-json/noto@1.2.9`; table
    or data set and split of a numbered row; else the leading folder.
    """
    if "://" in source:
        # By hand, since parsers raise on malformed URLs; and a user name is left out.
        return re.split("[/?#]", source.split("://", 1)[1], maxsplit=1)[0].rpartition("@")[2]
    container, mark, own_name = source.rpartition("#")
    if mark and _PACKAGE.match(container):
        return container
    if mark and own_name.isdigit():
        # The name of a local table is published, its directory is not.
        return "/".join(container.split("/")[-2:]) if container.startswith("/") else container
    head, _, rest = source.strip("/").partition("/")
    return head if rest else "files"


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
