"""The build's configuration: one YAML file, checked whole before the first request."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
import yaml
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from builder.card_config import CardConfig
from builder.checks_config import ChecksConfig
from builder.gates_config import GatesConfig
from builder.images_config import ImagesConfig
from builder.images_config import SafetyConfig as SafetyConfig
from builder.prompt_files import PromptFiles, read_prompt_files, write_prompt_files
from builder.teacher_config import NamedTeacher, TeacherConfig, require_teachers_fit
from builder.teacher_config import Prices as Prices
from command_line.config_file import (
    ConfigFile,
    ConfigFileProblem,
    describe_problems,
    read_config_file,
)
from schemas.errors import PolysceneError
from schemas.vocabulary import LANGUAGES, TASK_TYPES, Modality, TaskType

Share = Annotated[float, Field(ge=0)]

_TARGET_FIELDS = {"num_samples", "languages", "task_shares", "modality_shares"}
#: The same jobs are planned whatever these say.
_UNDECIDING_FIELDS = {
    *("pace", "batch", "release", "card", "max_rounds", "max_slot_failures", "tolerance", "checks"),
    *("judge", "gates"),
}
#: Settings that only say how the endpoint is asked, by section. The workspace's hash holds these
#: values for them, whatever they are, so that it stays when they change.
DEFAULT_ENDPOINT_SETTINGS: dict[str, dict[str, Any]] = {
    "teacher": {"structured_output": "auto", "max_completion_tokens": 2_500},
    "images": {"max_side_px": 1_024},
}

#: Where a saved configuration keeps its prompts, beside its file.
PROMPTS_DIR = "prompts"


class ConfigError(PolysceneError):
    """A configuration file is missing, unreadable or names something impossible."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PaceConfig(_Section):
    """How hard to push the endpoint; `max_in_flight` bounds the adaptive concurrency.

    After `no_response_timeout_s` without a word about any call under way, an endpoint is
    asked for its models; one that does not list them has hung and is given up.
    """

    max_in_flight: Annotated[int, Field(gt=0)] = 64
    initial_in_flight: Annotated[int, Field(gt=0)] = 8
    max_attempts: Annotated[int, Field(gt=0)] = 6
    breaker_window_s: Annotated[float, Field(gt=0)] = 20.0
    max_retry_after_s: Annotated[float, Field(gt=0)] = 300.0
    no_response_timeout_s: Annotated[
        float,
        Field(gt=0, validation_alias=AliasChoices("no_response_timeout_s", "silence_s")),
    ] = 40.0


class BatchConfig(_Section):
    """Limits of the provider's Batch API; OpenAI's are 50,000 requests and 200 MB a file.

    `max_open` bounds how many are under way at once; null is no bound.
    """

    max_requests: Annotated[int, Field(gt=0)] = 50_000
    max_bytes: Annotated[int, Field(gt=0)] = 180_000_000
    max_open: Annotated[int, Field(gt=0)] | None = 8
    poll_s: Annotated[float, Field(gt=0)] = 30.0
    completion_window: str = "24h"


class ReleaseConfig(_Section):
    """Shape of a release; part of its policy, so of its bytes.

    Args:
        title: Heading of the card; the dataset's name when null.
        repo_id: OWNER/NAME it is published as, for the card's example that loads it.
        rows_per_shard: A shard has at most about this many rows. Also read under its former
            name `rows_a_shard`, which releases keep writing, so that their bytes stay the same.
        max_shard_bytes: And about this many bytes of images.
        min_reviews_to_reject: A row is rejected only if this many reviewers judged it.
        flagged: Rows that wait for a second look are held back, or kept.
        trim_surplus: Leave out what a cell and language have above the plan's share.
        licence: Of the texts, as the Hub names licences; "other" for the terms of the teacher's
            provider. Images keep their own.
    """

    title: str | None = None
    repo_id: str | None = None
    rows_per_shard: Annotated[
        int,
        Field(
            gt=0,
            validation_alias=AliasChoices("rows_per_shard", "rows_a_shard"),
            serialization_alias="rows_a_shard",
        ),
    ] = 25_000
    max_shard_bytes: Annotated[int, Field(gt=0)] = 500_000_000
    min_reviews_to_reject: Annotated[int, Field(ge=1)] = 1
    flagged: Literal["hold_back", "keep"] = "hold_back"
    trim_surplus: bool = False
    licence: Annotated[str, Field(validation_alias=AliasChoices("licence", "license"))] = "other"


def _read_prompts(value: object, info: ValidationInfo) -> object:
    """Reads the directory that a setting names, beside the configuration's file."""
    if not isinstance(value, str | Path):
        return value
    base: Path = (info.context or {}).get("directory", Path())
    return read_prompt_files((base / Path(value).expanduser()).resolve())


#: A directory of prompts: read with the configuration, so that one run has one text of each.
Prompts = Annotated[
    InstanceOf[PromptFiles],
    BeforeValidator(_read_prompts),
    PlainSerializer(lambda files: str(files.directory), return_type=str),
]


