"""Reads the kept and dropped samples of a workspace that somebody wants to see."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from builder.endpoint.completion import read_completion
from builder.ledger.ledger import Ledger
from builder.ledger.transaction import ledger_error
from schemas.errors import PolysceneError
from schemas.text_rules.normal_form import normalise
from schemas.vocabulary import CELLS, LANGUAGES

State = Literal["kept", "dropped", "all"]

_COLUMNS = (
    "job_id, round, idx, task_type, modality, language, sample_id, reason, request_hash, sample, "
    "provenance"
)
_TEXT_FIELDS = ("instruction", "query_text", "positive_text", "negative_texts")
#: Rows asked about in one statement; SQLite's own bound is far above.
_ROWS_AT_ONCE = 200
_MIN_ID_CHARS = 4


class SamplesError(PolysceneError):
    """A sample that was asked for does not exist, or a filter names something impossible."""


@dataclass(frozen=True, slots=True)
class SampleFilter:
    """Which samples are wanted; an empty field is any.

    Args:
        state: Kept ones, dropped ones, or both.
        languages: Codes.
        task_types: Names of task types.
        modalities: Modality combinations, as "IT->T".
        reasons: Why they were dropped; asks for dropped ones whatever `state` says.
        text: Must occur in the sample's texts, or in the reply where there is no sample; case,
            width and punctuation do not count.
    """

    state: State = "kept"
    languages: tuple[str, ...] = ()
    task_types: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request for a sample and what came back.

    Args:
        kind: "sample", "correction" or "judge".
        system: The system prompt.
        user: What distinguishes this request from others of its prompt.
        model: Who was asked, where noted.
        status: The reply's; None where none came.
        reply: Its text, or the body as it came where it is no chat completion.
        error: What went wrong instead.
        cost_usd: Of the reply; None where unknown.
    """

    kind: str
    system: str
    user: str
    model: str | None
    status: int | None
    reply: str
    error: str | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class ShownSample:
    """A job with what became of it; `exchanges` are empty unless they were asked for."""

    job_id: str
    round: int
    index: int
    task_type: str
    modality: str
    language: str
    id: str | None
    reason: str | None
    request_hash: str | None
    sample: dict[str, Any] | None
    provenance: dict[str, Any] | None
    exchanges: tuple[Exchange, ...] = ()

    @property
    def cost_usd(self) -> float | None:
        """What its requests cost, judge and corrections included; None where no price is known."""
        costs = [e.cost_usd for e in self.exchanges if e.cost_usd is not None]
        return sum(costs) if costs else None

    def as_json(self) -> dict[str, Any]:
        """Its facts, for a program to read."""
        return {
            "job_id": self.job_id,
            "id": self.id,
            "state": "kept" if self.reason is None else "dropped",
            "reason": self.reason,
            "task_type": self.task_type,
            "modality": self.modality,
            "language": self.language,
            "round": self.round,
            "sample": self.sample,
        }


def check_filter(wanted: SampleFilter) -> None:
    """Raises a `SamplesError` for a language, task type or modality that does not exist."""
    known: tuple[tuple[str, Sequence[str], set[str]], ...] = (
        ("language", wanted.languages, set(LANGUAGES)),
        ("task type", wanted.task_types, {cell.task_type for cell in CELLS}),
        ("modality", wanted.modalities, {cell.modality for cell in CELLS}),
    )
    for name, asked, possible in known:
        for value in asked:
            if value not in possible:
                raise SamplesError(
                    f'no {name} "{value}". Choose among {", ".join(sorted(possible))}.'
                )


def find_samples(
    ledger: Ledger, wanted: SampleFilter, limit: int | None = None
) -> Iterator[ShownSample]:
    """The samples wanted, in the order their jobs were planned.

    Raises:
        SamplesError: The filter names something that does not exist.
        LedgerError: The ledger is damaged.
    """
    check_filter(wanted)
    conditions, values = _conditions(wanted)
    query = f"SELECT {_COLUMNS} FROM outcome WHERE {' AND '.join(conditions)} ORDER BY round, idx"
    needle = normalise(wanted.text) if wanted.text else ""
    num_found = 0
    try:
        for row in ledger.db.execute(query, values):
            if limit is not None and num_found >= limit:
                return
            found = _shown(row)
            if needle and not _contains(ledger, found, needle):
                continue
            num_found += 1
            yield found
    except sqlite3.Error as exc:
        raise ledger_error(ledger.path, exc) from exc


