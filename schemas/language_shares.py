"""Named shares of the languages: what a build aims for, and what coverage is measured against."""

from typing import Literal, get_args

from schemas.vocabulary import LANGUAGES

NamedShares = Literal["mme5", "uniform"]
NAMES: tuple[NamedShares, ...] = get_args(NamedShares)

#: Percent; other languages share the rest evenly. mmE5 does not publish its shares; these are
#: those of E5-mistral over the same list of languages (arXiv 2401.00368, figure 3).
MME5_PERCENT: dict[str, float] = {
    "en": 43.1,
    "pl": 3.0,
    **dict.fromkeys(("ja", "it", "ru", "id", "de", "fa"), 2.9),
    **dict.fromkeys(("es", "zh", "fr", "pt", "nl"), 2.8),
    "ar": 2.7,
}


def named_shares(name: NamedShares) -> dict[str, float]:
    """Weight of each of the 93 languages; only their ratios matter.

    named_shares("mme5")["en"]  # 43.1
    """
    if name == "uniform":
        return dict.fromkeys(LANGUAGES, 1.0)
    rest = (100 - sum(MME5_PERCENT.values())) / (len(LANGUAGES) - len(MME5_PERCENT))
    return {code: MME5_PERCENT.get(code, rest) for code in LANGUAGES}
