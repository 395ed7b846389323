import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schemas.vocabulary import CELLS
from tests.trainer.releases import TRAIN_CONCEPTS, shape_samples, write_release
from tests.trainer.tiny_encoder import Tiny, TinyEncoder
from trainer.config import EvaluateConfig, ModelConfig
from trainer.data.corpus import Corpus, load_corpus
from trainer.data.items import Item
from trainer.encoders.choice import make_encoder
from trainer.encoders.encoder import Encoder, Pictures
from trainer.errors import NoHeldOutError
from trainer.evaluate.cells import make_cell_suite, measure_cells
from trainer.evaluate.errors import NothingToMeasureError
from trainer.evaluate.report import evaluation_tables, sentences, write_report
from trainer.evaluate.validation import evaluate_validation, make_score
from trainer.evaluate.vectors import Vectors

CONFIG = EvaluateConfig(num_resamples=50)
CELL_NAMES = {f"{cell.task_type} {cell.modality}" for cell in CELLS}


@pytest.fixture(scope="module")
def held_out(small_release: Path) -> Corpus:
    return load_corpus(str(small_release), "validation")


def test_a_fused_encoder_is_measured_on_all_ten_cells(held_out: Corpus) -> None:
    report = evaluate_validation(TinyEncoder(), held_out, CONFIG)
    cells = report["sections"]["cells"]
    assert set(cells["per_cell"]) == CELL_NAMES
    assert set(cells["per_task"]) == {"classification", "vqa", "retrieval"}
    assert set(cells["per_language"]) == {"en", "de", "ar", "ja"}
    assert sum(entry["num_queries"] for entry in cells["per_cell"].values()) == 240
    assert report["left_out"] == {}
    for name, entries in cells["per_cell_and_language"].items():
        counts = [entry["num_queries"] for entry in entries.values()]
        assert sum(counts) == cells["per_cell"][name]["num_queries"]
    recalls = [entry["recall_at_k"] for entry in cells["per_cell"].values()]
    assert cells["mean"]["recall_at_k"] == pytest.approx(np.mean(recalls))
    assert report["sections"]["concepts"]["num_candidates"] == 6


def test_cells_that_a_dual_encoder_does_not_take_are_counted(held_out: Corpus) -> None:
    encoder = make_encoder(ModelConfig(name="ngram", embedding_dim=16))
    report = evaluate_validation(encoder, held_out, CONFIG)
    left_out = {name for name in CELL_NAMES if "IT" in name}
    assert report["left_out"] == dict.fromkeys(left_out, 24)
    assert set(report["sections"]["cells"]["per_cell"]) == CELL_NAMES - left_out
    said = [note for note in report["notes"] if "are not measured" in note]
    assert len(said) == 1 and said[0].startswith("144 of 240 rows")
    assert all(f"{name} 24" in said[0] for name in left_out)


@pytest.mark.parametrize("k", [1, 10, 50])
def test_no_query_is_right_by_construction(held_out: Corpus, k: int) -> None:
    config = CONFIG.model_copy(update={"k": k})
    report = evaluate_validation(TinyEncoder(), held_out, config)
    for section in report["sections"].values():
        assert section["mean"]["chance"] <= 0.5 + 1e-9
    for entry in report["sections"]["cells"]["per_cell"].values():
        assert entry["chance"] <= 0.5 + 1e-9 and entry["k"] <= k
    if k > 1:
        assert any("measured at k = " in note for note in report["notes"])


def test_equal_embeddings_score_nothing(held_out: Corpus) -> None:
    suite = make_cell_suite(held_out, ("T", "I", "IT"))
    zeros = np.zeros((len(suite.items), 4), np.float32)
    vectors = Vectors(zeros, {item: row for row, item in enumerate(suite.items)})
    outcomes, _ = measure_cells(suite, vectors, 10)
    assert outcomes is not None and len(outcomes) == 240
    assert not outcomes.is_hit_Q.any()


def test_embeddings_of_the_right_answers_find_everything(held_out: Corpus) -> None:
    suite = make_cell_suite(held_out, ("T", "I", "IT"))
    rows = {item: row for row, item in enumerate(suite.items)}
    documents = np.eye(len(rows), dtype=np.float32)
    values = documents.copy()
    asked = [query for queries in suite.queries.values() for query in queries]
    for item in {query.query for query in asked} - set().union(*suite.documents.values()):
        values[rows[item]] = 0  # one picture asks in four languages
        for query in asked:
            if query.query == item:
                values[rows[item]] += documents[[rows[right] for right in query.positives]].sum(0)
    outcomes, _ = measure_cells(suite, Vectors(values, rows), 10)
    assert outcomes is not None
    assert outcomes.ranking.best_Q.tolist() == [1] * 240


def test_a_querys_own_hard_negative_counts_against_the_model(held_out: Corpus) -> None:
    suite = make_cell_suite(held_out, ("T", "I", "IT"))
    rows = {item: row for row, item in enumerate(suite.items)}
    for cell in ("retrieval I->T", "retrieval T->I", "vqa IT->T", "retrieval IT->I"):
        query = suite.queries[cell][0]
        assert query.own_negatives
        values = np.zeros((len(rows), 3), np.float32)
        for item in query.own_negatives:
            values[rows[item]] = (0, 1, 0)
        for item in query.positives:
            values[rows[item]] = (0, 0.5, 0)
        values[rows[query.query]] = (0, 1, 0)
        outcomes, _ = measure_cells(suite, Vectors(values, rows), 10)
        assert outcomes is not None
        place = outcomes.ranking.best_Q[np.flatnonzero(outcomes.labels["cell"] == cell)[0]]
        assert place == 1 + len(query.own_negatives), cell


