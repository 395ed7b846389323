"""Make the bundled pictogram corpus from public npm packages: drawings and CLDR words.

    python -m scripts.make_pictograms --packages ~/pictogram-packages

Run it from the repository root. It needs `npm` and the Python packages Pillow, pyarrow and
resvg-py (the last one only here, never at run time). It fetches every package with `npm pack`, at
the versions in `PACKAGES`, and writes `builder/images/pictograms/pictograms.parquet` with the
licence texts the packages carry. Same packages and same library versions give the same bytes.

Three traps it handles: keys are joined ignoring U+FE0F anywhere; CLDR also names symbols that
have no drawing; skin tones are dropped and genders and ZWJ variants share their base's `group`.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import resvg_py
from PIL import Image

from builder.images.pictograms.grouping import TONES, group_of, join_key, territory_of
from schemas.vocabulary import LANGUAGES

ROOT = Path(__file__).resolve().parent.parent
ASSET = ROOT / "builder" / "images" / "pictograms" / "pictograms.parquet"
MAX_ASSET_BYTES = 12_000_000
SIDE_PX = 128
WEBP_QUALITY = 80
MAX_KEYWORDS = 12

PACKAGES = {
    "@lobehub/fluent-emoji-3d": "1.1.0",
    "@iconify-json/noto": "1.2.9",
    "@iconify-json/circle-flags": "1.2.11",
    "flag-icons": "7.2.3",
    "emojibase-data": "16.0.3",
    "cldr-annotations-full": "48.2.0",
    "cldr-annotations-derived-full": "48.2.0",
    "cldr-localenames-full": "48.2.0",
}
LICENCE_FILES = {
    "flag-icons": "flag-icons-MIT.txt",
    "emojibase-data": "emojibase-MIT.txt",
    "cldr-annotations-full": "cldr-Unicode-3.0.txt",
}

#: Codes under which circle-flags draws a language (Arabic, Interlingue, Latin), not the territory.
LANGUAGE_FLAGS = {"ar", "ie", "la"}

CLDR_LOCALE = {"tl": "fil"}  # CLDR has no words at all for `la`

Words = dict[str, tuple[str, list[str]]]  # concept -> (name, keywords)


def fetch_package(name: str, version: str, directory: Path) -> Path:
    """Returns the unpacked folder of an npm package, fetching it when it is not there."""
    target = directory / f"{name.strip('@').replace('/', '-')}-{version}"
    if not target.exists():
        print(f"npm pack {name}@{version}", file=sys.stderr)
        command = ["npm", "pack", f"{name}@{version}", "--silent", "--pack-destination", "."]
        done = subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True)
        tarball = directory / done.stdout.split()[-1]
        with tarfile.open(tarball) as archive:
            archive.extractall(target, filter="data")
    return target / "package"


def key_of_text(text: str) -> str:
    return join_key("-".join(f"{ord(char):04x}" for char in text))


def encode_webp(image: Image.Image) -> bytes:
    """Lay a drawing on white at `SIDE_PX` and encode it, centred when it is not square."""
    drawing = image.convert("RGBA")
    drawing.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (SIDE_PX, SIDE_PX), "white")
    offset = ((SIDE_PX - drawing.width) // 2, (SIDE_PX - drawing.height) // 2)
    canvas.alpha_composite(drawing, offset)
    out = io.BytesIO()
    canvas.convert("RGB").save(out, "WEBP", quality=WEBP_QUALITY, method=6)
    return out.getvalue()


def render_svg(svg: str) -> Image.Image:
    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SIDE_PX))))


def render_icon(icons: dict[str, Any], name: str) -> Image.Image:
    """Renders one icon of an Iconify set."""
    icon = icons["icons"][name]
    width = icon.get("width", icons.get("width", 16))
    height = icon.get("height", icons.get("height", 16))
    return render_svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">{icon["body"]}</svg>'
    )


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def flag_concept(territory: str) -> str:
    return "-".join(f"{ord(char) - ord('A') + 0x1F1E6:x}" for char in territory)


def read_annotations(path: Path, key: str) -> Words:
    """Reads one CLDR annotation file; a missing file gives nothing."""
    if not path.exists():
        return {}
    words: Words = {}
    for text, entry in read_json(path)[key]["annotations"].items():
        if "tts" not in entry:
            continue
        name = " ".join(" ".join(entry["tts"]).split())
        keywords = [" ".join(word.split()) for word in entry.get("default", [])]
        words[key_of_text(text)] = (name, keywords)
    return words


def read_words(packages: dict[str, Path], language: str) -> Words:
    """Every name and keyword list CLDR has for a language: pictograms, then flags."""
    locale = CLDR_LOCALE.get(language, language)
    annotations = packages["cldr-annotations-full"] / "annotations" / locale / "annotations.json"
    derived = packages["cldr-annotations-derived-full"] / "annotationsDerived" / locale
    words = read_annotations(annotations, "annotations")
    words |= read_annotations(derived / "annotations.json", "annotationsDerived")
    names_path = packages["cldr-localenames-full"] / "main" / locale / "territories.json"
    if not names_path.exists():
        return words
    names = read_json(names_path)["main"][locale]["localeDisplayNames"]["territories"]
    for code, raw in names.items():
        name = raw.strip().rstrip(":") if language == "sa" else raw.strip()
        if len(code) != 2 or not code.isalpha() or name == code or code == "ZZ":
            continue
        concept = flag_concept(code)
        flag_name, keywords = words.get(concept, (name, []))
        words[concept] = (flag_name, [*keywords, name])
    return words


def clean_words(name: str, keywords: list[str]) -> dict[str, Any] | None:
    """Drops inheritance marks, repeats of the name and keywords past `MAX_KEYWORDS`."""
    if not name or "↑" in name:
        return None
    kept: list[str] = []
    for keyword in keywords:
        known = {name.casefold(), *(word.casefold() for word in kept)}
        if keyword and "↑" not in keyword and keyword.casefold() not in known:
            kept.append(keyword)
    return {"name": name, "keywords": kept[:MAX_KEYWORDS]}


def drawings(packages: dict[str, Path]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yields each concept that two styles draw, with both drawings, in code point order."""
    fluent = packages["@lobehub/fluent-emoji-3d"] / "assets"
    noto = read_json(packages["@iconify-json/noto"] / "icons.json")
    noto_names = read_json(packages["@iconify-json/noto"] / "chars.json")
    noto_names = {join_key(code): name for code, name in noto_names.items()}
    for path in sorted(fluent.glob("*.webp"), key=lambda p: join_key(p.stem)):
        concept = join_key(path.stem)
        # Flags are taken from sets whose provenance is stated flag by flag, below.
        if concept not in noto_names or territory_of(concept) or TONES & set(concept.split("-")):
            continue
        images = {
            "fluent-3d": Image.open(path),
            "noto": render_icon(noto, noto_names[concept]),
        }
        yield concept, [{"style": s, "bytes": encode_webp(i)} for s, i in images.items()]
    circles = read_json(packages["@iconify-json/circle-flags"] / "icons.json")
    for path in sorted((packages["flag-icons"] / "flags" / "4x3").glob("??.svg")):
        if path.stem not in circles["icons"] or path.stem in LANGUAGE_FLAGS:
            continue
        images = {
            "flag-icons": render_svg(path.read_text(encoding="utf-8")),
            "circle-flags": render_icon(circles, path.stem),
        }
        concept = flag_concept(path.stem.upper())
        yield concept, [{"style": s, "bytes": encode_webp(i)} for s, i in images.items()]


