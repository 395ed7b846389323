"""Whose a workspace is: it belongs to one plan, and its samples passed the same checks."""

from builder.config import BuildConfig, save_config
from builder.generate.ledger import Ledger, LedgerError
from builder.plan.order import PLAN_VERSION
from builder.workspace import Workspace

#: Name of the ledger's note that outcomes are being made anew.
REPARSING = "reparsing"


def claim(ledger: Ledger, config: BuildConfig, workspace: Workspace) -> None:
    """Makes sure that the workspace belongs to this plan and these checks; saves the configuration.

    Raises:
        LedgerError: Another plan was begun here, or outcomes passed other checks.
    """
    refuse_other_plan(ledger, config, workspace)
    if ledger.meta(REPARSING) is not None:
        raise LedgerError(
            f"{workspace.root}: `reparse` was stopped before its end, so its samples passed "
            "different checks. Run it again first; it costs nothing."
        )
    checks = config.checks.model_dump_json()
    if ledger.meta("checks") not in (None, checks):
        raise LedgerError(
            f"{workspace.root}: its samples passed other checks than this configuration's. Run "
            "`python -m builder reparse --config FILE` first, so that all pass the same."
        )
    remember_config(ledger, config, workspace)


def remember_config(ledger: Ledger, config: BuildConfig, workspace: Workspace) -> None:
    """Notes what outcomes are made with, and saves the configuration."""
    ledger.set_meta("plan_version", str(PLAN_VERSION))
    ledger.set_meta("plan_hash", config.plan_hash)
    ledger.set_meta("checks", config.checks.model_dump_json())
    save_config(config, workspace.config_path)


def refuse_other_plan(ledger: Ledger, config: BuildConfig, workspace: Workspace) -> None:
    """Raises a `LedgerError` when the workspace was begun with another plan."""
    if ledger.rounds() and ledger.meta("plan_version") != str(PLAN_VERSION):
        raise LedgerError(
            f"{workspace.root}: begun by an earlier version of this program, which planned its "
            "jobs otherwise. Release what it holds (`python -m builder release`) and begin a new "
            "workspace, or go on with the version that began it."
        )
    found = ledger.meta("plan_hash")
    if found is not None and found != config.plan_hash:
        raise LedgerError(
            f"{workspace.root}: begun with another configuration (plan {found[:12]}, this one is "
            f"{config.plan_hash[:12]}). Use {workspace.config_path}, or name another workspace."
        )
