"""Compose query and document texts of one sample from CLDR names and keywords."""

import re
from dataclasses import dataclass
from random import Random

from builder.images.pictograms import Pictogram, Words
from builder.lexicon_teacher.lexicon import Lexicon, overlaps
from builder.lexicon_teacher.questions import load_questions
from schemas.vocabulary import Cell

_COMMAS = {"ar": "، ", "fa": "، ", "ps": "، ", "sd": "، ", "ug": "، ", "ur": "، ", "am": "፣ "}
_COMMAS |= {"ja": "、", "zh": "、", "my": "၊ ", "th": " ", "lo": " ", "km": " "}
_FEW, _SOME, _MANY = (0, 1), (1, 3), (3, 6)
#: Number of keywords besides the name, by the maximum length of the query in words.
_KEYWORDS_UP_TO = ((5, _FEW), (10, (1, 2)), (15, _SOME), (25, (2, 4)))
_SHAPES = ("{name}: {words}", "{name} ({words})", "{name} – {words}", "{words} – {name}")


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a sample under the row's field names; None where it has none."""

    query_text: str | None = None
    positive_text: str | None = None
    negative_text: str | None = None


@dataclass(frozen=True, slots=True)
class Wording:
    """How much to write: limits on the number of keywords, and whether the name may be left out."""

    least: int
    most: int
    names_query: bool

    @classmethod
    def from_parameters(cls, parameters: dict[str, str]) -> "Wording":
        """Reads `query length` ("short", "5 to 10 words") and `difficulty` ("hard: ...")."""
        length = parameters.get("query length", "").lower()
        limits = [int(number) for number in re.findall(r"\d+", length)]
        if limits:
            least, most = next((b for top, b in _KEYWORDS_UP_TO if max(limits) <= top), _MANY)
        elif "short" in length:
            least, most = _FEW
        elif "long" in length or "sentences" in length:
            least, most = _MANY
        else:
            least, most = _SOME
        return cls(least, most, not parameters.get("difficulty", "").lower().startswith("hard"))


class Writer:
    """Writes in one language, with choices drawn from `rng`."""

    def __init__(self, lexicon: Lexicon, language: str, wording: Wording, rng: Random) -> None:
        self._lexicon = lexicon
        self._language = language
        self._wording = wording
        self._rng = rng
        self._comma = _COMMAS.get(language, ", ")

    def write(
        self, cell: Cell, query: Pictogram | None, subject: Pictogram, distractor: Pictogram
    ) -> Texts | None:
        """Texts of a cell, or None if the language has too few words for these concepts."""
        match cell.task_type:
            case "vqa":
                return self._vqa(subject, distractor)
            case "classification":
                return self._classification(cell, subject, distractor)
            case "retrieval":
                return self._retrieval(cell, query or subject, subject, distractor)

    def _words(self, concept: Pictogram) -> Words:
        return concept.texts[self._language]

    def _vqa(self, subject: Pictogram, distractor: Pictogram) -> Texts:
        questions = load_questions()[self._language]
        kind = self._rng.choice(("what", "shows", "word"))
        answer, wrong = self._words(subject).name, self._words(distractor).name
        if kind == "word":
            classes = self._lexicon.class_words(subject, self._language, self._rng)
            answer, wrong = classes or (answer, wrong)
        hint = self._hint(self._words(subject), self._number(), hidden=(answer, wrong))
        question = questions[kind]
        return Texts(f"{question} ({hint})" if hint else question, answer, wrong)

    def _classification(self, cell: Cell, subject: Pictogram, distractor: Pictogram) -> Texts:
        own, other = self._words(subject), self._words(distractor)
        label, misleading = own.name, other.name
        if self._rng.random() < 0.5:
            classes = self._lexicon.class_words(subject, self._language, self._rng)
            label, misleading = classes or (label, misleading)
        if not cell.query_has_text:
            return Texts(None, label, misleading)
        hint = self._hint(own, max(self._number(), 1), hidden=(label, misleading))
        return Texts(hint or load_questions()[self._language]["shows"], label, misleading)

    def _retrieval(
        self, cell: Cell, query: Pictogram, subject: Pictogram, distractor: Pictogram
    ) -> Texts | None:
        own, other = self._words_if_any(subject), self._words_if_any(distractor)
        if own is None or other is None:
            return Texts() if cell.modality == "I->I" else None
        if cell.modality == "T->I":
            return Texts(self._ask(own))
        if cell.modality == "IT->I":
            # Another concept than the query's is a change to make; the same one, a hint.
            same = query.concept == subject.concept
            hint = self._hint(own, max(self._number(), 1), hidden=(own.name,))
            return Texts((hint if same else None) or own.name)
        if cell.modality == "I->I":
            return Texts()
        hint = ""
        if cell.query_has_text:
            hint = self._hint(own, max(self._number(), 1), hidden=(own.name, other.name))
            if not hint and not cell.query_has_image:
                return self._flashcard(own)
        shape, number = self._rng.choice(_SHAPES), self._number()
        used = tuple(hint.split(self._comma))
        positive = self._describe(own, number, shape, used)
        negative = self._describe(other, number, shape, used)
        if not cell.query_has_text:
            return Texts(None, positive, negative)
        query_text = hint or load_questions()[self._language]["shows"]
        if cell.query_has_image and hint and self._rng.random() < 0.5:
            query_text = f"{load_questions()[self._language]['shows']} ({hint})"
        return Texts(query_text, positive, negative)

    def _flashcard(self, own: Words) -> Texts | None:
        """A name, to be matched to the picture that a question is asked about.

        Only in languages with hardly a keyword: a caption would repeat the
        name that is asked for, and no other would ever be written.
        """
        if not self._lexicon.has_few_keywords(self._language):
            return None
        questions = load_questions()[self._language]
        positive, negative = self._rng.sample((questions["what"], questions["shows"]), 2)
        return Texts(own.name, positive, negative)

    def _words_if_any(self, concept: Pictogram) -> Words | None:
        return concept.texts.get(self._language)

    def _number(self) -> int:
        return self._rng.randint(self._wording.least, self._wording.most)

    def _hint(self, words: Words, number: int, hidden: tuple[str, ...]) -> str:
        """Some keywords that reveal none of the hidden texts; "" if there are none."""
        open_words = [
            keyword
            for keyword in words.keywords
            if any(map(str.isalpha, keyword)) and not any(overlaps(keyword, h) for h in hidden)
        ]
        return self._comma.join(self._some(open_words, number))

    def _some(self, keywords: list[str], number: int) -> list[str]:
        return self._rng.sample(keywords, min(number, len(keywords)))

    def _ask(self, words: Words) -> str:
        """A text query: keywords alone if the name is to be left out, else mostly the name."""
        number = self._number()
        if not self._wording.names_query and len(words.keywords) >= 3 and self._rng.random() < 0.5:
            return self._hint(words, max(number, 3), hidden=(words.name,)) or words.name
        return self._describe(words, number, self._rng.choice(_SHAPES), ())

    def _describe(self, words: Words, number: int, shape: str, used: tuple[str, ...]) -> str:
        """Name and keywords in one of a few shapes; keywords used elsewhere are left out."""
        fresh = [k for k in words.keywords if k not in used and not overlaps(k, words.name)]
        chosen = self._some(fresh, number)
        if not chosen:
            return words.name
        return shape.format(name=words.name, words=self._comma.join(chosen))
