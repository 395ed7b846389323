"""MMEB and XTD-10 from files as they are published, against the published definitions."""

import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hub_server import run_client, running_hub
from tests.trainer.evaluate.benchmark_files import (
    COLOURS,
    ColourEncoder,
    ConstantEncoder,
    caption_rows,
    classification_rows,
    png,
    question_rows,
    write_parquet,
    write_pictures,
    write_subset,
)
from tests.trainer.tiny_encoder import TinyEncoder
from trainer.config import EvaluateConfig
from trainer.data.items import Item
from trainer.embed import embed
from trainer.encoders.encoder import Encoder
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.report import evaluation_tables, sentences, write_report
from trainer.evaluate.suites import evaluate_suite
from trainer.evaluate.suites.files import SuiteError
from trainer.evaluate.suites.image_files import Folder, ImageFiles, is_plain_path
from trainer.evaluate.suites.mmeb_subsets import META_TASKS, OUT_OF_DOMAIN, TASK_OF
from trainer.evaluate.suites.texts import common_instruction, without_image_token

CONFIG = EvaluateConfig(num_resamples=50)


@pytest.fixture
def mmeb(tmp_path: Path) -> Path:
    """Three subsets of the first edition, pictures in `images`."""
    data = tmp_path / "MMEB-eval"
    for subset, rows in (
        ("ImageNet-1K", classification_rows()),
        ("Place365", classification_rows("Place365")),
        ("OK-VQA", question_rows()),
        ("MSCOCO_t2i", caption_rows()),
    ):
        write_subset(data, subset, rows)
        write_pictures(data / "images" / subset)
    return data


def write_xtd(data: Path, languages: tuple[str, ...] = ("it", "ko"), num: int = 30) -> Path:
    """Captions with `num` photographs each, every list with its own first."""
    colours = {f"{number}": (8 * number, 255 - 8 * number, number) for number in range(num)}
    write_pictures(data / "XTD10_dataset", colours)
    for language in languages:
        rows = [
            {
                "qry_text": f"Retrieve an image of this caption. {language} {'x' * number}.",
                "qry_img_path": "",
                "tgt_text": ["<|image_1|>\nRepresent the given image."] * num,
                "tgt_img_path": [
                    f"{other}.png" for other in sorted(range(num), key=lambda n: n != number)
                ],
            }
            for number in range(num)
        ]
        write_parquet(data / language / f"{language}.parquet", rows)
    return data


def published_scores(encoder: Encoder, rows: list[dict[str, Any]], images: Path) -> np.ndarray:
    """Scores of each row's candidates in published order, shape (rows, candidates)."""
    files = ImageFiles([Folder(images)])
    files.add(row["qry_img_path"] for row in rows if row["qry_img_path"])
    files.add(path for row in rows for path in row["tgt_img_path"] if path)

    def item(text: str, path: str) -> Item:
        words = text.replace("<|image_1|>", "").strip()
        return Item(text=words or None, image=files.sha256[path] if path else None)

    scores = []
    for row in rows:
        pairs = list(zip(row["tgt_text"], row["tgt_img_path"], strict=True))
        query_1D = embed(encoder, [item(row["qry_text"], row["qry_img_path"])], files)
        target_ND = embed(encoder, [item(*pair) for pair in pairs], files)
        scores.append(target_ND @ query_1D[0])
    return np.stack(scores)


class OneText(TinyEncoder):
    """Reads instruction and text as the one text that MMEB publishes."""

    def prepare(self, item: Item, pictures: Any) -> Any:
        text = " ".join(part for part in (item.instruction, item.text) if part)
        return super().prepare(Item(text=text, image=item.image), pictures)


def test_hit_at_1_is_that_of_the_published_evaluation(mmeb: Path) -> None:
    for seed in range(3):
        encoder = OneText(seed).eval()
        report = evaluate_suite(encoder, "mmeb", str(mmeb), CONFIG)
        subsets = {
            **report["sections"]["classification"]["per_subset"],
            **report["sections"]["VQA"]["per_subset"],
            **report["sections"]["retrieval"]["per_subset"],
        }
        for subset, rows in (
            ("ImageNet-1K", classification_rows()),
            ("OK-VQA", question_rows()),
            ("MSCOCO_t2i", caption_rows()),
        ):
            scores = published_scores(encoder, rows, mmeb / "images")
            expected = float(np.mean(scores.argmax(axis=1) == 0))
            assert subsets[subset]["recall_at_1"] == pytest.approx(expected), (seed, subset)