def get_sample(ledger: Ledger, name: str) -> ShownSample:
    """One sample by its id or job id, or by the first characters of either, with its requests.

    Raises:
        SamplesError: There is none, or several begin so.
    """
    if len(name) < _MIN_ID_CHARS or not name.replace("-", "").isalnum():
        raise SamplesError(
            f'"{name}" is not an id. Give the first {_MIN_ID_CHARS} characters or more of an id '
            "that `samples list` prints."
        )
    rows = ledger.db.execute(
        f"SELECT {_COLUMNS} FROM outcome "
        "WHERE substr(sample_id, 1, ?1) = ?2 OR substr(job_id, 1, ?1) = ?2 "
        "ORDER BY reason IS NOT NULL, round, idx LIMIT 2",
        (len(name), name),
    ).fetchall()
    found = [_shown(row) for row in rows]
    is_same = len(found) == 2 and found[0].id is not None and found[0].id == found[1].id
    if not found:
        raise SamplesError(
            f'{ledger.path}: no sample or job "{name}". `samples list --dropped` lists the ids of '
            "dropped ones."
        )
    if len(found) > 1 and not is_same:
        raise SamplesError(f'several samples begin with "{name}". Give more of the id.')
    return next(with_exchanges(ledger, found[:1]))


def with_exchanges(ledger: Ledger, samples: Sequence[ShownSample]) -> Iterator[ShownSample]:
    """The samples with the requests made for them and the replies to those."""
    by_job: dict[str, list[Exchange]] = {sample.job_id: [] for sample in samples}
    names = list(by_job)
    for start in range(0, len(names), _ROWS_AT_ONCE):
        part = names[start : start + _ROWS_AT_ONCE]
        rows = ledger.db.execute(
            "SELECT request.job_id, kind, prompt.text, parameters, request.model, status, raw, "
            "error, cost_usd FROM request LEFT JOIN prompt ON prompt.hash = request.prompt_hash "
            "LEFT JOIN reply ON reply.request_id = request.id "
            "LEFT JOIN usage ON usage.request_id = request.id "
            f"WHERE request.job_id IN ({', '.join('?' * len(part))}) ORDER BY request.id",
            part,
        )
        for job_id, kind, system, user, model, status, raw, error, cost in rows:
            reply = _reply_text(raw, status) if raw is not None else ""
            exchange = Exchange(kind, system or "", user, model, status, reply, error, cost)
            by_job[job_id].append(exchange)
    for sample in samples:
        yield replace(sample, exchanges=tuple(by_job[sample.job_id]))


def _conditions(wanted: SampleFilter) -> tuple[list[str], list[str]]:
    """SQL made of constants alone; whatever was typed is a parameter."""
    conditions = ["true"]
    values: list[str] = []
    if wanted.reasons or wanted.state == "dropped":
        conditions.append("reason IS NOT NULL")
    elif wanted.state == "kept":
        conditions.append("reason IS NULL")
    for column, chosen in (
        ("language", wanted.languages),
        ("task_type", wanted.task_types),
        ("modality", wanted.modalities),
        ("reason", wanted.reasons),
    ):
        if chosen:
            conditions.append(f"{column} IN ({', '.join('?' * len(chosen))})")
            values += chosen
    return conditions, values


def _shown(row: tuple[Any, ...]) -> ShownSample:
    *facts, sample, provenance = row
    parts = (None if raw is None else _read(raw) for raw in (sample, provenance))
    return ShownSample(*facts, *parts)


def _read(raw: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {}


def _contains(ledger: Ledger, found: ShownSample, needle: str) -> bool:
    if found.sample is None:
        stored = ledger.find_reply(found.request_hash) if found.request_hash else None
        return stored is not None and needle in normalise(_reply_text(stored.raw, stored.status))
    texts: list[str] = []
    for name in _TEXT_FIELDS:
        value = found.sample.get(name)
        texts += [part for part in (value if isinstance(value, list) else [value]) if part]
    return any(needle in normalise(text) for text in texts)


def _reply_text(raw: bytes, status: int | None) -> str:
    completion = read_completion(raw) if status == 200 else None
    if completion is not None and completion.content:
        return completion.content
    return raw.decode("utf-8", "replace")
