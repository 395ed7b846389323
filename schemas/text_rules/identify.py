"""Language identifiers behind one interface: what each says about a text, or that it abstains.

Measured on 93 languages: pycld2 takes 7 us per text and knows all of them;
py3langid takes 60 us or more, is more accurate and lacks sd, su and yi;
langdetect takes 1.6 ms and knows 54. Each is loaded when first needed.
"""

# The identifiers ship no types: what comes of them is unknown, everything else is strict.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

from schemas.errors import PolysceneError
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


class Opinion(NamedTuple):
    """What one identifier says about one text.

    Args:
        identifier: Who says it.
        ranked: Languages with their probability, the most likely first.
        is_reliable: The identifier's own flag; False where it has none.
    """

    identifier: Identifier
    ranked: tuple[tuple[str, float], ...]
    is_reliable: bool = False

    @property
    def top(self) -> str:
        return self.ranked[0][0]

    def share(self, languages: frozenset[str]) -> float:
        """Probability that the text is in one of `languages`."""
        return sum(share for code, share in self.ranked if code in languages)


class IdentifierMissing(PolysceneError):
    """A language identifier named in the configuration is not installed."""


def identify(identifier: Identifier, text: str) -> Opinion | None:
    """One identifier's opinion of a text, or None if it abstains."""
    return _IDENTIFIERS[identifier](text)


@cache
def languages_of(identifier: Identifier) -> frozenset[str]:
    """Those of the 93 that an identifier can name."""
    if identifier == "py3langid":
        return frozenset(_py3langid().labels)
    if identifier == "langdetect":
        codes = _langdetect().detector_factory._factory.get_lang_list()
        return frozenset(_code(code) for code in codes) & LANGUAGES.keys()
    return frozenset(LANGUAGES)


def _ask_pycld2(text: str) -> Opinion | None:
    cld2 = _pycld2()
    try:
        is_reliable, _, details = cld2.detect(text, isPlainText=True)
    except (cld2.error, UnicodeEncodeError):  # control characters, lone surrogates
        return None
    if details[0][1] == "un":
        return None
    ranked = tuple([(_code(code), percent / 100) for _, code, percent, _ in details])
    return Opinion("pycld2", ranked, is_reliable)


def _ask_py3langid(text: str) -> Opinion | None:
    ranked = tuple(_py3langid().rank(text)[:5])
    # If no feature is known, every language gets the same share.
    return Opinion("py3langid", ranked) if ranked[0][1] > ranked[-1][1] else None


def _ask_langdetect(text: str) -> Opinion | None:
    langdetect = _langdetect()
    langdetect.DetectorFactory.seed = 0  # it is random otherwise
    try:
        found = langdetect.detect_langs(text)
    except langdetect.LangDetectException:  # no letters
        return None
    ranked = tuple((_code(entry.lang), entry.prob) for entry in found)
    return Opinion("langdetect", ranked) if ranked else None


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
    try:
        langdetect = import_module("langdetect")
    except ImportError as exc:
        raise IdentifierMissing(
            "`checks.language_identifiers` names langdetect, which is not installed. "
            "Install it (`pip install langdetect`) or remove it from the list."
        ) from exc
    langdetect.detector_factory.init_factory()
    return langdetect
