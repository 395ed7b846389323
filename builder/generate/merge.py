"""Joins workspaces: the shards of a first round become one ledger, from which a build goes on."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from builder.config import load_config, save_config
from builder.ledger.ledger import JUDGED_BY, Ledger, LedgerError
from builder.workspace import Workspace, open_workspace

_COPY = """
INSERT OR IGNORE INTO main.prompt SELECT * FROM part.prompt;
INSERT OR IGNORE INTO main.meta SELECT * FROM part.meta;
INSERT OR IGNORE INTO main.round SELECT * FROM part.round;
INSERT INTO main.request (id, key, job_id, kind, prompt_hash, parameters, num_sent, state, batch,
                          model, error, most_usd, num_killed, num_unanswered)
    SELECT id + (SELECT coalesce(max(id), 0) FROM main.request), key, job_id, kind, prompt_hash,
           parameters, num_sent, state, batch, model, error, most_usd, num_killed,
           num_unanswered
    FROM part.request WHERE key NOT IN (SELECT key FROM main.request);
INSERT OR IGNORE INTO main.reply
    SELECT joined.id, status, raw FROM part.reply
    JOIN part.request AS own ON own.id = request_id
    JOIN main.request AS joined ON joined.key = own.key;
INSERT OR IGNORE INTO main.usage
    SELECT joined.id, prompt_tokens, completion_tokens, cost_usd FROM part.usage
    JOIN part.request AS own ON own.id = request_id
    JOIN main.request AS joined ON joined.key = own.key;
INSERT OR IGNORE INTO main.outcome SELECT * FROM part.outcome;
INSERT OR IGNORE INTO main.choice SELECT * FROM part.choice;
"""


def run_merge(parts: Sequence[Path], into: Path) -> int:
    """Joins workspaces of one plan; merging the same ones again changes nothing.

    Args:
        parts: Workspaces built with `--shard i/N`, and the same images.
        into: Made when missing; some of the parts may be in it already.

    Returns:
        Number of jobs with an outcome afterwards.

    Raises:
        PolysceneError: A part is missing, of another plan, or past its first round.
    """
    target = open_workspace(into, create=True)
    with target.locked(), Ledger(target.ledger_path, create=True) as ledger:
        judges = {ledger.meta(JUDGED_BY)} if ledger.rounds() else set()
        for path in parts:
            part = open_workspace(path)
            with part.locked():
                _refuse_unfit(ledger, part)
                _copy_images(part, target)
                if not target.config_path.exists():
                    save_config(load_config(part.config_path), target.config_path)
                _copy_rows(ledger, part)
                with Ledger(part.ledger_path) as other:
                    judges.add(other.meta(JUDGED_BY))
        if len(judges) > 1:
            ledger.drop_meta(JUDGED_BY)  # the next build asks the judge about the rest
        return sum(ledger.tried_counts().values())


def _refuse_unfit(ledger: Ledger, part: Workspace) -> None:
    with Ledger(part.ledger_path) as other:
        rounds, plan, checks = other.rounds(), other.meta("workspace_hash"), other.meta("checks")
        if other.has_open_batches():
            raise LedgerError(
                f"{part.root}: has batches under way. Let `python -m builder build --batch` fetch "
                "them first."
            )
    if not rounds:
        raise LedgerError(f"{part.root}: nothing was built in it. Leave it out.")
    if len(rounds) > 1 or rounds[0].closed:
        raise LedgerError(
            f"{part.root}: past its first round, so not a shard. Build shards with --shard i/N."
        )
    mine = ledger.rounds()
    same = (
        ledger.meta("workspace_hash") in (None, plan)
        and ledger.meta("checks") in (None, checks)
        and (not mine or mine[0].plan_hash == rounds[0].plan_hash)
    )
    if not same:
        raise LedgerError(
            f"{part.root}: of another plan than {ledger.path}. Shards need the same configuration "
            "and the same images."
        )


def _copy_rows(ledger: Ledger, part: Workspace) -> None:
    ledger.db.execute("ATTACH DATABASE ? AS part", (str(part.ledger_path),))
    try:
        with ledger.transaction():
            for statement in _COPY.split(";")[:-1]:
                ledger.db.execute(statement)
    finally:
        ledger.db.execute("DETACH DATABASE part")


def _copy_images(part: Workspace, target: Workspace) -> None:
    """Copies the first part's images; the plan's hash shows whether the others have the same."""
    if target.images_dir.exists():
        return
    arriving = target.images_dir.with_suffix(".part")
    shutil.rmtree(arriving, ignore_errors=True)
    shutil.copytree(part.images_dir, arriving)
    arriving.replace(target.images_dir)
