"""Is a text in the language its job declares? Script first, then the identifiers' votes."""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from schemas.sample import LanguageVote
from schemas.text_rules.candidate import Candidate
from schemas.text_rules.identify import Identifier, Opinion, identify, languages_of
from schemas.text_rules.normal_form import count_words
from schemas.text_rules.scripts import has_wrong_script
from schemas.vocabulary import LANGUAGES

Finding = Literal["confirmed", "abstained", "contradicted"]

#: Languages that identifiers cannot part, measured; one of a group stands for the others.
_GROUPS = tuple(
    frozenset(group.split())
    for group in ("bs hr sr", "id ms", "no da", "cs sk", "es gl ca pt", "gd ga")
)
#: What an identifier that lacks a language takes it for.
_TAKEN_FOR = {
    "sd": frozenset({"ar", "fa", "ps", "ur"}),
    "su": frozenset({"id", "jv", "ms"}),
    "yi": frozenset({"he"}),
}
# The bounds below were set on two sentences in each of the 93 languages, cut to 3, 4, 5, 6 and 8
# words and whole, and on CLDR names with keywords: no sentence and 0.3 % of the names are dropped
# wrongly; of texts in another language of the same script 98 % are found from 6 words on.
#: A ranking identifier leaves the declared language open from this share on.
_PLAUSIBLE = 0.03
#: Two identifiers that agree on another language are believed from this share on,
_AGREED = 0.3
#: even if the declared one is plausible: from this share on, when it has less than that.
_AGREED_STRONGLY, _HARDLY_PLAUSIBLE = 0.5, 0.15
#: One ranking identifier alone is believed from this share on.
_ALONE = 0.5
#: pycld2 alone, which calls itself reliable even on two names, from this many words on.
_MIN_WORDS_ALONE = 5


@dataclass(frozen=True, slots=True)
class LanguageReport:
    """A reason to drop, or None; the votes; whether any text was left unjudged, or overruled."""

    reason: str | None
    votes: tuple[LanguageVote, ...]
    has_abstained: bool
    is_disputed: bool = False


def check_language(candidate: Candidate, *, trusts_writer: bool = False) -> LanguageReport:
    """Every text in the job's language, the instruction in English.

    Texts too short to judge each by itself are judged together once more, as
    the vote of field `together`. Reasons: `wrong_script`, `wrong_language`,
    `instruction_not_english`. Where the writer is trusted, as a person is,
    `wrong_language` drops nothing and is reported as a dispute.
    """
    code, config = candidate.language.code, candidate.config
    identifiers, min_words = tuple(config.language_identifiers), config.min_words_to_identify
    votes: list[LanguageVote] = []

    def ask(field: str, text: str, declared: str) -> Finding:
        finding, named = judge(text, declared, identifiers, min_words)
        votes.extend([_vote(field, identifier, detected) for identifier, detected in named])
        return finding

    unclear: list[str] = []
    is_disputed = False
    for field, text in candidate.texts:
        if has_wrong_script(text, candidate.language):
            return LanguageReport("wrong_script", tuple(votes), False)
        finding = ask(field, text, code)
        if finding == "contradicted":
            if not trusts_writer:
                return LanguageReport("wrong_language", tuple(votes), False)
            is_disputed = True
        if finding == "abstained":
            unclear.append(text)
    if len(unclear) > 1:
        finding = ask("together", ", ".join(unclear), code)
        if finding == "contradicted":
            if not trusts_writer:
                return LanguageReport("wrong_language", tuple(votes), False)
            is_disputed = True
        if finding == "confirmed":
            unclear.clear()
    instruction = candidate.draft.instruction
    if (
        has_wrong_script(instruction, LANGUAGES["en"])
        or (finding := ask("instruction", instruction, "en")) == "contradicted"
    ):
        return LanguageReport("instruction_not_english", tuple(votes), False)
    has_abstained = bool(unclear) or finding == "abstained"
    return LanguageReport(None, tuple(votes), has_abstained, is_disputed)


def judge(
    text: str, declared: str, identifiers: tuple[Identifier, ...], min_words: int
) -> tuple[Finding, list[tuple[Identifier, str | None]]]:
    """What the identifiers together say of a text, and who named which language.

    They are asked in order until one confirms the declared language or one of
    its group. Below `min_words` words none is asked.
    """
    num_words = count_words(text, declared)
    if num_words < min_words:
        return "abstained", []
    opinions: list[Opinion] = []
    named: list[tuple[Identifier, str | None]] = []
    for identifier in identifiers:
        opinion = identify(identifier, text)
        named.append((identifier, opinion.top if opinion else None))
        if opinion is None:
            continue
        if opinion.top in group_of(declared):
            return "confirmed", named
        opinions.append(opinion)
    return _weigh(opinions, declared, num_words), named


def _weigh(opinions: list[Opinion], declared: str, num_words: int) -> Finding:
    """The verdict when no identifier's first choice was the declared language."""
    ranking = [
        opinion
        for opinion in opinions
        if opinion.identifier != "pycld2"
        and (declared in languages_of(opinion.identifier) or declared in _TAKEN_FOR)
    ]
    reliable = next((opinion for opinion in opinions if opinion.is_reliable), None)
    is_long = num_words >= _MIN_WORDS_ALONE
    if not ranking:
        return "contradicted" if reliable and is_long else "abstained"
    accepted = group_of(declared) | _TAKEN_FOR.get(declared, frozenset())
    best = max(ranking, key=lambda opinion: opinion.ranked[0][1])
    share = best.ranked[0][1]
    plausibility = max(opinion.share(accepted) for opinion in ranking)
    is_agreed = sum(opinion.top == best.top for opinion in opinions) > 1
    if is_agreed and share >= _AGREED_STRONGLY and plausibility < _HARDLY_PLAUSIBLE:
        return "contradicted"
    if reliable and is_long and _only_known_to(reliable, best, declared):
        return "contradicted"
    if plausibility >= _PLAUSIBLE:
        return "confirmed" if best.top in accepted else "abstained"
    if (is_agreed and share >= _AGREED) or share >= _ALONE or (reliable and is_long):
        return "contradicted"
    return "abstained"


def _only_known_to(reliable: Opinion, best: Opinion, declared: str) -> bool:
    """Whether the other identifier cannot know better, as it lacks the language named."""
    taken_for = _TAKEN_FOR.get(reliable.top, frozenset())
    is_near = reliable.top == "su" and declared in taken_for
    return reliable.top not in languages_of(best.identifier) and bool(taken_for) and not is_near


@cache
def group_of(code: str) -> frozenset[str]:
    """The languages that may stand for one another, `code` among them."""
    return next((group for group in _GROUPS if code in group), frozenset({code}))


@lru_cache(maxsize=4_096)
def _vote(field: str, identifier: Identifier, detected: str | None) -> LanguageVote:
    return LanguageVote(field=field, identifier=identifier, detected=detected)
