"""What a version says of how releases are made: bounds of the text rules, effects of reviews."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.manifest import ReleaseManifest
from schemas.text_rules import TextRulesConfig

_CONFIG_NAME = "config.yaml"
_MAX_CONFIG_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class ReleasePolicy:
    """How the next release treats reviews.

    Args:
        min_reviews_to_reject: A row goes out when this many reviewers judged it.
        holds_flagged: Whether flagged rows are held back.
        text_rules: Bounds that edited texts must keep.
    """

    min_reviews_to_reject: int
    holds_flagged: bool
    text_rules: TextRulesConfig


def read_release_policy(directory: Path, manifest: ReleaseManifest) -> ReleasePolicy:
    """The policy a version was released under; the defaults where it does not say.

    A version from the Hub is opened without its configuration, so that its
    text rules are the defaults.
    """
    policy = manifest.policy
    least = policy.get("min_reviews_to_reject", 1)
    return ReleasePolicy(
        min_reviews_to_reject=least if isinstance(least, int) and least > 0 else 1,
        holds_flagged=policy.get("flagged", "hold_back") != "keep",
        text_rules=_text_rules(directory / _CONFIG_NAME),
    )


def _text_rules(path: Path) -> TextRulesConfig:
    if not path.is_file() or path.stat().st_size > _MAX_CONFIG_BYTES:
        return TextRulesConfig()
    try:
        config: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        checks = config.get("checks", {}) if isinstance(config, dict) else {}
        known = {name: checks[name] for name in TextRulesConfig.model_fields if name in checks}
        return TextRulesConfig.model_validate(known)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError, TypeError):
        return TextRulesConfig()
