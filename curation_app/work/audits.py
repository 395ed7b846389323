"""Audits of one version: designed, started as a queue, looked at while they run, closed."""

import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from curation_app.data.version import VersionDataset
from curation_app.store import ReviewStore
from curation_app.store.audits import AuditRow, AuditStore
from curation_app.store.queues import QueueItem
from curation_app.work.audit_figures import (
    Findings,
    ReviewerFigures,
    Scores,
    make_figures,
    reviewer_figures,
)
from curation_app.work.audit_plan import (
    AuditError,
    DrawnItem,
    Population,
    draw,
    find_population,
    make_plan,
)
from curation_app.work.audit_votes import decided_items
from curation_app.work.people import Person
from curation_app.work.planting import Planter
from curation_app.work.queues import Queues
from curation_app.work.seeds import Seeds
from curation_app.work.teacher_scores import TeacherScores
from schemas.audit import AuditDesign, AuditFigures, AuditPlan, AuditReport, parse_audit_report
from schemas.errors import RowError

__all__ = ["Audit", "AuditError", "Audits"]

_NUM_KEPT = 32  # audits whose figures are kept while nothing is decided


class _Fixed(BaseModel):
    """What is stored of a design: it is fixed with the plan it became on this version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    design: AuditDesign
    plan: AuditPlan


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit that was started."""

    audit_id: str
    queue_id: str
    design: AuditDesign
    plan: AuditPlan
    created_by: str
    created_ts: str
    closed_ts: str | None

    @property
    def is_closed(self) -> bool:
        return self.closed_ts is not None


