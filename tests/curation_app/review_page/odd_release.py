"""A release of rows as they seldom are: many hard negatives, a large image, CR LF, joiners."""

from pathlib import Path

from schemas.sample import Sample, sample_id
from tests.curation_app.tiny_release import add_image, draw, make_sample, write_release

NUM_NEGATIVES = 6
LARGE_SIDE_PX = 1_600
#: Khmer words are divided by U+200B; Malayalam and Persian need U+200D and U+200C.
JOINED = {
    "km": ("ប៉ោង\u200bក្រហម", "ប៉ោង\u200b", "ខ្លែង\u200bលើ\u200bមេឃ"),
    "ml": ("അവന്\u200d വന്നു", "ബലൂണ്\u200d", "പട്ടം"),
    "fa": ("می\u200cخواهم بادکنک", "بادکنک‌ها", "بادبادک"),
}
CRLF = ("first line\r\nsecond line\rthird", "one\r\ntwo", "three\rfour")
#: Garay, in Unicode since 2024: hardly any machine has a font for it.
GARAY = "\U00010d4a\U00010d4b\U00010d4c\U00010d4d"


def odd_release(directory: Path) -> Path:
    """Language `en`: many negatives and a large image; `de`: CR LF; `zh`: a script without font."""
    images: dict[str, bytes] = {}
    shas = [add_image(images, draw(number, 300 + number)) for number in range(NUM_NEGATIVES + 1)]
    shas.append(add_image(images, draw(99, LARGE_SIDE_PX)))
    three = (shas[-1], shas[0], shas[1])
    samples = [
        make_sample("retrieval", "IT->IT", code, three, texts) for code, texts in JOINED.items()
    ]
    samples.append(make_sample("classification", "I->T", "de", three, CRLF))
    samples.append(make_sample("retrieval", "IT->IT", "zh", three, (GARAY, GARAY[1:], GARAY[2:])))
    one = make_sample("retrieval", "IT->IT", "en", three, ("query", "positive", "negative"))
    content = {
        **one.model_dump(exclude={"id"}),
        "negative_texts": tuple(f"negative {number}" for number in range(NUM_NEGATIVES)),
        "negative_images": tuple(shas[1 : NUM_NEGATIVES + 1]),
    }
    samples.append(Sample.model_validate({**content, "id": sample_id(content)}))
    return write_release(directory, samples, images)
