from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from schemas.manifest import ManifestError, ReleaseManifest, read_manifest
from tests.schemas.strategies import manifests


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(manifest=manifests())
def test_a_manifest_comes_back_from_json_unchanged(
    tmp_path: Path, manifest: ReleaseManifest
) -> None:
    (tmp_path / "manifest.json").write_bytes(orjson.dumps(manifest.model_dump(mode="json")))
    assert read_manifest(tmp_path) == manifest
    assert read_manifest(tmp_path / "manifest.json") == manifest


def test_a_manifest_of_another_schema_version_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(orjson.dumps({"schema_version": 99}))
    with pytest.raises(ManifestError, match="schema version 99, this program reads 1"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"schema_version": 1}', b"\xff"])
def test_broken_manifests_are_refused_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no such manifest"):
        read_manifest(tmp_path)
