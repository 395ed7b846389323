"""Which languages are close, and what the identifiers must say to tell two of them apart."""

from functools import cache

from schemas.text_rules.identify import Opinion, compare, languages_of

#: Languages that no identifier tells apart; any of a group confirms the others.
INTERCHANGEABLE = tuple(frozenset(group.split()) for group in ("bs hr sr", "id ms", "no da"))
#: Languages that may also stand for one another in a text of a few words.
_ALIKE = tuple(
    frozenset(group.split()) for group in ("ca es gl pt", "cs sk", "ga gd", "id jv ms su")
)
#: Languages that identifiers confuse at times, so that one of them alone is not believed.
CLOSE = tuple(
    frozenset(group.split())
    for group in (
        "ca es gl pt",
        "bs cs hr sk sl sr",
        "be bg mk ru sr uk",
        "bs mk sr",
        "ga gd",
        "he yi",
        "ar fa ps sd ug ur",
        "id jv ms su",
        "da no sv",
        "af fy nl",
        "hi mr ne sa",
        "as bn",
        "az tr",
    )
)
#: Languages that an identifier names instead of one it does not know.
TAKEN_FOR = {
    "sd": frozenset({"ar", "fa", "ps", "ur"}),
    "su": frozenset({"id", "jv", "ms"}),
    "yi": frozenset({"he"}),
}
# The limits below were tuned on newspaper sentences of 66 languages (Lingua's test data), on the
# UDHR in 88 and on CLDR names with keywords, whole and cut to five words.
#: Different words from which on close languages can be told apart, by two identifiers that agree
#: while the declared language has less than a part of what the two languages share;
MIN_WORDS, _AGREED = 6, 0.3
#: from here on two are believed that agree, langdetect may decide between two that do not,
_MIN_WORDS_ALONE = 8
#: or py3langid alone, where langdetect does not know both and the declared language has less.
_ALONE = 0.1
#: From this share on, langdetect's choice between two languages is believed.
_CHOSEN = 0.9


@cache
def group_of(code: str) -> frozenset[str]:
    """The languages that stand for `code`, including `code`."""
    return next((group for group in INTERCHANGEABLE if code in group), frozenset({code}))


@cache
def alike(code: str) -> frozenset[str]:
    """The languages that stand for `code` in a text of a few words, including `code`."""
    return _joined(code, (*_ALIKE, group_of(code)))


@cache
def close_to(code: str) -> frozenset[str]:
    """The languages that `code` may be confused with, without those that stand for it."""
    return _joined(code, CLOSE) - group_of(code)


def _joined(code: str, groups: tuple[frozenset[str], ...]) -> frozenset[str]:
    return frozenset(other for group in groups if code in group for other in group)


def count_different_words(text: str) -> int:
    """Different words: a list of names that repeats one says no more about its language."""
    return len({word.strip(".,:;()!?«»\"'") for word in text.casefold().split()})


def names_close_language(opinions: list[Opinion], declared: str) -> bool:
    """Whether an identifier takes the text for a language that is close to the declared one."""
    return any(opinion.top in close_to(declared) for opinion in opinions)


def tell_apart(
    opinions: list[Opinion], declared: str, text: str
) -> tuple[bool | None, Opinion | None]:
    """Whether a text is in the declared language and not in a close one that was named.

    Two identifiers that agree on the close language are believed, and so is
    pycld2 where the other does not know it. Where they disagree, or only one has
    an opinion, langdetect chooses between the two languages if it knows both.

    Returns:
        True, False or None if that stays unclear, and what langdetect said if it was asked.
    """
    named = next((o for o in opinions if not o.has_shares and o.top in close_to(declared)), None)
    ranking = _find_ranking(opinions, declared)
    is_confirmed = any(opinion.top in group_of(declared) for opinion in opinions)
    unclear = True if is_confirmed else None
    if ranking is None:
        return (False if named else unclear), None
    part = _part_of(declared, ranking)
    is_short = count_different_words(text) < _MIN_WORDS_ALONE
    if named and ranking.top in group_of(named.top) and (part < _AGREED or not is_short):
        return False, None
    if is_short:
        return unclear, None
    rival = named.top if named and is_confirmed else ranking.top
    choice = compare(text, declared, rival)
    if choice is None:
        return (False if part < _ALONE else unclear), None
    is_other = choice.top == rival and choice.ranked[0][1] >= _CHOSEN
    return (False if is_other else unclear), choice


def _find_ranking(opinions: list[Opinion], declared: str) -> Opinion | None:
    """The last opinion with shares, of an identifier that knows all languages in question."""
    asked = {declared, *(opinion.top for opinion in opinions)}
    knowing = [o for o in opinions if o.has_shares and asked <= languages_of(o.identifier)]
    return knowing[-1] if knowing else None


def _part_of(declared: str, opinion: Opinion) -> float:
    """The declared language's part of what it and the first choice share."""
    share = opinion.share(group_of(declared))
    return share / (share + opinion.share(group_of(opinion.top)))
