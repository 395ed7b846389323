"""Language identifiers behind one interface: what each says about a text, or that it abstains.

Measured on 93 languages: pycld2 takes 7 us per text and knows all of them;
py3langid takes 60 us or more, is more accurate and lacks sd, su and yi;
langdetect takes 1.6 ms and knows 54, so it is only asked to choose between two
languages (`compare`) unless the configuration lists it. Each is loaded when
first needed.
"""

# The identifiers ship no types: what comes of them is unknown, everything else is strict.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

import logging
import math
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from schemas.vocabulary import LANGUAGES

logger = logging.getLogger(__name__)

Identifier = Literal["pycld2", "py3langid", "langdetect"]

#: Codes that mean one of the 93 under another name.
_ALIASES = {
    "iw": "he",
    "jw": "jv",
    "nb": "no",
    "nn": "no",
    "fil": "tl",
    "zh-Hant": "zh",
    "zh-cn": "zh",
    "zh-tw": "zh",
    "sr-ME": "sr",
    "in": "id",
}
#: Languages that pycld2 names for texts in others, and the score from which on it is believed.
#: Of sentences in English 19 in 20 score 850 or more, of those it takes for English half below 590.
#: It takes one Macedonian sentence in eight for Serbian, on any score.
_LEAST_SCORES = {"en": 700.0, "sr": math.inf}
#: Languages that langdetect knows only by a near one, where both are written in Latin letters.
_STANDS_FOR = {"bs": "hr", "ms": "id", "sr": "hr"}
#: Pairs of langdetect profiles that are kept, of about 1 MB each; loading one takes 15 ms.
_MAX_PAIRS = 32
#: Characters from the beginning of a text that langdetect compares two languages on.
_MAX_CHARS_COMPARED = 400


class Opinion(NamedTuple):
    """What one identifier says about one text.

    Args:
        identifier: Who says it.
        ranked: Languages with their probability, the most likely first.
        is_reliable: The identifier's own flag; False where it has none.
        is_weak: It names a language that this identifier names too readily, on a low score.
    """

    identifier: Identifier
    ranked: tuple[tuple[str, float], ...]
    is_reliable: bool = False
    is_weak: bool = False

    @property
    def top(self) -> str:
        return self.ranked[0][0]

    @property
    def has_shares(self) -> bool:
        """Whether `ranked` compares languages; pycld2 tells what part of a text is in which."""
        return self.identifier != "pycld2"

    def share(self, languages: frozenset[str]) -> float:
        """Probability that the text is in one of `languages`."""
        return sum(share for code, share in self.ranked if code in languages)


def identify(identifier: Identifier, text: str) -> Opinion | None:
    """One identifier's opinion of a text, or None if it abstains."""
    return _IDENTIFIERS[identifier](text)


def compare(text: str, one: str, other: str) -> Opinion | None:
    """Langdetect's choice between two languages, or None if it cannot tell them apart."""
    name, other_name = _profile_name(one, other), _profile_name(other, one)
    if name is None or other_name is None or name == other_name:
        return None
    factory = _langdetect_of_pair(*sorted((name, other_name)))
    code_of = {name: one, other_name: other}
    ranked = tuple(
        (code_of[name], share) for name, share in _ask_factory(factory, text[:_MAX_CHARS_COMPARED])
    )
    return Opinion("langdetect", ranked) if ranked else None


@cache
def languages_of(identifier: Identifier) -> frozenset[str]:
    """Those of the 93 that an identifier can name."""
    if identifier == "py3langid":
        return frozenset(_py3langid().labels)
    if identifier == "langdetect":
        return frozenset(map(_code, _profile_paths())) & LANGUAGES.keys()
    return frozenset(LANGUAGES)


def _ask_pycld2(text: str) -> Opinion | None:
    cld2 = _pycld2()
    try:
        is_reliable, _, details = cld2.detect(text, isPlainText=True)
    except (cld2.error, UnicodeEncodeError):  # control characters, lone surrogates
        return None
    _, name, _, score = details[0]
    if name == "un":
        return None
    ranked = tuple([(_code(code), percent / 100) for _, code, percent, _ in details])
    return Opinion("pycld2", ranked, is_reliable, score < _LEAST_SCORES.get(name, 0.0))


def _ask_py3langid(text: str) -> Opinion | None:
    ranked = tuple(_py3langid().rank(text)[:5])
    # If no feature is known, every language gets the same share.
    return Opinion("py3langid", ranked) if ranked[0][1] > ranked[-1][1] else None


def _ask_langdetect(text: str) -> Opinion | None:
    ranked = tuple((_code(name), share) for name, share in _ask_factory(_langdetect(), text))
    return Opinion("langdetect", ranked) if ranked else None


def _ask_factory(factory: Any, text: str) -> list[tuple[str, float]]:
    """What a factory of langdetect says: its profiles' names with their shares, best first."""
    from langdetect import LangDetectException

    detector = factory.create()
    detector.append(text)
    try:
        return [(entry.lang, entry.prob) for entry in detector.get_probabilities()]
    except LangDetectException:  # no letters
        return []


_IDENTIFIERS: dict[Identifier, Callable[[str], Opinion | None]] = {
    "pycld2": _ask_pycld2,
    "py3langid": _ask_py3langid,
    "langdetect": _ask_langdetect,
}


def _code(name: str) -> str:
    return _ALIASES.get(name, name)


@cache
def _pycld2() -> Any:
    import pycld2

    return pycld2


@cache
def _py3langid() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    model.set_languages([code for code in LANGUAGES if code in model.labels])
    logger.debug("py3langid loaded: %d languages", len(model.labels))
    return model


@cache
def _langdetect() -> Any:
    return _load_profiles(_profile_paths())


@lru_cache(maxsize=_MAX_PAIRS)
def _langdetect_of_pair(one: str, other: str) -> Any:
    return _load_profiles({name: _profile_paths()[name] for name in (one, other)})


def _load_profiles(paths: dict[str, Path]) -> Any:
    """A factory that knows the given languages and answers the same every time."""
    from langdetect.detector_factory import DetectorFactory

    factory = DetectorFactory()
    factory.set_seed(0)  # it is random otherwise
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in paths.values()])
    return factory


@cache
def _profile_paths() -> dict[str, Path]:
    """Profiles that langdetect brings, by its name of the language."""
    from langdetect.detector_factory import PROFILES_DIRECTORY

    return {path.name: path for path in sorted(Path(PROFILES_DIRECTORY).iterdir())}


@cache
def _profile_name(code: str, other: str) -> str | None:
    """The profile that speaks for a language in a comparison with another one."""
    if code not in _profile_paths() and LANGUAGES[other].scripts == ("Latn",):
        code = _STANDS_FOR.get(code, code)
    return code if code in _profile_paths() else None
