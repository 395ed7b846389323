"""The `gates:` block of the configuration: what models' scores drop."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.vocabulary import CELLS, LANGUAGES


class GatesConfig(BaseModel):
    """What kept samples are dropped for by the scores of models, without a new request.

    Args:
        alignment_share: The lowest of all that `python -m builder score` scored; null drops none.
        alignment_by: Whether that share is of "all" scores together, which finds more of the
            demo's mistakes, or of each "language" on its own, so that none loses more than others.
        negative_max_ratio: Samples whose hard negative's cosine to the picture is a greater part
            of the positive's are dropped; 0.95 is NV-Retriever's rule for negatives that may be
            right (Moreira et al. 2024, arXiv:2407.15831). Null drops none.
        negative_max_over_mean: Samples whose hard negative's cosine exceeds the mean of the
            positives' in their language by more than this are dropped, as Qwen3-VL-Embedding's
            filter does with its delta (arXiv:2601.04720). Null drops none.
        judge_choice: Whether the judge is to choose among each sample's positive and hard
            negatives, in shuffled order; samples whose negative it prefers, or calls right as
            well, are dropped.
        judge_min_score: Of the judge's four scores (1 to 5), the least that none may be below;
            null drops none.
        judge_min_scores: The same for a language ("sw") or a cell ("retrieval I->I"), in place of
            the general one; where both are given, the lower counts.
    """

    model_config = ConfigDict(extra="forbid")

    alignment_share: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    alignment_by: Literal["all", "language"] = "all"
    negative_max_ratio: Annotated[float, Field(gt=0, le=1)] | None = None
    negative_max_over_mean: Annotated[float, Field(ge=-1, le=1)] | None = None
    judge_choice: bool = False
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
