"""Samples whose images or texts are in an evaluation set are found, dropped and stay out."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image, ImageOps
from typer.testing import CliRunner

from builder import api
from builder.balance.choose import Choice, apply_choice, read_candidates
from builder.commands import decontaminate as command
from builder.config import BuildConfig, save_config
from builder.decontaminate.evaluation_set import (
    EvaluationSetError,
    Text,
    open_evaluation_set,
    read_evaluation_set,
)
from builder.decontaminate.index import index_evaluation_set, ngrams
from builder.decontaminate.workspace import (
    drop_from_workspace,
    find_in_release,
    find_in_workspace,
)
from builder.gates_config import GatesConfig
from builder.images.store import ImageStore
from builder.ledger.evaluation_sets import TEXT_REASON, drop_matches
from builder.ledger.gates import LOW_JUDGEMENT, apply_gates
from builder.ledger.ledger import Ledger
from builder.workspace import Workspace, open_workspace
from schemas.versions import open_version
from tests.release.small_workspace import fill_ledger, kept_samples


def _photo(seed: int) -> Image.Image:
    """A picture with structure at every scale, unlike any other seed's."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (128, 96))
    for side in (4, 8, 16):
        noise = Image.fromarray(random.integers(0, 255, (side, side, 3), dtype=np.uint8))
        image = Image.blend(image, noise.resize((128, 96), Image.Resampling.BICUBIC), 0.5)
    return image


