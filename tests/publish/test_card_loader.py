"""The loader that a card prints, and `schemas.load`, read part of a version as the card says."""

import json
import re
import shutil
from pathlib import Path

import orjson
import pytest

from builder.publish import DatasetRepo, publish
from builder.workspace import Workspace
from tests.hub_server import RunningHub, run_client
from tests.publish.conftest import the_release

_READ_PARTS = """
import json, re, sys
from pathlib import Path
import schemas.load

repo_id, card = sys.argv[1:]
loader, parts = re.findall(r"```python\\n(.*?)```", Path(card).read_text(encoding="utf-8"), re.S)
names = {}
exec(loader.split("\\ndataset = ")[0], names)
printed = names["load_version"]
exec(parts.replace("OWNER/NAME", repo_id), names)
found = {
    "language": names["only"][0][2],
    "languages": sorted(set(names["rows"]["language"])),
    "pictures": [image.size for image in names["rows"]["query_image"] if image],
    "columns": names["texts"]["train"].column_names,
}
for load in (printed, schemas.load.load_version):
    chosen = load(repo_id, "Retrieval", "v0.1.0", filters=names["only"], split="train",
                  columns=["id", "negative_images"])
    assert chosen.column_names == ["id", "negative_images"]
    assert chosen.num_rows == names["rows"].num_rows
    stream = load(repo_id, "Retrieval", "0.1.0", filters=names["only"], split="train",
                  streaming=True)
    assert {row["language"] for row in stream} == {found["language"]}
try:
    from datasets import load_dataset
    load_dataset(repo_id, "Retrieval", revision="v0.1.0", filters=names["only"])
except Exception as exc:
    found["load_dataset"] = type(exc).__name__
print(json.dumps(found))
"""


def test_the_cards_examples_load_one_language_and_some_columns(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub, tmp_path: Path
) -> None:
    release = the_release(releases)
    publish(release, repo)
    card = release / "README.md"
    printed = run_client(_READ_PARTS, hub.url, tmp_path, repo.repo_id, str(card))
    found = json.loads(printed.splitlines()[-1])
    assert found["language"] == "ar" and found["languages"] == ["ar"]
    assert found["pictures"] and all(size == [40, 32] for size in found["pictures"])
    assert found["columns"] == ["query_text", "positive_text"]
    # The card says that the plain call fails; should that ever work, it must no longer say so.
    assert found["load_dataset"] == "NonMatchingSplitsSizesError"
    assert "NonMatchingSplitsSizesError" in re.sub(r"\s+", " ", card.read_text(encoding="utf-8"))


_OLD = """
import datasets, sys
from schemas.load import load_version
datasets.__version__ = "3.6.0"
load_version(sys.argv[1], "VQA", "0.1.0")
"""


def test_an_old_version_says_which_datasets_it_needs(
    repo: DatasetRepo, releases: Workspace, hub: RunningHub, tmp_path: Path
) -> None:
    """Footers of the first formats stop `datasets` 3, which says nothing helpful about it."""
    old = tmp_path / "0.1.0"
    shutil.copytree(the_release(releases), old)
    manifest = orjson.loads((old / "manifest.json").read_bytes())
    manifest["policy"]["shard_format"] = 2
    (old / "manifest.json").write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    publish(old, repo)
    with pytest.raises(AssertionError, match=r"0\.1\.0 needs datasets 4 or later; 3\.6\.0"):
        run_client(_OLD, hub.url, tmp_path, repo.repo_id)
