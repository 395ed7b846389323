"""What tokens cost: prices of the configuration, else of the price table."""

from dataclasses import dataclass

from builder.config import TeacherConfig
from builder.endpoint.completion import Usage

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; `cached` for prompt tokens the endpoint had in its cache."""

    input: float
    output: float
    cached: float

    def halved(self) -> "Price":
        """What the Batch API costs where the list price is known."""
        return Price(self.input / 2, self.output / 2, self.cached / 2)

    def cost_usd(self, usage: Usage) -> float:
        """Price of one call, from the tokens the endpoint counted."""
        fresh = max(0, usage.prompt_tokens - usage.cached_tokens)
        cost = (
            fresh * self.input
            + usage.cached_tokens * self.cached
            + usage.completion_tokens * self.output
        )
        return round(cost / _MILLION, 9)


def price_of(teacher: TeacherConfig) -> Price | None:
    """A model's price, or None where neither the configuration nor the table knows it."""
    given = teacher.prices
    if given is not None:
        return Price(given.input_usd_per_mtok, given.output_usd_per_mtok, given.input_usd_per_mtok)
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    def price(**tokens: int) -> float:
        found = calc_price(Tokens(**tokens), model_ref=teacher.model)
        return float(found.total_price) / tokens_k * _MILLION

    tokens_k = 1000  # below the sizes at which some models get dearer
    try:
        return Price(
            price(input_tokens=tokens_k),
            price(output_tokens=tokens_k),
            price(input_tokens=tokens_k, cache_read_tokens=tokens_k),
        )
    except (LookupError, ValueError):
        return None
