"""A configuration that is wrong is told in plain words: file, line, key, and what was meant."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from command_line.config_file import ConfigFileProblem, describe_problems, read_config_file


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")

    max_side_px: int = Field(default=1, ge=1)
    window: tuple[float, float] | None = None
    key_env: str = Field(default="A", pattern="^[A-Z]+$", description="the name of a variable")
    flagged: Literal["hold_back", "keep"] = "keep"


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = "x"
    num_samples: int = 1
    tolerance: float = Field(default=0.5, gt=0, lt=1)
    trim: bool = False
    languages: Literal["mme5", "uniform"] | dict[str, float] = "mme5"
    tasks: dict[Literal["vqa", "retrieval"], float] = {}
    images: Section = Section()
    judge: Section | None = None


def problems(tmp_path: Path, text: str) -> str:
    path = tmp_path / "build.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        file = read_config_file(path)
    except ConfigFileProblem as exc:
        return str(exc)
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(file.content)
    return describe_problems(caught.value, Config, file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nmu_samples: 3", "line 1, `nmu_samples`: unknown key; did you mean `num_samples`?"),
        ("name: y\nnum-samples: 3", "line 2, `num-samples`: unknown key; did you mean `num_sam"),
        (
            "images:\n  name: y\n  windw: 3",
            "line 3, `images.windw`: unknown key; did you mean `win",
        ),
        ("judge:\n  windw: 3", "line 2, `judge.windw`: unknown key; did you mean `window`?"),
        ("window: [1, 2]", "line 1, `window`: unknown key; it belongs under `images`."),
        ("zzzzzz: 1", "`zzzzzz`: unknown key; the keys here are name, num_samples, tolerance"),
        ("num_samples: ten", "line 1, `num_samples`: must be a whole number."),
        ("num_samples: 1.5", "line 1, `num_samples`: must be a whole number, not 1.5."),
        ("num_samples:", "line 1, `num_samples`: must be a whole number, not null."),
        ("tolerance: 2", "line 1, `tolerance`: must be less than 1, not 2."),
        ("tolerance: .nan", "line 1, `tolerance`: must be less than 1, not nan."),
        ("trim: perhaps", "line 1, `trim`: must be true or false."),
        ("name: 3", "line 1, `name`: must be text, not 3."),
        (
            "languages: mme",
            "must be `key: value` lines, or 'mme5' or 'uniform', not \"mme\"; did you",
        ),
        ("languages:\n  en: x", "line 2, `languages.en`: must be a number."),
        ("languages: 3", "must be 'mme5' or 'uniform', not 3, or `key: value` lines."),
        (
            "tasks:\n  vqaa: 1",
            "line 2, `tasks.vqaa`: must be 'vqa' or 'retrieval', not \"vqaa\"; did",
        ),
        ("images: 3", "line 1, `images`: must be `key: value` lines."),
        ("images: {window: [1, x]}", "line 1, `images.window.1`: must be a number."),
        ("images: {window: [1]}", "`images.window.1`: is missing."),
        ("images: {flagged: hold-back}", 'not "hold-back"; did you mean hold_back?'),
        ("images: {key_env: sk-123}", "`images.key_env`: must be the name of a variable."),
        ("- a\n- b", "it needs `key: value` lines"),
        ("just words", "it needs `key: value` lines"),
        ("name: x\ntrim: true\nname: y", "`name` appears twice, on lines 1 and 3"),
        ("images: {window: null, window: null}", "`window` appears twice, on line 1"),
        ("images:\n\twindow: 3", "line 2, column 1: not YAML: a tab where spaces are needed"),
        ("name: [", "line 1, column 8: not YAML: expected the node content"),
        ("name: 1\n---\nname: 2", "line 2, column 1: not YAML: "),
        ("name: \a", "not YAML: special characters are not allowed"),
        ("x: " + "[" * 3_000, "it is nested too deeply"),
        ("x: &a [*a]", "line 1, `x`: unknown key"),
        ("#" * 1_000_001, "it is too large for a configuration"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(tmp_path: Path, text: str, said: str) -> None:
    found = problems(tmp_path, text)
    assert said in found
    assert "\n" not in found
    for foreign in ("Input should", "Extra inputs", "Value error", "valid integer", "<unicode"):
        assert foreign not in found


def test_every_mistake_is_listed_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "b: 1\nnum_samples: x\nimages:\n  c: 1\n"
    found = problems(tmp_path, text)
    assert found.index("line 1") < found.index("line 2") < found.index("line 4")
    many = "".join(f"key{number}: 1\n" for number in range(40))
    assert problems(tmp_path, many).endswith("; and 35 more.")


def test_no_value_that_may_be_a_secret_is_repeated(tmp_path: Path) -> None:
    secret = "sk-very-secret"
    for text in (f"api_key: {secret}", f"images: {{key_env: {secret}}}", f"num_samples: {secret}"):
        assert secret not in problems(tmp_path, text)


def test_a_file_that_is_no_utf8_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "build.yaml"
    path.write_bytes("name: ä".encode("utf-16"))
    with pytest.raises(ConfigFileProblem, match="not UTF-8 text; save it as UTF-8"):
        read_config_file(path)
    path.write_bytes("\ufeffname: ä".encode())
    assert read_config_file(path).content == {"name": "ä"}


def test_an_empty_file_has_no_setting(tmp_path: Path) -> None:
    path = tmp_path / "build.yaml"
    for text in ("", "# nothing\n", "---\n"):
        path.write_text(text, encoding="utf-8")
        assert read_config_file(path).content == {}
