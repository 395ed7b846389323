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
#: Slots without a good sample are asked on beyond `max_slot_failures` while all of them together
#: have cost fewer replies than this share of the samples wanted: a slot in which one reply in
#: twenty is fit is filled at that price, and a build that nears its end is not left short for it.
_CHEAP_SHARE = 0.05
#: But none for more than so many times `max_slot_failures`.
_MOST_EXTRA = 4


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
    is more; or up to four times as many where the failing slots together cost
    under a twentieth of the build. A language or a cell without a good sample
    in any of its slots costs `max_slot_failures` in all.

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
    failing = missing.keys() & failures.keys()
    never_good = [slot for slot in failing if not failures[slot].num_good]
    first_patience = _first_patience(most, len(never_good), config.num_samples)
    for slot in failing:
        streak = failures[slot]
        patience = _patience(streak, most) if streak.num_good else first_patience
        if streak.num >= patience:
            found.hopeless[slot] = streak.reasons
            found.limits[slot] = 0
        elif not streak.num_good:
            found.limits[slot] = patience - streak.num
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


def _first_patience(most: int, num_failing: int, num_samples: int) -> int:
    """Failures after which a slot that was never good is given up; more where that is cheap."""
    if num_failing == 0:
        return most
    cheap = int(_CHEAP_SHARE * num_samples) // num_failing
    return max(most, min(cheap, _MOST_EXTRA * most))


def _patience(streak: Streak, most: int) -> int:
    """Failures in a row after which a slot is given up; more where few were good before."""
    return max(most, ceil(most * streak.num_before / (2 * streak.num_good)))
