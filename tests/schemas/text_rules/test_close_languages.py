"""Languages that are close: sentences are told apart, labels get the benefit of the doubt."""

from itertools import permutations

import pytest

from builder.checks_config import ChecksConfig
from schemas.text_rules import check_edit, check_revision
from schemas.text_rules.close_languages import INTERCHANGEABLE, close_to, group_of
from schemas.text_rules.identify import compare, identify
from schemas.text_rules.language import judge
from schemas.text_rules.scripts import has_wrong_script
from schemas.vocabulary import CELL_BY_NAME, LANGUAGES
from tests.schemas.text_rules.rows import load_sentences, make_draft, make_evaluation

IDENTIFIERS = ("pycld2", "py3langid")
CELL = CELL_BY_NAME["retrieval_t2i"]
#: Two sentences of everyday text in languages that have close ones.
SENTENCES = {
    "es": (
        "La playa estaba llena de gente que disfrutaba del sol mientras los niños jugaban",
        "El mercado estaba vacío y los vendedores recogían sus puestos bajo la lluvia",
    ),
    "pt": (
        "A praia estava cheia de pessoas que aproveitavam o sol enquanto as crianças brincavam",
        "O mercado estava vazio e os vendedores arrumavam as suas bancas debaixo da chuva",
    ),
    "he": (
        "החוף היה מלא באנשים שנהנו מהשמש בזמן שהילדים בנו ארמונות בחול",
        "השוק היה ריק והמוכרים סידרו את הדוכנים שלהם בזמן שהגשם ירד",
    ),
    "ur": (
        "ساحل لوگوں سے بھرا ہوا تھا جو دھوپ سے لطف اندوز ہو رہے تھے",
        "بازار خالی تھا اور دکاندار اپنے اسٹال سمیٹ رہے تھے",
    ),
    "ga": (
        "Bhí an trá lán de dhaoine ag baint taitnimh as an ngrian agus na páistí ag súgradh",
        "Bhí an margadh folamh agus na díoltóirí ag glanadh a gcuid stallaí sa bháisteach",
    ),
    "cs": (
        "Pláž byla plná lidí, kteří si užívali slunce, zatímco děti stavěly hrady z písku",
        "Trh byl prázdný a prodejci uklízeli své stánky, zatímco déšť padal na střechy",
    ),
    "hi": (
        "समुद्र तट धूप का आनंद ले रहे लोगों से भरा था जबकि बच्चे रेत के महल बना रहे थे",
        "बाज़ार खाली था और विक्रेता अपनी दुकानें समेट रहे थे जबकि छतों पर बारिश हो रही थी",
    ),
    "bg": (
        "Плажът беше пълен с хора, които се наслаждаваха на слънцето край водата",
        "Пазарът беше празен и продавачите прибираха сергиите си под дъжда",
    ),
    "ru": (
        "Пляж был полон людей, которые наслаждались солнцем, пока дети строили замки из песка",
        "Рынок был пуст, и продавцы убирали свои прилавки, пока шёл сильный дождь",
    ),
    "fa": (
        "ساحل پر از مردمی بود که از آفتاب لذت می‌بردند در حالی که بچه‌ها بازی می‌کردند",
        "بازار خالی بود و فروشندگان دکه‌های خود را زیر باران جمع می‌کردند",
    ),
    "tr": (
        "Plaj güneşin tadını çıkaran insanlarla doluydu, çocuklar ise kumdan kaleler yapıyordu",
        "Pazar boştu ve satıcılar tezgahlarını topluyordu, çatılara yağmur yağıyordu",
    ),
    "nl": (
        "Het strand lag vol mensen die van de zon genoten terwijl de kinderen speelden",
        "De markt was leeg en de verkopers ruimden hun kramen op in de stromende regen",
    ),
    "sv": (
        "Stranden var full av människor som njöt av solen medan barnen lekte i sanden",
        "Torget var tomt och försäljarna plockade ihop sina stånd medan regnet föll",
    ),
    "it": (
        "La spiaggia era piena di gente che si godeva il sole mentre i bambini giocavano",
        "Il mercato era vuoto e i venditori riordinavano le bancarelle sotto la pioggia",
    ),
    "id": (
        "Pantai itu penuh dengan orang yang menikmati matahari sementara anak-anak bermain",
        "Pasar itu kosong dan para pedagang membereskan kios mereka karena hujan turun",
    ),
    "sl": (
        "Plaža je bila polna ljudi, ki so uživali na soncu, medtem ko so se otroci igrali",
        "Tržnica je bila prazna in prodajalci so pospravljali svoje stojnice v dežju",
    ),
    "en": (
        "The beach was full of people who enjoyed the sun while the children built castles",
        "The market was empty and the sellers packed their stalls while the rain fell",
    ),
    "zh": (
        "海滩上到处都是享受阳光的人们，孩子们在水边用沙子堆城堡。",
        "市场里空无一人，小贩们在雨中收拾自己的摊位。",
    ),
}
#: (language of the text, language of the job)
WRONG = """
    es-ca es-gl es-pt pt-gl pt-es pt-ca he-yi ur-sd ur-fa ur-ps ga-gd cs-sk cs-sl hi-mr hi-ne hi-sa
    bg-mk bg-sr bg-ru ru-be ru-uk ru-bg ru-sr fa-ps fa-sd fa-ku fa-ur fa-ar tr-az nl-af nl-fy sv-da
    sv-no it-la it-es it-ca id-su id-jv sl-hr sl-sr sl-bs en-so en-de en-fy en-gl zh-ko zh-ja
"""


