"""The kinds of mistakes that `benchmarks.planted_defects` plants, each in a sound row."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from random import Random

from benchmarks.planted_rows import Row, parts_of
from builder.checks.near_duplicates import MIN_CHARS
from schemas.reply import draft_names
from schemas.text_rules.close_languages import group_of
from schemas.text_rules.normal_form import normalise
from schemas.vocabulary import LANGUAGES

#: Gives the row with the mistake, or None where this row cannot have it. The sound rows are those
#: that stand beside it in the set; only mistakes between two rows use them.
Plant = Callable[[Row, Sequence[Row], Random], Row | None]

UNSAFE_WORDS = ("scumbag", "мразь", "desgraciado", "混蛋", "kusura")
#: What an instruction is repeated as, for a whole language.
REPEATED = "Match what you are given with the entry that fits best."
_DOCUMENTS = ("positive_text", "negative_text")
_REFUSALS = (
    "I'm sorry, but I can't assist with that.",
    "I cannot identify people in images.",
    "As an AI language model, I am not able to describe this picture.",
    "Lo siento, pero no puedo ayudar con esa solicitud.",
    "Es tut mir leid, aber ich kann dabei nicht helfen.",
    "对不起，我无法协助处理这个请求。",
    "Извините, но я не могу помочь с этим запросом.",
    "Je suis désolé, mais je ne peux pas répondre à cette demande.",
)
_ECHOES = (
    "{text} (hard negative)",
    "{text} <English>",
    "Positive document: {text}",
    "{text} Query length: medium",
    "{text} (the attached image)",
    "Task idea: {text}",
)
_MARKUP = (
    "<p>{text}</p>",
    "<b>{text}</b>",
    "{text}<br/>",
    '<span class="label">{text}</span>',
    "<div>\n{text}\n</div>",
    "{text} &nbsp;",
    '<a href="https://example.org/1">{text}</a>',
    "<caption>{text}</caption>",
    "**{text}**",
    "[{text}](https://example.org/item)",
    "```\n{text}\n```",
    "# {text}",
    "[b]{text}[/b]",
    "\\textbf{{{text}}}",
    "{{{{ name }}}} {text}",
)
_TOKENS = (
    "<|image_1|>\n{text}",
    "<image> {text}",
    "[IMG] {text}",
    "{text}<|im_end|>",
    "{text}</s>",
)
_CONTROLS = ("\x00", "\x07", "\x1b[0m", "\u202e", "\ufffd", "\ue012", "\ufeff")
_PERSONAL = (
    "{text} anna.{n}@posteo.de",
    "{text} (+49 30 {n} 5678)",
    "{text}, +1 415-555-{n}",
    "{text} 4111 1111 1111 1111",
    "info{n}@weltbuch.org: {text}",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of mistake: its name, and what plants it."""

    name: str
    plant: Plant


def _somewhere(row: Row, rng: Random, fields: Sequence[str] = ()) -> str | None:
    """The name of one of the row's texts, the instruction aside."""
    names = [name for name in row.texts if name != "instruction" and (not fields or name in fields)]
    return rng.choice(names) if names else None


