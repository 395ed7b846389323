"""How far a build is: what is missing, how far shares are off, and what is too much."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from builder.config import BuildConfig
from builder.ledger.arrow import read_outcomes
from builder.ledger.ledger import Ledger
from builder.plan.shares import Targets, targets_of
from schemas.vocabulary import LANGUAGES, Slot

_LANGUAGES_SHOWN = 15


class Share(NamedTuple):
    """One task type, modality combination or language; shares are of all samples.

    `gap` is reached less wanted share, `shortfall` what lacks of its own count.
    """

    dimension: str
    value: str
    wanted: int
    accepted: int
    dropped: int
    wanted_share: float
    reached_share: float
    gap: float
    shortfall: float


class Dropped(NamedTuple):
    """Replies of a language dropped for one reason; `share` is of the language's replies."""

    language: str
    reason: str
    dropped: int
    share: float


@dataclass(frozen=True, slots=True)
class Balance:
    """The state of a build.

    Args:
        num_wanted: Samples wanted.
        num_accepted: Samples kept, surplus included.
        num_dropped: Replies dropped.
        tolerance: What the configuration allows of gap and shortfall.
        missing: Samples still missing of each slot; slots with none are left out.
        shares: One for each task type, modality combination and language.
        dropped: By language and reason, the most first.
    """

    num_wanted: int
    num_accepted: int
    num_dropped: int
    tolerance: float
    missing: dict[Slot, int]
    shares: tuple[Share, ...]
    dropped: tuple[Dropped, ...]

    @property
    def largest_gap(self) -> float:
        """Largest distance of a reached share from the wanted one, in shares of the whole."""
        return max((abs(share.gap) for share in self.shares), default=0.0)

    @property
    def largest_shortfall(self) -> float:
        """How far the worst task type, combination or language stays behind its own count."""
        return max((share.shortfall for share in self.shares), default=0.0)

    @property
    def is_met(self) -> bool:
        """Whether every share is within the tolerance, by either measure.

        A single sample is never a gap: of ten samples, one is a share of 10 %.
        """
        gap_tolerance = max(self.tolerance, 1 / max(1, self.num_wanted))
        return self.largest_gap <= gap_tolerance and self.largest_shortfall <= self.tolerance


def base_of(config: BuildConfig, ledger: Ledger) -> dict[Slot, int]:
    """The kept samples by slot that a workspace's targets are grown from.

    They are those that are kept when other targets are first asked for; from the first round
    planned for these, they stay the same.
    """
    noted = ledger.base(config.targets)
    if noted is not None:
        return noted
    rounds = ledger.rounds()
    if not rounds:
        return {}
    last = rounds[-1]
    return last.base if last.targets == config.targets else ledger.accepted_counts()


def wanted_targets(config: BuildConfig, ledger: Ledger) -> Targets:
    """What a configuration wants of a workspace: grown from what was kept for earlier targets."""
    return targets_of(config, base_of(config, ledger))


def balance_of(config: BuildConfig, outcomes: pa.Table | Ledger) -> Balance:
    """Compares what was accepted with what the configuration wants.

    Args:
        config: The build.
        outcomes: Outcomes as `read_outcomes` gives them, or an open ledger.
    """
    is_ledger = isinstance(outcomes, Ledger)
    table = read_outcomes(outcomes) if is_ledger else outcomes
    targets = wanted_targets(config, outcomes) if is_ledger else targets_of(config)
    target = _slot_table(targets.by_slot, "wanted")
    with _database(outcome=table, target=target) as database:
        database.execute(f"CREATE TEMP TABLE slot AS {_sql('missing')}")
        totals = database.execute(
            "SELECT sum(wanted), sum(accepted), sum(dropped) FROM slot"
        ).fetchone()
        wanted, accepted, dropped = (int(total) for total in totals or (0, 0, 0))
        missing = database.execute(
            "SELECT task_type, modality, language, missing FROM slot WHERE missing > 0"
        ).fetchall()
        return Balance(
            wanted,
            accepted,
            dropped,
            config.tolerance,
            {(task, modality, language): count for task, modality, language, count in missing},
            tuple(Share(*row) for row in database.execute(_sql("shares")).fetchall()),
            tuple(Dropped(*row) for row in database.execute(_sql("reasons")).fetchall()),
        )