class BuildConfig(_Section):
    """A whole build. Same config, images and seed: same plan.

    Args:
        name: Short name of the dataset; lower case, digits, `-` and `_`.
        num_samples: Accepted samples wanted in all.
        languages: "mme5" (English 43.1 %, thirteen at 2.7-3.0 %, the rest
            19.8 %), "uniform", or shares by language code.
        task_shares: Weight of each task type; the paper's 1 : 1 : 2.
        modality_shares: Weight of each modality combination inside a task
            type; uniform where not given.
        tolerance: Largest gap between wanted and accepted share at the end.
        max_rounds: Cap on rounds of planning what is still missing; one that an outage left
            without replies does not count when the build is run again, nor does one that asks for
            no more than one in a hundred of the samples wanted.
        max_slot_failures: A language in a cell (task type and modality combination) is given up
            after so many replies dropped in a row, and so is a language or a cell that brought
            nothing else; null never gives one up. Where one reply in two is fit, chance alone does
            that to one slot in 4,096. One that was never good is asked up to four times as often
            while all such slots cost less than a twentieth of the build.
        prompts: Directory of one's own templates, task ideas and fields of the reply, relative to
            the configuration's file; `prompts init` makes one. Files it lacks are the built-in
            ones.
        teacher: The model that writes.
        teachers: Several of them in its place, each for some of the jobs.
    """

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
            description="up to 64 lower-case letters, digits, - and _, a letter or digit first",
        ),
    ] = "dataset"
    num_samples: Annotated[int, Field(gt=0)] = 1_000
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    languages: Literal["mme5", "uniform"] | dict[str, Share] = "mme5"
    task_shares: dict[TaskType, Share] = {"classification": 1, "vqa": 1, "retrieval": 2}
    modality_shares: dict[TaskType, dict[Modality, Share]] = {}
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.01
    max_rounds: Annotated[int, Field(gt=0)] = 6
    max_slot_failures: Annotated[int, Field(gt=0)] | None = 12
    prompts: Prompts | None = None
    teacher: TeacherConfig = TeacherConfig()
    teachers: tuple[NamedTeacher, ...] = ()
    judge: TeacherConfig | None = None
    pace: PaceConfig = PaceConfig()
    batch: BatchConfig = BatchConfig()
    images: ImagesConfig = ImagesConfig()
    checks: ChecksConfig = ChecksConfig()
    gates: GatesConfig = GatesConfig()
    release: ReleaseConfig = ReleaseConfig()
    card: CardConfig = CardConfig()

    @field_validator("languages", mode="before")
    @classmethod
    def _norwegian_is_no_boolean(cls, value: object) -> object:
        """YAML 1.1 reads an unquoted `no` as false; as a key here it can only mean Norwegian."""
        if not isinstance(value, dict):
            return value
        return {"no" if code is False else code: share for code, share in value.items()}

    @field_validator("judge")
    @classmethod
    def _judge_sees_no_captions(cls, judge: TeacherConfig | None) -> TeacherConfig | None:
        if judge is not None and judge.use_captions:
            raise ValueError(
                "judge.use_captions: a judge is shown no captions; only teacher has it"
            )
        return judge

    @model_validator(mode="after")
    def _teachers_fit(self) -> Self:
        if self.teachers:
            languages = self.languages if isinstance(self.languages, dict) else LANGUAGES
            require_teachers_fit(self.teachers, self.teacher, languages)
        return self

    @model_validator(mode="after")
    def _choices_have_a_judge(self) -> Self:
        if self.gates.judge_choice and self.judge is None:
            raise ValueError(
                "gates: judge_choice needs a judge. Name a model under `judge`, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _shares_are_possible(self) -> Self:
        from schemas.vocabulary import CELLS

        if isinstance(self.languages, dict):
            unknown = sorted(set(self.languages) - set(LANGUAGES))
            if unknown:
                raise ValueError(f"languages: {', '.join(unknown)} not among the 93")
            if sum(self.languages.values()) <= 0:
                raise ValueError("languages: the shares sum to 0")
        if sum(self.task_shares.get(task, 0) for task in TASK_TYPES) <= 0:
            raise ValueError("task_shares: the shares sum to 0")
        possible = {(cell.task_type, cell.modality) for cell in CELLS}
        for task, shares in self.modality_shares.items():
            for modality in shares:
                if (task, modality) not in possible:
                    raise ValueError(f'modality_shares: {task} has no modality "{modality}"')
            if sum(shares.values()) <= 0:
                raise ValueError(f"modality_shares: the shares of {task} sum to 0")
        return self

    @property
    def writers(self) -> dict[str, TeacherConfig]:
        """The models that write samples, by role."""
        return {one.role: one for one in self.teachers} or {"teacher": self.teacher}

    @property
    def plan_hash(self) -> str:
        """sha256 (hex) of what decides the plan: not the pace, the endpoint's address or prices.

        Nor the checks: what they drop is planned again, and replies can be checked anew. Nor the
        judge, who is asked about what is kept.
        """
        return _hash(self._decided())

    def lasting(
        self, settings: dict[str, dict[str, Any]] = DEFAULT_ENDPOINT_SETTINGS
    ) -> dict[str, object]:
        """What may never change in a workspace: what decides the set, less the targets.

        Args:
            settings: Values that stand for those which only say how the endpoint is asked.
        """
        decided = {name: v for name, v in self._decided().items() if name not in _TARGET_FIELDS}
        for section, values in settings.items():
            decided[section] |= values
        return decided

    @property
    def workspace_hash(self) -> str:
        """sha256 (hex) of `lasting`."""
        return self.workspace_hash_with(DEFAULT_ENDPOINT_SETTINGS)

    def workspace_hash_with(self, settings: dict[str, dict[str, Any]]) -> str:
        """The hash of a workspace begun with other settings of the endpoint.

        Earlier versions hashed them as they were.
        """
        return _hash(self.lasting(settings))

    def endpoint_settings(self) -> dict[str, dict[str, Any]]:
        """The settings that only say how the endpoint is asked, by section."""
        content = self.model_dump(mode="json", include=set(DEFAULT_ENDPOINT_SETTINGS))
        return {
            section: {name: content[section][name] for name in values}
            for section, values in DEFAULT_ENDPOINT_SETTINGS.items()
        }

    @property
    def targets(self) -> dict[str, object]:
        """The fields that say how many samples are wanted of what; a workspace may be given others.

        A round begun earlier ends as it was planned, so each is kept with its targets.
        """
        return self.model_dump(mode="json", include=_TARGET_FIELDS)

    def with_targets(self, targets: dict[str, object]) -> Self:
        """This configuration with the targets of an earlier day."""
        # What was read with the configuration is not read again.
        return self.model_validate(self.model_dump() | {"prompts": self.prompts} | targets)

    def _decided(self) -> dict[str, Any]:
        decided: dict[str, Any] = self.model_dump(mode="json", exclude=_UNDECIDING_FIELDS)
        del decided["prompts"]
        if self.prompts is not None:
            decided["prompts"] = self.prompts.defining
        for section in (decided["teacher"], *decided["teachers"]):
            for field in ("base_url", "api_key_env", "timeout_s", "prices", "replicas"):
                section.pop(field)
        # Workspaces begun before there could be several.
        teachers = decided.pop("teachers")
        if teachers:
            decided["teachers"] = {one.pop("name"): one for one in teachers}
            for one in decided["teachers"].values():
                one |= DEFAULT_ENDPOINT_SETTINGS["teacher"]
        if not decided["teacher"]["use_captions"]:  # workspaces begun before there was the choice
            del decided["teacher"]["use_captions"]
        decided["images"] = self.images.as_published()
        # What "auto" stands for is kept with the images. Workspaces begun before there was the
        # word had the descriptor, and keep it.
        if decided["images"]["embedder"] == "auto":
            decided["images"]["embedder"] = "descriptor"
        return decided


def _hash(content: dict[str, object]) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def load_config(path: Path, *, without: Collection[str] = ()) -> BuildConfig:
    """Reads a YAML configuration.

    Args:
        path: The file.
        without: Keys of it that are left out.

    Raises:
        ConfigError: Missing, not YAML, or a field is wrong; names file, line and field.
    """
    try:
        file = read_config_file(path)
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}. Name a YAML configuration file.") from exc
    except ConfigFileProblem as exc:
        raise ConfigError(f"{path}: {exc}. Fix the file; nothing was sent.") from exc
    content = {name: value for name, value in file.content.items() if name not in without}
    return _validated(ConfigFile(content, file.root), str(path), path.parent)


def config_from(settings: Mapping[str, object]) -> BuildConfig:
    """A configuration from settings as a YAML file would hold them.

    Raises:
        ConfigError: A setting is wrong; names it.
    """
    return _validated(ConfigFile(dict(settings)), "configuration", Path())


def _validated(file: ConfigFile, where: str, directory: Path) -> BuildConfig:
    try:
        return BuildConfig.model_validate(file.content, context={"directory": directory})
    except ValidationError as exc:
        problems = describe_problems(exc, BuildConfig, file)
        raise ConfigError(f"{where}: {problems} Fix the file; nothing was sent.") from exc


def save_config(config: BuildConfig, path: Path) -> None:
    """Writes the resolved configuration, so that a run can be repeated.

    Prompts of one's own are copied beside it, so that it stands alone.
    """
    content = config.model_dump(mode="json")
    if config.teachers:
        del content["teacher"]  # they stand in its place
    else:
        del content["teachers"]
    if config.prompts is None:
        del content["prompts"]
    else:
        write_prompt_files(config.prompts, path.parent / PROMPTS_DIR)
        content["prompts"] = PROMPTS_DIR
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
