"""How many samples were left after each stage, from the plan to the release."""

from collections.abc import Mapping

from builder.ledger.evaluation_sets import IMAGE_REASON, TEXT_REASON
from builder.ledger.gates import LOW_JUDGEMENT
from builder.ledger.scores import LOW_ALIGNMENT
from schemas.text_rules import RULES

_LANGUAGE = ("wrong_script", "wrong_language", "instruction_not_english")
_CHECKS = frozenset((*(rule.__name__ for rule in RULES), *_LANGUAGE)) - {"refusal"}
_SET_RULES = frozenset(
    (
        *("duplicate", "instruction_repeated", "contradicts_another", "unsafe_word"),
        *("near_duplicate", "near_duplicate_across"),
    )
)
_GATES = frozenset(
    (LOW_JUDGEMENT, LOW_ALIGNMENT, IMAGE_REASON, TEXT_REASON, "surplus", "not_chosen")
)
#: Beginnings of reasons that name a score, a kind of personal data, or a judge's choice.
_CHECK_PREFIX, _SET_PREFIX, _GATE_PREFIXES = "low_", "personal_data_", ("judge_", "negative_")


def stage_of(reason: str) -> str:
    """The stage at which a sample was dropped in generation."""
    if reason in _GATES:
        return "gates"
    if reason in _SET_RULES or reason.startswith(_SET_PREFIX):
        return "set"
    if reason in _CHECKS or reason.startswith(_CHECK_PREFIX):
        return "checks"
    return "gates" if reason.startswith(_GATE_PREFIXES) else "reading"


def funnel(
    generation: Mapping[str, int], release: Mapping[str, int], num_published: int
) -> list[tuple[str, int]]:
    """(stage, samples left after it), from what was asked for to what is published.

    Args:
        generation: Samples dropped before the release, by reason.
        release: Samples left out of the release, by reason.
        num_published: Rows of the release.
    """
    lost: dict[str, int] = dict.fromkeys(("reading", "checks", "set", "gates"), 0)
    for reason, num in generation.items():
        lost[stage_of(reason)] += num
    left = num_published + sum(release.values()) + sum(lost.values())
    stages = [("asked for", left)]
    names = {
        "reading": "reply readable",
        "checks": "passed the row checks",
        "set": "no repeat or contradiction",
        "gates": "passed the gates",
    }
    for stage, name in names.items():
        left -= lost[stage]
        stages.append((name, left))
    stages.append(("published", num_published))
    return stages