def surplus_jobs(config: BuildConfig, ledger: Ledger) -> list[str]:
    """Ids of accepted jobs beyond what their slot wants, the last planned of each slot.

    Setting them aside leaves exactly the wanted number in every full slot;
    which ones does not depend on the order in which replies came.
    """
    wanted = wanted_targets(config, ledger).by_slot
    accepted = ledger.accepted_counts()
    excess = {slot: count - wanted.get(slot, 0) for slot, count in accepted.items()}
    excess = {slot: count for slot, count in excess.items() if count > 0}
    if not excess:
        return []
    jobs: list[str] = []
    # Nearly always the latest round holds all of the surplus; older rows are not read then.
    for since_round in range(ledger.last_round(), -1, -1):
        outcomes = read_outcomes(ledger, since_round)
        with _database(outcome=outcomes, excess=_slot_table(excess, "surplus")) as database:
            jobs = [row[0] for row in database.execute(_sql("surplus")).fetchall()]
        if len(jobs) == sum(excess.values()):
            break
    return jobs


def print_balance(balance: Balance, console: Console) -> None:
    """Prints shares of tasks, combinations and the languages furthest behind."""
    table = Table(title="Balance", title_justify="left")
    table.add_column("", no_wrap=True)
    for name in ("wanted", "accepted", "dropped", "wanted %", "reached %"):
        table.add_column(name, justify="right")
    languages = [share for share in balance.shares if share.dimension == "language"]
    behind = sorted(languages, key=lambda share: (-share.shortfall, -share.wanted))
    for dimension in ("task type", "modality"):
        for share in (share for share in balance.shares if share.dimension == dimension):
            _add_row(table, share, share.value)
        table.add_section()
    for share in behind[:_LANGUAGES_SHOWN]:
        _add_row(table, share, f"{LANGUAGES[share.value].name} ({share.value})")
    console.print(table)
    rest = len(languages) - _LANGUAGES_SHOWN
    more = f"{rest} more languages are no further behind. " if rest > 0 else ""
    state = "Every share is met" if balance.is_met else "Not every share is met yet"
    console.print(
        f"balance: {balance.num_accepted:,} of {balance.num_wanted:,} accepted, "
        f"{balance.num_dropped:,} dropped, {sum(balance.missing.values()):,} missing. {more}"
        f"{state} within {balance.tolerance:.1%}: largest gap {balance.largest_gap:.2%} of the "
        f"whole, largest shortfall {balance.largest_shortfall:.2%}.",
        highlight=False,
    )


def _add_row(table: Table, share: Share, name: str) -> None:
    table.add_row(
        name,
        f"{share.wanted:,}",
        f"{share.accepted:,}",
        f"{share.dropped:,}",
        f"{share.wanted_share:.2%}",
        f"{share.reached_share:.2%}",
    )


def _database(**tables: pa.Table) -> duckdb.DuckDBPyConnection:
    """An in-memory database of these tables that never asks the network for anything."""
    database = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "threads": 2,
        }
    )
    for name, table in tables.items():
        database.register(name, table)
    return database


def _slot_table(counts: dict[Slot, int], name: str) -> pa.Table:
    columns: dict[str, list[Any]] = {
        part: [slot[position] for slot in counts]
        for position, part in enumerate(("task_type", "modality", "language"))
    }
    return pa.table({**columns, name: pa.array(counts.values(), type=pa.int64())})


@cache
def _sql(name: str) -> str:
    return files(__package__ or __name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