def test_recall_at_10_of_xtd_is_that_of_the_published_evaluation(tmp_path: Path) -> None:
    data = write_xtd(tmp_path / "XTD-10")
    encoder = OneText(1).eval()
    report = evaluate_suite(encoder, "xtd", str(data), CONFIG)
    section = report["sections"]["xtd"]
    recalls = {}
    for language in ("it", "ko"):
        rows = read(data / language / f"{language}.parquet")
        scores = published_scores(encoder, rows, data / "XTD10_dataset")
        top = np.argsort(scores, axis=1)[:, -10:]
        recalls[language] = float(np.mean((top == 0).any(axis=1)))
        assert section["per_language"][language]["recall_at_k"] == pytest.approx(recalls[language])
    assert 0 < section["mean"]["recall_at_k"] < 1
    assert section["mean"]["recall_at_k"] == pytest.approx(np.mean([*recalls.values()]))
    assert section["k"] == 10
    assert report["notes"] == ["Not in the mean: es, ru, zh, pl, tr."]


def read(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()


def test_an_encoder_that_sees_the_colours_gets_every_row_right(mmeb: Path, tmp_path: Path) -> None:
    report = evaluate_suite(ColourEncoder(), "mmeb", str(mmeb), CONFIG)
    means = {name: s["mean"]["recall_at_k"] for name, s in report["sections"].items()}
    assert means["all"] == 1.0
    assert set(means) == {
        "all",
        "classification",
        "VQA",
        "retrieval",
        "in_domain",
        "out_of_domain",
    }
    assert report["sections"]["all"]["title"] == "MMEB all, 4 of 36 subsets"
    assert report["sections"]["all"]["k"] == 1
    assert "32 of 36 subsets are not in the means" in report["notes"][-1]
    write_report(report, tmp_path / "report")
    assert (tmp_path / "report" / "evaluation.json").is_file()
    assert len(list(evaluation_tables(report))) == 6 and list(sentences(report))


def test_equal_scores_count_against_the_model(mmeb: Path, tmp_path: Path) -> None:
    report = evaluate_suite(ConstantEncoder(), "mmeb", str(mmeb), CONFIG)
    assert report["sections"]["all"]["mean"]["recall_at_k"] == 0.0
    xtd = write_xtd(tmp_path / "XTD-10")
    report = evaluate_suite(ConstantEncoder(), "xtd", str(xtd), CONFIG)
    assert report["sections"]["xtd"]["mean"]["recall_at_k"] == 0.0


def test_copies_of_the_right_candidate_are_right_also_under_another_path(tmp_path: Path) -> None:
    data = tmp_path / "data"
    rows = caption_rows()
    write_pictures(data / "images" / "MSCOCO_t2i")
    (data / "images" / "MSCOCO_t2i" / "copy.png").write_bytes(png(COLOURS["red"]))
    rows[0]["tgt_img_path"] = [*rows[0]["tgt_img_path"], "MSCOCO_t2i/copy.png"]
    rows[0]["tgt_text"] = [*rows[0]["tgt_text"], rows[0]["tgt_text"][0]]
    write_subset(data, "MSCOCO_t2i", rows)
    report = evaluate_suite(ColourEncoder(), "mmeb", str(data), CONFIG)
    assert report["sections"]["all"]["mean"]["recall_at_k"] == 1.0


def test_means_have_no_weights(tmp_path: Path) -> None:
    data = tmp_path / "data"
    wrong = [dict(row, tgt_text=row["tgt_text"][::-1]) for row in classification_rows()]
    write_subset(data, "ImageNet-1K", wrong * 3)  # none right, three times the rows
    write_subset(data, "Place365", classification_rows("Place365"))
    for subset in ("ImageNet-1K", "Place365"):
        write_pictures(data / subset)
    report = evaluate_suite(ColourEncoder(), "mmeb", str(data), CONFIG)
    assert report["sections"]["classification"]["mean"]["recall_at_k"] == pytest.approx(0.5)
    assert report["sections"]["in_domain"]["mean"]["recall_at_k"] == 0.0
    assert report["sections"]["out_of_domain"]["mean"]["recall_at_k"] == 1.0


def test_the_second_edition_with_instructions_of_its_own_is_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    instruction = "<|image_1|> Represent the given image for classification"
    rows = [dict(row, qry_text="", qry_inst=instruction) for row in classification_rows()]
    for row in rows:
        del row["tgt_img_path"]
    write_subset(data, "ImageNet-1K", rows)
    captions = [
        {
            "qry_inst": "Find me an everyday image that matches the given caption:",
            "qry_text": f"a {name} wall",
            "tgt_inst": "<|image_1|> Represent the given image.",
            "tgt_text": [""],
            "tgt_img_path": row["tgt_img_path"],
        }
        for name, row in zip(COLOURS, caption_rows(), strict=True)
    ]
    write_subset(data, "MSCOCO_t2i", captions)
    write_pictures(data / "image-tasks" / "MMEB" / "ImageNet-1K")
    write_pictures(data / "image-tasks" / "MMEB" / "MSCOCO_t2i")
    encoder = ColourEncoder()
    report = evaluate_suite(encoder, "mmeb", str(data), CONFIG)
    assert report["sections"]["all"]["mean"]["recall_at_k"] == 1.0
    assert "2 of 36" in report["sections"]["all"]["title"]
    kinds = {(item.instruction, item.text, item.image is not None) for item in encoder.seen}
    assert ("Represent the given image for classification", None, True) in kinds
    assert (captions[0]["qry_inst"], "a red wall", False) in kinds
    assert (None, "Represent the given image.", True) in kinds


def test_no_text_holds_an_image_token(mmeb: Path) -> None:
    encoder = ColourEncoder()
    evaluate_suite(encoder, "mmeb", str(mmeb), CONFIG)
    texts = [text for item in encoder.seen for text in (item.instruction, item.text) if text]
    assert texts and not any("image_1" in text or text != text.strip() for text in texts)


def test_every_distinct_item_is_embedded_once(tmp_path: Path) -> None:
    encoder = ColourEncoder()
    evaluate_suite(encoder, "xtd", str(write_xtd(tmp_path / "XTD-10")), CONFIG)
    assert len(encoder.seen) == len(set(encoder.seen)) == 2 * 30 + 30


def test_a_model_without_fused_input_takes_what_is_not_fused_and_the_rest_is_counted(
    mmeb: Path,
) -> None:
    encoder = ColourEncoder(takes=("T", "I"))
    report = evaluate_suite(encoder, "mmeb", str(mmeb), CONFIG)
    assert set(report["sections"]) == {
        "all",
        "classification",
        "retrieval",
        "in_domain",
        "out_of_domain",
    }
    assert report["sections"]["retrieval"]["mean"]["recall_at_k"] == 1.0
    reason = "this model does not take picture and text as one"
    assert report["left_out"] == {reason: 6}
    assert any(f"OK-VQA: 6 questions are not measured: {reason}" in n for n in report["notes"])


def test_missing_and_unreadable_pictures_are_named_and_counted(mmeb: Path) -> None:
    (mmeb / "images" / "ImageNet-1K" / "red.png").unlink()
    (mmeb / "images" / "ImageNet-1K" / "blue.png").write_bytes(b"no picture")
    report = evaluate_suite(ColourEncoder(), "mmeb", str(mmeb), CONFIG)
    section = report["sections"]["classification"]["per_subset"]["ImageNet-1K"]
    assert section["num_queries"] == 4
    notes = "\n".join(report["notes"])
    assert "ImageNet-1K: 1 questions are not measured: picture not there" in notes
    assert "'ImageNet-1K/red.png'" in notes and "'ImageNet-1K/blue.png'" in notes
    assert report["left_out"]["picture not there"] == 1
    assert report["num_rows"] == 24


def test_few_missing_candidates_shorten_the_lists_and_many_leave_the_question_out(
    tmp_path: Path,
) -> None:
    data = write_xtd(tmp_path / "XTD-10", ("it",), num=200)
    (data / "XTD10_dataset" / "7.png").unlink()
    report = evaluate_suite(OneText().eval(), "xtd", str(data), CONFIG)
    assert report["sections"]["xtd"]["num_queries"] == 199
    notes = "\n".join(report["notes"])
    assert "1 wrong candidates are missing from the lists: picture not there ('7.png')" in notes
    for number in range(20, 23):
        (data / "XTD10_dataset" / f"{number}.png").unlink()
    with pytest.raises(NothingToMeasureError, match=r"picture not there.*XTD10_dataset"):
        evaluate_suite(OneText().eval(), "xtd", str(data), CONFIG)


@pytest.mark.parametrize(
    "path",
    ["../../secret.png", "/etc/passwd", "a/../../secret.png", "..\\secret.png", "a//b.png", "./.."],
)
def test_a_path_out_of_the_folder_is_refused_and_counted(tmp_path: Path, path: str) -> None:
    data = tmp_path / "data" / "deep"
    write_pictures(data / "ImageNet-1K")
    (tmp_path / "secret.png").write_bytes(png((1, 2, 3)))
    rows = classification_rows()
    rows[0]["qry_img_path"] = path
    write_subset(data, "ImageNet-1K", rows)
    report = evaluate_suite(ColourEncoder(), "mmeb", str(data), CONFIG)
    assert report["left_out"] == {"path outside the benchmark's folder": 1}


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_pictures(data / "ImageNet-1K")
    (tmp_path / "secret.png").write_bytes(png((1, 2, 3)))
    (data / "ImageNet-1K" / "red.png").unlink()
    (data / "ImageNet-1K" / "red.png").symlink_to(tmp_path / "secret.png")
    write_subset(data, "ImageNet-1K", classification_rows())
    report = evaluate_suite(ColourEncoder(), "mmeb", str(data), CONFIG)
    assert report["left_out"] == {"picture not there": 1}


def test_pictures_are_read_out_of_the_archives_as_downloaded(mmeb: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(mmeb / "images.zip", "w") as archive:
        for path in sorted((mmeb / "images").rglob("*.png")):
            archive.write(path, f"images/{path.relative_to(mmeb / 'images')}")
    shutil.rmtree(mmeb / "images")
    report = evaluate_suite(ColourEncoder(), "mmeb", str(mmeb), CONFIG)
    assert report["sections"]["all"]["mean"]["recall_at_k"] == 1.0
    assert report["left_out"] == {}

    xtd = write_xtd(tmp_path / "XTD-10")
    before = evaluate_suite(OneText(1).eval(), "xtd", str(xtd), CONFIG)
    with tarfile.open(xtd / "XTD10_dataset.tar.gz", "w:gz") as archive:
        archive.add(xtd / "XTD10_dataset", "XTD10_dataset")
    shutil.rmtree(xtd / "XTD10_dataset")
    assert evaluate_suite(OneText(1).eval(), "xtd", str(xtd), CONFIG) == before


def test_a_hostile_archive_is_neither_extracted_nor_followed(tmp_path: Path) -> None:
    data = write_xtd(tmp_path / "XTD-10")
    (tmp_path / "secret").write_bytes(png((1, 2, 3)))
    with tarfile.open(data / "XTD10_dataset.tar.gz", "w:gz") as archive:
        archive.add(data / "XTD10_dataset", "XTD10_dataset")
        archive.add(tmp_path / "secret", "../escaped.png")
        link = tarfile.TarInfo("XTD10_dataset/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        archive.addfile(link)
    shutil.rmtree(data / "XTD10_dataset")
    rows = read(data / "it" / "it.parquet")
    rows[0]["tgt_img_path"][0] = "link.png"
    write_parquet(data / "it" / "it.parquet", rows)
    report = evaluate_suite(OneText().eval(), "xtd", str(data), CONFIG)
    assert report["left_out"]["picture not there"] == 1
    assert (
        not (tmp_path / "escaped.png").exists() and not (tmp_path.parent / "escaped.png").exists()
    )


def test_a_broken_archive_is_said(mmeb: Path) -> None:
    (mmeb / "images.zip").write_bytes(b"PK half")
    with pytest.raises(SuiteError, match=r"images\.zip cannot be read.*Download it again"):
        evaluate_suite(ColourEncoder(), "mmeb", str(mmeb), CONFIG)


def test_rows_without_candidates_or_with_one_are_counted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_pictures(data / "ImageNet-1K")
    rows = classification_rows()
    rows[0] |= {"tgt_text": [], "tgt_img_path": []}
    rows[1] |= {"tgt_text": ["green"], "tgt_img_path": [""]}
    rows[2] |= {"tgt_text": ["blue", "blue"], "tgt_img_path": ["", ""]}
    write_subset(data, "ImageNet-1K", rows)
    report = evaluate_suite(ColourEncoder(), "mmeb", str(data), CONFIG)
    assert report["left_out"] == {
        "no candidates": 1,
        "a single candidate, so nothing to choose among": 1,
        "too few wrong candidates, so it cannot miss": 1,
    }
    assert report["sections"]["all"]["num_queries"] == 3


def test_what_is_not_the_benchmark_is_said_in_one_line(tmp_path: Path, mmeb: Path) -> None:
    with pytest.raises(SuiteError, match=r"no such directory.*--data"):
        evaluate_suite(ColourEncoder(), "mmeb", str(tmp_path / "absent"), CONFIG)
    with pytest.raises(SuiteError, match="none of MMEB's subsets is there"):
        evaluate_suite(ColourEncoder(), "mmeb", str(tmp_path), CONFIG)
    with pytest.raises(SuiteError, match="none of XTD's languages is there"):
        evaluate_suite(ColourEncoder(), "xtd", str(tmp_path), CONFIG)
    write_subset(mmeb, "OK-VQA", [{"qry_text": "a", "answers": ["b"]}])
    with pytest.raises(SuiteError, match=r"OK-VQA/test-.*no column tgt_text \(it has answers"):
        evaluate_suite(ColourEncoder(), "mmeb", str(mmeb), CONFIG)
    (mmeb / "OK-VQA" / "test-00000-of-00001.parquet").write_bytes(b"half")
    with pytest.raises(SuiteError, match="cannot be read as Parquet") as caught:
        evaluate_suite(ColourEncoder(), "mmeb", str(mmeb), CONFIG)
    assert "\n" not in str(caught.value)


def test_a_report_names_no_local_path(mmeb: Path) -> None:
    report = evaluate_suite(ColourEncoder(), "mmeb", str(mmeb), CONFIG)
    assert report["data"] == "MMEB-eval" and str(mmeb.parent) not in str(report)


def test_few_candidates_lower_k(tmp_path: Path) -> None:
    data = write_xtd(tmp_path / "XTD-10", num=6)
    report = evaluate_suite(OneText().eval(), "xtd", str(data), CONFIG)
    assert report["sections"]["xtd"]["k"] == 3
    assert any("k = 3 instead of 10" in note for note in report["notes"])


def test_the_meta_tasks_are_those_published() -> None:
    assert {task: len(subsets) for task, subsets in META_TASKS.items()} == {
        "classification": 10,
        "VQA": 10,
        "retrieval": 12,
        "visual grounding": 4,
    }
    assert (len(TASK_OF), len(OUT_OF_DOMAIN)) == (36, 16)
    assert {"Place365", "ScienceQA", "EDIS", "RefCOCO"} <= OUT_OF_DOMAIN
    assert not {"ImageNet-1K", "Visual7W", "WebQA", "MSCOCO"} & OUT_OF_DOMAIN


@pytest.mark.parametrize(
    ("texts", "instruction"),
    [
        (["Find it: a dog", "Find it: a cat"], "Find it:"),
        (["Find it: is it St. Paul", "Find it: is it Rome"], "Find it:"),
        (["Represent the image.\na", "Represent the image.\nb"], "Represent the image.\n"),
        (["a dog", "a cat"], ""),
        (["same", "same"], "same"),
        ([], ""),
    ],
)
def test_the_instruction_is_what_all_texts_begin_with(texts: list[str], instruction: str) -> None:
    assert common_instruction(texts) == instruction


def test_image_tokens_go_wherever_they_stand() -> None:
    assert without_image_token("<|image_1|>\nA dog\n") == "A dog"
    assert without_image_token("Look: <|image_1|> A <|image_12|>") == "Look: A"
    assert without_image_token(None) == ""


@pytest.mark.parametrize("name", ["a.png", "./a.png", "ü/ж.jpg", "a b/c.png"])
def test_plain_paths_are_accepted(name: str) -> None:
    assert is_plain_path(name)


@pytest.mark.parametrize("name", ["", "/a", "a/..", "..", "a\x00b", "a\nb", "C:\\a", "a" * 5000])
def test_other_paths_are_not(name: str) -> None:
    assert not is_plain_path(name)


_FROM_HUB = """
import json, sys
from huggingface_hub import HfApi
from tests.trainer.evaluate.benchmark_files import ColourEncoder
from trainer.config import EvaluateConfig
from trainer.evaluate.suites import evaluate_suite
from trainer.evaluate.suites.files import SuiteError
api = HfApi()
api.create_repo("demo/XTD-10", repo_type="dataset")
api.upload_folder(repo_id="demo/XTD-10", repo_type="dataset", folder_path=sys.argv[1])
report = evaluate_suite(ColourEncoder(), "xtd", "demo/XTD-10", EvaluateConfig(num_resamples=20))
try:
    evaluate_suite(ColourEncoder(), "xtd", "demo/absent", EvaluateConfig())
except SuiteError as exc:
    report["error"] = str(exc)
print(json.dumps(report))
"""


def test_a_benchmark_is_fetched_from_a_hub(tmp_path: Path) -> None:
    data = write_xtd(tmp_path / "XTD-10")
    with tarfile.open(data / "XTD10_dataset.tar.gz", "w:gz") as archive:
        archive.add(data / "XTD10_dataset", "XTD10_dataset")
    shutil.rmtree(data / "XTD10_dataset")
    with running_hub(tmp_path / "hub") as hub:
        printed = run_client(_FROM_HUB, hub.url, tmp_path / "home", str(data))
    report = json.loads(printed)
    assert (report["data"], len(report["commit"])) == ("demo/XTD-10", 40)
    assert report["sections"]["xtd"]["num_queries"] == 60 and report["left_out"] == {}
    assert report["error"].startswith("demo/absent: no such directory, and it cannot be downloaded")
