"""Running counts of a build: what came in, what was kept, what was dropped and why."""

from collections import Counter
from dataclasses import dataclass, field

from builder.generate.answers import Usage


@dataclass(slots=True)
class Tally:
    """Counts of one run; earlier runs of the workspace are not in it.

    Args:
        num_planned: Jobs of the round that were still open when it began.
        num_kept: Jobs that became samples.
        dropped: Dropped jobs by reason.
        kept_by_language: Kept samples by language.
        dropped_by_language: Dropped jobs by language.
        num_replies: Replies read, those of corrections and judges among them.
    """

    round: int = 0
    num_planned: int = 0
    num_done_in_round: int = 0
    num_kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    kept_by_language: Counter[str] = field(default_factory=Counter)
    dropped_by_language: Counter[str] = field(default_factory=Counter)
    num_replies: int = 0
    num_corrections: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def num_done(self) -> int:
        return self.num_kept + self.dropped.total()

    def begin_round(self, round_: int, num_planned: int) -> None:
        self.round = round_
        self.num_planned = num_planned
        self.num_done_in_round = 0

    def read(self, usage: Usage, cost_usd: float | None) -> None:
        """Counts a reply."""
        self.num_replies += 1
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.cost_usd += cost_usd or 0.0

    def keep(self, language: str) -> None:
        self.num_kept += 1
        self.num_done_in_round += 1
        self.kept_by_language[language] += 1

    def drop(self, language: str, reason: str) -> None:
        self.dropped[reason] += 1
        self.num_done_in_round += 1
        self.dropped_by_language[language] += 1

    def worst_languages(self, num: int = 5) -> list[tuple[str, float]]:
        """Languages with the largest share of dropped jobs, the worst first."""
        shares = [
            (language, dropped / (dropped + self.kept_by_language[language]))
            for language, dropped in self.dropped_by_language.items()
        ]
        return sorted(shares, key=lambda entry: (-entry[1], entry[0]))[:num]