def test_an_own_hard_negative_counts_though_it_shows_the_same_concept(held_out: Corpus) -> None:
    row = next(row for row in held_out.rows if row.cell == "retrieval T->I")
    pictures = {item.image for each in held_out.rows for item in each.items if item.image}
    group = held_out.group_of(row.positive.image or "")
    (mate,) = {image for image in pictures if held_out.group_of(image) == group} - {
        row.positive.image
    }
    changed = replace(row, negatives=(*row.negatives, Item(image=mate)))
    others = [each for each in held_out.rows if each is not row]
    suite = make_cell_suite(replace(held_out, rows=[changed, *others]), ("T", "I", "IT"))
    rows = {item: number for number, item in enumerate(suite.items)}
    values = np.zeros((len(rows), 2), np.float32)
    values[[rows[row.query], rows[Item(image=mate)]]] = (1, 0)
    values[rows[row.positive]] = (0.5, 0)
    outcomes, _ = measure_cells(suite, Vectors(values, rows), 10)
    assert outcomes is not None
    (number,) = np.flatnonzero(outcomes.labels["cell"] == row.cell)[:1]
    assert suite.queries[row.cell][0].query == row.query
    assert outcomes.ranking.best_Q[number] == 2


def test_the_report_is_json_with_a_plot_a_table_and_sentences(
    held_out: Corpus, tmp_path: Path
) -> None:
    report = evaluate_validation(TinyEncoder(), held_out, CONFIG)
    write_report(report, tmp_path / "new")
    read = json.loads((tmp_path / "new" / "evaluation.json").read_text(encoding="utf-8"))
    assert read == json.loads(json.dumps(report))
    assert read["data"] == "shapes@0.1.0" and read["split"] == "validation"
    assert (tmp_path / "new" / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    first, second, *_ = sentences(report)
    assert first.startswith("Text-to-image, 6 held-out concepts: recall@")
    assert "mean over languages, 32 queries in 4 languages" in first
    assert "recall@k" in second and "mean over cells, 240 queries in 4 languages" in second
    assert [table.row_count for table in evaluation_tables(report)] == [1 + 4, 1 + 10 + 3 + 4]


def test_a_version_without_held_out_rows_needs_more_images(tmp_path: Path) -> None:
    samples = [*shape_samples(TRAIN_CONCEPTS[:4], ("en",))]
    write_release(tmp_path, {"train": [record for record, _ in samples]})
    with pytest.raises(NoHeldOutError, match=r"no held-out rows.*Add more images"):
        load_corpus(str(tmp_path), "validation")


def test_too_few_documents_need_more_images(held_out: Corpus) -> None:
    row = next(row for row in held_out.rows if row.cell == "retrieval I->I")
    few = replace(held_out, rows=[replace(row, negatives=())])
    with pytest.raises(NothingToMeasureError, match=r"too few documents.*add images"):
        evaluate_validation(TinyEncoder(), few, CONFIG)


def test_rows_that_a_model_does_not_take_are_named(held_out: Corpus) -> None:
    fused = replace(held_out, rows=[row for row in held_out.rows if row.cell == "vqa IT->T"])
    encoder = make_encoder(ModelConfig(name="ngram", embedding_dim=16))
    for measure in (
        lambda: evaluate_validation(encoder, fused, CONFIG),
        lambda: make_score(fused, CONFIG, encoder.takes),
    ):
        with pytest.raises(NothingToMeasureError, match=r"vqa IT->T 24.*fused input"):
            measure()


def test_the_score_while_training_is_the_reports_headline(held_out: Corpus) -> None:
    encoder: Encoder = TinyEncoder(3)
    report = evaluate_validation(encoder, held_out, CONFIG)
    score = make_score(held_out, CONFIG, encoder.takes)(encoder)
    assert score == pytest.approx(report["sections"]["concepts"]["mean"]["recall_at_k"])
    images = replace(held_out, rows=[row for row in held_out.rows if row.cell == "retrieval I->I"])
    report = evaluate_validation(encoder, images, CONFIG)
    assert "concepts" not in report["sections"]
    score = make_score(images, CONFIG, encoder.takes)(encoder)
    assert score == pytest.approx(report["sections"]["cells"]["mean"]["recall_at_k"])


def test_what_the_score_embedded_is_not_embedded_again_for_the_report(held_out: Corpus) -> None:
    encoder = TinyEncoder(3)
    score = make_score(held_out, CONFIG, encoder.takes)
    score(encoder)
    assert score.vectors is not None
    embedded: list[Item] = []
    prepare = encoder.prepare

    def counted(item: Item, pictures: Pictures) -> Tiny:
        embedded.append(item)
        return prepare(item, pictures)

    encoder.prepare = counted
    report = evaluate_validation(encoder, held_out, CONFIG, known=score.vectors)
    assert embedded and not set(embedded) & set(score.items)
    assert report == evaluate_validation(TinyEncoder(3), held_out, CONFIG)
