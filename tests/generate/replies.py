"""Valid replies in twelve languages, decided by the job's seed."""

import re
from typing import Any

import orjson

from schemas.reply import draft_names
from schemas.vocabulary import Cell, Modality, TaskType

#: Subjects and predicates; any of one with any of the other makes a plain sentence.
_SENTENCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "en": (
        ("The old fisherman", "A young teacher", "The little brown dog", "Our friendly neighbour"),
        (
            "is waiting quietly beside the river",
            "walks slowly through the empty market",
            "looks at the mountains in the morning",
            "carries a basket full of fresh bread",
        ),
    ),
    "fr": (
        (
            "Le vieux pêcheur",
            "Une jeune enseignante",
            "Le petit chien brun",
            "Notre voisin aimable",
        ),
        (
            "attend tranquillement au bord de la rivière",
            "marche lentement à travers le marché vide",
            "regarde les montagnes dans la lumière du matin",
            "porte un panier rempli de pain frais",
        ),
    ),
    "de": (
        ("Der alte Fischer", "Eine junge Lehrerin", "Der kleine braune Hund", "Unser Nachbar"),
        (
            "wartet ruhig am Ufer des Flusses",
            "geht langsam über den leeren Marktplatz",
            "schaut am Morgen hinüber zu den Bergen",
            "trägt einen Korb voller frischer Brötchen",
        ),
    ),
    "es": (
        ("El viejo pescador", "Una joven maestra", "El pequeño perro marrón", "Nuestro vecino"),
        (
            "espera tranquilamente junto a la orilla del río",
            "camina despacio por el mercado vacío",
            "mira las montañas con la luz de la mañana",
            "lleva una cesta llena de pan recién hecho",
        ),
    ),
    "it": (
        ("Il vecchio pescatore", "Una giovane maestra", "Il piccolo cane marrone", "Il vicino"),
        (
            "aspetta tranquillo sulla riva del fiume",
            "cammina lentamente attraverso il mercato vuoto",
            "guarda le montagne nella luce del mattino",
            "porta un cesto pieno di pane fresco",
        ),
    ),
    "ru": (
        ("Старый рыбак", "Молодая учительница", "Маленькая собака", "Наш добрый сосед"),
        (
            "спокойно ждёт на берегу реки",
            "медленно идёт через пустой рынок",
            "смотрит утром на далёкие горы",
            "несёт корзину со свежим хлебом",
        ),
    ),
    "ja": (
        ("年老いた漁師が", "若い先生が", "小さな茶色の犬が", "親切な隣の人が"),
        (
            "川のそばで静かに待っています",
            "誰もいない市場をゆっくり歩いています",
            "朝の光の中で山を眺めています",
            "焼きたてのパンが入ったかごを運んでいます",
        ),
    ),
    "zh": (
        ("那位老渔夫", "一位年轻的老师", "一只棕色的小狗", "我们友好的邻居"),
        (
            "正在河边安静地等待着",
            "慢慢地走过空荡荡的市场",
            "在清晨的阳光下望着远山",
            "提着一个装满新鲜面包的篮子",
        ),
    ),
    "ar": (
        ("الصياد العجوز", "المعلمة الشابة", "الكلب البني الصغير", "جارنا الطيب"),
        (
            "ينتظر بهدوء على ضفة النهر",
            "يمشي ببطء عبر السوق الفارغ",
            "ينظر إلى الجبال في ضوء الصباح",
            "يحمل سلة مليئة بالخبز الطازج",
        ),
    ),
    "hi": (
        ("बूढ़ा मछुआरा", "एक युवा शिक्षक", "छोटा भूरा कुत्ता", "हमारा पड़ोसी"),
        (
            "नदी के किनारे चुपचाप इंतज़ार कर रहा है",
            "खाली बाज़ार से धीरे धीरे चल रहा है",
            "सुबह की रोशनी में पहाड़ों को देख रहा है",
            "ताज़ी रोटी से भरी टोकरी ले जा रहा है",
        ),
    ),
    "pl": (
        ("Stary rybak", "Młoda nauczycielka", "Mały brązowy pies", "Nasz życzliwy sąsiad"),
        (
            "czeka spokojnie nad brzegiem rzeki",
            "idzie powoli przez pusty rynek",
            "patrzy na góry w świetle poranka",
            "niesie koszyk pełen świeżego chleba",
        ),
    ),
    "tr": (
        ("Yaşlı balıkçı", "Genç öğretmen", "Küçük kahverengi köpek", "Güler yüzlü komşumuz"),
        (
            "nehrin kıyısında sessizce bekliyor",
            "boş pazarın içinden yavaşça yürüyor",
            "sabah ışığında dağlara bakıyor",
            "taze ekmek dolu bir sepet taşıyor",
        ),
    ),
}
LANGUAGES = tuple(_SENTENCES)

