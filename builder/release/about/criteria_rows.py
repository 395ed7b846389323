"""What the three criteria need of a release's rows, gathered while they are written."""

# pyright: standard, reportMissingTypeStubs=false, reportAttributeAccessIssue=false
# pyarrow ships no types, and makes its compute functions at import

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from builder.release.rows import Chunk
from schemas.sample import SCORES

#: Rows that repeats and variety are measured on: the first by id, which is a hash, so a random
#: sample that is the same for the same rows.
MAX_ROWS = 5_000
#: Rows that the agreement of judge and teacher is measured on, chosen in the same way.
MAX_JUDGED = 20_000
_TEXTS = ("instruction", "query_text", "positive_text", "negative_text")


@dataclass(slots=True)
class CriteriaRows:
    """Counts and a sample of a release's rows.

    Args:
        rows: Some rows, as the rules over the whole set read them.
        groups: How often a picture of each group is used.
        alignments: Scores by language, where a model gave them.
        languages: Language of every row that has a score, by id.
        num_revised: Rows whose revision differs from the draft.
        num_judged: Rows that an independent judge scored.
        judged_sums: Of those, the sums of (teacher's, judge's) scores by criterion.
        judged: Provenance of some of them, as JSON.
        votes: What the identifiers said: (language asked for, language named) and how often.
    """

    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    groups: Counter[str] = field(default_factory=Counter)
    alignments: dict[str, list[float]] = field(default_factory=dict)
    languages: dict[str, str] = field(default_factory=dict)
    num_revised: int = 0
    num_judged: int = 0
    judged_sums: dict[str, tuple[int, int]] = field(default_factory=dict)
    judged: list[bytes] = field(default_factory=list)
    votes: Counter[tuple[str, str | None]] = field(default_factory=Counter)

    def add(self, chunk: Chunk) -> None:
        """Counts a chunk of the release."""
        missing = MAX_ROWS - len(self.rows)
        if missing > 0:
            rows = chunk.samples.slice(0, missing).to_pylist()
            self.rows += [(row["id"], row) for row in rows]
        images = pc.list_flatten(chunk.provenance["images"]).combine_chunks()
        for entry in pc.value_counts(pc.struct_field(images, "group")).to_pylist():
            self.groups[entry["values"]] += entry["counts"]
        self._add_alignments(chunk.samples)
        self._add_revisions(chunk.provenance)
        self._add_judgements(chunk)
        self._add_votes(chunk.provenance)

    def _add_alignments(self, samples: pa.Table) -> None:
        scored = samples.select(["id", "language", "alignment"])
        scored = scored.filter(scored["alignment"].is_valid())
        columns = (column.to_pylist() for column in scored.columns)
        for sample_id, language, score in zip(*columns, strict=True):
            self.alignments.setdefault(language, []).append(score)
            self.languages[sample_id] = language

    def _add_revisions(self, provenance: pa.Table) -> None:
        is_changed = pa.array([False] * provenance.num_rows)
        for name in _TEXTS:
            before, after = (
                pc.fill_null(pc.struct_field(provenance[part].combine_chunks(), name), "")
                for part in ("draft", "revision")
            )
            is_changed = pc.or_(is_changed, pc.not_equal(before, after))
        self.num_revised += pc.sum(is_changed).as_py() or 0

    def _add_judgements(self, chunk: Chunk) -> None:
        is_judged = chunk.provenance["judge_model"].is_valid()
        judged = chunk.provenance.filter(is_judged)
        if not judged.num_rows:
            return
        self.num_judged += judged.num_rows
        for name in SCORES:
            sums = (
                pc.sum(pc.struct_field(judged[part].combine_chunks(), [name, "score"])).as_py() or 0
                for part in ("evaluation", "judge")
            )
            teacher, judge = self.judged_sums.get(name, (0, 0))
            self.judged_sums[name] = (teacher + next(sums), judge + next(sums))
        for place in pc.indices_nonzero(is_judged).to_pylist():
            if len(self.judged) >= MAX_JUDGED:
                break
            self.judged.append(chunk.raw_provenance[place])

    def _add_votes(self, provenance: pa.Table) -> None:
        lists = provenance["language_votes"].combine_chunks()
        votes = pc.list_flatten(lists)
        table = pa.table(
            {
                "asked": pc.take(provenance["language"], pc.list_parent_indices(lists)),
                "named": pc.struct_field(votes, "detected"),
                "field": pc.struct_field(votes, "field"),
            }
        )
        table = table.filter(pc.not_equal(table["field"], "instruction"))
        grouped = table.group_by(["asked", "named"], use_threads=False)
        for row in grouped.aggregate([([], "count_all")]).to_pylist():
            self.votes[row["asked"], row["named"]] += row["count_all"]