def _change(edit: Callable[[str, Random], str], *fields: str) -> Plant:
    """Changes one of the texts."""

    def plant(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
        name = _somewhere(row, rng, fields)
        return row.with_texts(**{name: edit(row.texts[name], rng)}) if name else None

    return plant


def _fill(patterns: Sequence[str], *fields: str) -> Plant:
    return _change(
        lambda text, rng: rng.choice(patterns).format(text=text, n=rng.randint(1000, 9999)), *fields
    )


def _whole_language(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    if not row.is_sentence:
        return None
    parts = parts_of(_other(row.job.language, rng))
    query, positive, negative = rng.sample(parts[2:], 3)
    return row.with_texts(query_text=query, positive_text=positive, negative_text=negative)


def _part_language(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    name = _somewhere(row, rng)
    other = rng.choice(parts_of(_other(row.job.language, rng))[:2])
    return row.with_texts(**{name: other}) if name else None


def _other(language: str, rng: Random) -> str:
    return rng.choice([code for code in LANGUAGES if code not in group_of(language)])


def _instruction_language(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    if row.job.language == "en":
        return None
    return row.with_texts(instruction=rng.choice(parts_of(row.job.language)[:2]))


def _query_again(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    texts = row.texts
    if "query_text" not in texts or "positive_text" not in texts:
        return None
    dressed = rng.choice(("{}", " {}", "{}.", "{} !")).format(texts["query_text"])
    return row.with_texts(positive_text=dressed)


def _same_documents(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    if "positive_text" not in row.texts:
        return None
    dressed = rng.choice(("{}", "{}.", "  {}", "“{}”", "{} !")).format(row.texts["positive_text"])
    return row.with_texts(negative_text=dressed)


def _leak(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    texts = row.texts
    if "query_text" not in texts or len(texts.get("positive_text", "")) < 4:
        return None
    pattern = rng.choice(("{query} ({answer})", "{answer}: {query}", "{query} {answer}"))
    leaked = pattern.format(query=texts["query_text"], answer=texts["positive_text"])
    return row.with_texts(query_text=leaked)


def _repeated_instruction(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    return row.with_texts(instruction=REPEATED)


def _cut(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    """Half the reply: as at the limit of tokens, or as if the model had ended there."""
    content = json.dumps(row.reply, ensure_ascii=False)
    reason = rng.choice(("length", "stop"))
    return replace(
        row, content=content[: int(len(content) * rng.uniform(0.3, 0.95))], finish_reason=reason
    )


def _mojibake(text: str, rng: Random) -> str:
    """UTF-8 read as if it were of one byte a letter, as Windows or the web's Latin-1 do."""
    if text.isascii():
        text = f"{text} – déjà vu"
    content = text.encode("utf-8")
    return misread(content) if rng.random() < 0.5 else content.decode("latin-1")


def misread(content: bytes) -> str:
    """Bytes as a browser reads them in Windows-1252, which has no sign for five of them.

    Source: WHATWG Encoding Standard, index windows-1252.
    """
    undefined = {0x81, 0x8D, 0x8F, 0x90, 0x9D}
    return "".join(
        chr(byte) if byte in undefined else bytes([byte]).decode("cp1252") for byte in content
    )


def _loop(text: str, rng: Random) -> str:
    if len(text.split()) < 2 and not text.isascii() and rng.random() < 0.5:
        return text + text[-rng.randint(2, 6) :] * rng.randint(12, 30)
    words = text.split()[-rng.randint(1, 3) :]
    return f"{text} " + " ".join([" ".join(words)] * rng.randint(12, 30))


def _near_duplicate(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    """A sound row again, with another picture and a letter or a mark of its text changed."""
    earlier = rng.choice(sound)
    shown = (earlier.texts.get(name, "") for name in ("query_text", "positive_text"))
    if len(normalise(" ".join(shown))) <= MIN_CHARS or "positive_text" not in earlier.texts:
        return None
    positive = earlier.texts["positive_text"]
    changed = rng.choice((f"{positive} !", positive[:-1], f"{positive}…", positive + positive[-1]))
    job = replace(
        row.job,
        cell=earlier.job.cell,
        language=earlier.job.language,
        images=tuple(_another(image) for image in earlier.job.images),
    )
    return replace(earlier, job=job).with_texts(
        positive_text=changed, instruction=row.texts["instruction"]
    )


def _another(image: str) -> str:
    return sha256(image.encode()).hexdigest()


def _duplicate(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    earlier = rng.choice(sound)
    if not {"query_text", "positive_text"} & earlier.texts.keys():
        return None  # a row of pictures alone is its instruction
    twin = replace(earlier, job=replace(earlier.job, id=row.job.id, index=row.job.index))
    name = _somewhere(twin, rng)
    assert name is not None
    texts = {name: rng.choice(("{}", "{} ", " {}")).format(twin.texts[name])}
    if "query_text" in twin.texts:
        texts["instruction"] = row.texts["instruction"]
    return twin.with_texts(**texts)


def _contradiction(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    """What a sound row calls wrong is right for the same query, or the reverse."""
    earlier = rng.choice(sound)
    texts = earlier.texts
    if "query_text" not in texts or "positive_text" not in texts:
        return None
    if earlier.job.cell.document_has_image:
        return None  # its documents are told apart by their pictures
    twin = replace(earlier, job=replace(earlier.job, id=row.job.id, index=row.job.index))
    return twin.with_texts(
        positive_text=texts["negative_text"],
        negative_text=texts["positive_text"],
        instruction=row.texts["instruction"],
    )


def _negative_is_query(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    texts = row.texts
    if "query_text" not in texts or "negative_text" not in texts:
        return None
    return row.with_texts(negative_text=f"{texts['query_text']}{rng.choice(('', '.', ' '))}")


def _lopsided(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    texts = row.texts
    if "positive_text" not in texts:
        return None
    name = rng.choice(_DOCUMENTS)
    parts = parts_of(row.job.language)
    long = f"{texts[name]} {parts[0]} {parts[1]}"
    other = texts["negative_text" if name == "positive_text" else "positive_text"]
    is_lopsided = len(long) > 5 * len(other) and len(long) - len(other) > 80
    return row.with_texts(**{name: long}) if is_lopsided else None


def _wrong_cell(row: Row, sound: Sequence[Row], rng: Random) -> Row | None:
    """Texts or images of another cell: a text is missing, or too many are there."""
    names = draft_names(row.job.cell)
    revision = dict(row.reply["revision"])
    interpretations = list(row.reply["interpretations"])
    choice = rng.randrange(3)
    if choice == 0 and names:
        del revision[rng.choice(list(names.values()))]
    elif choice == 1 and interpretations:
        interpretations.pop(rng.randrange(len(interpretations)))
    else:
        revision["label" if "label" not in revision else "answer"] = "x"
    return replace(
        row, reply={**row.reply, "revision": revision, "interpretations": interpretations}
    )


KINDS: tuple[Kind, ...] = (
    Kind("all texts in another language", _whole_language),
    Kind("one text in another language", _part_language),
    Kind("instruction not in English", _instruction_language),
    Kind(
        "empty or blank text",
        _change(lambda text, rng: rng.choice(("", " ", "\n", "…", "-", "—", "。", "\u3164"))),
    ),
    Kind("positive repeats the query", _query_again),
    Kind("negative repeats the positive", _same_documents),
    Kind("negative repeats the query", _negative_is_query),
    Kind("answer in the query", _leak),
    Kind("one instruction for a language", _repeated_instruction),
    Kind("words of the prompt", _fill(_ECHOES)),
    Kind("refusal", _change(lambda text, rng: rng.choice(_REFUSALS))),
    Kind("reply cut off", _cut),
    Kind("markup", _fill(_MARKUP)),
    Kind("special tokens", _fill(_TOKENS)),
    Kind("wrongly decoded text", _change(_mojibake)),
    Kind(
        "control characters",
        _change(
            lambda text, rng: (
                text[: len(text) // 2] + rng.choice(_CONTROLS) + text[len(text) // 2 :]
            )
        ),
    ),
    Kind("repeats itself", _change(_loop)),
    Kind("personal data", _fill(_PERSONAL)),
    Kind("word of the list", _change(lambda text, rng: f"{text} {rng.choice(UNSAFE_WORDS)}")),
    Kind("lengths give it away", _lopsided),
    Kind("near-duplicate of another row", _near_duplicate),
    Kind("same as another row", _duplicate),
    Kind("contradicts another row", _contradiction),
    Kind("fields of another cell", _wrong_cell),
)
