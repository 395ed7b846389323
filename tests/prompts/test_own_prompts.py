"""Prompts of one's own: copied, changed, rendered over all cells before anything is sent."""

import shutil
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from builder.commands.prompts import register
from builder.config import BuildConfig, ConfigError, config_from, load_config, save_config
from builder.plan.recipe import require_recipe
from builder.plan.variations import builtin_variations, load_variations, variations_of
from builder.prompts import PromptError, Templates, render_prompt, templates_of
from builder.prompts.specimen import specimen, specimen_job
from builder.prompts.starting import start_prompts
from schemas.reply import reply_model, reply_schema
from schemas.vocabulary import CELL_BY_NAME, CELLS

VQA = CELL_BY_NAME["vqa_it2t"]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    directory = tmp_path / "own"
    start_prompts(directory, builtin_variations())
    return directory


def config_of(directory: Path) -> BuildConfig:
    return config_from({"prompts": str(directory)})


def write(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_an_unchanged_copy_asks_what_the_builtin_prompts_ask(own: Path) -> None:
    config = config_of(own)
    require_recipe(config)
    templates = templates_of(config)
    for cell in CELLS:
        job = specimen_job(cell, "ar")
        assert templates.prompt(job) == render_prompt(job)
    assert variations_of(config) == load_variations()


def test_a_file_that_is_missing_is_the_builtin_one_and_line_ends_do_not_count(own: Path) -> None:
    text = (own / "user.j2").read_text(encoding="utf-8")
    shutil.rmtree(own)
    own.mkdir()
    (own / "user.j2").write_bytes(text.replace("\n", "\r\n").encode())
    require_recipe(config_of(own))
    assert specimen(VQA, "fr", templates_of(config_of(own))) == specimen(VQA, "fr")


def test_a_changed_part_changes_its_prompts_and_their_hashes(own: Path) -> None:
    write(own, "parts/role.j2", "Be bold.")
    changed = specimen(VQA, "fr", templates_of(config_of(own)))
    assert "Be bold." in changed.system
    assert changed.hash != specimen(VQA, "fr").hash


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("user.j2", "{{ images }}\n{{ nope }}", ["user.j2, line 2", "all cells", "'nope'"]),
        ("parts/output.j2", "{{ skeleton }}\n\n{{ cell.nope }}", ["parts/output.j2, line 3"]),
        ("vqa_it2t.j2", "a\n{% if %}", ["vqa_it2t.j2, line 2 (vqa_it2t)", "Fix it"]),
        ("vqa_it2t.j2", "{% include 'gone.j2' %}", ['no template "gone.j2"']),
        ("vqa_it2t.j2", "", ["vqa_it2t.j2 (vqa_it2t): renders nothing"]),
        ("user.j2", "{# nothing #}", ["user.j2", "renders nothing"]),
        ("user.j2", "Write for {{ seed }}. {{ images }}", ["every language", "language_name"]),
        ("parts/output.j2", "Reply in JSON.", ["(all cells)", "form of the reply", "skeleton"]),
        ("image_label.j2", "This one:", ["image_label.j2", "apart", "{{ role }}"]),
        ("retreival_i2t.j2", "x", ["retreival_i2t.j2", "used by no cell"]),
        ("correction.j2", " ", ["correction.j2 (correction)", "renders nothing"]),
        ("judge_user.j2", "{{ scores }}", ["judge_user.j2, line 1 (judge)", "'scores'"]),
        ("judge_choice.j2", "{{ nope }}", ["judge_choice.j2, line 1 (judge_choice)", "'nope'"]),
        ("judge_choice_user.j2", " ", ["judge_choice_user.j2 (judge_choice)", "renders nothing"]),
        ("variations.yaml", "places: []", ["variations.yaml", "`places`", "a list of 1 to"]),
        ("variations.yaml", "goals: {vqa_it2t: [1]}", ["`goals.vqa_it2t`", "in quotes"]),
        ("variations.yaml", "placs: [a]", ["no list `placs`", "places"]),
        ("variations.yaml", "places: [", ["variations.yaml", "not YAML"]),
        ("fields.yaml", "topic: {type: string}", ["fields.yaml, line 1, `topic`", "is missing"]),
        ("fields.yaml", "a:\n  description: x\nlabel:\n  description: x", ["line 3, `label`"]),
        ("fields.yaml", "a: {description: x, type: enum, choices: [b]}", ["two or more"]),
        ("fields.yaml", "json: {description: x}", ["has this key already"]),
        ("fields.yaml", "Topic: {description: x}", ["lower-case"]),
        ("fields.yaml", "- a", ["`name:` for each field"]),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    own: Path, name: str, text: str, words: list[str]
) -> None:
    write(own, name, text)
    with pytest.raises(PromptError) as caught:
        require_recipe(config_of(own))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_cell_with_images_must_mention_them(own: Path) -> None:
    write(own, "vqa_it2t.j2", "Schreibe eine Frage. {{ skeleton }}")
    write(own, "user.j2", "{{ language_name }} {{ task_idea }}")
    # The form of a reply has the key `image`, which is no mention.
    with pytest.raises(PromptError, match=r"\(vqa_it2t\): does not mention the images"):
        require_recipe(config_of(own))
    write(own, "user.j2", "{{ language_name }} {{ task_idea }} {{ images }}")
    require_recipe(config_of(own))


