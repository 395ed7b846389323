"""The `gates:` block of the configuration: what models' scores drop."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.vocabulary import CELLS, LANGUAGES


class GatesConfig(BaseModel):
    """What kept samples are dropped for by the scores of models, without a new request.

    Args:
        alignment_share: The lowest of all that `python -m builder score` scored; null drops none.
        judge_min_score: Of the judge's four scores (1 to 5), the least that none may be below;
            null drops none.
        judge_min_scores: The same for a language ("sw") or a cell ("retrieval I->I"), in place of
            the general one; where both are given, the lower counts.
    """

    model_config = ConfigDict(extra="forbid")

    alignment_share: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    judge_min_score: Annotated[int, Field(ge=1, le=5)] | None = None
    judge_min_scores: dict[str, Annotated[int, Field(ge=1, le=5)]] = {}

    @field_validator("judge_min_scores")
    @classmethod
    def _are_languages_or_cells(cls, scores: dict[str, int]) -> dict[str, int]:
        known = {*LANGUAGES, *(f"{cell.task_type} {cell.modality}" for cell in CELLS)}
        unknown = sorted(set(scores) - known)
        if unknown:
            raise ValueError(
                f'{", ".join(unknown)}: neither a language code nor a cell such as "vqa IT->T"'
            )
        return scores

    def judge_bound(self, cell: str, language: str) -> int | None:
        """The least score in a cell, such as "vqa IT->T", and a language; None for no bound."""
        own = [
            self.judge_min_scores[name]
            for name in (cell, language)
            if name in self.judge_min_scores
        ]
        return min(own, default=self.judge_min_score)