def finding_of(text: str, declared: str) -> str:
    if has_wrong_script(text, LANGUAGES[declared]):
        return "contradicted"
    return judge(text, declared, IDENTIFIERS, 3)[0]


@pytest.mark.parametrize("pair", WRONG.split())
def test_a_sentence_of_a_close_language_is_dropped(pair: str) -> None:
    actual, declared = pair.split("-")
    for text in SENTENCES[actual]:
        draft = make_draft(text, None, None)
        report = check_revision(CELL, declared, draft, make_evaluation(), ChecksConfig())
        assert report.reason in ("wrong_language", "wrong_script"), (text, report.votes)


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_the_same_sentences_are_kept_in_their_own_language(language: str) -> None:
    for text in SENTENCES[language]:
        draft = make_draft(text, None, None)
        report = check_revision(CELL, language, draft, make_evaluation(), ChecksConfig())
        assert report.reason is None, (text, report.votes)


def test_every_pair_outside_the_interchangeable_groups_is_told_apart() -> None:
    sentences = load_sentences()
    missed = [
        (actual, declared, text)
        for actual, declared in permutations(LANGUAGES, 2)
        if declared not in group_of(actual)
        for text in sentences[actual]
        if finding_of(text, declared) != "contradicted"
    ]
    assert missed == []


def test_interchangeable_languages_are_the_documented_ones() -> None:
    assert {tuple(sorted(group)) for group in INTERCHANGEABLE} == {
        ("bs", "hr", "sr"),
        ("id", "ms"),
        ("da", "no"),
    }
    for code in LANGUAGES:
        assert code not in close_to(code)
        assert not close_to(code) & group_of(code)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("coche de policía, coche, policía", "gl"),
        ("pelota de fútbol", "ca"),
        ("paz", "gl"),
        ("Do 30 dní od nákupu", "sk"),
        ("starý dom", "cs"),
        ("red panda", "id"),
        ("beruang kutub, beruang", "jv"),
        ("Barack Obama", "so"),
        ("Nova Zelandija", "sl"),
        ("12:30 – 14:45, 1 000 km", "mk"),
        ("Lisboa, Porto, Coimbra", "gl"),
        ("ירושלים", "yi"),
        ("لاهور کراچی", "sd"),
        ("寿司", "ko"),
        ("大韓民國 憲法", "ko"),
        ("vrouw met sluier, sluier, vrouw", "nl"),
    ],
)
def test_labels_names_and_digits_are_not_dropped_for_uncertainty(text: str, language: str) -> None:
    assert finding_of(text, language) != "contradicted"


def test_langdetect_decides_where_the_others_disagree_or_one_abstains() -> None:
    sentence = "Alguns dels vells mariners anaven cada matí a la platja amb els seus gossos"
    opinion = compare(sentence, "es", "ca")
    assert opinion is not None
    assert opinion.top == "ca"
    assert compare(sentence, "es", "gl") is None  # it does not know Galician
    assert compare(sentence, "hr", "sr") is None  # one profile would speak for both
    first = compare(SENTENCES["sl"][0], "bs", "sl")  # Croatian speaks for Bosnian
    assert first is not None
    assert first.top == "sl"


def test_langdetect_answers_the_same_every_time() -> None:
    texts = [text for pair in SENTENCES.values() for text in pair]
    asked = [compare(text[:30], "es", "pt") for text in texts]
    assert [compare(text[:30], "es", "pt") for text in reversed(texts)] == asked[::-1]


def test_langdetect_is_not_asked_where_the_others_agree() -> None:
    for code, pair in load_sentences().items():
        for text in pair:
            _, named = judge(text, code, IDENTIFIERS, 3)
            assert "langdetect" not in dict(named), (code, named)


@pytest.mark.parametrize(
    "character", ["\U0001fffe", "\U0002ffff", "\ufdd0", "\x0b", "\x85", "\u2028"]
)
def test_characters_that_pycld2_refuses_do_not_hide_another_language(character: str) -> None:
    text = SENTENCES["es"][0].replace(" ", f"{character} ", 1)
    draft = make_draft(text, None, None)
    report = check_revision(CELL, "gl", draft, make_evaluation(), ChecksConfig())
    assert report.reason in ("wrong_language", "malformed_text")
    own = check_revision(CELL, "es", draft, make_evaluation(), ChecksConfig())
    assert own.reason in (None, "malformed_text")


def test_what_a_reviewer_wrote_is_disputed_and_not_refused() -> None:
    draft = make_draft(SENTENCES["es"][0], None, None)
    report = check_edit(CELL, "gl", draft, ChecksConfig())
    assert report.reason is None
    assert report.is_disputed


def test_pycld2_is_not_believed_at_once_where_it_names_a_language_too_readily() -> None:
    galician = load_sentences()["gl"][0]
    opinion = identify("pycld2", galician)
    assert opinion is not None
    assert (opinion.top, opinion.is_weak) == ("en", True)
    assert judge(galician, "en", IDENTIFIERS, 3)[0] == "contradicted"
    assert judge(galician, "gl", IDENTIFIERS, 3)[0] == "confirmed"