def _bytes(image: Image.Image, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, quality=80) if form == "JPEG" else image.save(buffer, form)
    return buffer.getvalue()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Thirty samples over twelve photographs, six groups of two."""
    workspace = open_workspace(tmp_path / "w", create=True)
    save_config(BuildConfig(name="small", num_samples=30), workspace.config_path)
    with ImageStore(workspace.images_dir) as store:
        hashes = [
            store.add(_bytes(_photo(n)), group=f"group-{n // 2}", licence="MIT", source="t").sha256
            for n in range(12)
        ]
    fill_ledger(workspace, hashes, 30)
    return workspace


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    """Two photographs of the workspace, smaller and mirrored, as MMEB and XTD-10 have theirs."""
    root = tmp_path / "bench"
    (root / "ImageNet-1K").mkdir(parents=True)
    small = _photo(0).resize((96, 72))
    (root / "ImageNet-1K" / "a.jpg").write_bytes(_bytes(small, "JPEG"))
    with tarfile.open(root / "XTD10_dataset.tar.gz", "w:gz") as archive:
        data = _bytes(ImageOps.mirror(_photo(3)), "JPEG")
        info = tarfile.TarInfo("images/b.jpg")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    (root / "broken.png").write_bytes(b"no picture")
    (root / "broken.parquet").write_bytes(b"no table")
    table = pa.table(
        {
            "qry_text": ["<|image_1|>\nRepresent the given image for classification\n"],
            "qry_img_path": ["ImageNet-1K/a.jpg"],
            "tgt_text": [["goldfish", "a long caption that stands in no sample at all, really"]],
        }
    )
    pq.write_table(table, root / "ImageNet-1K" / "test-00000-of-00001.parquet")
    return root


def _repair(benchmark: Path) -> None:
    """Takes away what cannot be read."""
    for name in ("broken.png", "broken.parquet"):
        (benchmark / name).unlink()


def test_copies_are_found_dropped_and_stay_out(workspace: Workspace, benchmark: Path) -> None:
    index = index_evaluation_set(read_evaluation_set(benchmark))
    assert len(index.look_EB) == 2 and index.num_texts == 3
    assert sorted(part.where for part in index.unreadable) == ["broken.parquet", "broken.png"]
    found = find_in_workspace(workspace, index, 40)
    with ImageStore(workspace.images_dir) as store:
        names = {r.name for r in store.records() if r.sha256 in found.images}
        assert len(found.images) == 2
    expected = {s.id for s in kept_samples(workspace) if not names.isdisjoint(s.images)}
    assert expected and {match.sample_id for match in found.samples} == expected
    assert {match.where for match in found.samples} <= {
        "ImageNet-1K/a.jpg",
        "XTD10_dataset.tar.gz/images/b.jpg",
    }
    drop_from_workspace(workspace, found)
    assert found.dropped == {"image_in_evaluation_set": len(expected)}
    with Ledger(workspace.ledger_path) as ledger:
        ledger.restore_dropped("image_in_evaluation_set")  # as when replies are read anew
        assert drop_matches(ledger) == found.dropped
        assert ledger.drop_counts()["image_in_evaluation_set"] == len(expected)


def test_texts_are_compared_by_words_in_a_row() -> None:
    text = "Please describe: a small dog runs along the wet beach at dawn."
    index = index_evaluation_set(
        Text("here", each)
        for each in (text, "один два три четыре пять", "敏捷的棕色狐狸跳过了河边那只懒惰的狗")
    )
    assert index.holds_text("A small dog runs along the wet beach!")
    assert not index.holds_text("a small dog runs along the dry beach at dawn")
    assert index.holds_text("Один, два, три, четыре, пять")
    assert index.holds_text("看，敏捷的棕色狐狸跳过了河边那只懒惰的狗")
    assert not index.holds_text("small dog")
    assert not list(ngrams("a few words", 8))


def test_a_release_is_reported_and_left_as_it_is(
    workspace: Workspace, benchmark: Path, tmp_path: Path
) -> None:
    built = api.release("0.1.0", workspace.root)
    _repair(benchmark)
    index = index_evaluation_set(read_evaluation_set(benchmark))
    found = find_in_release(open_version(str(built.directory)), index, 40)
    rows = {match.sample_id for match in find_in_workspace(workspace, index, 40).samples}
    assert rows >= {match.sample_id for match in found.samples} != set()
    app = typer.Typer()
    command.register(app)
    out = tmp_path / "found.jsonl"
    result = CliRunner().invoke(
        app, [str(built.directory), "--against", str(benchmark), "-o", str(out)]
    )
    assert result.exit_code == command.FOUND_CODE and "none dropped" in result.stdout
    assert {orjson.loads(line)["sample_id"] for line in out.read_bytes().splitlines()} == {
        match.sample_id for match in found.samples
    }


def test_the_command_drops_from_a_workspace_unless_told_to_look_only(
    workspace: Workspace, benchmark: Path
) -> None:
    app = typer.Typer()
    command.register(app)
    asked = [str(workspace.root), "--against", str(benchmark)]
    before = len(kept_samples(workspace))
    partly = CliRunner().invoke(app, [*asked, "--dry-run"])
    assert partly.exit_code == 1 and "decontaminate: 30 samples" in partly.stdout
    assert isinstance(partly.exception, EvaluationSetError)
    assert "2 parts could not be read" in str(partly.exception)
    assert "broken.parquet (" in str(partly.exception)
    _repair(benchmark)
    looked = CliRunner().invoke(app, [*asked, "--dry-run"])
    assert looked.exit_code == 0 and len(kept_samples(workspace)) == before
    CliRunner().invoke(app, asked)
    assert len(kept_samples(workspace)) < before


def test_what_was_set_aside_stays_out_when_it_is_kept_again(
    workspace: Workspace, tmp_path: Path
) -> None:
    """By a gate that is opened and by a choice: texts of dropped samples are compared as well."""
    rows = [row for row in kept_samples(workspace) if row.positive_text]
    text = "the very words of an evaluation set stand in this sample"
    with Ledger(workspace.ledger_path) as ledger:
        for row, reason in zip(rows, (LOW_JUDGEMENT, "surplus"), strict=False):
            changed = orjson.dumps(row.model_dump(mode="json") | {"positive_text": text})
            ledger.db.execute(
                "UPDATE outcome SET sample = ?, reason = ? WHERE sample_id = ?",
                (changed, reason, row.id),
            )
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "captions.txt").write_text(f"{text}\n")
    index = index_evaluation_set(read_evaluation_set(tmp_path / "set"))
    found = find_in_workspace(workspace, index, 40)
    assert found.samples == [] and found.text_ids == {rows[0].id, rows[1].id}
    drop_from_workspace(workspace, found)
    with Ledger(workspace.ledger_path) as ledger:
        apply_gates(ledger, GatesConfig())
        candidates = read_candidates(ledger)
        everything = Choice(np.ones(len(candidates), np.bool_), {})
        apply_choice(ledger, candidates, everything)
        assert ledger.drop_counts()[TEXT_REASON] == 2
    assert {rows[0].id, rows[1].id}.isdisjoint(row.id for row in kept_samples(workspace))


def _damaged_sets() -> dict[str, bytes]:
    """Files of which one picture or text before, or beside, the damage can be read."""
    photo, text = _bytes(_photo(1)), "a caption of seven words is long enough"
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.png", photo)
        archive.writestr("b.png", _bytes(_photo(2)))
    locked = bytearray(zipped.getvalue())
    place = locked.rindex(b"PK\x01\x02")  # the second entry of the directory
    locked[place + 8] |= 1  # says that it is encrypted
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        for name in ("a.png", "b.png"):
            info = tarfile.TarInfo(name)
            info.size = len(photo)
            archive.addfile(info, io.BytesIO(photo))
    row = orjson.dumps({"query": text}) + b"\n"
    return {
        "locked.zip": bytes(locked),
        "cut.tar": tarred.getvalue()[: 1_000 + len(photo)],
        "cut.tar.gz": gzip.compress(tarred.getvalue())[: len(photo) + 300],
        "line.jsonl": b"{not json\n" + row,
        "wide.csv": f"query\n{text}\n{'x' * 200_000}\n".encode(),
    }


@pytest.mark.parametrize("name", sorted(_damaged_sets()))
def test_what_is_damaged_is_named_and_the_rest_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(_damaged_sets()[name])
    (tmp_path / "whole.png").write_bytes(_bytes(_photo(9)))
    index = index_evaluation_set(read_evaluation_set(tmp_path))
    assert len(index.look_EB) + index.num_texts == 2
    assert "whole.png" in index.where_E
    (unreadable,) = index.unreadable
    assert unreadable.where.startswith(name) and unreadable.why


def test_an_empty_or_missing_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("nothing")
    with pytest.raises(EvaluationSetError, match="holds no picture and no text"):
        index_evaluation_set(read_evaluation_set(tmp_path))
    with pytest.raises(EvaluationSetError, match="no such directory"):
        open_evaluation_set(str(tmp_path / "missing"))
