"""What a judge is asked for when it chooses: which candidate answers a query best."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict


class Choice(BaseModel):
    """A judge's choice among candidates, which are numbered from 1 in the order shown.

    Args:
        reason: Why, in English; written first, so that it is thought of first.
        best: Number of the candidate that answers best.
        also_right: Numbers of others that are right as well.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    reason: str
    best: int
    also_right: list[int]

    def problem(self, num_candidates: int) -> str | None:
        """Why it is no choice among so many candidates, or None."""
        numbers = range(1, num_candidates + 1)
        if self.best not in numbers or not set(self.also_right) <= set(numbers):
            return f"a candidate's number is not from 1 to {num_candidates}"
        return None


@cache
def choice_schema() -> dict[str, Any]:
    """JSON Schema of a choice, as `response_format` json_schema takes it (strict)."""
    schema = Choice.model_json_schema()
    schema.pop("description")
    return schema
