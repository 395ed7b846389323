"""What the ledger holds: its tables, and the typed records written to and read from them."""

from dataclasses import dataclass, field

from builder.plan.shares import Slot

#: Raised by one whenever the tables change shape.
LEDGER_VERSION = 1
#: Name of the note that kept samples may have fields of the builder's own in their provenance.
HAS_EXTRA = "has extra fields"

# A reply's raw bytes are committed before anything reads them, so their cost is a table of its own.
# Outcomes carry their blobs last, so that counts read short rows; `request.id` is given by the
# single writer, so that a reply needs no second look-up.
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prompt (hash TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS round (
    round INTEGER PRIMARY KEY,
    plan_hash TEXT NOT NULL,
    num_jobs INTEGER NOT NULL,
    accepted TEXT NOT NULL,
    tried TEXT NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS request (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    job_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    prompt_hash TEXT NOT NULL,
    parameters TEXT NOT NULL,
    num_sent INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL DEFAULT 'in_flight',
    batch TEXT,
    model TEXT,
    error TEXT,
    most_usd REAL,
    num_killed INTEGER NOT NULL DEFAULT 0,
    num_unanswered INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS reply (
    request_id INTEGER PRIMARY KEY,
    status INTEGER NOT NULL,
    raw BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS usage (
    request_id INTEGER PRIMARY KEY,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost_usd REAL
);
CREATE TABLE IF NOT EXISTS outcome (
    job_id TEXT PRIMARY KEY,
    round INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    task_type TEXT NOT NULL,
    modality TEXT NOT NULL,
    language TEXT NOT NULL,
    sample_id TEXT,
    reason TEXT,
    request_hash TEXT,
    sample BLOB,
    provenance BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS outcome_place ON outcome (round, idx);
CREATE INDEX IF NOT EXISTS outcome_cell
    ON outcome (reason, task_type, modality, language);
CREATE TABLE IF NOT EXISTS batch (
    key TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    num_requests INTEGER NOT NULL,
    abilities TEXT NOT NULL,
    file_id TEXT,
    batch_id TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS choice (
    sample_id TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    language TEXT NOT NULL,
    candidate_order TEXT NOT NULL,
    best INTEGER NOT NULL,
    also_right TEXT NOT NULL
) WITHOUT ROWID;
"""

#: Tables that came later; a ledger that lacks them gets them when it is opened.
ADDED_TABLES = ("choice",)

#: Columns that came later; a ledger that lacks them gets them when it is opened.
ADDED_COLUMNS = (
    ("request", "model", "TEXT"),
    ("request", "error", "TEXT"),
    ("request", "most_usd", "REAL"),
    ("request", "num_killed", "INTEGER NOT NULL DEFAULT 0"),
    ("request", "num_unanswered", "INTEGER NOT NULL DEFAULT 0"),
)


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as it is written down before it is sent.

    Args:
        id: Given by `LedgerWriter.take_request_id`.
        key: sha256 of its payload and job.
        job_id: The job it is for.
        kind: "sample", "correction", "judge" or "choice".
        prompt_hash: Of the system prompt, which is stored once.
        parameters: The user's text: what distinguishes this request from others of its prompt.
        batch: Key of the batch it goes out in; None where it is sent live.
        model: Who is asked.
        most_usd: The most it can cost; None where no price is known.
    """

    id: int
    key: str
    job_id: str
    kind: str
    prompt_hash: str
    parameters: str
    batch: str | None
    model: str
    most_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: a kept sample with its provenance, or the reason it was dropped.

    Args:
        job_id: The job.
        round: Its round.
        index: Its position in the round's plan.
        task_type: Of its cell.
        modality: Of its cell.
        language: Code of its language.
        sample_id: Id of the kept sample, else None.
        reason: Why it was dropped; None where it was kept.
        request_hash: Key of the request it was made from, where there is one.
        sample: `Sample` as JSON, where it was kept.
        provenance: `Provenance` as JSON, where it was kept.
    """

    job_id: str
    round: int
    index: int
    task_type: str
    modality: str
    language: str
    sample_id: str | None
    reason: str | None
    request_hash: str | None
    sample: bytes | None
    provenance: bytes | None


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A paid reply as it came; `is_counted` says that its cost is in the ledger too."""

    request_id: int
    status: int
    raw: bytes
    is_counted: bool = False
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A kept sample's job and provenance (JSON)."""

    job_id: str
    round: int
    index: int
    provenance: bytes


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """A request that has a reply; `status` is the reply's, `model` who was asked, where noted."""

    id: int
    key: str
    prompt_hash: str
    parameters: str
    status: int
    model: str | None


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """A round as it was planned: planned again from its counts, it gives the same jobs.

    Args:
        round: Its number.
        plan_hash: The plan's own hash.
        num_jobs: Size of the plan.
        accepted: Kept samples by slot when it was planned.
        tried: Jobs kept or dropped by slot when it was planned.
        closed: Whether every job has its outcome and set-level rules ran.
        targets: What was wanted when it was planned, as `BuildConfig.targets`.
        base: Kept samples by slot that the table of targets was grown from, as `targets_of` takes
            them.
        limits: The most jobs of slots that fail, as `plan_round` takes them.
    """

    round: int
    plan_hash: str
    num_jobs: int
    accepted: dict[Slot, int]
    tried: dict[Slot, int]
    closed: bool = False
    targets: dict[str, object] = field(default_factory=dict)
    base: dict[Slot, int] = field(default_factory=dict)
    limits: dict[Slot, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch that is not over: meant to be sent, uploaded (`file_id`) or started (`batch_id`).

    `capabilities` says how its requests were asked, as `write_capabilities` gives it.
    """

    key: str
    num_requests: int
    capabilities: str
    file_id: str | None
    batch_id: str | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What the workspace has paid so far.

    `estimated_usd` of it is for `num_estimated` replies that came without `usage`; for
    `num_unpriced` no price was known. Besides, up to `killed_usd` may have been billed
    for `num_killed` sendings under way when a run was killed, and up to `unanswered_usd` for
    `num_unanswered` that were cut off after they were sent: nobody knows.
    """

    num_requests: int
    num_replies: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    num_estimated: int
    estimated_usd: float
    num_unpriced: int = 0
    num_killed: int = 0
    killed_usd: float = 0.0
    num_unanswered: int = 0
    unanswered_usd: float = 0.0
