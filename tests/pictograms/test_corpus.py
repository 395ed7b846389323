"""Claims about the bundled pictogram corpus, counted on the asset itself."""

from collections import Counter
from importlib.resources import files
from io import BytesIO

import pytest
from PIL import Image

from builder.images.pictograms import STYLES, bundled_images, languages_of, load_pictograms

THIN_LANGUAGES = {"eo": 200, "fy": 200, "ku": 200, "mg": 200, "yi": 190, "sa": 10, "su": 10}


def test_asset_is_at_most_12_mb() -> None:
    asset = files("builder.images.pictograms").joinpath("pictograms.parquet")
    assert len(asset.read_bytes()) <= 12_000_000


def test_corpus_has_a_thousand_groups_and_unique_concepts() -> None:
    pictograms = load_pictograms()
    assert len({p.concept for p in pictograms}) == len(pictograms)
    assert len({p.group for p in pictograms}) >= 1_000


def test_at_least_85_languages_name_a_thousand_concepts() -> None:
    names = Counter(language for p in load_pictograms() for language in p.texts)
    assert sum(count >= 1_000 for count in names.values()) >= 85
    assert all(names[language] >= least for language, least in THIN_LANGUAGES.items())


def test_every_concept_has_two_styles_and_an_english_name() -> None:
    for pictogram in load_pictograms():
        assert len({image.style for image in pictogram.images}) >= 2
        assert pictogram.texts["en"].name
        assert all(words.name.strip() for words in pictogram.texts.values())


def test_every_image_decodes_and_is_unlike_every_other() -> None:
    seen: set[bytes] = set()
    for image in bundled_images():
        assert image.licence == STYLES[image.style].licence
        assert image.content not in seen
        seen.add(image.content)
        with Image.open(BytesIO(image.content)) as decoded:
            decoded.load()
            assert (decoded.format, decoded.size, decoded.mode) == ("WEBP", (128, 128), "RGB")


@pytest.mark.parametrize(
    ("variant", "base"),
    [
        ("1f468-200d-1f52c", "1f9d1-200d-1f52c"),  # man scientist, scientist
        ("1f469", "1f9d1"),  # woman, person
        ("1f3c3-200d-2640", "1f3c3"),  # woman running, person running
        ("1f408-200d-2b1b", "1f408"),  # black cat, cat
        ("1f55b", "1f550"),  # twelve o'clock, one o'clock
    ],
)
def test_variants_share_the_group_of_their_base(variant: str, base: str) -> None:
    group = {p.concept: p.group for p in load_pictograms()}
    assert group[variant] == group[base] == base


def test_no_concept_is_a_skin_tone_variant() -> None:
    tones = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
    assert not any(tones & set(p.concept.split("-")) for p in load_pictograms())


def test_flags_are_named_by_their_territory() -> None:
    finland = next(p for p in load_pictograms() if p.concept == "1f1eb-1f1ee")
    assert finland.texts["eo"].name == "Finnlando"
    assert "Suomi" in finland.texts["fi"].name


def test_languages_of_an_unknown_concept_says_what_a_concept_looks_like() -> None:
    assert "sw" in languages_of("1f34e")
    with pytest.raises(ValueError, match=r"no concept '1F34E'.*code points joined"):
        languages_of("1F34E")


def test_every_style_has_its_licence_text() -> None:
    texts = {
        path.name for path in files("builder.images.pictograms").joinpath("licenses").iterdir()
    }
    assert {
        "fluent-emoji-MIT.txt",
        "noto-Apache-2.0.txt",
        "flag-icons-MIT.txt",
        "circle-flags-MIT.txt",
        "cldr-Unicode-3.0.txt",
    } <= texts