class Audits:
    """The audits of one version.

        audit = audits.start(design, lead)
        figures = audits.figures(audit.audit_id)
        report = audits.close(audit.audit_id, lead)

    Args:
        seeds: Planted defects; made here where None.
        clock: The time, with time zone.
    """

    def __init__(
        self,
        dataset: VersionDataset,
        store: ReviewStore,
        queues: Queues,
        seeds: Seeds | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.seeds = seeds or Seeds(dataset, store, clock=clock)
        self._dataset = dataset
        self._database = store.database
        self._store = AuditStore(store.database)
        self._queues = queues
        self._scores = TeacherScores(dataset)
        self._clock = clock
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[object, AuditFigures]] = OrderedDict()

    def plan(self, design: AuditDesign) -> AuditPlan:
        """What a design would take and give on this version; nothing is stored.

        Raises:
            AuditError: It cannot be done with this version.
        """
        return make_plan(design, find_population(self._dataset, design))

    def start(self, design: AuditDesign, person: Person) -> Audit:
        """Draws the rows, plants the defects and opens the queue; from here the design stands.

        Raises:
            AuditError: The person is not a lead, or the design cannot be done.
            SeedError: There are too few rows left to plant defects in.
            QueueError: The title cannot be that of a queue.
        """
        if not person.is_lead:
            raise AuditError("only a lead starts an audit. Nothing was started; ask a lead.")
        population = find_population(self._dataset, design)
        plan = make_plan(design, population)
        drawn = draw(design, plan, population)
        generator = np.random.default_rng([design.seed, 1])
        planted = []
        if design.num_seeds:
            left = np.setdiff1d(population.rows_M, [item.row for item in drawn])
            planted = Planter(self._dataset, generator).plant(design.num_seeds, left.tolist())
        items = [self._item(item) for item in drawn] + [one.item for one in planted]
        # Planted defects go anywhere among the rows, whose own order stays as it was drawn.
        places = np.argsort(
            np.concatenate(
                [np.arange(len(drawn)), generator.uniform(-1, len(drawn), len(planted))]
            ),
            kind="stable",
        )
        audit_id = secrets.token_hex(8)
        with self._database.transaction():
            queue = self._queues.create(
                title=design.title,
                origin="audit",
                items=[items[place] for place in places],
                created_by=person.name,
                overlap=design.overlap,
                is_blind=design.is_blind,
            )
            self.seeds.add(queue.queue_id, planted)
            self._store.add(
                AuditRow(
                    audit_id=audit_id,
                    queue_id=queue.queue_id,
                    design=_Fixed(design=design, plan=plan).model_dump_json(),
                    created_by=person.name,
                    created_ts=self._now(),
                )
            )
        return self.get(audit_id)

    def all(self) -> list[Audit]:
        """The version's audits, oldest first."""
        return [_audit(row) for row in self._store.all(self._dataset.version)]

    def get(self, audit_id: str) -> Audit:
        """An audit by its id.

        Raises:
            AuditError: There is none in this version.
        """
        return _audit(self._row(audit_id))

    def figures(self, audit_id: str) -> AuditFigures:
        """What an audit has found so far, or had found when it was closed.

        Raises:
            AuditError: There is no such audit.
        """
        row = self._row(audit_id)
        if row.report is not None:
            return parse_audit_report(row.report, where=str(self._database.path)).figures
        return self._figures(_audit(row))

    def reviewers(self, audit_id: str) -> list[ReviewerFigures]:
        """How each reviewer of an audit does; for leads."""
        return reviewer_figures(self._findings(self.get(audit_id)))

    def seed_summary(self) -> list[tuple[str, str, int, int]]:
        """(audit, kind of planted defect, verdicts on them, how many found it) of every audit."""
        return [
            (audit.design.title, seeds.kind, seeds.num_shown, seeds.num_found)
            for audit in self.all()
            if audit.design.num_seeds
            for seeds in self.figures(audit.audit_id).seeds
        ]

    def report(self, audit_id: str) -> AuditReport:
        """The report of a closed audit.

        Raises:
            AuditError: It is not closed yet.
        """
        row = self._row(audit_id)
        if row.report is None:
            raise AuditError(
                f'audit "{_audit(row).design.title}": it is not closed, so it has no report yet. '
                "Close it first."
            )
        return parse_audit_report(row.report, where=str(self._database.path))

    def close(self, audit_id: str, person: Person) -> AuditReport:
        """Ends an audit: its queue takes no verdict more, and its report is kept.

        Raises:
            AuditError: The person is not a lead, nothing is decided yet, or it
                is closed already.
        """
        audit = self.get(audit_id)
        where = f'audit "{audit.design.title}"'
        if not person.is_lead:
            raise AuditError(f"{where}: only a lead closes it. Nothing was changed; ask a lead.")
        self._scores.doubt()  # read before the store is held
        with self._database.transaction():
            figures = self._figures(audit)
            if not figures.num_decided:
                raise AuditError(f"{where}: no row is decided yet, so there is nothing to report.")
            report = AuditReport(
                audit_id=audit.audit_id,
                dataset=self._dataset.manifest.name,
                version=self._dataset.version,
                started=audit.created_ts,
                closed=self._now(),
                design=audit.design,
                plan=audit.plan,
                figures=figures,
            )
            if not self._store.close(audit_id, report.closed, report.model_dump_json()):
                raise AuditError(f"{where}: it is closed already. Its report stands.")
            self._queues.close(audit.queue_id)
        return report

    def _figures(self, audit: Audit) -> AuditFigures:
        """The figures of what is decided now; made anew only where something was decided since."""
        findings = self._findings(audit)
        votes = tuple(vote.event_id for vote in findings.votes)
        state = (tuple(findings.decided), votes, tuple(findings.seed_verdicts))
        with self._lock:
            kept = self._kept.get(audit.audit_id)
        if kept is not None and kept[0] == state:
            return kept[1]
        figures = make_figures(findings, self._scores_of(audit.design, findings))
        with self._lock:
            self._kept[audit.audit_id] = (state, figures)
            while len(self._kept) > _NUM_KEPT:
                self._kept.popitem(last=False)
        return figures

    def _findings(self, audit: Audit) -> Findings:
        kinds = self.seeds.kinds(audit.queue_id)
        items = [item for item in self._queues.items(audit.queue_id) if item.item_id not in kinds]
        votes = self._store.votes(audit.queue_id)
        return Findings(
            design=audit.design,
            plan=audit.plan,
            decided=decided_items(
                items, votes, self._store.adjudications(audit.queue_id), audit.design
            ),
            votes=votes,
            num_drawn_of=dict(Counter(item.stratum for item in items)),
            seed_kinds=kinds,
            seed_verdicts=self.seeds.verdicts(audit.queue_id),
        )

    def _scores_of(self, design: AuditDesign, findings: Findings) -> Scores:
        population: Population = find_population(self._dataset, design)
        doubt = self._scores.doubt()
        rows = [self._dataset.row_of(item.item_id) for item in findings.decided]
        return Scores(
            decided_N=doubt[[row for row in rows if row is not None]],
            population_M=doubt[population.rows_M],
            strata_M=population.strata_M,
        )

    def _item(self, drawn: DrawnItem) -> QueueItem:
        return QueueItem(
            item_id=self._dataset.sample_id(drawn.row),
            language=self._dataset.value("language", drawn.row),
            stratum=drawn.stratum,
            inclusion_prob=drawn.inclusion_prob,
        )

    def _row(self, audit_id: str) -> AuditRow:
        row = self._store.get(audit_id) if len(audit_id) <= 64 else None
        if row is None or row.queue_id not in {
            audit.queue_id for audit in self._store.all(self._dataset.version)
        }:
            raise AuditError(
                f"no such audit in version {self._dataset.version}. Choose one that "
                "`python -m curation_app audit status` lists."
            )
        return row

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")


def _audit(row: AuditRow) -> Audit:
    try:
        fixed = _Fixed.model_validate_json(row.design)
    except ValidationError as exc:
        raise RowError(
            "its stored design cannot be read",
            row_id=row.audit_id,
            remedy="Open the store with the release of polyscene that started this audit.",
        ) from exc
    return Audit(
        audit_id=row.audit_id,
        queue_id=row.queue_id,
        design=fixed.design,
        plan=fixed.plan,
        created_by=row.created_by,
        created_ts=row.created_ts,
        closed_ts=row.closed_ts,
    )
