"""Look up words, class words and related concepts of a concept in a language."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from random import Random

from builder.images.pictograms import Pictogram, Words, load_pictograms

#: A keyword shared by this many concepts of a subcategory names a class ("fruit").
_MIN_CLASS_SIZE = 3
_MAX_CANDIDATES = 12
#: Of a language with fewer concepts that have keywords, texts beyond names cannot be asked.
_MIN_KEYWORD_SHARE = 0.1


class Lexicon:
    """The bundled concepts, indexed to find related ones quickly."""

    def __init__(self, pictograms: Sequence[Pictogram]) -> None:
        self._pictograms = pictograms

    @cached_property
    def _by_category(self) -> dict[str, list[Pictogram]]:
        return _arrange((p.category, p) for p in self._pictograms)

    @cached_property
    def _by_subcategory(self) -> dict[str, list[Pictogram]]:
        return _arrange((p.subcategory, p) for p in self._pictograms)

    @cached_property
    def _class_sizes(self) -> dict[tuple[str, str], Counter[str]]:
        sizes: dict[tuple[str, str], Counter[str]] = {}
        for pictogram in self._pictograms:
            for language, words in pictogram.texts.items():
                counter = sizes.setdefault((language, pictogram.subcategory), Counter())
                counter.update(words.keywords)
        return sizes

    @cached_property
    def _with_few_keywords(self) -> frozenset[str]:
        known: Counter[str] = Counter()
        with_keywords: Counter[str] = Counter()
        for pictogram in self._pictograms:
            known.update(pictogram.texts.keys())
            with_keywords.update(
                language
                for language, words in pictogram.texts.items()
                if any(not overlaps(keyword, words.name) for keyword in words.keywords)
            )
        return frozenset(
            language
            for language, num in known.items()
            if with_keywords[language] < _MIN_KEYWORD_SHARE * num
        )

    def has_few_keywords(self, language: str) -> bool:
        """Whether hardly a concept has a keyword in the language besides its name."""
        return language in self._with_few_keywords

    def relative(self, concept: Pictogram, language: str, rng: Random) -> Pictogram | None:
        """Picks a related concept that is clearly another one and has words in the language.

        Of a dozen from the same subcategory (else category), the one sharing most keywords.
        """
        own = concept.texts[language]
        for pool in (
            self._by_subcategory[concept.subcategory],
            self._by_category[concept.category],
            self._pictograms,
        ):
            drawn = rng.sample(pool, min(len(pool), _MAX_CANDIDATES))
            others = [p for p in drawn if _is_other(concept, p, language)]
            if others:
                shared = set(own.keywords)
                return max(others, key=lambda p: len(shared & set(p.texts[language].keywords)))
        return None

    def stranger(self, concept: Pictogram, language: str, rng: Random) -> Pictogram | None:
        """Picks a concept of another category, with words in the language."""
        for other in rng.sample(self._pictograms, min(len(self._pictograms), 60)):
            if other.category != concept.category and _is_other(concept, other, language):
                return other
        return None

    def class_words(self, concept: Pictogram, language: str, rng: Random) -> tuple[str, str] | None:
        """Returns the class a concept belongs to and one it does not, in the language.

        None where its subcategory has no common keyword that this concept has.
        """
        words = concept.texts[language]
        sizes = self._class_sizes[language, concept.subcategory]
        fitting = [k for k in words.keywords if sizes[k] >= _MIN_CLASS_SIZE]
        if not fitting:
            return None
        label = max(fitting, key=lambda k: (sizes[k], k))
        neighbours = {p.subcategory for p in self._by_category[concept.category]}
        subcategories = sorted(neighbours) if len(neighbours) > 1 else sorted(self._by_subcategory)
        wrong: list[str] = []
        for subcategory in subcategories:
            counter = self._class_sizes.get((language, subcategory))
            if subcategory == concept.subcategory or not counter:
                continue
            word, size = max(counter.items(), key=lambda item: (item[1], item[0]))
            if size >= _MIN_CLASS_SIZE and not any(
                overlaps(word, own) for own in (words.name, *words.keywords)
            ):
                wrong.append(word)
        return (label, rng.choice(wrong)) if wrong else None


@cache
def bundled_lexicon() -> Lexicon:
    """The lexicon of the bundled corpus, made once."""
    return Lexicon(load_pictograms())


def overlaps(one: str, other: str) -> bool:
    """Whether one text contains the other, ignoring case."""
    one, other = one.casefold(), other.casefold()
    return one in other or other in one


def _is_other(concept: Pictogram, other: Pictogram, language: str) -> bool:
    words: Words | None = other.texts.get(language)
    if words is None or other.group == concept.group:
        return False
    own = concept.texts[language]
    known = {own.name.casefold(), *(keyword.casefold() for keyword in own.keywords)}
    return words.name.casefold() not in known and not overlaps(words.name, own.name)


def _arrange(pairs: Iterable[tuple[str, Pictogram]]) -> dict[str, list[Pictogram]]:
    arranged: dict[str, list[Pictogram]] = {}
    for name, pictogram in pairs:
        arranged.setdefault(name, []).append(pictogram)
    return arranged
