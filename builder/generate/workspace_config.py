"""Which configuration fits a workspace: its model, images and seed stay, its checks are for all."""

import logging
from itertools import product
from typing import Any

import orjson

from builder.config import (
    DEFAULT_ENDPOINT_SETTINGS,
    BuildConfig,
    ChecksConfig,
    ConfigError,
    load_config,
    save_config,
)
from builder.images.embedders import embedder_name
from builder.images.store import ImageStore
from builder.images_config import ImagesConfig
from builder.ledger.ledger import JUDGED_BY, Ledger, LedgerError
from builder.ledger.tables import HAS_EXTRA
from builder.plan.order import PLAN_VERSION
from builder.prompts import templates_of
from builder.workspace import Workspace

_log = logging.getLogger(__name__)

#: Name of the ledger's note that `reparse` has not finished.
REPARSING = "reparsing"
#: Name of the ledger's note of the endpoint's settings that its hash was made with, where those are
#: not the ones that stand in every hash now.
_HASHED_WITH = "hashed with"


def adopt_config(ledger: Ledger, config: BuildConfig, workspace: Workspace) -> None:
    """Checks that a configuration fits the workspace, and makes it the workspace's own.

    More samples, other shares and a judge may be asked for at any time: rounds
    already started end as they were planned, and the next one plans what is
    still missing. What was set aside as surplus counts again.

    Raises:
        LedgerError: Another plan was begun here, or outcomes passed other checks.
    """
    require_same_plan(ledger, config, workspace)
    if ledger.meta(REPARSING) is not None:
        raise LedgerError(
            f"{workspace.root}: `reparse` was stopped before its end, so its samples passed "
            "different checks. Run it again first; it costs nothing."
        )
    passed = ledger.meta("checks")
    if passed is not None and ChecksConfig.model_validate_json(passed) != config.checks:
        raise LedgerError(
            f"{workspace.root}: its samples passed other checks than this configuration's. Run "
            "`python -m builder reparse --config FILE` first, so that all pass the same."
        )
    targets = ledger.meta("targets")
    if targets is not None and orjson.loads(targets) != config.targets:
        num_back = ledger.restore_dropped("surplus")
        _log.warning(
            "%s: other numbers of samples are wanted than before; %d samples that were surplus "
            "count again.",
            workspace.root,
            num_back,
        )
    _report_changed_settings(config, workspace)
    remember_config(ledger, config, workspace)


def remember_config(ledger: Ledger, config: BuildConfig, workspace: Workspace) -> None:
    """Notes what outcomes are made with, and saves the configuration.

    Raises:
        ConfigError: It would send the teacher's key to the judge's address without saying so.
    """
    _refuse_shared_key(config)
    ledger.set_meta("plan_version", str(PLAN_VERSION))
    if ledger.meta("workspace_hash") is None:  # else it stays, for plans are made from it
        ledger.set_meta("workspace_hash", config.workspace_hash)
    elif (settings := _former_settings(ledger, config, workspace)) is not None:
        ledger.set_meta(_HASHED_WITH, orjson.dumps(settings).decode())
    ledger.set_meta("targets", orjson.dumps(config.targets).decode())
    ledger.set_meta("checks", config.checks.model_dump_json())
    save_config(config, workspace.config_path)
    if templates_of(config).own_fields:
        ledger.set_meta(HAS_EXTRA, "yes")
    judge = config.judge.model if config.judge else None
    if not ledger.tried_counts() and judge is not None:
        ledger.set_meta(JUDGED_BY, judge)
    elif ledger.meta(JUDGED_BY) != judge:
        ledger.drop_meta(JUDGED_BY)


def _refuse_shared_key(config: BuildConfig) -> None:
    first, *others = config.writers.values()
    named = [(f"teachers.{other.name}", other) for other in config.teachers if other in others]
    named += [("judge", config.judge)] if config.judge else []
    for name, other in named:
        if (
            other.base_url != first.base_url
            and other.api_key_env == first.api_key_env
            and "api_key_env" not in other.model_fields_set
        ):
            who = "the judge" if name == "judge" else "it"
            raise ConfigError(
                f"{name}.api_key_env: not given, though {who} is at another address than the "
                f"teacher, so that the teacher's key in {first.api_key_env} would go there. Name "
                f"the variable of its key: {first.api_key_env} to share it, or one that is not "
                "set where it needs no key; nothing was sent."
            )


