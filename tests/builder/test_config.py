from pathlib import Path

import pytest

from builder.config import BuildConfig, ConfigError, TeacherConfig, load_config, save_config
from builder.release.build import published_config


def test_a_saved_config_reads_back_equal(tmp_path: Path) -> None:
    config = BuildConfig(name="trial", num_samples=7, languages={"ar": 1, "en": 3})
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("num_samples: 0", ["num_samples", "greater than 0"]),
        ("nmu_samples: 3", ["line 1, `nmu_samples`: unknown key; did you mean `num_samples`?"]),
        (
            "rows_per_shard: 3",
            ["line 1, `rows_per_shard`: unknown key; it belongs under `release`"],
        ),
        ("teacher: {api_key: sk-1}", ["did you mean `api_key_env`?"]),
        ("teacher: {api_key_env: sk-1}", ["must be the name of the environment variable"]),
        ("seed: 1\nseed: 2", ["`seed` appears twice, on lines 1 and 2"]),
        ("languages: {xx: 1}", ["xx not among the 93"]),
        ("modality_shares: {vqa: {'T->I': 1}}", ['vqa has no modality "T->I"']),
        ("task_shares: {vqa: 0}", ["task_shares", "sum to 0"]),
        ("teacher: {model: [", ["not YAML"]),
        ("name: ../../etc", ["name"]),
    ],
)
def test_a_bad_config_names_file_and_field(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "build.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "sk-1" not in message and "Extra inputs" not in message and "Input should" not in message
    assert all(word in message for word in ["build.yaml", "Fix the file", *words])


def test_pace_and_prices_leave_the_plan_alone_and_the_model_does_not() -> None:
    config = BuildConfig()
    slower = config.model_copy(update={"pace": config.pace.model_copy(update={"max_in_flight": 3})})
    assert slower.plan_hash == config.plan_hash
    other = config.model_copy(
        update={"teacher": config.teacher.model_copy(update={"model": "another"})}
    )
    assert other.plan_hash != config.plan_hash
    assert other.workspace_hash != config.workspace_hash


def test_a_judge_leaves_the_plan_alone_and_more_samples_leave_the_workspace_alone() -> None:
    config = BuildConfig()
    judged = config.model_copy(update={"judge": TeacherConfig(model="second")})
    assert (judged.plan_hash, judged.workspace_hash) == (config.plan_hash, config.workspace_hash)
    larger = BuildConfig(num_samples=2_000, languages={"fr": 1}, task_shares={"vqa": 1})
    assert larger.plan_hash != config.plan_hash
    assert larger.workspace_hash == config.workspace_hash
    assert larger.with_targets(config.targets) == config


def test_the_former_name_of_rows_per_shard_is_read_and_stays_in_releases(tmp_path: Path) -> None:
    path = tmp_path / "build.yaml"
    path.write_text("release: {rows_a_shard: 7}")
    config = load_config(path)
    assert config.release.rows_per_shard == 7
    save_config(config, path)
    assert "rows_per_shard: 7" in path.read_text()
    assert load_config(path) == config
    assert published_config(config)["release"]["rows_a_shard"] == 7
    path.write_text("release: {rows_a_shard: 7, rows_per_shard: 8}")
    with pytest.raises(ConfigError, match="rows_a_shard"):
        load_config(path)


def test_a_licence_may_be_spelled_either_way(tmp_path: Path) -> None:
    path = tmp_path / "build.yaml"
    for key in ("licence", "license"):
        path.write_text(f"release: {{{key}: cc-by-4.0}}", encoding="utf-8")
        config = load_config(path)
        assert config.release.licence == "cc-by-4.0"
        assert published_config(config)["release"]["licence"] == "cc-by-4.0"
