"""When a slot is given up: a language in a cell whose replies are dropped one after another."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil

from builder.balance import Balance
from builder.config import BuildConfig
from builder.endpoint.health import advice_on
from builder.ledger.history import Streak
from builder.ledger.ledger import Ledger
from builder.plan.shares import Slot

_SLOTS_NAMED = 6


@dataclass(frozen=True, slots=True)
class FailingSlots:
    """Slots that are short of samples and whose replies are dropped.

    Args:
        hopeless: Those given up: number of dropped replies by reason.
        limits: The most jobs that the next round may plan in a slot; others have no limit.
    """

    hopeless: dict[Slot, dict[str, int]] = field(default_factory=dict)
    limits: dict[Slot, int] = field(default_factory=dict)


def failing_slots(config: BuildConfig, ledger: Ledger, missing: Mapping[Slot, int]) -> FailingSlots:
    """Looks for slots in which asking on is in vain.

    One without a good sample gets no more jobs than it takes to give it up,
    so that it costs `max_slot_failures` requests or its share once, whichever
    is more. So does a language or a cell without one in any of its slots.

    Args:
        config: The build.
        ledger: What became of its jobs.
        missing: Samples missing, by slot.
    """
    found = FailingSlots()
    most = config.max_slot_failures
    if most is None:
        return found
    failures = ledger.streaks()
    for slot in missing.keys() & failures.keys():
        streak = failures[slot]
        if streak.num >= _patience(streak, most):
            found.hopeless[slot] = streak.reasons
            found.limits[slot] = 0
        elif not streak.num_good:
            found.limits[slot] = most - streak.num
    accepted = ledger.accepted_counts().keys()
    # A sample without a text says nothing about its language.
    with_text = [slot for slot in accepted if _has_text(slot)]
    for group_of, samples in ((_language, with_text), (_cell, accepted)):
        good = {group_of(slot) for slot in samples}
        for group in sorted({group_of(slot) for slot in failures} - good):
            in_group = [slot for slot in failures if group_of(slot) == group]
            left = max(0, most - sum(failures[slot].num for slot in in_group))
            short = sorted(slot for slot in missing.keys() - accepted if group_of(slot) == group)
            if left == 0:
                reasons = _total(failures[slot].reasons for slot in in_group)
                found.hopeless.update((slot, reasons) for slot in short)
            for slot in short:
                found.limits[slot] = min(found.limits.get(slot, missing[slot]), left)
                left -= found.limits[slot]
    return found


def _language(slot: Slot) -> tuple[str, ...]:
    return slot[2:]


def _has_text(slot: Slot) -> bool:
    return "T" in slot[1]


def _cell(slot: Slot) -> tuple[str, ...]:
    return slot[:2]


def shortfall_of(config: BuildConfig, ledger: Ledger, balance: Balance) -> str | None:
    """What a build that is over still lacks, why, and what to do; None where it lacks nothing.

    Args:
        config: The build.
        ledger: What became of its jobs.
        balance: Shares wanted and reached.
    """
    if balance.is_met or not balance.missing:
        return None
    hopeless = failing_slots(config, ledger, balance.missing).hopeless
    others = {slot: {} for slot in balance.missing if slot not in hopeless}
    said = [
        f"short of the shares: {sum(balance.missing.values()):,} of {balance.num_wanted:,} samples "
        "are missing."
    ]
    if hopeless:
        named = _named(hopeless, balance.missing)
        said.append(
            f"Given up, as their last {config.max_slot_failures} replies or more were dropped one "
            f"after another: {named}. {advice_on(_total(hopeless.values()))} Or leave them out of "
            "`languages` and `modality_shares`, or raise `max_slot_failures` (and `max_rounds`, if "
            "they are used up)."
        )
    if others:
        said.append(
            f"Still missing when the {config.max_rounds} rounds were over: "
            f"{_named(others, balance.missing)}. Raise `max_rounds` (--rounds) to go on."
        )
    return " ".join(said)


def _named(slots: dict[Slot, dict[str, int]], missing: dict[Slot, int]) -> str:
    """The slots with most missing, and why their replies were dropped."""
    most = sorted(slots, key=lambda slot: (-missing[slot], slot))
    named = [
        f"{language} {task} {modality} ({missing[task, modality, language]} missing"
        + "".join(f", {reason} {num}" for reason, num in slots[task, modality, language].items())
        + ")"
        for task, modality, language in most[:_SLOTS_NAMED]
    ]
    more = [f"{len(most) - _SLOTS_NAMED} more"] if len(most) > _SLOTS_NAMED else []
    return "; ".join(named + more)


def _total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for reasons in counts:
        total.update(reasons)
    return dict(total.most_common())


def _patience(streak: Streak, most: int) -> int:
    """Failures in a row after which a slot is given up; more where few were good before."""
    if not streak.num_good:
        return most
    return max(most, ceil(most * streak.num_before / (2 * streak.num_good)))