def require_same_plan(ledger: Ledger, config: BuildConfig, workspace: Workspace) -> None:
    """Raises a `LedgerError` when what must stay in a workspace has changed."""
    if ledger.rounds() and ledger.meta("plan_version") != str(PLAN_VERSION):
        raise LedgerError(
            f"{workspace.root}: started by an earlier version of this program, which planned its "
            "jobs differently. Release its samples (`python -m builder release`) and start a new "
            "workspace, or go on with the version that started it."
        )
    hashes = (None, config.workspace_hash)
    begun = _begun_with(workspace)
    if ledger.meta("workspace_hash") in hashes or _former_settings(ledger, config, workspace):
        if begun and ledger.rounds():
            _require_same_embedder(begun.images, config.images, workspace)
        return
    defining = _differing(begun.lasting(), config.lasting(), "") if begun else []
    names = f" ({', '.join(defining)})" if defining else ""
    others = _changed_settings(begun, config) if begun else []
    may = f"; settings of the endpoint ({', '.join(others)}) may change" if others else ""
    raise LedgerError(
        f"{workspace.root}: started with another configuration{names}, which defines the set{may}. "
        f"Use {workspace.config_path}, or name another workspace. Numbers and shares of samples, "
        "judge, checks, pace and how the endpoint is asked (address, key, prices, timeout, token "
        "limit, structured_output, image size) may change; seed, images, prompts and the model may "
        "not."
    )


def _require_same_embedder(begun: ImagesConfig, given: ImagesConfig, workspace: Workspace) -> None:
    """The hash takes "auto" for the descriptor, which it stands for in some corpora alone."""
    if begun.embedder == given.embedder or not workspace.images_dir.exists():
        return
    with ImageStore(workspace.images_dir, given) as store:
        before, now = (embedder_name(each.embedder, store) for each in (begun, given))
    if before != now:
        raise LedgerError(
            f"{workspace.root}: its positives and hard negatives were chosen with the embedder "
            f"{before}, and images.embedder {given.embedder} is {now} here. Set images.embedder "
            f"back to {begun.embedder}, or name another workspace."
        )


def key_tokens_of(ledger: Ledger, role: str = "teacher") -> int | None:
    """The limit on a reply's tokens that the keys of a ledger's requests are made with."""
    if role != "teacher":  # one of several, which came later than limits that may change
        return DEFAULT_ENDPOINT_SETTINGS["teacher"]["max_completion_tokens"]
    written = ledger.meta(_HASHED_WITH)
    settings = orjson.loads(written) if written else DEFAULT_ENDPOINT_SETTINGS
    return settings["teacher"]["max_completion_tokens"]


def _former_settings(
    ledger: Ledger, config: BuildConfig, workspace: Workspace
) -> dict[str, dict[str, Any]] | None:
    """The endpoint's settings that the ledger's hash was made with by an earlier version.

    None where the hash is not of this configuration with any such settings. They
    are looked for among those of the workspace, of this configuration and
    the defaults, for either may have been changed since.
    """
    found, written = ledger.meta("workspace_hash"), ledger.meta(_HASHED_WITH)
    if written is not None:
        settings = orjson.loads(written)
        return settings if config.workspace_hash_with(settings) == found else None
    begun = _begun_with(workspace)
    known = [DEFAULT_ENDPOINT_SETTINGS, config.endpoint_settings()]
    known += [begun.endpoint_settings()] if begun else []
    for form, tokens, side in product(
        ("auto", "json_schema", "json_object", "text"),
        {entry["teacher"]["max_completion_tokens"] for entry in known},
        {entry["images"]["max_side_px"] for entry in known},
    ):
        settings: dict[str, dict[str, Any]] = {
            "teacher": {"structured_output": form, "max_completion_tokens": tokens},
            "images": {"max_side_px": side},
        }
        if config.workspace_hash_with(settings) == found:
            return settings
    return None


def _begun_with(workspace: Workspace) -> BuildConfig | None:
    """The configuration that the workspace was last built with, if it can be read."""
    try:
        return load_config(workspace.config_path)
    except ConfigError:
        return None


def _changed_settings(begun: BuildConfig, config: BuildConfig) -> list[str]:
    return _differing(begun.endpoint_settings(), config.endpoint_settings(), "")


def _report_changed_settings(config: BuildConfig, workspace: Workspace) -> None:
    begun = _begun_with(workspace)
    names = _changed_settings(begun, config) if begun else []
    if names:
        _log.warning(
            "%s: %s changed; this only concerns the endpoint, and the set goes on.",
            workspace.root,
            ", ".join(names),
        )


def _differing(one: dict[str, Any], other: dict[str, Any], prefix: str) -> list[str]:
    names: list[str] = []
    for name in sorted(one.keys() | other.keys()):
        mine, its = one.get(name), other.get(name)
        if isinstance(mine, dict) and isinstance(its, dict):
            names += _differing(mine, its, f"{prefix}{name}.")
        elif mine != its:
            names.append(f"{prefix}{name}")
    return names
