"""The language gate on two sentences in each of the 93 languages, and on wrong pairs."""

from collections import Counter

import pytest

from builder.checks_config import ChecksConfig
from schemas.text_rules.candidate import Candidate
from schemas.text_rules.close_languages import group_of
from schemas.text_rules.identify import identify, languages_of
from schemas.text_rules.language import LanguageReport, check_language, judge
from schemas.text_rules.normal_form import CHARS_PER_WORD, count_words
from schemas.text_rules.scripts import has_wrong_script
from schemas.vocabulary import CELL_BY_NAME, LANGUAGES
from tests.schemas.text_rules.rows import INSTRUCTION, load_sentences, make_candidate, make_draft

IDENTIFIERS = ("pycld2", "py3langid")


def check(text: str, language: str) -> LanguageReport:
    draft = make_draft(text, None, None)
    return check_language(make_candidate(draft, "retrieval_t2i", language))


def cut(text: str, language: str, num_words: int) -> str:
    if language in CHARS_PER_WORD:
        return text[: num_words * CHARS_PER_WORD[language] * 3 // 2]
    return " ".join(text.split()[:num_words])


def test_there_are_sentences_in_all_languages() -> None:
    sentences = load_sentences()
    assert sentences.keys() == LANGUAGES.keys()
    for code, pair in sentences.items():
        for text in pair:
            assert count_words(text, code) >= 5, (code, text)


@pytest.mark.parametrize("num_words", [3, 4, 6, 100])
def test_right_language_is_kept_in_every_language(num_words: int) -> None:
    dropped = [
        (code, text)
        for code, pair in load_sentences().items()
        for text in pair
        if check(cut(text, code, num_words), code).reason
    ]
    assert dropped == []


@pytest.mark.parametrize(("num_words", "least"), [(3, 0.75), (6, 0.97), (100, 0.99)])
def test_wrong_language_of_the_same_script_is_found(num_words: int, least: float) -> None:
    """Every pair of languages that share a script and are not one group."""
    found: Counter[bool] = Counter()
    for actual, pair in load_sentences().items():
        for declared in LANGUAGES.keys() - group_of(actual):
            shared = set(LANGUAGES[declared].scripts) & set(LANGUAGES[actual].scripts)
            for text in pair if shared else ():
                if has_wrong_script(text, LANGUAGES[declared]):
                    continue  # found before any identifier is asked
                finding, _ = judge(cut(text, actual, num_words), declared, IDENTIFIERS, 3)
                found[finding == "contradicted"] += 1
    assert found[True] / found.total() >= least, found


def test_wrong_script_is_found_from_one_word_on() -> None:
    words = {code: pair[0].split()[0] for code, pair in load_sentences().items()}
    for actual, word in words.items():
        if not any(map(str.isalpha, word)) or actual in CHARS_PER_WORD:
            continue
        for declared, language in LANGUAGES.items():
            shares = set(language.scripts) & set(LANGUAGES[actual].scripts)
            other = not shares and not (actual == "ko" and declared in ("ja", "zh"))
            # One capital is a borrowed sign in any language, as in "vitamin C".
            if other and len(word) > 2:
                assert has_wrong_script(word, language), (actual, declared, word)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("พลังงานแสงอาทิตย์", "ru"),
        ("кошка", "th"),
        ("red apple", "hi"),
        ("apfel", "ja"),
        ("りんご", "zh"),
        ("사과", "ja"),
        ("ქართული", "hy"),
        ("ܐܪܡܝܐ", "ar"),
    ],
)
def test_wrong_script_names_the_reason(text: str, language: str) -> None:
    assert check(text, language).reason == "wrong_script"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("iPhone 15", "th"),
        ("USB", "hi"),
        ("DNA", "ar"),
        ("4K", "zh"),
        ("寿司", "ko"),
        ("東京", "ja"),
        ("Москва", "az"),
        ("Beograd", "sr"),
        ("سلاو", "ku"),
        ("12:30", "fa"),
        ("🍎", "de"),
        ("โทรศัพท์ Samsung Galaxy", "th"),
        ("été à Nîmes", "fr"),
        ("Ελλάδα", "el"),
    ],
)
def test_borrowed_signs_and_second_scripts_are_kept(text: str, language: str) -> None:
    assert check(text, language).reason is None