@pytest.mark.parametrize(
    "text",
    [
        "{{ cell.__class__.__mro__ }}",
        "{{ ''.__class__ }}",
        "{% for a in skeleton %}{% for b in skeleton %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ skeleton|join(skeleton)|join(skeleton) }}",
        "{% macro a() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}",
        "{% set a = skeleton ~ skeleton %}{{ a }}",
        "{% include 'vqa_it2t.j2' %}{% include 'vqa_it2t.j2' %}",
        "{% include '../../../../../../etc/passwd' %}",
        "{{ range(10 ** 9)|list }}",
        "{{ '%999999999d'|format(1) }}",
    ],
)
def test_no_template_reaches_out_or_runs_on(own: Path, text: str) -> None:
    write(own, "vqa_it2t.j2", text)
    begun = time.monotonic()
    with pytest.raises(PromptError, match="vqa_it2t"):
        require_recipe(config_of(own))
    assert time.monotonic() - begun < 5


def test_the_directory_is_relative_to_the_file_and_a_saved_configuration_stands_alone(
    own: Path, tmp_path: Path
) -> None:
    write(own, "parts/role.j2", "Be bold.")
    (tmp_path / "build.yaml").write_text("prompts: own\n")
    config = load_config(tmp_path / "build.yaml")
    (tmp_path / "ws").mkdir()
    save_config(config, tmp_path / "ws" / "config.yaml")
    shutil.rmtree(own)
    saved = load_config(tmp_path / "ws" / "config.yaml")
    assert saved == config and saved.workspace_hash == config.workspace_hash
    assert str(tmp_path) not in (tmp_path / "ws" / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=r"line 1, `prompts`: .*own: not a directory"):
        load_config(tmp_path / "build.yaml")


def test_prompts_define_the_set_and_the_judges_do_not(own: Path) -> None:
    before = config_of(own)
    assert before.workspace_hash != BuildConfig().workspace_hash
    write(own, "judge.j2", "Judge. {{ skeleton }}")
    assert config_of(own).workspace_hash == before.workspace_hash
    write(own, "correction.j2", "Again: {{ error }}")
    assert config_of(own).workspace_hash != before.workspace_hash


def test_fields_of_ones_own_are_in_the_schema_and_in_the_form_that_is_shown(own: Path) -> None:
    write(
        own,
        "fields.yaml",
        "topic: {description: broad topic, type: enum, choices: [food, animals]}\n"
        "sure: {description: how sure, type: number}\n"
        "note: {description: anything else, required: false}\n",
    )
    templates = Templates(config_of(own).prompts)
    require_recipe(config_of(own))
    for cell in CELLS:
        schema = reply_schema(cell, templates.own_fields)
        assert schema["required"] == list(schema["properties"])
        assert schema["properties"]["topic"]["enum"] == ["food", "animals"]
        assert schema["properties"]["note"]["anyOf"][1] == {"type": "null"}
        assert "default" not in schema["properties"]["note"]
        assert {"topic", "sure", "note"}.isdisjoint(reply_model(cell).model_fields)
        system = specimen(cell, "en", templates).system
        assert '"topic": "<food | animals: broad topic>"' in system
        assert '"sure": <number: how sure>' in system
        assert '"note": "<string, or null: anything else>"}' in system


def test_commands_begin_and_check_a_directory(tmp_path: Path) -> None:
    app = typer.Typer()
    register(app)
    own = tmp_path / "own"
    made = CliRunner().invoke(app, ["prompts", "init", str(own)])
    assert made.exit_code == 0 and "README.md" in made.output
    assert "prompts: own" in (own / "README.md").read_text()
    checked = CliRunner().invoke(app, ["prompts", "check", str(own)])
    assert checked.exit_code == 0 and "all 10 prompts render" in checked.output
    again = CliRunner().invoke(app, ["prompts", "init", str(own)])
    assert isinstance(again.exception, PromptError)
    write(own, "user.j2", "{{ nope }}")
    failed = CliRunner().invoke(app, ["prompts", "check", str(own)])
    assert isinstance(failed.exception, PromptError) and "one place" in str(failed.exception)
    assert "user.j2, line 1 (all cells): 'nope' is undefined" in failed.stderr
