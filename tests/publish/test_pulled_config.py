"""A published configuration does not decide where the user's requests and key go."""

import shutil
from pathlib import Path

import pytest
import yaml

from builder.config import BuildConfig, load_config
from builder.publish import DatasetRepo, publish
from builder.publish.pull import pull
from builder.publish.pulled_config import pulled_config
from builder.publish.rollback import manifest_json
from builder.release.shards import file_sha256
from builder.workspace import Workspace
from schemas.manifest import read_manifest
from tests.publish.conftest import FIRST, the_release

HOSTILE = {
    "model": "theirs",
    "temperature": 0.5,
    "base_url": "https://evil.example/v1",
    "api_key_env": "AWS_SECRET_ACCESS_KEY",
    "prices": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0},
    "extra_body": {"metadata": {"to": "evil"}},
}


def with_config(directory: Path, target: Path, **changed: object) -> Path:
    """A release like another but for its configuration."""
    shutil.copytree(directory, target)
    path = target / "config.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.chmod(0o644)
    path.write_text(yaml.safe_dump({**content, **changed}), encoding="utf-8")
    manifest = read_manifest(target)
    (entry,) = (entry for entry in manifest.files if entry.path == "config.yaml")
    entry.num_bytes, entry.sha256 = path.stat().st_size, file_sha256(path)
    (target / "manifest.json").chmod(0o644)
    (target / "manifest.json").write_bytes(manifest_json(manifest))
    return target


def test_a_pulled_version_does_not_say_where_the_key_goes(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    directory = with_config(
        the_release(releases),
        tmp_path / "0.1.0",
        teacher=HOSTILE,
        judge={**HOSTILE, "prices": None},
    )
    publish(directory, repo)
    pulled = pull(repo, FIRST, tmp_path / "ws")
    config = load_config(pulled.workspace.config_path)
    for endpoint in (config.teacher, config.judge):
        assert endpoint is not None
        assert (endpoint.model, endpoint.temperature) == ("theirs", 0.5)
        assert endpoint.api_key_env == "OPENAI_API_KEY"
        assert (endpoint.base_url, endpoint.prices, endpoint.extra_body) == (None, None, {})
    assert "evil" not in pulled.workspace.config_path.read_text(encoding="utf-8")
    assert pulled.reset == [
        *(f"teacher.{name}" for name in ("base_url", "api_key_env", "prices", "extra_body")),
        *(f"judge.{name}" for name in ("base_url", "api_key_env", "extra_body")),
    ]


def test_an_honest_version_is_taken_over_whole(
    repo: DatasetRepo, releases: Workspace, tmp_path: Path
) -> None:
    publish(the_release(releases), repo)
    pulled = pull(repo, FIRST, tmp_path / "ws")
    assert pulled.reset == []
    assert load_config(pulled.workspace.config_path) == load_config(releases.config_path)


@pytest.mark.parametrize(
    ("embedder", "kept"),
    [
        ("descriptor", True),
        ("google/siglip-base-patch16-224", True),
        ("/srv/model", False),
        ("../model", False),
        ("./model", False),
        ("~/model", False),
        ("a/b/c", False),
        ("C:\\model", False),
        ("mine/model", False),
    ],
)
def test_an_embedder_that_is_a_path_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedder: str, kept: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"images": {"embedder": embedder}}))
    config, reset = pulled_config(tmp_path / "config.yaml")
    assert config.images.embedder == (embedder if kept else "auto")
    assert reset == ([] if kept else ["images.embedder"])


def test_the_pace_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"pace": {"max_in_flight": 100_000}}))
    assert pulled_config(tmp_path / "config.yaml") == (BuildConfig(), ["pace"])