def test_confusable_languages_stand_for_one_another() -> None:
    sentences = load_sentences()
    for actual, declared in (("hr", "bs"), ("id", "ms"), ("no", "da")):
        assert check(sentences[actual][0], declared).reason is None


def test_one_field_in_another_language_is_enough() -> None:
    french, german = load_sentences()["fr"], load_sentences()["de"]
    draft = make_draft(french[0], french[1], german[1])
    report = check_language(make_candidate(draft, language="fr"))
    assert report.reason == "wrong_language"
    assert [vote.field for vote in report.votes][-1] == "negative_text"


def test_short_texts_are_judged_together() -> None:
    draft = make_draft("where, simple", "old building", "rainy weather")
    report = check_language(make_candidate(draft, language="sk"))
    assert report.reason == "wrong_language"
    assert report.votes[-1].field == "together"
    draft = make_draft(None, "pes", "kočka")
    report = check_language(make_candidate(draft, "retrieval_i2t", "cs"))
    assert report.reason is None
    assert report.has_abstained


def test_an_instruction_in_another_language_drops() -> None:
    missed = set()
    for code, pair in load_sentences().items():
        for text in pair:
            draft = make_draft(None, None, None, text)
            report = check_language(make_candidate(draft, "retrieval_i2i", code))
            if report.reason != "instruction_not_english":
                missed.add(code)
    assert missed == {"en"}


def test_nobody_is_asked_below_the_least_number_of_words() -> None:
    draft = make_draft("zwei Wörter", None, None)
    report = check_language(make_candidate(draft, "retrieval_t2i", "fr"))
    assert report.reason is None
    assert report.has_abstained
    assert {vote.field for vote in report.votes} == {"instruction"}


def test_the_second_identifier_is_asked_only_when_the_first_does_not_confirm() -> None:
    report = check(load_sentences()["fr"][0], "fr")
    assert [vote.identifier for vote in report.votes] == ["pycld2", "pycld2"]
    report = check(load_sentences()["ku"][0], "ku")
    assert [(vote.identifier, vote.detected) for vote in report.votes[:2]] == [
        ("pycld2", None),
        ("py3langid", "ku"),
    ]


def test_identifiers_are_asked_as_configured() -> None:
    config = ChecksConfig(language_identifiers=["py3langid"], min_words_to_identify=1)
    candidate = make_candidate(
        make_draft(load_sentences()["it"][0], None, None), "retrieval_t2i", "it", config
    )
    assert {vote.identifier for vote in check_language(candidate).votes} == {"py3langid"}


def test_identifiers_know_the_languages_they_are_said_to_know() -> None:
    assert languages_of("pycld2") == LANGUAGES.keys()
    assert LANGUAGES.keys() - languages_of("py3langid") == {"sd", "su", "yi"}


@pytest.mark.parametrize(
    "text", ["\ud800 hello there my friend", "\x00\x01\x02", "", "12 34 56 78"]
)
def test_identifiers_say_nothing_rather_than_raise(text: str) -> None:
    for identifier in IDENTIFIERS:
        identify(identifier, text)


def test_langdetect_is_asked_as_an_identifier_where_it_is_configured() -> None:
    assert len(languages_of("langdetect")) >= 50
    opinion = identify("langdetect", load_sentences()["fr"][0])
    assert opinion is not None
    assert opinion.top == "fr"


def test_a_candidate_of_every_cell_can_be_judged() -> None:
    for cell in CELL_BY_NAME.values():
        draft = make_draft(
            "Was ist das für ein Tier?" if cell.query_has_text else None,
            "ein Hund" if cell.document_has_text else None,
            "eine Katze" if cell.document_has_text else None,
            INSTRUCTION,
        )
        candidate = Candidate(
            cell, LANGUAGES["de"], draft, make_candidate(draft).evaluation, ChecksConfig()
        )
        assert check_language(candidate).reason is None