_LINE = {
    name: re.compile(rf"^{name}: (.*)$", re.MULTILINE)
    for name in ("Task type", "Modality combination", "Language", "Seed", "Images")
}


class Asked:
    """What a request's parameters block asks for."""

    def __init__(self, parameters: str) -> None:
        found = {name: pattern.search(parameters) for name, pattern in _LINE.items()}
        values = {name: match[1].strip() for name, match in found.items() if match}
        task: TaskType = values["Task type"]  # type: ignore[assignment]
        modality: Modality = values["Modality combination"]  # type: ignore[assignment]
        self.cell = Cell(task, modality)
        self.language = values["Language"].rpartition("(")[2].rstrip(")")
        self.seed = int(values.get("Seed", "0"))

    @classmethod
    def from_body(cls, body: bytes) -> "Asked":
        content = orjson.loads(body)["messages"][1]["content"]
        return cls(content[0]["text"])


def sentence(language: str, number: int) -> str:
    """A sentence; numbers that differ give sentences that differ."""
    subjects, predicates = _SENTENCES[language]
    subject = subjects[number % len(subjects)]
    predicate = predicates[number // len(subjects) % len(predicates)]
    space = "" if language in {"ja", "zh"} else " "
    return f"{subject}{space}{predicate}{space}({number})"


def valid_reply(asked: Asked, language: str | None = None) -> dict[str, Any]:
    """A reply that satisfies its model and every check.

    Args:
        asked: What the request asks for.
        language: Writes in another language than asked.
    """
    code = language or asked.language
    seed = asked.seed % 100_000_000
    texts = {
        "query_text": sentence(code, seed),
        "positive_text": sentence(code, seed + 5),
        "negative_text": sentence(code, seed + 10),
    }
    named = {name: texts[field] for field, name in draft_names(asked.cell).items()}
    instruction = f"Find what belongs to the given picture, as in case {seed} of the list."
    criterion = {"score": 4, "reason": "The texts fit the picture and read naturally."}
    return {
        "interpretations": [
            {
                "image": role,
                "general": "A calm outdoor scene with people and animals.",
                "objects": "a river, a market stall, a basket, a dog",
                "context": "early morning in a small town",
                "task_ideas": "match scenes with their descriptions",
            }
            for role in asked.cell.image_roles
        ],
        "draft": {"instruction": "Find what belongs to the picture.", **named},
        "evaluation": {
            "relevance": criterion,
            "plausibility": criterion,
            "clarity": {"score": 5, "reason": "The instruction says what is wanted."},
            "diversity": {"score": 3, "reason": "The subject is common."},
            "improvements": "Name the case in the instruction.",
        },
        "revision": {"instruction": instruction, **named},
    }


def valid_evaluation(score: int = 4) -> dict[str, Any]:
    """A judge's reply."""
    criterion = {"score": score, "reason": "Judged by its texts and pictures."}
    return {
        **dict.fromkeys(("relevance", "plausibility", "clarity", "diversity"), criterion),
        "improvements": "None.",
    }


def completion(
    content: str | None, *, finish_reason: str | None = "stop", refusal: str | None = None
) -> dict[str, Any]:
    """A chat completion that holds `content`."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    return {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 1900, "completion_tokens": 900, "total_tokens": 2800},
    }
