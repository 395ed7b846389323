"""Text in the wrong encoding and markup are told from what people write."""

import pytest

from benchmarks.planted_kinds import misread
from schemas.text_rules.artefacts import malformed_text, markup
from schemas.text_rules.mojibake import is_wrongly_decoded, wrongly_decoded
from tests.schemas.text_rules.rows import load_sentences, make_candidate, make_draft

_WORDS = [
    "camión",
    "ışık",
    "škoda",
    "łódź",
    "déjà vu",
    "“quoted”",
    "Österreich",
    "Grüße aus Köln",
    "ελληνικά",
    "Привет, мир",
    "नमस्ते",
    "你好",
    "שלום",
    "ไทย",
    "한국",
    "naïve – café",
]


@pytest.mark.parametrize("text", _WORDS)
@pytest.mark.parametrize("table", ["cp1252", "latin-1", "cp1251"])
def test_utf_8_in_another_encoding_is_found(text: str, table: str) -> None:
    read = text.encode().decode(table, errors="ignore")
    dropped = is_wrongly_decoded(read) or any("\x80" <= char <= "\x9f" for char in read)
    is_cyrillic = "П" in text
    assert dropped or (table == "cp1251" and not is_cyrillic)


def test_every_language_is_found_in_the_wrong_encoding_and_sound_in_its_own() -> None:
    for language, sentences in load_sentences().items():
        for text in sentences:
            assert not is_wrongly_decoded(text), language
            read = misread(text.encode())
            candidate = make_candidate(make_draft(positive=read))
            is_found = is_wrongly_decoded(read) or malformed_text(candidate) is not None
            assert text.isascii() or is_found, (language, read)


@pytest.mark.parametrize(
    "text",
    [
        "voilà\u00a0»",
        "CAFÉ… et THÉ…",
        "NESCAFÉ® et CAFÉ”",
        "Spaß… Gruß…",
        "«\u00a0Là\u00a0» dit-il à\u00a0»",
        "KRÍŽ",
        "NÃO",
        "“É” — È’s",
        "ÇOK GÜZEL…",
        "ÉTÉ–HIVER",
        "PÃO–DE–LÓ",
        "СССР: РСФСР",
        "Âme • Été",
    ],
)
def test_accents_before_punctuation_are_no_fault(text: str) -> None:
    assert not is_wrongly_decoded(text)


def test_wrongly_decoded_names_the_row() -> None:
    assert wrongly_decoded(make_candidate(make_draft(positive="CafÃ© au lait"))) == (
        "wrongly_decoded"
    )
    assert wrongly_decoded(make_candidate(make_draft(positive="Café au lait"))) is None


@pytest.mark.parametrize(
    "text",
    [
        "<p>A dog</p>",
        "a dog<br>",
        '<a href="https://x.org">dog</a>',
        "<my-element>dog",
        "<!-- a dog -->",
        "**a dog**",
        "[a dog](https://x.org)",
        "## A dog",
        "```\na dog\n```",
        "[b]a dog[/b]",
        "\\textbf{a dog}",
        "{{ name }} a dog",
        "{% if dog %}",
    ],
)
def test_markup_is_found_in_any_text(text: str) -> None:
    assert markup(make_candidate(make_draft(positive=text))) == "markup"
    assert markup(make_candidate(make_draft(query=text))) == "markup"


@pytest.mark.parametrize(
    "text",
    [
        "3 < 5 and 7 > 2",
        "I <3 dogs",
        "a -> b <- c",
        "5 * 3 * 2",
        "2**8 = 256",
        "#dogs of #today",
        "No. #1 dog",
        "key: * and key: #",
        "- one\n- two",
        "f(x)[0](1)",
        "[sic] a dog",
        "{a, b}",
        "¯\\_(ツ)_/¯",
    ],
)
def test_plain_writing_is_no_markup(text: str) -> None:
    assert markup(make_candidate(make_draft(positive=text))) is None