def make_rows(packages: dict[str, Path]) -> list[dict[str, Any]]:
    """Joins drawings, words and categories; concepts without an English name are left out."""
    words = {language: read_words(packages, language) for language in LANGUAGES}
    meta = read_json(packages["emojibase-data"] / "meta" / "groups.json")
    place = {
        join_key(entry["hexcode"]): entry
        for entry in read_json(packages["emojibase-data"] / "en" / "data.json")
    }
    rows: list[dict[str, Any]] = []
    for concept, images in drawings(packages):
        if concept not in words["en"] or concept not in place or "group" not in place[concept]:
            continue
        texts: list[dict[str, Any]] = []
        for language in LANGUAGES:
            if concept in words[language]:
                cleaned = clean_words(*words[language][concept])
                if cleaned is not None:
                    texts.append({"language": language, **cleaned})
        rows.append(
            {
                "concept": concept,
                "group": group_of(concept),
                "category": meta["groups"][str(place[concept]["group"])],
                "subcategory": meta["subgroups"][str(place[concept]["subgroup"])],
                "images": images,
                "texts": texts,
            }
        )
    return sorted(drop_same_drawings(rows), key=lambda row: row["concept"])


def drop_same_drawings(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Keeps one concept a drawing: some territories fly another's flag.

    The one with names in the most languages stays: France, not Clipperton Island.
    """
    seen: set[bytes] = set()
    for row in sorted(rows, key=lambda row: (-len(row["texts"]), row["concept"])):
        drawn = {image["bytes"] for image in row["images"]}
        if seen.isdisjoint(drawn):
            seen |= drawn
            yield row


SCHEMA = pa.schema(
    [
        ("concept", pa.string()),
        ("group", pa.string()),
        ("category", pa.string()),
        ("subcategory", pa.string()),
        ("images", pa.list_(pa.struct([("style", pa.string()), ("bytes", pa.binary())]))),
        (
            "texts",
            pa.list_(
                pa.struct(
                    [
                        ("language", pa.string()),
                        ("name", pa.string()),
                        ("keywords", pa.list_(pa.string())),
                    ]
                )
            ),
        ),
    ]
)


def main() -> int:
    """Fetch, join, write; say what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--packages", type=Path, required=True, help="folder for npm packages")
    parser.add_argument("--output", type=Path, default=ASSET, help="Parquet file to write")
    arguments = parser.parse_args()
    arguments.packages.mkdir(parents=True, exist_ok=True)
    packages = {n: fetch_package(n, v, arguments.packages) for n, v in PACKAGES.items()}
    rows = make_rows(packages)
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pq.write_table(table, arguments.output, compression="zstd", compression_level=19)
    licences = arguments.output.parent / "licenses"
    licences.mkdir(exist_ok=True)
    for name, filename in LICENCE_FILES.items():
        shutil.copyfile(packages[name] / "LICENSE", licences / filename)
    size = arguments.output.stat().st_size
    groups = len({row["group"] for row in rows})
    print(f"{len(rows)} concepts in {groups} groups, {size / 1e6:.1f} MB", file=sys.stderr)
    if size > MAX_ASSET_BYTES:
        print(f"error: larger than {MAX_ASSET_BYTES} bytes; lower WEBP_QUALITY", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
